-- +goose Up
CREATE TABLE persons (
    tenant      TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    family_name TEXT NOT NULL,
    email       TEXT NOT NULL,
    guest       INTEGER NOT NULL,
    disabled    INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- One account at one issuer belongs to one person; a person may have several.
CREATE TABLE person_subjects (
    tenant  TEXT NOT NULL,
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    person  TEXT NOT NULL,
    PRIMARY KEY (tenant, issuer, subject),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX person_subjects_by_person ON person_subjects (tenant, person);

-- What each subject's issuer said at its last sign-in, so that one institution
-- never takes away what another one gave.
CREATE TABLE person_groups (
    tenant     TEXT NOT NULL,
    group_name TEXT NOT NULL,
    person     TEXT NOT NULL,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    PRIMARY KEY (tenant, group_name, person, issuer, subject),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, issuer, subject) REFERENCES person_subjects (tenant, issuer, subject) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX person_groups_by_person ON person_groups (tenant, person);
CREATE INDEX person_groups_by_subject ON person_groups (tenant, issuer, subject);

-- +goose Down
DROP TABLE person_groups;
DROP TABLE person_subjects;
DROP TABLE persons;

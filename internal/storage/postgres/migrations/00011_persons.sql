-- +goose Up
-- Identifiers are compared byte by byte, whatever the database's collation.
CREATE TABLE persons (
    tenant      text    COLLATE "C" NOT NULL,
    id          text    COLLATE "C" NOT NULL,
    name        text    NOT NULL,
    family_name text    NOT NULL,
    email       text    NOT NULL,
    guest       boolean NOT NULL,
    disabled    boolean NOT NULL DEFAULT false,
    -- Whom a merged person counts as, resolved to the end; '' for everybody else.
    merged_into text    COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id)
);
CREATE INDEX persons_merged ON persons (tenant, merged_into) WHERE merged_into <> '';

-- One account at one issuer belongs to one person; a person may have several.
-- What the subject's last sign-in gave, and why, is JSON of lodge.Binding and of
-- idp.Reason.
CREATE TABLE person_subjects (
    tenant       text  COLLATE "C" NOT NULL,
    issuer       text  COLLATE "C" NOT NULL,
    subject      text  COLLATE "C" NOT NULL,
    person       text  COLLATE "C" NOT NULL,
    signed_in_at timestamptz,
    bindings     json  NOT NULL DEFAULT '[]',
    reasons      json  NOT NULL DEFAULT '[]',
    PRIMARY KEY (tenant, issuer, subject),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE
);
CREATE INDEX person_subjects_by_person ON person_subjects (tenant, person);

-- What each subject's issuer said at its last sign-in, so that one institution
-- never takes away what another one gave.
CREATE TABLE person_groups (
    tenant     text COLLATE "C" NOT NULL,
    group_name text COLLATE "C" NOT NULL,
    person     text COLLATE "C" NOT NULL,
    issuer     text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, group_name, person, issuer, subject),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, issuer, subject) REFERENCES person_subjects (tenant, issuer, subject) ON DELETE CASCADE
);
CREATE INDEX person_groups_by_person ON person_groups (tenant, person);
CREATE INDEX person_groups_by_subject ON person_groups (tenant, issuer, subject);

-- Every merge, those that were undone too. into_person is as it was merged; of
-- the standing ones, persons.merged_into is what they add up to.
CREATE TABLE person_merges (
    seq         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text    COLLATE "C" NOT NULL,
    person      text    COLLATE "C" NOT NULL,
    into_person text    COLLATE "C" NOT NULL,
    claim       boolean NOT NULL,
    done_by     text    NOT NULL,
    done_at     timestamptz,
    undone_by   text    NOT NULL DEFAULT '',
    undone_at   timestamptz,               -- NULL: it stands
    counted_as  text    NOT NULL DEFAULT '', -- whom the person counted as when it was undone
    settled     boolean NOT NULL DEFAULT false, -- what follows from it elsewhere is carried out
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id),
    FOREIGN KEY (tenant, into_person) REFERENCES persons (tenant, id)
);
CREATE UNIQUE INDEX person_merges_standing ON person_merges (tenant, person) WHERE undone_at IS NULL;
CREATE INDEX person_merges_unsettled ON person_merges (seq) WHERE NOT settled;
CREATE INDEX person_merges_by_person ON person_merges (tenant, person, seq);
CREATE INDEX person_merges_by_into ON person_merges (tenant, into_person) WHERE undone_at IS NULL;

-- +goose Down
DROP TABLE person_merges;
DROP TABLE person_groups;
DROP TABLE person_subjects;
DROP TABLE persons;

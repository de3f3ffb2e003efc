-- +goose Up
-- Where, and whether, people are written to.
CREATE TABLE person_mailboxes (
    tenant       TEXT NOT NULL,
    person       TEXT NOT NULL,
    address      TEXT NOT NULL,
    language     TEXT NOT NULL,
    off          INTEGER NOT NULL,
    no_reminders INTEGER NOT NULL,
    PRIMARY KEY (tenant, person)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE person_mailboxes;

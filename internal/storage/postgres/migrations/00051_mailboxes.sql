-- +goose Up
-- Where, and whether, people are written to.
CREATE TABLE person_mailboxes (
    tenant       text COLLATE "C" NOT NULL,
    person       text COLLATE "C" NOT NULL,
    address      text NOT NULL,
    language     text NOT NULL,
    off          boolean NOT NULL,
    no_reminders boolean NOT NULL,
    PRIMARY KEY (tenant, person)
);

-- +goose Down
DROP TABLE person_mailboxes;

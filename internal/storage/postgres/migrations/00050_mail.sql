-- +goose Up
-- Mail that waits to be sent: what it is about, never its text.
CREATE TABLE booking_mails (
    tenant    text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    kind      text NOT NULL,
    booking   text COLLATE "C" NOT NULL,
    person    text NOT NULL,
    pool      text NOT NULL,
    reason    text NOT NULL,
    free_from timestamptz,
    free_to   timestamptz,
    until     timestamptz,
    at        timestamptz NOT NULL,
    tries     bigint NOT NULL,
    node      text NOT NULL,        -- who took it; empty: nobody
    next_at   timestamptz NOT NULL, -- when it may be taken
    PRIMARY KEY (tenant, id)
);
CREATE INDEX booking_mails_due ON booking_mails (next_at);

CREATE TABLE booking_reminders (
    tenant  text COLLATE "C" NOT NULL,
    booking text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (tenant, booking, at)
);
CREATE INDEX booking_reminders_due ON booking_reminders (at);

-- Mailed links, by the hash of their secret.
CREATE TABLE booking_links (
    tenant  text  COLLATE "C" NOT NULL,
    hash    bytea NOT NULL,
    booking text  COLLATE "C" NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE INDEX booking_links_by_time ON booking_links (until);

-- +goose Down
DROP TABLE booking_links;
DROP TABLE booking_reminders;
DROP TABLE booking_mails;

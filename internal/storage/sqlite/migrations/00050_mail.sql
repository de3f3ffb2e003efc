-- +goose Up
-- Mail that waits to be sent: what it is about, never its text.
CREATE TABLE booking_mails (
    tenant  TEXT NOT NULL,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    booking TEXT NOT NULL,
    person  TEXT NOT NULL,
    pool    TEXT NOT NULL,
    reason  TEXT NOT NULL,
    free_from INTEGER NOT NULL, -- microseconds, as all times here; 0: none
    free_to   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    node    TEXT NOT NULL,      -- who took it; empty: nobody
    next_at INTEGER NOT NULL,   -- when it may be taken
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_mails_due ON booking_mails (next_at);

CREATE TABLE booking_reminders (
    tenant  TEXT NOT NULL,
    booking TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, booking, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_reminders_due ON booking_reminders (at);

-- Mailed links, by the hash of their secret.
CREATE TABLE booking_links (
    tenant  TEXT NOT NULL,
    hash    BLOB NOT NULL,
    booking TEXT NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (tenant, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_links_by_time ON booking_links (until);

-- +goose Down
DROP TABLE booking_links;
DROP TABLE booking_reminders;
DROP TABLE booking_mails;

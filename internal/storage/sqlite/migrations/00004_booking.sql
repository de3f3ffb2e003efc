-- +goose Up
-- The catalogue: one row an object, so that parts of it can change by themselves.
CREATE TABLE catalogue_revisions (
    tenant   TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE catalogue_objects (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL, -- the revision that wrote it
    body    BLOB NOT NULL,    -- JSON
    PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE bookings (
    tenant        TEXT NOT NULL,
    id            TEXT NOT NULL,
    owner         TEXT NOT NULL,
    owner_name    TEXT NOT NULL,
    surname       TEXT NOT NULL,
    experiment    TEXT NOT NULL,
    slot          TEXT NOT NULL,
    policy        TEXT NOT NULL,
    group_name    TEXT NOT NULL,
    ui_set        TEXT NOT NULL,
    start_at      INTEGER NOT NULL, -- microseconds since 1970, as all times here
    end_at        INTEGER NOT NULL,
    exclusive     INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    cancelled_at  INTEGER NOT NULL, -- 0: not cancelled
    cancel_reason TEXT NOT NULL,
    charged       INTEGER NOT NULL, -- microseconds
    version       INTEGER NOT NULL,
    idem_key      BLOB,
    idem_digest   BLOB,
    sealed        BLOB,             -- the reference for display; NULL once it is dead
    sealed_key    TEXT NOT NULL,
    PRIMARY KEY (tenant, id),
    CHECK (start_at < end_at)
) STRICT, WITHOUT ROWID;

-- The diary. Its intervals are disjoint, so the one before a time is enough to
-- know what is taken at that time.
CREATE INDEX bookings_diary ON bookings (tenant, experiment, start_at, end_at)
    WHERE exclusive = 1 AND cancelled_at = 0;
CREATE INDEX bookings_by_experiment ON bookings (tenant, experiment, end_at);
CREATE INDEX bookings_by_owner ON bookings (tenant, owner, end_at);
CREATE INDEX bookings_usage ON bookings (tenant, owner, policy, end_at, cancelled_at, charged);
CREATE UNIQUE INDEX bookings_by_key ON bookings (tenant, owner, idem_key) WHERE idem_key IS NOT NULL;

-- Keyed hashes; neither a reference nor a surname can be read from them.
CREATE TABLE booking_references (
    tenant  TEXT NOT NULL,
    mac     BLOB NOT NULL,
    booking TEXT NOT NULL,
    pepper  TEXT NOT NULL,
    PRIMARY KEY (tenant, mac)
) STRICT, WITHOUT ROWID;

CREATE TABLE booking_folds (
    tenant  TEXT NOT NULL,
    mac     BLOB NOT NULL,
    booking TEXT NOT NULL,
    pepper  TEXT NOT NULL,
    PRIMARY KEY (tenant, mac)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_folds_by_booking ON booking_folds (tenant, booking);

-- How often lookups missed, by the keyed hash of what is limited.
CREATE TABLE booking_tries (
    tenant TEXT NOT NULL,
    key    BLOB NOT NULL,
    at     INTEGER NOT NULL, -- theoretical arrival time
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_tries_by_time ON booking_tries (at);

CREATE TABLE booking_outbox (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT NOT NULL,
    subject    TEXT NOT NULL, -- effects of one subject are carried out in order
    effect     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    booking    TEXT NOT NULL,
    experiment TEXT NOT NULL,
    reason     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    UNIQUE (tenant, effect)
) STRICT;
CREATE INDEX booking_outbox_by_subject ON booking_outbox (tenant, subject, seq);

CREATE TABLE experiment_states (
    tenant     TEXT NOT NULL,
    experiment TEXT NOT NULL,
    online     INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    set_by     TEXT NOT NULL,
    since      INTEGER NOT NULL,
    PRIMARY KEY (tenant, experiment)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE experiment_states;
DROP TABLE booking_outbox;
DROP TABLE booking_tries;
DROP TABLE booking_folds;
DROP TABLE booking_references;
DROP TABLE bookings;
DROP TABLE catalogue_objects;
DROP TABLE catalogue_revisions;

-- +goose Up
-- Of what is compared with = beside ranges: from PostgreSQL's contributed modules.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- The catalogue: one row an object, so that parts of it can change by themselves.
CREATE TABLE catalogue_revisions (
    tenant   text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL
);

CREATE TABLE catalogue_objects (
    tenant  text   COLLATE "C" NOT NULL,
    kind    text   COLLATE "C" NOT NULL,
    name    text   COLLATE "C" NOT NULL,
    version bigint NOT NULL, -- the revision that wrote it
    body    bytea  NOT NULL, -- JSON
    PRIMARY KEY (tenant, kind, name)
);

-- Two live exclusive bookings of an experiment never share a moment, whoever
-- writes them.
CREATE TABLE bookings (
    tenant        text    COLLATE "C" NOT NULL,
    id            text    COLLATE "C" NOT NULL,
    owner         text    COLLATE "C" NOT NULL,
    made_for      text    COLLATE "C" NOT NULL,
    owner_name    text    NOT NULL,
    surname       text    NOT NULL,
    experiment    text    COLLATE "C" NOT NULL,
    slot          text    NOT NULL,
    policy        text    COLLATE "C" NOT NULL,
    group_name    text    NOT NULL,
    ui_set        text    NOT NULL,
    start_at      timestamptz NOT NULL,
    end_at        timestamptz NOT NULL,
    exclusive     boolean NOT NULL,
    created_at    timestamptz,
    cancelled_at  timestamptz, -- NULL: not cancelled
    cancel_reason text    NOT NULL,
    charged       bigint  NOT NULL, -- microseconds
    version       bigint  NOT NULL,
    idem_key      bytea,
    idem_digest   bytea,
    sealed        bytea,            -- the reference for display; NULL once it is dead
    sealed_key    text    NOT NULL,
    PRIMARY KEY (tenant, id),
    CHECK (start_at < end_at),
    CONSTRAINT bookings_overlap EXCLUDE USING gist
        (tenant WITH =, experiment WITH =, tstzrange(start_at, end_at, '[)') WITH &&) WHERE (exclusive AND cancelled_at IS NULL)
);

-- The diary. Its intervals are disjoint, so the one before a time is enough to
-- know what is taken at that time.
CREATE INDEX bookings_diary ON bookings (tenant, experiment, start_at, end_at) WHERE exclusive AND cancelled_at IS NULL;
CREATE INDEX bookings_by_experiment ON bookings (tenant, experiment, end_at);
CREATE INDEX bookings_by_owner ON bookings (tenant, owner, end_at);
CREATE INDEX bookings_usage ON bookings (tenant, owner, policy, end_at, cancelled_at, charged);
CREATE INDEX bookings_by_end ON bookings (tenant, end_at);
CREATE INDEX bookings_by_made_for ON bookings (tenant, made_for);
CREATE UNIQUE INDEX bookings_by_key ON bookings (tenant, made_for, idem_key) WHERE idem_key IS NOT NULL;

-- Who has the bookings that were made for a merged person.
CREATE TABLE booking_owners (
    tenant text COLLATE "C" NOT NULL,
    person text COLLATE "C" NOT NULL,
    owner  text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, person)
);

-- Keyed hashes; neither a reference nor a surname can be read from them.
CREATE TABLE booking_references (
    tenant  text  COLLATE "C" NOT NULL,
    mac     bytea NOT NULL,
    booking text  COLLATE "C" NOT NULL,
    pepper  text  NOT NULL,
    PRIMARY KEY (tenant, mac)
);
CREATE INDEX booking_references_by_booking ON booking_references (tenant, booking);

CREATE TABLE booking_folds (
    tenant  text  COLLATE "C" NOT NULL,
    mac     bytea NOT NULL,
    booking text  COLLATE "C" NOT NULL,
    pepper  text  NOT NULL,
    PRIMARY KEY (tenant, mac)
);
CREATE INDEX booking_folds_by_booking ON booking_folds (tenant, booking);

-- How often lookups missed, by the keyed hash of what is limited.
CREATE TABLE booking_tries (
    tenant text  COLLATE "C" NOT NULL,
    key    bytea NOT NULL,
    at     timestamptz, -- theoretical arrival time
    PRIMARY KEY (tenant, key)
);
CREATE INDEX booking_tries_by_time ON booking_tries (at);

CREATE TABLE booking_outbox (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text   COLLATE "C" NOT NULL,
    subject    text   COLLATE "C" NOT NULL, -- effects of one subject are carried out in order
    effect     text   COLLATE "C" NOT NULL,
    kind       text   NOT NULL,
    booking    text   NOT NULL,
    experiment text   NOT NULL,
    reason     text   NOT NULL,
    at         timestamptz NOT NULL,
    tries      bigint NOT NULL,
    next_at    timestamptz NOT NULL,
    UNIQUE (tenant, effect)
);
CREATE INDEX booking_outbox_by_subject ON booking_outbox (tenant, subject, seq);

CREATE TABLE experiment_states (
    tenant     text    COLLATE "C" NOT NULL,
    experiment text    COLLATE "C" NOT NULL,
    online     boolean NOT NULL,
    reason     text    NOT NULL,
    set_by     text    NOT NULL,
    since      timestamptz,
    PRIMARY KEY (tenant, experiment)
);

-- +goose Down
DROP TABLE experiment_states;
DROP TABLE booking_outbox;
DROP TABLE booking_tries;
DROP TABLE booking_folds;
DROP TABLE booking_references;
DROP TABLE booking_owners;
DROP TABLE bookings;
DROP TABLE catalogue_objects;
DROP TABLE catalogue_revisions;

-- +goose Up
-- One row per topic that has an epoch. Appends take its lock before they take a
-- number, so that entries become visible in the order of their numbers: those of
-- a sequence are given out before the commit, and readers would step over the
-- ones that commit later. Topics are physical names, made from tenant and logical
-- name with a key, which is what keeps tenants apart here.
CREATE TABLE log_topics (
    topic     bytea  PRIMARY KEY,
    epoch     bigint NOT NULL UNIQUE, -- random, so never one that was there before
    seq       bigint NOT NULL,        -- the newest given out; never taken back
    tag       bigint NOT NULL,        -- of the entry at seq, which may be discarded
    floor_seq bigint NOT NULL,        -- the last discarded position; 0: there is none
    floor_tag bigint NOT NULL
) WITH (fillfactor = 50); -- room for the next version of a head beside this one

-- Entries belong to an epoch, not to a name: a dropped topic's entries are out of
-- sight with its row, and those up to a floor with the floor.
CREATE TABLE log_entries (
    epoch bigint NOT NULL,
    seq   bigint NOT NULL,
    tag   bigint NOT NULL,
    id    bytea  NOT NULL,
    body  bytea  NOT NULL,
    PRIMARY KEY (epoch, seq)
);
ALTER TABLE log_entries ALTER COLUMN body SET STORAGE EXTERNAL; -- sealed, which does not compress
-- Not unique: the same ID may be there once more, out of sight. Hashed, because
-- an index entry is limited in size, and together, so that nothing but this index
-- can serve a search for an ID.
CREATE INDEX log_entries_id ON log_entries (sha256(int8send(epoch) || id));

CREATE TABLE log_snapshots (
    epoch bigint PRIMARY KEY,
    rev   bigint NOT NULL,
    seq   bigint NOT NULL,
    tag   bigint NOT NULL,
    data  bytea  NOT NULL
);

-- What is out of sight and waits to be deleted, some entries at a time.
CREATE TABLE log_garbage (
    epoch   bigint NOT NULL,
    through bigint NOT NULL,
    PRIMARY KEY (epoch, through)
);

-- +goose Down
DROP TABLE log_garbage;
DROP TABLE log_snapshots;
DROP TABLE log_entries;
DROP TABLE log_topics;

-- +goose Up
-- One row per topic that has an epoch. The sequence number lives here and only
-- grows: rowids are given out again once the rows that had them are gone. The
-- floor is the last discarded position; floor_seq is 0 when there is none.
CREATE TABLE log_topics (
    topic     BLOB PRIMARY KEY,
    epoch     INTEGER NOT NULL UNIQUE, -- random, so never one that was there before
    seq       INTEGER NOT NULL,
    tag       INTEGER NOT NULL,        -- of the entry at seq, which may be discarded
    floor_seq INTEGER NOT NULL,
    floor_tag INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Entries belong to an epoch, not to a name: a dropped topic's entries are out of
-- sight with its row, and those up to a floor with the floor.
CREATE TABLE log_entries (
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    tag   INTEGER NOT NULL,
    id    BLOB NOT NULL,
    body  BLOB NOT NULL,
    PRIMARY KEY (epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX log_entries_id ON log_entries (epoch, id);

CREATE TABLE log_snapshots (
    epoch INTEGER PRIMARY KEY,
    rev   INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    tag   INTEGER NOT NULL,
    data  BLOB NOT NULL
) STRICT;

-- What is out of sight and waits to be deleted, a few entries at a time.
CREATE TABLE log_garbage (
    epoch   INTEGER PRIMARY KEY,
    through INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE log_garbage;
DROP TABLE log_snapshots;
DROP TABLE log_entries;
DROP TABLE log_topics;

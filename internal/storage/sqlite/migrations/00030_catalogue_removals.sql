-- +goose Up
-- What was taken out of a catalogue, and when: whoever planned with it has to look
-- again. An object that is put back loses its row.
CREATE TABLE catalogue_removals (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL, -- the revision that removed it
    PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;

-- What a change of the catalogue may touch.
CREATE INDEX bookings_live ON bookings (tenant, end_at) WHERE cancelled_at = 0;

-- +goose Down
DROP INDEX bookings_live;
DROP TABLE catalogue_removals;

-- +goose Up
-- Whom a merged person counts as, resolved to the end; '' for everybody else.
ALTER TABLE persons ADD COLUMN merged_into TEXT NOT NULL DEFAULT '';
CREATE INDEX persons_merged ON persons (tenant, merged_into) WHERE merged_into <> '';

-- Every merge, those that were undone too. into_person is as it was merged; of
-- the standing ones, persons.merged_into is what they add up to.
CREATE TABLE person_merges (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    into_person TEXT    NOT NULL,
    claim       INTEGER NOT NULL,
    done_by     TEXT    NOT NULL,
    done_at     INTEGER NOT NULL, -- microseconds, as undone_at
    undone_by   TEXT    NOT NULL DEFAULT '',
    undone_at   INTEGER NOT NULL DEFAULT 0, -- 0: it stands
    counted_as  TEXT    NOT NULL DEFAULT '', -- whom the person counted as when it was undone
    settled     INTEGER NOT NULL DEFAULT 0,  -- what follows from it elsewhere is carried out
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id),
    FOREIGN KEY (tenant, into_person) REFERENCES persons (tenant, id)
) STRICT;
CREATE UNIQUE INDEX person_merges_standing ON person_merges (tenant, person) WHERE undone_at = 0;
CREATE INDEX person_merges_unsettled ON person_merges (seq) WHERE settled = 0;

-- Who has the bookings that were made for a merged person, and for whom each
-- booking was made.
CREATE TABLE booking_owners (
    tenant TEXT NOT NULL,
    person TEXT NOT NULL,
    owner  TEXT NOT NULL,
    PRIMARY KEY (tenant, person)
) STRICT, WITHOUT ROWID;
ALTER TABLE bookings ADD COLUMN made_for TEXT NOT NULL DEFAULT '';
UPDATE bookings SET made_for = owner;
CREATE INDEX bookings_by_made_for ON bookings (tenant, made_for);
DROP INDEX bookings_by_key;
CREATE UNIQUE INDEX bookings_by_key ON bookings (tenant, made_for, idem_key) WHERE idem_key IS NOT NULL;

-- +goose Down
DROP INDEX bookings_by_key;
CREATE UNIQUE INDEX bookings_by_key ON bookings (tenant, owner, idem_key) WHERE idem_key IS NOT NULL;
DROP INDEX bookings_by_made_for;
ALTER TABLE bookings DROP COLUMN made_for;
DROP TABLE booking_owners;
DROP TABLE person_merges;
DROP INDEX persons_merged;
ALTER TABLE persons DROP COLUMN merged_into;

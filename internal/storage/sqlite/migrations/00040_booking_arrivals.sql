-- +goose Up
ALTER TABLE bookings ADD COLUMN pool TEXT NOT NULL DEFAULT '';        -- asked for instead of an experiment
ALTER TABLE bookings ADD COLUMN came_at INTEGER NOT NULL DEFAULT 0;   -- 0: nobody did yet
ALTER TABLE bookings ADD COLUMN come_by INTEGER NOT NULL DEFAULT 0;   -- 0: nobody is awaited
CREATE INDEX bookings_awaited ON bookings (come_by) WHERE come_by > 0;
CREATE INDEX booking_references_by_booking ON booking_references (tenant, booking);

-- The waiting lists, one row a place.
CREATE TABLE booking_waits (
    tenant      TEXT NOT NULL,
    id          TEXT NOT NULL,
    person      TEXT NOT NULL,
    target      TEXT NOT NULL, -- slot:… or pool:…, the list
    group_name  TEXT NOT NULL,
    slot        TEXT NOT NULL,
    pool        TEXT NOT NULL,
    within_from INTEGER NOT NULL,
    within_to   INTEGER NOT NULL,
    length      INTEGER NOT NULL, -- microseconds
    since       INTEGER NOT NULL,
    offer_slot  TEXT NOT NULL,
    offer_from  INTEGER NOT NULL,
    offer_to    INTEGER NOT NULL,
    told_at     INTEGER NOT NULL,
    turn_until  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_waits_by_target ON booking_waits (tenant, target, since, id);
CREATE INDEX booking_waits_by_person ON booking_waits (tenant, person, since, id);
CREATE INDEX booking_waits_due ON booking_waits (due_at);

ALTER TABLE booking_outbox ADD COLUMN wait TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE booking_outbox DROP COLUMN wait;
DROP TABLE booking_waits;
DROP INDEX booking_references_by_booking;
DROP INDEX bookings_awaited;
ALTER TABLE bookings DROP COLUMN come_by;
ALTER TABLE bookings DROP COLUMN came_at;
ALTER TABLE bookings DROP COLUMN pool;

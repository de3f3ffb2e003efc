-- +goose Up
ALTER TABLE bookings ADD COLUMN pool text COLLATE "C" NOT NULL DEFAULT ''; -- asked for instead of an experiment
ALTER TABLE bookings ADD COLUMN came_at timestamptz;                       -- NULL: nobody did yet
ALTER TABLE bookings ADD COLUMN come_by timestamptz;                       -- NULL: nobody is awaited
CREATE INDEX bookings_awaited ON bookings (come_by) WHERE come_by IS NOT NULL;

-- The waiting lists, one row a place.
CREATE TABLE booking_waits (
    tenant      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    person      text COLLATE "C" NOT NULL,
    target      text COLLATE "C" NOT NULL, -- slot:… or pool:…, the list
    group_name  text NOT NULL,
    slot        text NOT NULL,
    pool        text NOT NULL,
    within_from timestamptz NOT NULL,
    within_to   timestamptz NOT NULL,
    length      bigint NOT NULL, -- microseconds
    since       timestamptz NOT NULL,
    offer_slot  text NOT NULL,
    offer_from  timestamptz,
    offer_to    timestamptz,
    told_at     timestamptz,
    turn_until  timestamptz,
    due_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX booking_waits_by_target ON booking_waits (tenant, target, since, id);
CREATE INDEX booking_waits_by_person ON booking_waits (tenant, person, since, id);
CREATE INDEX booking_waits_due ON booking_waits (due_at);

ALTER TABLE booking_outbox ADD COLUMN wait text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE booking_outbox DROP COLUMN wait;
DROP TABLE booking_waits;
DROP INDEX bookings_awaited;
ALTER TABLE bookings DROP COLUMN come_by;
ALTER TABLE bookings DROP COLUMN came_at;
ALTER TABLE bookings DROP COLUMN pool;

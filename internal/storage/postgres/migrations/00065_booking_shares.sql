-- +goose Up
-- With whom bookings are shared, and who of them has control.
CREATE TABLE booking_shares (
    tenant  text COLLATE "C" NOT NULL,
    booking text COLLATE "C" NOT NULL,
    code    bytea,          -- hash of the code that lets others in; NULL: none does
    holder  text COLLATE "C" NOT NULL, -- empty: the owner
    since   timestamptz,    -- NULL: never
    PRIMARY KEY (tenant, booking)
);
CREATE UNIQUE INDEX booking_shares_by_code ON booking_shares (tenant, code) WHERE code IS NOT NULL;
CREATE INDEX booking_shares_by_holder ON booking_shares (tenant, holder);

CREATE TABLE booking_partners (
    tenant  text COLLATE "C" NOT NULL,
    booking text COLLATE "C" NOT NULL,
    person  text COLLATE "C" NOT NULL,
    name    text NOT NULL,
    place   bigint NOT NULL, -- in the order in which they came
    since   timestamptz NOT NULL,
    asked   timestamptz,     -- NULL: they do not
    PRIMARY KEY (tenant, booking, person)
);
CREATE INDEX booking_partners_by_person ON booking_partners (tenant, person);

-- +goose Down
DROP TABLE booking_partners;
DROP TABLE booking_shares;

-- +goose Up
-- With whom bookings are shared, and who of them has control.
CREATE TABLE booking_shares (
    tenant  TEXT NOT NULL,
    booking TEXT NOT NULL,
    code    BLOB,             -- hash of the code that lets others in; NULL: none does
    holder  TEXT NOT NULL,    -- empty: the owner
    since   INTEGER NOT NULL, -- microseconds since 1970, as all times here; 0: never
    PRIMARY KEY (tenant, booking)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX booking_shares_by_code ON booking_shares (tenant, code) WHERE code IS NOT NULL;
CREATE INDEX booking_shares_by_holder ON booking_shares (tenant, holder);

CREATE TABLE booking_partners (
    tenant  TEXT NOT NULL,
    booking TEXT NOT NULL,
    person  TEXT NOT NULL,
    name    TEXT NOT NULL,
    place   INTEGER NOT NULL, -- in the order in which they came
    since   INTEGER NOT NULL,
    asked   INTEGER NOT NULL, -- 0: they do not
    PRIMARY KEY (tenant, booking, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX booking_partners_by_person ON booking_partners (tenant, person);

-- +goose Down
DROP TABLE booking_partners;
DROP TABLE booking_shares;

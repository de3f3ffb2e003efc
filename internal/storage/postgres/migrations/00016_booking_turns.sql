-- +goose Up
-- Which node carries out the effects of a subject, and until when. It is worth
-- nothing after a crash.
CREATE UNLOGGED TABLE booking_turns (
    tenant  text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    node    text NOT NULL,
    until   timestamptz NOT NULL, -- by the server's clock
    PRIMARY KEY (tenant, subject)
);

-- +goose Down
DROP TABLE booking_turns;

-- +goose Up
-- What the relay denies, or lists as allowed again, until a time. name is a
-- booking or a token, as package relay writes it.
CREATE TABLE denials (
    tenant text    COLLATE "C" NOT NULL,
    name   text    COLLATE "C" NOT NULL,
    denied boolean NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX denials_until ON denials (until);

-- +goose Down
DROP TABLE denials;

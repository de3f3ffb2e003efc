-- +goose Up
-- What the relay denies, or lists as allowed again, until a time. name is a
-- booking or a token, as package relay writes it.
CREATE TABLE denials (
    tenant TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    denied INTEGER NOT NULL, -- 0: allowed
    until  INTEGER NOT NULL, -- microseconds
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX denials_until ON denials (until);

-- +goose Down
DROP TABLE denials;

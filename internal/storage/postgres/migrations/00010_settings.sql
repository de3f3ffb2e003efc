-- +goose Up
-- Small facts about this installation, such as what its root key is known by.
CREATE TABLE settings (
    name  text  PRIMARY KEY,
    value bytea NOT NULL
);

-- +goose Down
DROP TABLE settings;

-- +goose Up
-- The key that a person's answers and marks are sealed under in the message log,
-- itself sealed. The row of somebody who was erased stays, without a key.
CREATE TABLE person_keys (
    tenant text NOT NULL,
    person text NOT NULL,
    sealed bytea, -- NULL: erased
    PRIMARY KEY (tenant, person)
);

-- +goose Down
DROP TABLE person_keys;

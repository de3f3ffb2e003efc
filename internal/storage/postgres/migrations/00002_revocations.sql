-- +goose Up
CREATE TABLE revocations (
    tenant         text   NOT NULL,
    id             text   NOT NULL,
    revoked_at     bigint NOT NULL, -- microseconds since 1970, as are the others; 0: never
    reason         text   NOT NULL,
    messages_until bigint NOT NULL,
    ends_at        bigint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX revocations_end ON revocations (ends_at);
CREATE INDEX revocations_standing ON revocations (tenant, ends_at);

-- +goose Down
DROP TABLE revocations;

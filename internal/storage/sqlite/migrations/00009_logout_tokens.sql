-- +goose Up
-- Logout tokens that were carried out, until they are too old to be taken again.
CREATE TABLE logout_tokens (
    tenant  TEXT    NOT NULL,
    issuer  TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    ends_at INTEGER NOT NULL, -- microseconds
    PRIMARY KEY (tenant, issuer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX logout_tokens_end ON logout_tokens (tenant, ends_at);

-- +goose Down
DROP TABLE logout_tokens;

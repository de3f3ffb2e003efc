-- +goose Up
-- By login session: leave of its issuer to ask again about the person.
CREATE TABLE login_grants (
    tenant     text  COLLATE "C" NOT NULL,
    session    text  COLLATE "C" NOT NULL,
    issuer     text  NOT NULL,
    checked_at timestamptz,
    due_at     timestamptz NOT NULL,
    sealed     bytea NOT NULL, -- the refresh token and what belongs to it
    PRIMARY KEY (tenant, session)
);
CREATE INDEX login_grants_due ON login_grants (due_at);

-- Logout tokens that were carried out, until they are too old to be taken again.
CREATE TABLE logout_tokens (
    tenant  text COLLATE "C" NOT NULL,
    issuer  text COLLATE "C" NOT NULL,
    id      text COLLATE "C" NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, issuer, id)
);
CREATE INDEX logout_tokens_end ON logout_tokens (tenant, ends_at);

-- +goose Down
DROP TABLE logout_tokens;
DROP TABLE login_grants;

-- +goose Up
-- By login session: leave of its issuer to ask again about the person.
CREATE TABLE login_grants (
    tenant     TEXT    NOT NULL,
    session    TEXT    NOT NULL,
    issuer     TEXT    NOT NULL,
    checked_at INTEGER NOT NULL, -- microseconds, as due_at
    due_at     INTEGER NOT NULL,
    sealed     BLOB    NOT NULL, -- the refresh token and what belongs to it
    PRIMARY KEY (tenant, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX login_grants_due ON login_grants (due_at);

-- +goose Down
DROP TABLE login_grants;

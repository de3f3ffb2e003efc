-- +goose Up
-- record is the compact form that package sessions defines. The columns beside
-- it are those that are searched by.
CREATE TABLE sessions (
    tenant      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    revoked     INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    person      TEXT    NOT NULL,
    booking     TEXT    NOT NULL,
    idp_session TEXT    NOT NULL,
    ends_at     INTEGER NOT NULL, -- microseconds
    record      BLOB    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_kind ON sessions (tenant, kind, id);
CREATE INDEX sessions_person ON sessions (tenant, person, id) WHERE person <> '';
CREATE INDEX sessions_booking ON sessions (tenant, booking, id) WHERE booking <> '';
CREATE INDEX sessions_idp ON sessions (tenant, idp_session, id) WHERE idp_session <> '';
CREATE INDEX sessions_end ON sessions (ends_at);

CREATE TABLE revocations (
    tenant         TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    revoked_at     INTEGER NOT NULL, -- microseconds, as are the others
    reason         TEXT    NOT NULL,
    messages_until INTEGER NOT NULL,
    ends_at        INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX revocations_end ON revocations (ends_at);

-- +goose Down
DROP TABLE revocations;
DROP TABLE sessions;

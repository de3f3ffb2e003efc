-- +goose Up
-- What puts people into groups: keyed by what cannot be turned into the code.
CREATE TABLE join_codes (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    group_name TEXT NOT NULL,
    hash       BLOB NOT NULL,
    sealed     BLOB,             -- the code for display; NULL for one that a file holds
    made_by    TEXT NOT NULL,
    created_at INTEGER NOT NULL, -- microseconds, as all times here
    expires_at INTEGER NOT NULL, -- 0: never
    use_limit  INTEGER NOT NULL, -- 0: none
    uses       INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL, -- 0: not revoked
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX join_codes_by_hash ON join_codes (tenant, hash);
CREATE INDEX join_codes_by_group ON join_codes (tenant, group_name);

-- Who joined by them; what issuers give is in person_groups.
CREATE TABLE group_members (
    tenant     TEXT NOT NULL,
    group_name TEXT NOT NULL,
    person     TEXT NOT NULL,
    joined_at  INTEGER NOT NULL,
    code       TEXT NOT NULL,
    PRIMARY KEY (tenant, group_name, person),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_person ON group_members (tenant, person);

-- +goose Down
DROP TABLE group_members;
DROP TABLE join_codes;

-- +goose Up
-- What puts people into groups: keyed by what cannot be turned into the code.
CREATE TABLE join_codes (
    tenant     text   COLLATE "C" NOT NULL,
    id         text   COLLATE "C" NOT NULL,
    group_name text   COLLATE "C" NOT NULL,
    hash       bytea  NOT NULL,
    sealed     bytea,           -- the code for display; NULL for one that a file holds
    made_by    text   COLLATE "C" NOT NULL,
    created_at timestamptz,
    expires_at timestamptz,     -- NULL: never
    use_limit  bigint NOT NULL, -- 0: none
    uses       bigint NOT NULL,
    revoked_at timestamptz,     -- NULL: not revoked
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX join_codes_by_hash ON join_codes (tenant, hash);
CREATE INDEX join_codes_by_group ON join_codes (tenant, group_name);

-- Who joined by them; what issuers give is in person_groups.
CREATE TABLE group_members (
    tenant     text COLLATE "C" NOT NULL,
    group_name text COLLATE "C" NOT NULL,
    person     text COLLATE "C" NOT NULL,
    joined_at  timestamptz,
    code       text NOT NULL,
    PRIMARY KEY (tenant, group_name, person),
    FOREIGN KEY (tenant, person) REFERENCES persons (tenant, id) ON DELETE CASCADE
);
CREATE INDEX group_members_by_person ON group_members (tenant, person);

-- +goose Down
DROP TABLE group_members;
DROP TABLE join_codes;

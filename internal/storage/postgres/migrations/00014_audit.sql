-- +goose Up
-- The audit trail: one chain over all tenants and nodes. Package audit computes
-- mac over the row and the mac before; seq has no gaps. What the triggers refuse,
-- the owner of the database can do all the same, and is found out.
CREATE TABLE audit (
    seq     bigint PRIMARY KEY,
    time    timestamptz NOT NULL,
    tenant  text  COLLATE "C" NOT NULL,
    actor   text  COLLATE "C" NOT NULL,
    action  text  COLLATE "C" NOT NULL,
    object  text  COLLATE "C" NOT NULL,
    reason  text  NOT NULL,
    address text  NOT NULL,
    mac     bytea NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX audit_actor ON audit (tenant, actor, seq);
CREATE INDEX audit_action ON audit (tenant, action, seq);

-- Whoever appends holds this row: of all nodes, one at a time reads the end of
-- the chain and goes on from it.
CREATE TABLE audit_turn (one boolean PRIMARY KEY CHECK (one));
INSERT INTO audit_turn VALUES (true);

-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- +goose Down
DROP TABLE audit;
DROP FUNCTION audit_refuse();
DROP TABLE audit_turn;

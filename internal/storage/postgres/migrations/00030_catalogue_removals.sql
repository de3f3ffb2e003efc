-- +goose Up
-- What was taken out of a catalogue, and when: whoever planned with it has to look
-- again. An object that is put back loses its row.
CREATE TABLE catalogue_removals (
    tenant  text   COLLATE "C" NOT NULL,
    kind    text   COLLATE "C" NOT NULL,
    name    text   COLLATE "C" NOT NULL,
    version bigint NOT NULL, -- the revision that removed it
    PRIMARY KEY (tenant, kind, name)
);

-- +goose Down
DROP TABLE catalogue_removals;

-- Tamper evidence: the seals over the log, and what retention took out of it.

-- What was signed about each run of positions, each naming the one before it. Immutable.
CREATE TABLE seals (
    -- Serves: the chain in its order; its last seal. And it has one next seal, whoever makes it.
    sequence       bigint PRIMARY KEY,
    first_position bigint NOT NULL,
    -- The text that was signed, and the signature.
    document       text NOT NULL,
    signature      bytea NOT NULL,
    -- The hashes of the events, 32 bytes each.
    leaves         bytea NOT NULL
);
-- Hashes do not compress.
ALTER TABLE seals ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- Serves: the seal that covers a position.
CREATE INDEX seals_by_position ON seals (first_position, sequence);

-- The positions that retention left empty, the events_pruned event that says so, and the execution
-- that went. Immutable.
CREATE TABLE pruned_events (
    -- Serves: what is missing from the log, in its order.
    position  bigint PRIMARY KEY,
    pruned_by uuid NOT NULL,
    execution uuid
);

CREATE FUNCTION refuse_any_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER seals_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_any_change();

CREATE TRIGGER pruned_events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON pruned_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_any_change();

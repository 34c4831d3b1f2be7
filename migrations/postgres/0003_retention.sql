-- The log lets go of an execution's events only while retention names it. That the name is not
-- given by mistake, this looks after: only what has ended is removed, the name is taken back in
-- the same transaction, and that transaction records what it removed.

CREATE FUNCTION refuse_unended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM executions WHERE id = NEW.execution AND status IN (4, 5, 6, 7)) THEN
        RAISE EXCEPTION 'only executions that have ended are removed';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER pruning_refuse_unended BEFORE INSERT OR UPDATE ON pruning
    FOR EACH ROW EXECUTE FUNCTION refuse_unended();

CREATE FUNCTION refuse_unrecorded() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    recorded boolean;
BEGIN
    -- Written by this very transaction: xmin has the lower half of its number.
    SELECT xmin::text = (pg_current_xact_id()::text::bigint & x'ffffffff'::bigint)::text INTO recorded
        FROM events WHERE type = 'events_pruned' ORDER BY type DESC, position DESC LIMIT 1;
    IF recorded IS NOT TRUE OR EXISTS (SELECT 1 FROM pruning WHERE execution = NEW.execution) THEN
        RAISE EXCEPTION 'what is removed is recorded in the log';
    END IF;
    RETURN NULL;
END
$$;

-- At the end of the transaction: then all of it is there.
CREATE CONSTRAINT TRIGGER pruning_refuse_unrecorded AFTER INSERT ON pruning
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unrecorded();

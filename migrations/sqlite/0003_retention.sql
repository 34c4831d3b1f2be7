-- The log lets go of an execution's events only while retention names it. That the name is not
-- given by mistake, this looks after: only what has ended is removed, and what is removed is
-- recorded before the name is taken back.

CREATE TRIGGER pruning_refuse_unended BEFORE INSERT ON pruning
WHEN NOT EXISTS (SELECT 1 FROM executions WHERE id = NEW.execution AND status IN (4, 5, 6, 7))
BEGIN
    SELECT RAISE(ABORT, 'only executions that have ended are removed');
END;

CREATE TRIGGER pruning_refuse_unrecorded BEFORE DELETE ON pruning
WHEN (SELECT word FROM event_types WHERE code = (SELECT type FROM events ORDER BY position DESC LIMIT 1))
    IS NOT 'events_pruned'
BEGIN
    SELECT RAISE(ABORT, 'what is removed is recorded in the log');
END;

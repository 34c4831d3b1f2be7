-- Tamper evidence: the seals over the log, and what retention took out of it.

-- What was signed about each run of positions, each naming the one before it. Immutable.
CREATE TABLE seals (
    -- Serves: the chain in its order; its last seal.
    sequence       INTEGER PRIMARY KEY,
    first_position INTEGER NOT NULL,
    -- The text that was signed, and the signature.
    document       TEXT NOT NULL,
    signature      BLOB NOT NULL,
    -- The hashes of the events, 32 bytes each. Last in the row: who reads the rest leaves them alone.
    leaves         BLOB NOT NULL
) STRICT;

-- Serves: the seal that covers a position.
CREATE INDEX seals_by_position ON seals (first_position);

-- The positions that retention left empty, the events_pruned event that says so, and the execution
-- that went. Immutable.
CREATE TABLE pruned_events (
    -- Serves: what is missing from the log, in its order.
    position  INTEGER PRIMARY KEY,
    pruned_by BLOB NOT NULL CHECK (length(pruned_by) = 16),
    execution BLOB
) STRICT;

-- REPLACE would remove a row without asking the other triggers.
CREATE TRIGGER seals_refuse_replace BEFORE INSERT ON seals
WHEN EXISTS (SELECT 1 FROM seals WHERE sequence = NEW.sequence)
BEGIN
    SELECT RAISE(ABORT, 'seals are immutable');
END;

CREATE TRIGGER seals_refuse_update BEFORE UPDATE ON seals
BEGIN
    SELECT RAISE(ABORT, 'seals are immutable');
END;

CREATE TRIGGER seals_refuse_delete BEFORE DELETE ON seals
BEGIN
    SELECT RAISE(ABORT, 'seals are immutable');
END;

CREATE TRIGGER pruned_events_refuse_replace BEFORE INSERT ON pruned_events
WHEN EXISTS (SELECT 1 FROM pruned_events WHERE position = NEW.position)
BEGIN
    SELECT RAISE(ABORT, 'what was pruned stays recorded');
END;

CREATE TRIGGER pruned_events_refuse_update BEFORE UPDATE ON pruned_events
BEGIN
    SELECT RAISE(ABORT, 'what was pruned stays recorded');
END;

CREATE TRIGGER pruned_events_refuse_delete BEFORE DELETE ON pruned_events
BEGIN
    SELECT RAISE(ABORT, 'what was pruned stays recorded');
END;

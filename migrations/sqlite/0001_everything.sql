-- Everything that the service keeps, on SQLite.
--
-- UUIDs are 16-byte BLOBs and UUIDv7, so that keys grow with time and inserts append. Times are
-- whole microseconds since the Unix epoch. Statuses are the places in `Status::ALL`:
-- 0 queued, 1 running, 2 waiting, 3 in_doubt, 4 succeeded, 5 failed, 6 cancelled, 7 expired.
-- Documents are JSON that only Rust reads; what a query needs of them stands beside them. An empty
-- correlation id is the execution's own id, as it is where the caller gave none.

-- The bytes of components, by their SHA-256. Protocols with the same bytes share them.
CREATE TABLE components (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    data   BLOB NOT NULL
) STRICT;

-- What was admitted, immutable. `document` is the Protocol.
CREATE TABLE protocols (
    name     TEXT NOT NULL,
    version  TEXT NOT NULL,
    digest   BLOB NOT NULL REFERENCES components (digest),
    document TEXT NOT NULL,
    -- Serves: a protocol by its pin; the list by name and version; the versions of a name.
    PRIMARY KEY (name, version)
) STRICT;

-- Serves: the protocols that have a component, and whether any still has it.
CREATE INDEX protocols_by_digest ON protocols (digest, name, version);

-- What removed versions were: one comes back with the same bytes or not at all, since revisions of
-- actions and old executions still name it.
CREATE TABLE removed_protocols (
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    digest  BLOB NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- The current revision of each action that was not deleted.
CREATE TABLE actions (
    id               BLOB PRIMARY KEY CHECK (length(id) = 16),
    -- Serves: an action by name; the list by name.
    name             TEXT NOT NULL UNIQUE,
    revision         INTEGER NOT NULL,
    protocol_name    TEXT NOT NULL,
    protocol_version TEXT NOT NULL,
    enabled          INTEGER NOT NULL,
    FOREIGN KEY (id, revision) REFERENCES action_revisions (action, revision)
) STRICT, WITHOUT ROWID;

-- Serves: the actions of a protocol, by name.
CREATE INDEX actions_by_protocol ON actions (protocol_name, name);
-- Serves: the enabled or disabled actions, by name.
CREATE INDEX actions_by_enabled ON actions (enabled, name);
-- Serves: whether an action pins exactly this protocol, before the protocol is removed.
CREATE INDEX actions_by_pin ON actions (protocol_name, protocol_version, name);

-- Every revision of every action, also of deleted ones. `document` is the Action.
CREATE TABLE action_revisions (
    action   BLOB NOT NULL CHECK (length(action) = 16),
    revision INTEGER NOT NULL,
    document TEXT NOT NULL,
    -- Serves: a revision of an action.
    PRIMARY KEY (action, revision)
) STRICT;

-- The labels of current revisions.
CREATE TABLE action_labels (
    key    TEXT NOT NULL,
    value  TEXT NOT NULL,
    name   TEXT NOT NULL,
    action BLOB NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Serves: the actions with a label, by name.
    PRIMARY KEY (key, value, name)
) STRICT, WITHOUT ROWID;

-- Serves: replacing and removing the labels of an action.
CREATE INDEX action_labels_by_action ON action_labels (action);

-- Executions: where each stands, and the queue. History is in the events. Without rowid: one
-- tree to write instead of two, and new rows go to its end.
CREATE TABLE executions (
    -- Serves: an execution by id; the list, newest first, also between two times.
    id             BLOB PRIMARY KEY CHECK (length(id) = 16),
    action         BLOB NOT NULL,
    revision       INTEGER NOT NULL,
    protocol       TEXT NOT NULL,
    status         INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    correlation_id TEXT NOT NULL,
    traceparent    TEXT,
    created_at     INTEGER NOT NULL,
    started_at     INTEGER,
    ended_at       INTEGER,
    run_at         INTEGER,
    -- How it takes its turn, where that is not as by default; what queries need of it beside it.
    turn           TEXT,
    ordering_key   TEXT,
    expires_at     INTEGER,
    aside          INTEGER,
    cancel_requested INTEGER,
    -- When it was last offered to a broker.
    offered_at     INTEGER,
    lease_worker   BLOB,
    lease_attempt  INTEGER,
    lease_until    INTEGER,
    error          TEXT,
    receipt        TEXT
) STRICT, WITHOUT ROWID;

-- The indexes of the statuses that an undisturbed execution has (running, succeeded) are as few
-- as can be: an entry costs a few microseconds of the one writer, and a synchronous execution
-- would pay for each twice. What runs is little, and can be looked through; what succeeded is
-- most, and is found among the newest. Each row that is written is held against the condition of
-- each index: these are comparisons, since SQLite builds a table of its own for a list of three.

-- Serves: when the next one is due; offering what is due. Holds only what waits.
CREATE INDEX executions_due ON executions (run_at, id) WHERE status IN (0, 2);
-- Serves: claiming what is due: actions with something due; of each, first attempts before retries.
CREATE INDEX executions_turn ON executions (action, (attempt > 0), run_at, id) WHERE status IN (0, 2);
-- Serves: calling back what waits for another of its action.
CREATE INDEX executions_aside ON executions (action, id) WHERE aside = 1;
-- Serves: whether an earlier execution with the same key holds one up.
CREATE INDEX executions_ordered ON executions (action, ordering_key, id)
    WHERE ordering_key IS NOT NULL AND status <> 4 AND status < 6;
-- Serves: what expired before it began.
CREATE INDEX executions_expiring ON executions (expires_at) WHERE status = 0 AND expires_at IS NOT NULL;
-- Serves: leases that are over, and everything else about running executions. Holds only what
-- runs.
CREATE INDEX executions_running ON executions (lease_until, id) WHERE status = 1;
-- Serves: executions with a status, newest first.
CREATE INDEX executions_by_status ON executions (status, id) WHERE status <> 1 AND status <> 4;
-- Serves: executions of an action, newest first.
CREATE INDEX executions_by_action ON executions (action, id);
-- Serves: executions of an action with a status, newest first.
CREATE INDEX executions_by_action_and_status ON executions (action, status, id) WHERE status <> 1 AND status <> 4;
-- Serves: whether an execution that has not ended pins a protocol that is to be removed.
CREATE INDEX executions_open_by_protocol ON executions (protocol, id) WHERE status < 4 AND status <> 1;

-- The words of event types, so that an event carries a small integer. The first four are the
-- frequent ones: those that every execution has. The others get their codes from each release
-- that first writes them.
CREATE TABLE event_types (
    code INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO event_types (code, word) VALUES
    (1, 'trigger_received'),
    (2, 'execution_queued'),
    (3, 'attempt_started'),
    (4, 'action_executed');

-- The log. Immutable. Positions are given by the one writer, without gaps.
CREATE TABLE events (
    -- Serves: the log after a position.
    position       INTEGER PRIMARY KEY,
    id             BLOB NOT NULL,
    type           INTEGER NOT NULL,
    time           INTEGER NOT NULL,
    action         BLOB,
    revision       INTEGER,
    execution      BLOB,
    correlation_id TEXT,
    causation_id   BLOB,
    attempt        INTEGER,
    -- The payload that it refers to, where that is kept apart.
    payload        BLOB,
    data           TEXT NOT NULL
) STRICT;

-- Each index below ends with the position by itself (it is the rowid).

-- Serves: the events of an execution; its first and its last event.
CREATE INDEX events_by_execution ON events (execution) WHERE execution IS NOT NULL;
-- Serves: the events of an action; also those of a frequent type, which are never far apart.
CREATE INDEX events_by_action ON events (action) WHERE action IS NOT NULL;
-- Serves: the events of an action of some rare types. With the frequent ones it would cost the
-- writer a quarter of its time.
CREATE INDEX events_by_action_and_type ON events (action, type) WHERE action IS NOT NULL AND type > 4;
-- Serves: the events of some rare types. Frequent ones are found by following the log.
CREATE INDEX events_by_type ON events (type) WHERE type > 4;
-- Serves: the events of a correlation id that a caller gave, or that came from another execution.
CREATE INDEX events_by_correlation ON events (correlation_id) WHERE correlation_id > '';

-- Serves: whether a payload is still needed.
CREATE INDEX events_by_payload ON events (payload) WHERE payload IS NOT NULL;

-- The executions that retention is removing; empty but within its transaction.
CREATE TABLE pruning (
    execution BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- REPLACE asks the trigger of DELETE, on connections with `recursive_triggers`, as all of the service's are.
CREATE TRIGGER events_refuse_update BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are immutable');
END;

CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM pruning WHERE execution = OLD.execution)
BEGIN
    SELECT RAISE(ABORT, 'events are immutable');
END;

-- Payloads that are too large for an event, by their SHA-256.
CREATE TABLE payloads (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    data   BLOB NOT NULL
) STRICT;

-- When the next execution of an action may begin, for actions with a rate or asked to wait.
CREATE TABLE action_paces (
    action BLOB PRIMARY KEY CHECK (length(action) = 16),
    pace   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which execution a trigger with an idempotency key led to.
CREATE TABLE idempotency_keys (
    action      BLOB NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    execution   BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (action, key)
) STRICT, WITHOUT ROWID;

-- Serves: removing keys with their execution.
CREATE INDEX idempotency_keys_by_execution ON idempotency_keys (execution);

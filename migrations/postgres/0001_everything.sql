-- Everything that the service keeps, on Postgres 15 or newer. Any number of processes share it.
--
-- Times are whole microseconds since the Unix epoch, as bigint: the service's own range and
-- precision, which timestamptz does not have at its ends. For people: to_timestamp(time / 1e6).
-- Statuses are the places in `Status::ALL`:
-- 0 queued, 1 running, 2 waiting, 3 in_doubt, 4 succeeded, 5 failed, 6 cancelled, 7 expired.
-- Documents are JSON that only Rust reads, as text: jsonb would change their bytes and refuses
-- \u0000. Text of other people's choosing (correlation ids, labels) is UTF-8 in bytea, because
-- text cannot hold U+0000; for people: convert_from(correlation_id, 'UTF8').
-- Names are compared as bytes (COLLATE "C"), whatever the database's own order is.
-- Tables and rows are left to the schema that the connection's search_path names first.

-- The bytes of components, by their SHA-256. Protocols with the same bytes share them.
CREATE TABLE components (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    data   bytea NOT NULL
);
-- Compressing costs the committing connection more than it saves.
ALTER TABLE components ALTER COLUMN data SET STORAGE EXTERNAL;

-- What was admitted, immutable. `document` is the Protocol.
CREATE TABLE protocols (
    name     text COLLATE "C" NOT NULL,
    version  text COLLATE "C" NOT NULL,
    digest   bytea NOT NULL REFERENCES components (digest),
    document text NOT NULL,
    -- Serves: a protocol by its pin; the list by name and version; the versions of a name.
    PRIMARY KEY (name, version)
);

-- Serves: the protocols that have a component, and whether any still has it.
-- What removed versions were: one comes back with the same bytes or not at all, since revisions of
-- actions and old executions still name it.
CREATE TABLE removed_protocols (
    name    text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    digest  bytea NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE INDEX protocols_by_digest ON protocols (digest, name, version);

-- Every revision of every action, also of deleted ones. `document` is the Action.
CREATE TABLE action_revisions (
    action   uuid NOT NULL,
    revision bigint NOT NULL,
    document text NOT NULL,
    -- Serves: a revision of an action.
    PRIMARY KEY (action, revision)
);

-- The current revision of each action that was not deleted.
CREATE TABLE actions (
    id               uuid PRIMARY KEY,
    name             text COLLATE "C" NOT NULL,
    revision         bigint NOT NULL,
    protocol_name    text COLLATE "C" NOT NULL,
    protocol_version text COLLATE "C" NOT NULL,
    enabled          boolean NOT NULL,
    FOREIGN KEY (id, revision) REFERENCES action_revisions (action, revision),
    -- Serves: an action by name; the list by name.
    CONSTRAINT actions_by_name UNIQUE (name)
);

-- Serves: the actions of a protocol, by name.
CREATE INDEX actions_by_protocol ON actions (protocol_name, name);
-- Serves: the enabled or disabled actions, by name.
CREATE INDEX actions_by_enabled ON actions (enabled, name);
-- Serves: whether an action pins exactly this protocol, before the protocol is removed.
CREATE INDEX actions_by_pin ON actions (protocol_name, protocol_version, name);

-- The labels of current revisions.
CREATE TABLE action_labels (
    key    bytea NOT NULL,
    value  bytea NOT NULL,
    name   text COLLATE "C" NOT NULL,
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Serves: the actions with a label, by name.
    PRIMARY KEY (key, value, name)
);

-- Serves: replacing and removing the labels of an action.
CREATE INDEX action_labels_by_action ON action_labels (action);

-- Executions: where each stands, and the queue. History is in the events. Every row is written
-- two or three times, so dead rows are taken away early.
CREATE TABLE executions (
    -- Serves: an execution by id; the list, newest first, also between two times.
    id             uuid PRIMARY KEY,
    action         uuid NOT NULL,
    revision       bigint NOT NULL,
    protocol       text COLLATE "C" NOT NULL,
    status         smallint NOT NULL CHECK (status BETWEEN 0 AND 7),
    attempt        bigint NOT NULL,
    correlation_id bytea NOT NULL,
    traceparent    bytea,
    created_at     bigint NOT NULL,
    started_at     bigint,
    ended_at       bigint,
    run_at         bigint,
    -- How it takes its turn, where that is not as by default; what queries need of it beside it,
    -- the ordering key as its SHA-256, because an index holds no long ones.
    turn           text,
    ordering_key   bytea,
    expires_at     bigint,
    aside          boolean NOT NULL,
    cancel_requested boolean NOT NULL,
    -- When it was last offered to a broker.
    offered_at     bigint,
    lease_worker   uuid,
    lease_attempt  bigint,
    lease_until    bigint,
    error          text,
    receipt        text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- The indexes of the statuses that an undisturbed execution has (running, succeeded) are as few
-- as can be: a synchronous execution would pay for each entry twice. What runs is little, and
-- can be looked through; what succeeded is most, and is found among the newest.

-- Serves: when the next one is due; offering what is due. Holds only what waits.
CREATE INDEX executions_due ON executions (run_at, id) WHERE status IN (0, 2);
-- Serves: claiming what is due: actions with something that waits; of each, first attempts before
-- retries.
CREATE INDEX executions_turn ON executions (action, (least(attempt, 1)), run_at, id) WHERE status IN (0, 2);
-- Serves: calling back what waits for another of its action.
CREATE INDEX executions_aside ON executions (action, id) WHERE aside;
-- Serves: whether an earlier execution with the same key holds one up.
CREATE INDEX executions_ordered ON executions (action, ordering_key, id)
    WHERE ordering_key IS NOT NULL AND status NOT IN (4, 6, 7);
-- Serves: what expired before it began.
CREATE INDEX executions_expiring ON executions (expires_at, id) WHERE status = 0 AND expires_at IS NOT NULL;
-- Serves: leases that are over, and everything else about running executions. Holds only what
-- runs.
CREATE INDEX executions_running ON executions (lease_until, id) WHERE status = 1;
-- Serves: executions with a status, newest first.
CREATE INDEX executions_by_status ON executions (status, id) WHERE status NOT IN (1, 4);
-- Serves: executions of an action, newest first.
CREATE INDEX executions_by_action ON executions (action, id);
-- Serves: executions of an action with a status, newest first.
CREATE INDEX executions_by_action_and_status ON executions (action, status, id) WHERE status NOT IN (1, 4);
-- Serves: whether an execution that has not ended pins a protocol that is to be removed.
CREATE INDEX executions_open_by_protocol ON executions (protocol, id) WHERE status IN (0, 2, 3);

-- The end of the log: one row. Whoever appends moves it on and so holds it until the commit:
-- the next one waits. So positions have no gaps, and they become visible in their order: a
-- reader that sees a position sees all before it. A sequence would give them out before the
-- commits, whose order is another one. The price, one appending commit at a time, is small
-- where each carries many units.
CREATE TABLE log (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL
);
INSERT INTO log (position) VALUES (0);

-- The log. Immutable. The type is a word: processes of several releases may write at once, and
-- a number would have to be agreed on.
CREATE TABLE events (
    -- Serves: the log after a position.
    position       bigint PRIMARY KEY,
    id             uuid NOT NULL,
    type           text COLLATE "C" NOT NULL CHECK (length(type) BETWEEN 1 AND 64),
    time           bigint NOT NULL,
    action         uuid,
    revision       bigint,
    execution      uuid,
    correlation_id bytea,
    causation_id   uuid,
    attempt        bigint,
    -- The payload that it refers to, where that is kept apart.
    payload        bytea,
    data           text NOT NULL
) WITH (autovacuum_analyze_scale_factor = 0.02);

-- Serves: the events of an execution; its first and its last event.
CREATE INDEX events_by_execution ON events (execution, position) WHERE execution IS NOT NULL;
-- Serves: the events of an action; also those of a frequent type, which are never far apart.
CREATE INDEX events_by_action ON events (action, position) WHERE action IS NOT NULL;
-- Serves: the events of an action of some rare types. The four frequent types are those that
-- every execution has: with them these two indexes would be as large as the log.
CREATE INDEX events_by_action_and_type ON events (action, type, position) WHERE action IS NOT NULL
    AND type NOT IN ('trigger_received', 'execution_queued', 'attempt_started', 'action_executed');
-- Serves: the events of some rare types. Frequent ones are found by following the log.
CREATE INDEX events_by_type ON events (type, position)
    WHERE type NOT IN ('trigger_received', 'execution_queued', 'attempt_started', 'action_executed');
-- Serves: the events of a correlation id that a caller gave, or that came from another execution.
-- An execution's own id, which is the correlation id of most, stands in the tables as a byte that
-- no text has.
CREATE INDEX events_by_correlation ON events (correlation_id, position) WHERE correlation_id <> '\xff'::bytea;
-- Serves: whether a payload is still needed.
CREATE INDEX events_by_payload ON events (payload) WHERE payload IS NOT NULL;

-- The executions that retention is removing; empty but within its transaction.
CREATE TABLE pruning (
    execution uuid PRIMARY KEY
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF EXISTS (SELECT 1 FROM pruning WHERE execution = OLD.execution) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'events are immutable';
END
$$;

-- For each statement: also one that would touch no row is refused.
CREATE TRIGGER events_refuse_update BEFORE UPDATE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- For each row: retention removes those of the executions that it names.
CREATE TRIGGER events_refuse_delete BEFORE DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Payloads that are too large for an event, by their SHA-256.
CREATE TABLE payloads (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    data   bytea NOT NULL
);
ALTER TABLE payloads ALTER COLUMN data SET STORAGE EXTERNAL;

-- When the next execution of an action may begin, for actions with a rate or asked to wait.
CREATE TABLE action_paces (
    action uuid PRIMARY KEY,
    pace   bigint NOT NULL
);

-- Which execution a trigger with an idempotency key led to.
CREATE TABLE idempotency_keys (
    action      uuid NOT NULL,
    key         bytea NOT NULL,
    fingerprint bytea NOT NULL,
    execution   uuid NOT NULL,
    created_at  bigint NOT NULL,
    -- Serves: whether a key was used.
    PRIMARY KEY (action, key)
);

-- Serves: removing keys with their execution.
CREATE INDEX idempotency_keys_by_execution ON idempotency_keys (execution);

-- The processes that write, and the last batch that each committed: written in the batch's own
-- transaction, it tells after a lost connection whether the commit was done.
CREATE TABLE writers (
    id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    batch   bigint NOT NULL DEFAULT 0,
    seen_at timestamptz NOT NULL DEFAULT now()
);

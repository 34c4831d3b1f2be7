-- What comes in: the triggers of actions, what executions captured, and who reads it.

-- The triggers of current revisions, as far as they have to be found or changed without reading
-- documents. Kinds: 1 webhook, 2 schedule, 3 event, 4 continuous.
CREATE TABLE triggers (
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Among the action's triggers.
    place  bigint NOT NULL,
    kind   smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
    -- By what it is known as the same one after a save: a digest of what decides.
    identity bytea NOT NULL,
    -- Since when it sets off; NULL while its action is disabled.
    since  bigint,
    -- Of a webhook. In bytes: it is looked for by what callers send.
    path   bytea,
    -- Of a schedule that fires again.
    due_at bigint,
    -- The last execution that it led to, where that has to be known.
    last   uuid,
    -- How often it was used, where that is bounded.
    uses   bigint NOT NULL,
    -- Serves: the triggers of an action, in their order; one of them.
    PRIMARY KEY (action, place)
);

-- Serves: the webhook at a path. No two have the same.
CREATE UNIQUE INDEX triggers_by_path ON triggers (path) WHERE path IS NOT NULL;
-- Serves: the schedules that are due; when the next one is.
CREATE INDEX triggers_due ON triggers (due_at, action, place) WHERE due_at IS NOT NULL;
-- Serves: the triggers of a kind.
CREATE INDEX triggers_by_kind ON triggers (kind, action, place);

-- The keys of items that an action has captured.
CREATE TABLE item_keys (
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    key    bytea NOT NULL,
    -- Serves: whether an action has captured an item.
    PRIMARY KEY (action, key)
);

-- What an action keeps between executions.
CREATE TABLE action_values (
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    key    bytea NOT NULL,
    value  bytea NOT NULL,
    -- Serves: the values of an action.
    PRIMARY KEY (action, key)
);

-- Readers of the log, each with the position behind which it goes on. `document` is the Consumer.
CREATE TABLE consumers (
    -- Serves: a consumer by name; the list by name.
    name       text COLLATE "C" PRIMARY KEY,
    document   text NOT NULL,
    created_at bigint NOT NULL,
    position   bigint NOT NULL
);

-- The same of readers of the service's own.
CREATE TABLE cursors (
    name     text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL
);

-- What an item is; NULL in all other events, which stand in neither of the indexes. In bytes: it is
-- looked for by what callers send.
ALTER TABLE events ADD COLUMN kind bytea;

-- Serves: the items of a kind.
CREATE INDEX events_by_kind ON events (kind, position) WHERE kind IS NOT NULL;
-- Serves: the items of a kind that an action captured.
CREATE INDEX events_by_action_and_kind ON events (action, kind, position) WHERE kind IS NOT NULL;

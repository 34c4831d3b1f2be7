-- What comes in: the triggers of actions, what executions captured, and who reads it.

-- The triggers of current revisions, as far as they have to be found or changed without reading
-- documents. Kinds: 1 webhook, 2 schedule, 3 event, 4 continuous.
CREATE TABLE triggers (
    action BLOB NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Among the action's triggers.
    place  INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    -- By what it is known as the same one after a save: a digest of what decides.
    identity BLOB NOT NULL,
    -- Since when it sets off; NULL while its action is disabled.
    since  INTEGER,
    -- Of a webhook.
    path   TEXT,
    -- Of a schedule that fires again.
    due_at INTEGER,
    -- The last execution that it led to, where that has to be known.
    last   BLOB,
    -- How often it was used, where that is bounded.
    uses   INTEGER NOT NULL,
    -- Serves: the triggers of an action, in their order; one of them.
    PRIMARY KEY (action, place)
) STRICT, WITHOUT ROWID;

-- Serves: the webhook at a path. No two have the same.
CREATE UNIQUE INDEX triggers_by_path ON triggers (path) WHERE path IS NOT NULL;
-- Serves: the schedules that are due; when the next one is.
CREATE INDEX triggers_due ON triggers (due_at, action, place) WHERE due_at IS NOT NULL;
-- Serves: the triggers of a kind.
CREATE INDEX triggers_by_kind ON triggers (kind, action, place);

-- The keys of items that an action has captured.
CREATE TABLE item_keys (
    action BLOB NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    key    TEXT NOT NULL,
    -- Serves: whether an action has captured an item.
    PRIMARY KEY (action, key)
) STRICT, WITHOUT ROWID;

-- What an action keeps between executions.
CREATE TABLE action_values (
    action BLOB NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    -- Serves: the values of an action.
    PRIMARY KEY (action, key)
) STRICT;

-- Readers of the log, each with the position behind which it goes on. `document` is the Consumer.
CREATE TABLE consumers (
    -- Serves: a consumer by name; the list by name.
    name       TEXT PRIMARY KEY,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The same of readers of the service's own.
CREATE TABLE cursors (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an item is; NULL in all other events, which stand in neither of the indexes.
ALTER TABLE events ADD COLUMN kind TEXT;

-- Serves: the items of a kind.
CREATE INDEX events_by_kind ON events (kind) WHERE kind IS NOT NULL;
-- Serves: the items of a kind that an action captured.
CREATE INDEX events_by_action_and_kind ON events (action, kind) WHERE kind IS NOT NULL;

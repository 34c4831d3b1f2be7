-- Secrets, sealed: the service's keys are not in this database.

-- The current version of each secret. `data` is the value under a data key of its own, `wrapped` is
-- that key under the operator's key with the id `key`.
CREATE TABLE secrets (
    -- Serves: a secret by name; the list by name.
    name       TEXT PRIMARY KEY,
    version    INTEGER NOT NULL,
    key        TEXT NOT NULL,
    wrapped    BLOB NOT NULL,
    data       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last version of each secret that was deleted. What is sealed is bound to name and version, so a
-- version that came back would let in what was sealed for it before.
CREATE TABLE deleted_secrets (
    -- Serves: with which version a name goes on.
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which secrets the current revisions of actions name.
CREATE TABLE action_secrets (
    secret TEXT NOT NULL REFERENCES secrets (name),
    name   TEXT NOT NULL,
    action BLOB NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Serves: the actions that use a secret, by name, before it is removed.
    PRIMARY KEY (secret, name)
) STRICT, WITHOUT ROWID;

-- Serves: replacing and removing what an action names.
CREATE INDEX action_secrets_by_action ON action_secrets (action);

-- Secrets, sealed: the service's keys are not in this database.

-- The current version of each secret. `data` is the value under a data key of its own, `wrapped` is
-- that key under the operator's key with the id `key`.
CREATE TABLE secrets (
    -- Serves: a secret by name; the list by name.
    name       text COLLATE "C" PRIMARY KEY,
    version    bigint NOT NULL,
    key        text NOT NULL,
    wrapped    bytea NOT NULL,
    data       bytea NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

-- The last version of each secret that was deleted. What is sealed is bound to name and version, so a
-- version that came back would let in what was sealed for it before.
CREATE TABLE deleted_secrets (
    -- Serves: with which version a name goes on.
    name    text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
);

-- Which secrets the current revisions of actions name.
CREATE TABLE action_secrets (
    secret text COLLATE "C" NOT NULL REFERENCES secrets (name),
    name   text COLLATE "C" NOT NULL,
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    -- Serves: the actions that use a secret, by name, before it is removed.
    PRIMARY KEY (secret, name)
);

-- Serves: replacing and removing what an action names.
CREATE INDEX action_secrets_by_action ON action_secrets (action);

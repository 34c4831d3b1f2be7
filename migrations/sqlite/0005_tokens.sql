-- Tokens. What callers send is not here, only its SHA-256, in `document`, which is the Token. One
-- that was revoked is gone: that it was there is in the events.
CREATE TABLE tokens (
    -- Serves: the token whose id a caller sends; the list, newest first.
    id       BLOB PRIMARY KEY CHECK (length(id) = 16),
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;

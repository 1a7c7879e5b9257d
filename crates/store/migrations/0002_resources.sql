-- What the REST API keeps: one table for every kind of resource, which is JSON to the database. Columns of which the order matters are
-- written `TEXT /* by bytes */`; PostgreSQL is told so. Small tables that are read by their key are `/* in key order */`; SQLite is.

CREATE TABLE resources (
    id TEXT /* by bytes */ PRIMARY KEY,
    kind TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    -- Counts the changes, from 1: who changes a resource says which version it has seen.
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    -- Edges follow it: its changes are in the feed.
    followed BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX resources_page ON resources (account_id, kind, id);
CREATE INDEX resources_followed ON resources (id) WHERE followed;

-- Names that exist once for each kind. Whose the name is, account or installation, is in the text of the key.
CREATE TABLE resource_keys (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    account_id TEXT NOT NULL,
    id TEXT /* by bytes */ NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, key)
) /* in key order */;
CREATE INDEX resource_keys_id ON resource_keys (id);

-- Which resource needs which other one.
CREATE TABLE resource_refs (
    id TEXT /* by bytes */ NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    target TEXT /* by bytes */ NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    PRIMARY KEY (id, target)
) /* in key order */;
CREATE INDEX resource_refs_target ON resource_refs (target, id);

-- Who changed what. Rows are only added, and forgotten from the oldest.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    account_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    who TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    before_json TEXT,
    after_json TEXT
);
CREATE INDEX audit_account ON audit (account_id, seq);

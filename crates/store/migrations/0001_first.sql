-- Portable between SQLite and PostgreSQL: TEXT, BIGINT, BOOLEAN only. Times are milliseconds since 1970, digests hex, lists JSON.

-- What is true of the whole installation.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The change feed: one row. Every transaction that changes what an edge follows raises `version`, and thereby waits for the one before
-- it: versions become visible in their order, on every engine.
CREATE TABLE feed (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- Changes up to this version are no longer in the outbox.
    floor BIGINT NOT NULL
);

-- Which resource changed in which version. What it is now stands in its own table; when it does not, it is gone.
CREATE TABLE outbox (
    version BIGINT PRIMARY KEY,
    resource TEXT NOT NULL,
    changed_ms BIGINT NOT NULL
);

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    email TEXT NOT NULL UNIQUE,
    -- argon2id, PHC string.
    password_hash TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- Authtokens: the SHA-256 of the text, never the text.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    digest TEXT NOT NULL UNIQUE,
    acl TEXT NOT NULL,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX credentials_account ON credentials (account_id);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    digest TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX api_keys_account ON api_keys (account_id);

-- Secrets of the installation, sealed with the master key before they come here.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    sealed TEXT NOT NULL
);

CREATE TABLE certificates (
    id TEXT PRIMARY KEY,
    -- Host names, wildcard patterns, addresses.
    names TEXT NOT NULL,
    chain_pem TEXT NOT NULL,
    sealed_key TEXT NOT NULL,
    -- For the hosts that agents dial; otherwise for visitors.
    connect BOOLEAN NOT NULL,
    not_before_ms BIGINT NOT NULL,
    not_after_ms BIGINT NOT NULL
);

CREATE TABLE connect_names (
    host TEXT PRIMARY KEY
);

-- When an edge is taken for lost, unless it is heard of again.
CREATE TABLE edges (
    id TEXT PRIMARY KEY,
    alive_until_ms BIGINT NOT NULL
);

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    -- Host or wildcard pattern of the URL; empty for tcp, where accounts share a host.
    host TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    credential_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    edge_id TEXT NOT NULL,
    fence BIGINT NOT NULL,
    claimed_ms BIGINT NOT NULL,
    -- NULL while an agent serves it. Then: until when only its account may have it again.
    released_until_ms BIGINT
);
CREATE INDEX leases_host ON leases (host);
CREATE INDEX leases_edge ON leases (edge_id);

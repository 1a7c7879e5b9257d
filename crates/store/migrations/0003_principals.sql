-- Users, their API keys and authtokens become resources, so that the REST API has one way to keep things; accounts get what it says of them;
-- host names can be reserved. Besides the marks of the migrations before: `/* as JSON */` after a text makes a value of it for
-- json_object and json_array, and what follows `-- PostgreSQL:` is a statement of PostgreSQL alone.

ALTER TABLE accounts ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN suspended BOOLEAN NOT NULL DEFAULT FALSE;
-- PostgreSQL: ALTER TABLE accounts ALTER COLUMN id TYPE TEXT COLLATE "C";
CREATE INDEX accounts_created ON accounts (created_ms, id);

-- By which key, and in which call of the REST API.
ALTER TABLE audit ADD COLUMN credential TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN operation TEXT NOT NULL DEFAULT '';

-- Users belong to the installation, that is to its first account; that they may use an account is a membership. Until now each user had one
-- account and all rights in it. Both have one KSUID.
INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms)
SELECT u.id, 'user', (SELECT a.id FROM accounts a ORDER BY a.created_ms, a.id LIMIT 1), 1,
    CAST(json_object('email', u.email, 'name', '', 'active', 'true' /* as JSON */, 'password_hash', u.password_hash) AS TEXT),
    FALSE, u.created_ms, u.created_ms
FROM users u;

INSERT INTO resource_keys (kind, key, account_id, id)
SELECT 'user', u.email, r.account_id, r.id FROM users u JOIN resources r ON r.id = u.id;

INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms)
SELECT 'mbr_' || substr(u.id, 5), 'membership', u.account_id, 1,
    CAST(json_object('user_id', u.id, 'developer', 'read-write', 'team', 'manager', 'administrator', 'true' /* as JSON */) AS TEXT),
    FALSE, u.created_ms, u.created_ms
FROM users u;

INSERT INTO resource_keys (kind, key, account_id, id)
SELECT 'membership', u.account_id || ' ' || u.id, u.account_id, 'mbr_' || substr(u.id, 5) FROM users u;

INSERT INTO resource_refs (id, target) SELECT 'mbr_' || substr(u.id, 5), u.id FROM users u;

INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms)
SELECT k.id, 'api_key', k.account_id, 1,
    CAST(json_object('description', k.description, 'metadata', k.metadata, 'digest', k.digest, 'owner_id', k.user_id,
        'membership_id', 'mbr_' || substr(k.user_id, 5)) AS TEXT),
    FALSE, k.created_ms, k.created_ms
FROM api_keys k;

INSERT INTO resource_keys (kind, key, account_id, id) SELECT 'api_key', k.digest, k.account_id, k.id FROM api_keys k;

INSERT INTO resource_refs (id, target) SELECT k.id, 'mbr_' || substr(k.user_id, 5) FROM api_keys k;

-- Nobody wrote down who made an authtoken: those that are there have no owner. Edges know them already, so nothing is announced.
INSERT INTO resources (id, kind, account_id, version, body, followed, created_ms, updated_ms)
SELECT c.id, 'credential', c.account_id, 1,
    CAST(json_object('description', c.description, 'metadata', c.metadata, 'acl', c.acl /* as JSON */, 'digest', c.digest,
        'owner_id', NULL) AS TEXT),
    TRUE, c.created_ms, c.created_ms
FROM credentials c;

INSERT INTO resource_keys (kind, key, account_id, id) SELECT 'credential', c.digest, c.account_id, c.id FROM credentials c;

-- What a first start made and nobody confirmed, in the order in which it is removed.
UPDATE settings SET value = CAST(json_object('account', value /* as JSON */ ->> 'account', 'resources', json_array(
        value /* as JSON */ ->> 'credential', value /* as JSON */ ->> 'api_key',
        'mbr_' || substr(value /* as JSON */ ->> 'user', 5), value /* as JSON */ ->> 'user')) AS TEXT)
WHERE name = 'bootstrap' AND value <> 'written';

DROP TABLE api_keys;
DROP TABLE credentials;
DROP TABLE users;

-- Who has a host name for good. The labels stand in reverse, `com.example.app` and `com.example.*`: what is below a name is one range.
CREATE TABLE reserved_hosts (
    host TEXT /* by bytes */ PRIMARY KEY,
    account_id TEXT NOT NULL,
    id TEXT /* by bytes */ NOT NULL REFERENCES resources (id) ON DELETE CASCADE
) /* in key order */;
CREATE INDEX reserved_hosts_id ON reserved_hosts (id);

-- The hosts of leases, written in the same way; empty for tcp, where accounts share a host.
ALTER TABLE leases ADD COLUMN place TEXT /* by bytes */ NOT NULL DEFAULT '';
WITH RECURSIVE labels (id, rest, place) AS (
    SELECT l.id, l.host || '.', '' FROM leases l WHERE l.host <> ''
    UNION ALL
    SELECT id, substr(rest, instr(rest, '.') + 1),
        substr(rest, 1, instr(rest, '.') - 1) || CASE WHEN place = '' THEN '' ELSE '.' || place END
    FROM labels WHERE rest <> ''
)
UPDATE leases SET place = whole.place FROM (SELECT id, place FROM labels WHERE rest = '') AS whole WHERE whole.id = leases.id;
DROP INDEX leases_host;
ALTER TABLE leases DROP COLUMN host;
CREATE INDEX leases_place ON leases (place);

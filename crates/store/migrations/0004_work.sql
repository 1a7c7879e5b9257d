-- Work that is to be done on resources by the installation itself: ordering certificates.

CREATE TABLE resource_work (
    id TEXT /* by bytes */ PRIMARY KEY REFERENCES resources (id) ON DELETE CASCADE,
    due_ms BIGINT NOT NULL,
    -- Nobody else takes it before.
    held_until_ms BIGINT NOT NULL,
    -- Grows whenever it is taken: who held it before is too late.
    fence BIGINT NOT NULL
);
CREATE INDEX resource_work_due ON resource_work (due_ms);

-- Certificates that were ordered in the last day, for the limits.
CREATE TABLE certificate_orders (
    account_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX certificate_orders_account ON certificate_orders (account_id, at_ms);
CREATE INDEX certificate_orders_at ON certificate_orders (at_ms);

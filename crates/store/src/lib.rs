//! Durable records and transactions.
//!
//! It never decides who may do what, makes no secrets and seals none, and wakes nobody: it keeps what it is given, atomically, and says
//! what changed since when. One [`Store`] is one database; several processes may hold the same one. SQL is written for SQLite and
//! PostgreSQL alike, and no type of the engine appears in the interface.

mod accounts;
mod audit;
mod backup;
mod bootstrap;
mod certificates;
mod connect_names;
mod database;
mod digest;
mod error;
mod feed;
mod health;
mod leases;
mod migration;
mod overlap;
mod places;
mod postgres;
mod referrers;
mod replica;
mod reserved;
mod resource_changes;
mod resource_error;
mod resource_limits;
mod resources;
mod row;
mod secrets;
mod settings;
mod sql;
mod sqlite;
mod timestamp;
mod work;

pub use accounts::{Account, AccountChange};
pub use audit::{Audit, AuditEntry, FORGOTTEN_AT_ONCE};
pub use backup::{BackupError, restore};
pub use bootstrap::FirstAccount;
pub use certificates::Certificate;
pub use database::Store;
pub use digest::{Digest, DigestError};
pub use error::StoreError;
pub use feed::Feed;
pub use health::Health;
pub use leases::{Claim, ClaimAnswer, Lease, Release};
pub use migration::SCHEMA_VERSION;
pub use postgres::{DatabaseUrl, DatabaseUrlError};
pub use referrers::{Following, InUse, Referrer};
pub use replica::{Changes, Record, Snapshot};
pub use reserved::{HostConflict, RESERVED_ADDR, ReservedName};
pub use resource_changes::{Change, Content, NewResource};
pub use resource_error::ResourceError;
pub use resource_limits::{RESOURCE_BODY_MAX, RESOURCE_KEYS_MAX, RESOURCE_REFS_MAX, RESOURCE_TEXT_MAX};
pub use resources::{Followed, PAGE_MAX, Resource, WithNeeds};
pub use timestamp::Timestamp;
pub use work::{Work, WorkDone};

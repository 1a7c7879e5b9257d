//! What ngrok has no interface for: accounts, users, memberships, the audit log, settings, edges and backups.

use std::collections::BTreeMap;

use portway_names::UserId;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::object::{body, reply};
use crate::{
    Described, Description, DeveloperRole, Email, Fault, Input, MAX_SECRET_LEN, Ref, Schemas, ShownOnce, TeamRole,
    Timestamp, Unserved, Word,
};

/// A password that a user chose.
#[derive(Clone, Debug)]
pub struct Password(pub SecretString);

/// Shortest password that is taken, in characters (NIST SP 800-63B section 5.1.1.1).
const MIN_PASSWORD_LEN: usize = 8;

impl Described for Password {
    fn schema(_: &mut Schemas) -> Value {
        let lengths = (MIN_PASSWORD_LEN, MAX_SECRET_LEN);
        json!({"type": "string", "format": "password", "writeOnly": true, "minLength": lengths.0, "maxLength": lengths.1})
    }
}

impl Input for Password {
    fn read(value: Value) -> Result<Self, Fault> {
        let chosen = SecretString::read(value)?;
        if chosen.expose_secret().chars().count() < MIN_PASSWORD_LEN {
            return Err(Fault::invalid(format!("it is shorter than {MIN_PASSWORD_LEN} characters")));
        }
        Ok(Password(chosen))
    }
}

/// Days for which an audit log is kept: at most ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionDays(pub u32);

const MAX_RETENTION_DAYS: u32 = 3653;

impl Described for RetentionDays {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "integer", "minimum": 1, "maximum": MAX_RETENTION_DAYS})
    }
}

impl Input for RetentionDays {
    fn read(value: Value) -> Result<Self, Fault> {
        let days = u32::read(value)?;
        if !(1..=MAX_RETENTION_DAYS).contains(&days) {
            return Err(Fault::invalid(format!("it must be between 1 and {MAX_RETENTION_DAYS}")));
        }
        Ok(RetentionDays(days))
    }
}

body! {
    /// An account to create.
    AccountCreate {
        /// The name.
        name: Word<255>;
        /// What a person wants to say about the account.
        description: Description;
        /// The user who administers it first; the caller when it is left out.
        administrator_id: Option<UserId>;
    }

    /// A change of an account.
    AccountUpdate {
        /// The name from now on.
        name: Option<Word<255>>;
        /// What a person wants to say about the account.
        description: Option<Description>;
        /// Whether it is suspended: its credentials are refused and its endpoints go offline.
        suspended: Option<bool>;
    }
    ignored "id";

    /// A user to create.
    UserCreate {
        /// The e-mail address, which is also the name to log in with.
        email: Email;
        /// The name.
        name: Word<255>;
        /// The password; without one the user logs in by single sign-on.
        password: Option<Password>;
        /// Whether the user may log in.
        active: bool = true;
    }

    /// A change of a user.
    UserUpdate {
        /// The e-mail address from now on.
        email: Option<Email>;
        /// The name from now on.
        name: Option<Word<255>>;
        /// The password from now on.
        password: Option<Password>;
        /// Whether the user may log in from now on.
        active: Option<bool>;
    }
    ignored "id";

    /// The wish that a user belongs to the caller's account.
    MembershipCreate {
        /// The user.
        user_id: UserId;
        /// What the user may do with resources.
        developer: DeveloperRole = DeveloperRole::ReadWrite;
        /// What the user may do with other members.
        team: TeamRole = TeamRole::ReadOnly;
        /// Whether the user may do everything.
        administrator: bool = false;
    }

    /// A change of a membership.
    MembershipUpdate {
        /// What the user may do with resources from now on.
        developer: Option<DeveloperRole>;
        /// What the user may do with other members from now on.
        team: Option<TeamRole>;
        /// Whether the user may do everything from now on.
        administrator: Option<bool>;
    }
    ignored "id";

    /// A change of the settings of the caller's account.
    SettingsUpdate {
        /// Whether users need a second factor to log in.
        user_mfa_required: Unserved;
        /// Whether users can log in by single sign-on only.
        enforce_sso: Unserved;
        /// Whether bodies and headers of requests are kept for inspection.
        traffic_full_capture: Unserved;
        /// Days that lines of the audit log are kept.
        audit_retention_days: Option<RetentionDays>;
    }
}

reply! {
    /// An account.
    Account {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// The name.
        name: String;
        /// What a person said about it.
        description: String;
        /// When it was created.
        created_at: Timestamp;
        /// Whether it is suspended.
        suspended: bool;
        /// Whether users can log in by single sign-on only.
        enforce_sso: bool;
        /// The oldest version of this interface that it may use.
        min_api_version: String;
        /// The oldest agent that it may use.
        min_agent_version: String;
        /// Whether users need a second factor to log in.
        user_mfa_required: bool;
        /// Whether bodies and headers of requests are kept for inspection.
        traffic_full_capture: bool;
        /// An API key of the account's first administrator, in the reply to its creation only.
        token: Option<ShownOnce>;
    }

    /// A user.
    User {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was created.
        created_at: Timestamp;
        /// The e-mail address.
        email: String;
        /// The name.
        name: String;
        /// Whether the user may log in.
        active: bool;
        /// Whether the user has a second factor.
        mfa_enabled: bool;
        /// When the user logged in last.
        last_login: Option<Timestamp>;
    }

    /// That a user belongs to an account, and what the user may do there.
    Membership {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it began.
        created_at: Timestamp;
        /// The account.
        account: Ref;
        /// The user.
        user: Ref;
        /// What the user may do with resources.
        developer: DeveloperRole;
        /// What the user may do with other members.
        team: TeamRole;
        /// Whether the user may do everything.
        administrator: bool;
    }

    /// A line of the audit log.
    AuditEntry {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it happened.
        created_at: Timestamp;
        /// The operation, as reserved-domains create.
        operation: String;
        /// Who did it; nobody for what the server does by itself.
        principal: Option<Ref>;
        /// The credential that was used.
        credential: Option<Ref>;
        /// The address that it came from.
        ip: String;
        /// The resource that it was about.
        object: Option<Ref>;
        /// The object before, as it is given back; null when it is new.
        before: Option<Value>;
        /// The object afterwards; null when it is gone.
        after: Option<Value>;
        /// The id of the call.
        operation_id: String;
    }

    /// The settings of an account.
    Settings {
        /// Where they are found.
        uri: String;
        /// Whether users need a second factor to log in.
        user_mfa_required: bool;
        /// Whether users can log in by single sign-on only.
        enforce_sso: bool;
        /// Whether bodies and headers of requests are kept for inspection.
        traffic_full_capture: bool;
        /// Days that lines of the audit log are kept.
        audit_retention_days: u32;
        /// The most of each kind of resource that the account may have.
        limits: BTreeMap<String, u64>;
    }

    /// An edge that is connected to this installation.
    Edge {
        /// The name.
        id: String;
        /// Where it is found.
        uri: String;
        /// The region that it serves.
        region: String;
        /// Its version.
        version: String;
        /// When it connected.
        connected_at: Timestamp;
        /// Whether it takes no new work.
        draining: bool;
        /// The agents that are connected to it.
        sessions: u64;
        /// The endpoints that it serves.
        endpoints: u64;
    }

    /// A region.
    RegionReply {
        /// The code.
        id: String;
        /// Where it is found.
        uri: String;
        /// The edges that are connected.
        edges: u64;
        /// What agents connect to.
        connect_url: String;
    }

    /// A copy of the durable state.
    Backup {
        /// The id.
        id: String;
        /// Where it is found.
        uri: String;
        /// When it was made.
        created_at: Timestamp;
        /// The file, as the server sees it.
        path: String;
        /// Its size in bytes.
        size: u64;
        /// The SHA-256 digest of the file, in hexadecimal digits.
        sha256: String;
    }
}

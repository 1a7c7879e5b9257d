//! Ids in requests.

use portway_codes::{Code, PublicError};
use portway_names::IdError;
use serde_json::{Value, json};

use crate::value::text;
use crate::{Described, Fault, Input, Schemas};

/// Characters of an id behind its prefix, as a pattern. The largest id begins with `a`; one that begins so is made in the year 2107 or
/// later.
const KSUID: &str = "[0-9A-Z][0-9A-Za-z]{26}";

/// Collections, and what the ids of their resources begin with.
const PREFIXES: [(&str, &str); 31] = [
    ("/abuse_reports", portway_names::AbuseReportId::PREFIX),
    ("/agent_ingresses", portway_names::AgentIngressId::PREFIX),
    ("/api_keys", portway_names::ApiKeyId::PREFIX),
    ("/app/sessions", portway_names::ApplicationSessionId::PREFIX),
    ("/app/users", portway_names::ApplicationUserId::PREFIX),
    ("/bot_users", portway_names::BotUserId::PREFIX),
    ("/certificate_authorities", portway_names::CertificateAuthorityId::PREFIX),
    ("/credentials", portway_names::CredentialId::PREFIX),
    ("/endpoints", portway_names::EndpointId::PREFIX),
    ("/event_destinations", portway_names::EventDestinationId::PREFIX),
    ("/event_subscriptions", portway_names::EventSubscriptionId::PREFIX),
    ("/ip_policies", portway_names::IpPolicyId::PREFIX),
    ("/ip_policy_rules", portway_names::IpPolicyRuleId::PREFIX),
    ("/ip_restrictions", portway_names::IpRestrictionId::PREFIX),
    ("/portway/v1/accounts", portway_names::AccountId::PREFIX),
    ("/portway/v1/audit_log", portway_names::AuditId::PREFIX),
    ("/portway/v1/backups", portway_names::BackupId::PREFIX),
    ("/portway/v1/memberships", portway_names::MembershipId::PREFIX),
    ("/portway/v1/users", portway_names::UserId::PREFIX),
    ("/reserved_addrs", portway_names::ReservedAddrId::PREFIX),
    ("/reserved_domains", portway_names::ReservedDomainId::PREFIX),
    ("/service_users", portway_names::ServiceUserId::PREFIX),
    ("/ssh_certificate_authorities", portway_names::SshCertificateAuthorityId::PREFIX),
    ("/ssh_credentials", portway_names::SshCredentialId::PREFIX),
    ("/ssh_host_certificates", portway_names::SshHostCertificateId::PREFIX),
    ("/ssh_user_certificates", portway_names::SshUserCertificateId::PREFIX),
    ("/tls_certificates", portway_names::TlsCertificateId::PREFIX),
    ("/tunnel_sessions", portway_names::SessionId::PREFIX),
    ("/tunnels", portway_names::TunnelId::PREFIX),
    ("/vault_secrets", portway_names::SecretId::PREFIX),
    ("/vaults", portway_names::VaultId::PREFIX),
];

/// The schema of an id with one of these prefixes, which are alternatives of a pattern.
fn schema_of(prefixes: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{prefixes}_{KSUID}$")})
}

/// The schema of the ids of a collection, as `/reserved_domains`. Empty ones in a query are the same as none.
pub(crate) fn schema_in_query(collection: &str) -> Value {
    json!({"anyOf": [schema_in(collection), {"const": ""}]})
}

/// The schema of the ids of a collection, as `/reserved_domains`.
pub(crate) fn schema_in(collection: &str) -> Value {
    match PREFIXES.iter().find(|(of, _)| *of == collection) {
        Some((_, prefix)) => schema_of(prefix),
        None => json!({"type": "string", "minLength": 1, "maxLength": 255}),
    }
}

/// Reads the id of a path or query.
///
/// # Errors
///
/// 227 for an id of another kind, 223 for what is no id at all.
pub fn read_id<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, PublicError> {
    text.parse().map_err(|error| {
        let fault = id_fault(error);
        fault.code.unwrap_or(Code::ERR_NGROK_223).with(format!("The id in the address cannot be used: {}.", fault.why))
    })
}

fn id_fault(error: IdError) -> Fault {
    let code = match error {
        IdError::Prefix(_) => Code::ERR_NGROK_227,
        IdError::Ksuid(_) => Code::ERR_NGROK_223,
    };
    Fault::coded(code, error.to_string())
}

macro_rules! ids {
    ($($name:ident $(= $wrong_kind:ident)?),+ $(,)?) => {$(
        impl Described for portway_names::$name {
            fn schema(_: &mut Schemas) -> Value {
                schema_of(portway_names::$name::PREFIX)
            }
        }

        impl Input for portway_names::$name {
            fn read(value: Value) -> Result<Self, Fault> {
                let fault = text(value)?.parse().map_err(id_fault);
                $(let fault = fault.map_err(|fault| Fault { code: Some(Code::$wrong_kind), ..fault });)?
                fault
            }
        }
    )+};
}

ids! {
    AccountId,
    TlsCertificateId,
    IpPolicyId = ERR_NGROK_229,
    CertificateAuthorityId = ERR_NGROK_228,
    EventDestinationId,
    SshCertificateAuthorityId,
    UserId,
    VaultId,
}

/// Who owns a credential: a user, or a service user under either of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerId {
    /// A person.
    User(portway_names::UserId),
    /// A service user.
    Service(portway_names::ServiceUserId),
    /// A service user under its older name.
    Bot(portway_names::BotUserId),
}

impl Described for OwnerId {
    fn schema(_: &mut Schemas) -> Value {
        schema_of("(usr|service|bot)")
    }
}

impl Input for OwnerId {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = text(value)?;
        let id = match text.split_once('_').map(|(prefix, _)| prefix) {
            Some(portway_names::UserId::PREFIX) => text.parse().map(OwnerId::User),
            Some(portway_names::ServiceUserId::PREFIX) => text.parse().map(OwnerId::Service),
            Some(portway_names::BotUserId::PREFIX) => text.parse().map(OwnerId::Bot),
            _ => return Err(Fault::coded(Code::ERR_NGROK_243, "the id must begin with usr_, service_ or bot_")),
        };
        id.map_err(id_fault)
    }
}

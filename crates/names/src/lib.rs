//! Words of Portway: typed ids, host names, patterns, host table, endpoint and connect URLs.
//!
//! It never resolves a name, never asks whether somebody may use one, and reads no clock and no randomness: every value is made from
//! its arguments alone. Text that comes from outside becomes one of these types once, at the border; behind it two equal names are
//! equal values.

mod connect_url;
mod endpoint_url;
mod host;
mod host_name;
mod id;
mod ksuid;
mod pattern;
mod region;
mod reserved;
mod scheme;
mod table;
mod wanted_url;

pub use connect_url::{ConnectUrl, ConnectUrlError, DEFAULT_CONNECT_PORT};
pub use endpoint_url::{EndpointUrl, EndpointUrlError};
pub use host::{Host, split_host_port};
pub use host_name::{HostName, HostNameError, MAX_LABEL_LEN, MAX_NAME_LEN};
pub use id::{
    AbuseReportId, AccountId, AgentIngressId, ApiKeyId, ApplicationSessionId, ApplicationUserId, AuditId, BackupId,
    BotUserId, CertificateAuthorityId, CredentialId, EndpointId, EventDestinationId, EventId, EventSubscriptionId,
    IdError, IpPolicyId, IpPolicyRuleId, IpRestrictionId, LeaseId, MembershipId, OperationId, ReservedAddrId,
    ReservedDomainId, SecretId, ServiceUserId, SessionId, SshCertificateAuthorityId, SshCredentialId,
    SshHostCertificateId, SshUserCertificateId, TlsCertificateId, TunnelId, UserId, VaultId,
};
pub use ksuid::{KSUID_EPOCH, KSUID_TEXT_LEN, Ksuid, KsuidError};
pub use pattern::HostPattern;
pub use region::{EdgeId, NGROK_REGIONS, Region, TokenError};
pub use reserved::is_reserved;
pub use scheme::{Scheme, SchemeError};
pub use table::{HostTable, LookupKey, match_order};
pub use wanted_url::{WantedUrl, WantedUrlError};

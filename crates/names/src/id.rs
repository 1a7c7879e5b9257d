//! Typed ids: a prefix that says what, and a KSUID that says which.

use std::fmt;
use std::str::FromStr;

use crate::{Ksuid, KsuidError};

/// Why a text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Another prefix, or none.
    #[error("the id does not begin with \"{0}_\"")]
    Prefix(&'static str),
    /// The rest is no KSUID.
    #[error("the id is malformed: letters and digits, 27 of them, follow its prefix")]
    Ksuid(#[from] KsuidError),
}

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident $prefix:literal;)+) => {
        /// Every prefix, for the test that they differ.
        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),+];

        $(
            $(#[$doc])+
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Ksuid);

            impl $name {
                /// What its text begins with, without the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// The id made of this KSUID.
                pub const fn new(ksuid: Ksuid) -> Self {
                    Self(ksuid)
                }

                /// The part after the prefix.
                pub const fn ksuid(&self) -> &Ksuid {
                    &self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($prefix, "_{}"), self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, Self::Err> {
                    let rest = text.strip_prefix(concat!($prefix, "_")).ok_or(IdError::Prefix($prefix))?;
                    Ok(Self(rest.parse()?))
                }
            }
        )+
    };
}

ids! {
    /// An account: the tenant that everything belongs to.
    AccountId "ac";
    /// An authtoken.
    CredentialId "cr";
    /// One authenticated connection of an agent.
    SessionId "ts";
    /// An endpoint that is or was online.
    EndpointId "ep";
    /// A person or service that signs in.
    UserId "usr";
    /// A key of the REST interface.
    ApiKeyId "ak";
    /// A certificate with its private key.
    TlsCertificateId "cert";
    /// A reserved domain.
    ReservedDomainId "rd";
    /// A reserved TCP address.
    ReservedAddrId "ra";
    /// A connect URL.
    AgentIngressId "agin";
    /// The right to serve a name, for a while.
    LeaseId "ls";
    /// A tunnel: an agent's endpoint as older clients see it.
    TunnelId "tn";
    /// A certificate authority that visitors' certificates are checked against.
    CertificateAuthorityId "ca";
    /// A named set of rules about addresses.
    IpPolicyId "ipp";
    /// A rule of an IP policy.
    IpPolicyRuleId "ipr";
    /// Where an account applies IP policies.
    IpRestrictionId "ipx";
    /// A public SSH key that may log in.
    SshCredentialId "sshcr";
    /// A key that signs SSH certificates.
    SshCertificateAuthorityId "sshca";
    /// A certificate for an SSH server.
    SshHostCertificateId "shcrt";
    /// A certificate for an SSH client.
    SshUserCertificateId "sucrt";
    /// A program that owns credentials.
    ServiceUserId "service";
    /// A service user under its older name: both have the same KSUID.
    BotUserId "bot";
    /// Where events are sent.
    EventDestinationId "ed";
    /// Which events are sent where.
    EventSubscriptionId "esb";
    /// An event.
    EventId "ev";
    /// A folder of secrets.
    VaultId "vault";
    /// A named secret of a vault.
    SecretId "secret";
    /// A visitor who logged in at an endpoint.
    ApplicationUserId "appusr";
    /// A login of such a visitor.
    ApplicationSessionId "appses";
    /// A report of abuse.
    AbuseReportId "abrp";
    /// One call of the REST interface.
    OperationId "op";
    /// That a user belongs to an account.
    MembershipId "mbr";
    /// A line of the audit log.
    AuditId "aud";
    /// A copy of the durable state.
    BackupId "bak";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_print_and_read_with_their_prefix() {
        let ksuid: Ksuid = "0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse().unwrap();
        let id = AccountId::new(ksuid);
        assert_eq!(id.to_string(), "ac_0ujtsYcgvSTl8PAuAdqWYSMnLOv");
        assert_eq!(format!("{id:?}"), "ac_0ujtsYcgvSTl8PAuAdqWYSMnLOv");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("cert_0ujtsYcgvSTl8PAuAdqWYSMnLOv".parse(), Ok(TlsCertificateId::new(ksuid)));
        for text in
            ["0ujtsYcgvSTl8PAuAdqWYSMnLOv", "cr_0ujtsYcgvSTl8PAuAdqWYSMnLOv", "AC_0ujtsYcgvSTl8PAuAdqWYSMnLOv", ""]
        {
            assert_eq!(text.parse::<AccountId>(), Err(IdError::Prefix("ac")), "{text}");
        }
        assert_eq!("ac_x".parse::<AccountId>(), Err(IdError::Ksuid(KsuidError::Length)));
    }

    #[test]
    fn prefixes_differ() {
        assert_eq!(PREFIXES.iter().collect::<HashSet<_>>().len(), PREFIXES.len());
    }
}

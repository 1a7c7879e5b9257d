//! The parts of an edge's replica, checked.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use bytes::Bytes;
use portway_access::Acl;
use portway_names::{
    AccountId, CertificateAuthorityId, CredentialId, EdgeId, EndpointUrl, HostName, HostNameError, HostPattern, LeaseId,
};
use secrecy::{ExposeSecret, SecretSlice};

use crate::control::v1::{
    AcmeProof, Certificate, CertificateAuthority, ConnectName, Credential, Lease, ReservedDomain, Resource, Settings,
    resource::Body,
};
use crate::field::parse;
use crate::{AgentId, FieldError, FieldFault, IpPolicyRecord, IpPolicyRuleRecord, IpRestrictionRecord, ProofRecord};

/// One thing that an edge must know: a [`Resource`] whose fields are checked.
#[derive(Clone, Debug)]
pub enum ReplicaRecord {
    /// An authtoken that may open sessions.
    Credential(CredentialRecord),
    /// A certificate to present.
    Certificate(CertificateRecord),
    /// A host that agents dial.
    ConnectName(ConnectNameRecord),
    /// Who may serve a name.
    Lease(LeaseRecord),
    /// Settings of the installation.
    Settings(SettingsRecord),
    /// A named set of rules about addresses.
    IpPolicy(IpPolicyRecord),
    /// A rule of an IP policy.
    IpPolicyRule(IpPolicyRuleRecord),
    /// Where an account applies IP policies.
    IpRestriction(IpRestrictionRecord),
    /// A name that belongs to an account.
    ReservedDomain(ReservedDomainRecord),
    /// An authority that issues certificates of visitors.
    CertificateAuthority(CertificateAuthorityRecord),
}

/// An authtoken that may open sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Id of the credential.
    pub id: CredentialId,
    /// Its account.
    pub account: AccountId,
    /// Name of the account, for display.
    pub account_name: String,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// What it may bind.
    pub acl: Acl,
}

/// A certificate to present, with its private key.
#[derive(Clone, Debug)]
pub struct CertificateRecord {
    /// Id of the resource.
    pub id: String,
    /// What it is presented for.
    pub names: Vec<CertificateName>,
    /// DER, leaf first. Not empty.
    pub chain: Vec<Bytes>,
    /// PKCS#8 DER.
    pub private_key: SecretSlice<u8>,
    /// Presented to agents on connect names (true) or to visitors (false).
    pub connect: bool,
    /// Presented only for reserved domains that refer to it and that `names` cover, and there before certificates that are not attached.
    pub attached: bool,
}

/// What a certificate is presented for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateName {
    /// A name or wildcard, asked for by server name.
    Pattern(HostPattern),
    /// An address that was dialled without server name.
    Ip(IpAddr),
}

/// A host that agents dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectNameRecord {
    /// Id of the resource.
    pub id: String,
    /// The host.
    pub host: HostName,
    /// The only account that may use it, `None` for every account. One with an account is a zone of its own, delegated to the installation.
    pub account: Option<AccountId>,
    /// Names below it that lead to one region each; agents dial them like the host itself.
    pub regional: Vec<HostName>,
    /// Id of the attached certificate that is presented there before others.
    pub certificate: Option<String>,
    /// Certificates for it are ordered from a public authority.
    pub public_certificates: bool,
    /// What the edge shows for the names to who issues certificates.
    pub proofs: Vec<ProofRecord>,
}

/// Who may serve a name, until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Id of the lease.
    pub id: LeaseId,
    /// The name. http and https of one host are separate names.
    pub url: EndpointUrl,
    /// The account that owns it.
    pub account: AccountId,
    /// The agent that serves it.
    pub agent: AgentId,
    /// The edge where it is served.
    pub edge: EdgeId,
    /// Grows with each change of holder.
    pub fence: u64,
    /// Milliseconds since 1970; `None` when it lives as long as its edge does.
    pub expires_at_ms: Option<i64>,
}

/// Settings of the installation that edges follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRecord {
    /// Id of the resource.
    pub id: String,
    /// Names are given out below this one.
    pub base_domain: HostName,
}

/// A name that belongs to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedDomainRecord {
    /// Id of the resource.
    pub id: String,
    /// The account.
    pub account: AccountId,
    /// The name, or all names below one.
    pub domain: HostPattern,
    /// Id of the attached certificate that is presented for it.
    pub certificate: Option<String>,
    /// Where its CNAME record is to point to; `None` when it needs none.
    pub cname_target: Option<HostName>,
    /// What the edge shows for it to who issues certificates.
    pub proofs: Vec<ProofRecord>,
}

/// An authority whose certificates visitors may show to endpoints of its account that ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateAuthorityRecord {
    /// Id of the authority.
    pub id: CertificateAuthorityId,
    /// The account.
    pub account: AccountId,
    /// One certificate, PEM. Whether it can be used is found out by who configures TLS with it.
    pub pem: String,
}

/// Why a [`Resource`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A kind that this version does not know; to be skipped.
    #[error("resource {id} is of a kind that this version does not know")]
    UnknownKind {
        /// Id of the resource.
        id: String,
    },
    /// A field that cannot be accepted.
    #[error("resource {id}: {error}")]
    Field {
        /// Id of the resource.
        id: String,
        /// Which field, and why.
        error: FieldError,
    },
}

impl ReplicaRecord {
    /// Id of the resource as text, unique over all kinds.
    pub fn id(&self) -> String {
        match self {
            ReplicaRecord::Credential(record) => record.id.to_string(),
            ReplicaRecord::Certificate(record) => record.id.clone(),
            ReplicaRecord::ConnectName(record) => record.id.clone(),
            ReplicaRecord::Lease(record) => record.id.to_string(),
            ReplicaRecord::Settings(record) => record.id.clone(),
            ReplicaRecord::IpPolicy(record) => record.id.to_string(),
            ReplicaRecord::IpPolicyRule(record) => record.id.to_string(),
            ReplicaRecord::IpRestriction(record) => record.id.to_string(),
            ReplicaRecord::ReservedDomain(record) => record.id.clone(),
            ReplicaRecord::CertificateAuthority(record) => record.id.to_string(),
        }
    }
}

impl LeaseRecord {
    /// The lease of this id from its message.
    ///
    /// # Errors
    ///
    /// The first field that cannot be accepted.
    pub fn from_message(id: &str, message: &Lease) -> Result<Self, FieldError> {
        Ok(LeaseRecord {
            id: parse("id", id)?,
            url: parse("url", &message.url)?,
            account: parse("account_id", &message.account_id)?,
            agent: AgentId::from_field("agent_id", &message.agent_id)?,
            edge: parse("edge_id", &message.edge_id)?,
            fence: message.fence,
            expires_at_ms: Some(message.expires_at_ms).filter(|&ms| ms != 0),
        })
    }

    /// The message, without the id.
    pub fn to_message(&self) -> Lease {
        Lease {
            url: self.url.to_string(),
            account_id: self.account.to_string(),
            agent_id: self.agent.to_field(),
            edge_id: self.edge.to_string(),
            fence: self.fence,
            expires_at_ms: self.expires_at_ms.unwrap_or(0),
        }
    }
}

impl TryFrom<Resource> for ReplicaRecord {
    type Error = RecordError;

    fn try_from(resource: Resource) -> Result<Self, RecordError> {
        let id = resource.id;
        let record = match resource.body {
            None => return Err(RecordError::UnknownKind { id }),
            Some(Body::Credential(message)) => credential(&id, message).map(ReplicaRecord::Credential),
            Some(Body::Certificate(message)) => certificate(&id, message).map(ReplicaRecord::Certificate),
            Some(Body::ConnectName(message)) => connect_name(&id, &message).map(ReplicaRecord::ConnectName),
            Some(Body::Lease(message)) => LeaseRecord::from_message(&id, &message).map(ReplicaRecord::Lease),
            Some(Body::Settings(message)) => parse("base_domain", &message.base_domain)
                .map(|base_domain| ReplicaRecord::Settings(SettingsRecord { id: id.clone(), base_domain })),
            Some(Body::IpPolicy(message)) => IpPolicyRecord::from_message(&id, &message).map(ReplicaRecord::IpPolicy),
            Some(Body::IpPolicyRule(message)) => {
                IpPolicyRuleRecord::from_message(&id, &message).map(ReplicaRecord::IpPolicyRule)
            }
            Some(Body::IpRestriction(message)) => {
                IpRestrictionRecord::from_message(&id, &message).map(ReplicaRecord::IpRestriction)
            }
            Some(Body::ReservedDomain(message)) => reserved_domain(&id, message).map(ReplicaRecord::ReservedDomain),
            Some(Body::CertificateAuthority(message)) => {
                certificate_authority(&id, message).map(ReplicaRecord::CertificateAuthority)
            }
        };
        record.map_err(|error| RecordError::Field { id, error })
    }
}

impl From<&ReplicaRecord> for Resource {
    /// For a certificate the message holds the private key in the open: encode it at once, and never log it.
    fn from(record: &ReplicaRecord) -> Self {
        let body = match record {
            ReplicaRecord::Credential(record) => Body::Credential(Credential {
                account_id: record.account.to_string(),
                account_name: record.account_name.clone(),
                digest: Bytes::copy_from_slice(&record.digest),
                acl: record.acl.rules().collect(),
            }),
            ReplicaRecord::Certificate(record) => Body::Certificate(Certificate {
                names: record.names.iter().map(CertificateName::to_string).collect(),
                chain: record.chain.clone(),
                private_key: Bytes::copy_from_slice(record.private_key.expose_secret()),
                connect: record.connect,
                attached: record.attached,
            }),
            ReplicaRecord::ConnectName(record) => Body::ConnectName(ConnectName {
                host: record.host.to_string(),
                account_id: record.account.map(|account| account.to_string()).unwrap_or_default(),
                regional: record.regional.iter().map(HostName::to_string).collect(),
                certificate_id: record.certificate.clone().unwrap_or_default(),
                public_certificates: record.public_certificates,
                proofs: record.proofs.iter().map(ProofRecord::to_message).collect(),
            }),
            ReplicaRecord::Lease(record) => Body::Lease(record.to_message()),
            ReplicaRecord::Settings(record) => Body::Settings(Settings { base_domain: record.base_domain.to_string() }),
            ReplicaRecord::IpPolicy(record) => Body::IpPolicy(record.to_message()),
            ReplicaRecord::IpPolicyRule(record) => Body::IpPolicyRule(record.to_message()),
            ReplicaRecord::IpRestriction(record) => Body::IpRestriction(record.to_message()),
            ReplicaRecord::ReservedDomain(record) => Body::ReservedDomain(ReservedDomain {
                account_id: record.account.to_string(),
                domain: record.domain.to_string(),
                certificate_id: record.certificate.clone().unwrap_or_default(),
                cname_target: record.cname_target.as_ref().map(HostName::to_string).unwrap_or_default(),
                proofs: record.proofs.iter().map(ProofRecord::to_message).collect(),
            }),
            ReplicaRecord::CertificateAuthority(record) => Body::CertificateAuthority(CertificateAuthority {
                account_id: record.account.to_string(),
                pem: record.pem.clone(),
            }),
        };
        Resource { id: record.id(), body: Some(body) }
    }
}

impl FromStr for CertificateName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(ip) => Ok(CertificateName::Ip(ip)),
            Err(_) => text.parse().map(CertificateName::Pattern),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateName::Pattern(pattern) => pattern.fmt(f),
            CertificateName::Ip(ip) => ip.fmt(f),
        }
    }
}

fn credential(id: &str, message: Credential) -> Result<CredentialRecord, FieldError> {
    let len = message.digest.len();
    let digest = message.digest.as_ref().try_into();
    Ok(CredentialRecord {
        id: parse("id", id)?,
        account: parse("account_id", &message.account_id)?,
        account_name: message.account_name,
        digest: digest.map_err(|_| FieldError::new("digest", FieldFault::Length { len, needed: 32 }))?,
        acl: Acl::parse(message.acl.iter().map(String::as_str)).map_err(|error| FieldError::new("acl", error))?,
    })
}

fn certificate(id: &str, message: Certificate) -> Result<CertificateRecord, FieldError> {
    if message.chain.is_empty() {
        return Err(FieldError::new("chain", FieldFault::Missing));
    }
    if message.private_key.is_empty() {
        return Err(FieldError::new("private_key", FieldFault::Missing));
    }
    Ok(CertificateRecord {
        id: id.to_owned(),
        names: message.names.iter().map(|name| parse("names", name)).collect::<Result<_, _>>()?,
        chain: message.chain,
        private_key: message.private_key.to_vec().into(),
        connect: message.connect,
        attached: message.attached,
    })
}

fn reserved_domain(id: &str, message: ReservedDomain) -> Result<ReservedDomainRecord, FieldError> {
    Ok(ReservedDomainRecord {
        id: id.to_owned(),
        account: parse("account_id", &message.account_id)?,
        domain: parse("domain", &message.domain)?,
        certificate: Some(message.certificate_id).filter(|id| !id.is_empty()),
        cname_target: match message.cname_target.as_str() {
            "" => None,
            target => Some(parse("cname_target", target)?),
        },
        proofs: proofs(&message.proofs)?,
    })
}

fn proofs(messages: &[AcmeProof]) -> Result<Vec<ProofRecord>, FieldError> {
    messages.iter().map(ProofRecord::from_message).collect()
}

fn certificate_authority(id: &str, message: CertificateAuthority) -> Result<CertificateAuthorityRecord, FieldError> {
    if message.pem.is_empty() {
        return Err(FieldError::new("pem", FieldFault::Missing));
    }
    Ok(CertificateAuthorityRecord {
        id: parse("id", id)?,
        account: parse("account_id", &message.account_id)?,
        pem: message.pem,
    })
}

fn connect_name(id: &str, message: &ConnectName) -> Result<ConnectNameRecord, FieldError> {
    let account = match message.account_id.as_str() {
        "" => None,
        account => Some(parse("account_id", account)?),
    };
    let host = parse("host", &message.host)?;
    let regional = message.regional.iter().map(|name| parse("regional", name)).collect::<Result<_, _>>()?;
    let certificate = Some(message.certificate_id.clone()).filter(|id| !id.is_empty());
    let proofs = proofs(&message.proofs)?;
    Ok(ConnectNameRecord {
        id: id.to_owned(),
        host,
        account,
        regional,
        certificate,
        public_certificates: message.public_certificates,
        proofs,
    })
}

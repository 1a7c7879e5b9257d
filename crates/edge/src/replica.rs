//! The edge's copy of what the control plane decided: credentials, certificates, connect names, leases, IP policies, settings.
//!
//! Readers never wait. A snapshot replaces everything at once; a delta changes single entries in place.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use portway_access::{IpAction, RestrictionType};
use portway_names::{
    AccountId, CertificateAuthorityId, CredentialId, EndpointUrl, HostName, HostPattern, IpPolicyId, IpPolicyRuleId,
    IpRestrictionId, LeaseId,
};
use portway_proto::control::v1 as pb;
use portway_proto::{
    CertificateName, CertificateRecord, ConnectNameRecord, CredentialRecord, LeaseRecord, RecordError, ReplicaRecord,
    ReservedDomainRecord,
};
use portway_tls::{CertEntry, CertName, CertStore, CertifiedKey, CertifiedKeyError};
use rustls::ServerConfig;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use self::attached::{Attached, Named, Stores};
pub(crate) use self::authorities::Authorities;
pub(crate) use self::ip_tables::Admission;
use self::ip_tables::IpTables;
use self::proofs::Proofs;

mod attached;
mod authorities;
mod ip_tables;
mod proofs;

/// SHA-256 of an authtoken.
pub(crate) type Digest = [u8; 32];

/// What a change may mean to sessions that are online.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// The credential is gone.
    CredentialRevoked(CredentialId),
    /// The credential has other rules now.
    CredentialChanged(Arc<CredentialRecord>),
    /// Agents do not dial these hosts any more.
    ConnectNamesRemoved(Vec<HostName>),
    /// The name has this holder now.
    LeaseChanged(Arc<LeaseRecord>),
    /// The account admits agents from other addresses now.
    AgentsRestricted(AccountId),
    /// Nobody has the name any more.
    LeaseRemoved(Arc<LeaseRecord>),
    /// Everything was replaced: every session compares for itself.
    Replaced,
}

/// The copy.
#[derive(Debug)]
pub(crate) struct Replica {
    tables: ArcSwap<Tables>,
    /// Certificates for visitors.
    pub(crate) visitor_certs: Arc<CertStore>,
    /// Certificates for agents on connect names.
    pub(crate) connect_certs: Arc<CertStore>,
    /// The entries of `connect_certs`, to choose the default one from.
    connect_entries: Mutex<HashMap<String, CertEntry>>,
    /// Certificates of accounts, and the names that they are presented for.
    attached: Attached,
    /// Authorities that issue visitors' certificates.
    pub(crate) authorities: Authorities,
    synced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Tables {
    /// What each id names.
    ids: papaya::HashMap<String, Kind>,
    credentials: papaya::HashMap<Digest, Arc<CredentialRecord>>,
    leases: papaya::HashMap<EndpointUrl, Arc<LeaseRecord>>,
    connect_names: papaya::HashMap<HostName, ConnectName>,
    /// Names that CNAME records of reserved domains point to.
    cname_targets: papaya::HashMap<HostName, ()>,
    proofs: Proofs,
    base_domain: ArcSwap<Option<HostName>>,
    ip: IpTables,
}

/// A host that agents dial.
#[derive(Debug, Clone)]
struct ConnectName {
    /// The account that alone may.
    account: Option<AccountId>,
    /// It is a connect URL itself, not a name of one for a region.
    is_whole: bool,
    /// The connect URL's names for one region each.
    regional: Arc<[HostName]>,
    public_certificates: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Credential(Digest),
    Certificate {
        connect: bool,
    },
    AttachedCertificate,
    ReservedDomain {
        cname_target: Option<HostName>,
    },
    CertificateAuthority(CertificateAuthorityId),
    /// With its names for regions.
    ConnectName(Vec<HostName>),
    Lease(EndpointUrl),
    Settings,
    IpPolicy(IpPolicyId),
    IpPolicyRule(IpPolicyId, IpPolicyRuleId),
    IpRestriction(AccountId, RestrictionType, IpRestrictionId),
}

/// Why a resource of the control plane is not taken over. The rest is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceFault {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("certificate {id}: {source}")]
    Certificate { id: String, source: CertifiedKeyError },
}

impl Replica {
    pub(crate) fn new() -> Self {
        Replica {
            tables: ArcSwap::default(),
            visitor_certs: Arc::new(CertStore::new()),
            connect_certs: Arc::new(CertStore::new()),
            connect_entries: Mutex::default(),
            attached: Attached::default(),
            authorities: Authorities::default(),
            synced: watch::Sender::new(false),
        }
    }

    /// Whether a snapshot was applied.
    pub(crate) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until a snapshot was applied. Cancel safety: safe.
    pub(crate) async fn synced(&self) {
        // The sender lives as long as `self`.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// The credential with this digest.
    pub(crate) fn credential(&self, digest: &Digest) -> Option<Arc<CredentialRecord>> {
        self.tables.load().credentials.pin().get(digest).cloned()
    }

    /// The lease on a name.
    pub(crate) fn lease(&self, url: &EndpointUrl) -> Option<Arc<LeaseRecord>> {
        self.tables.load().leases.pin().get(url).cloned()
    }

    /// Whether agents dial this host, and which account alone may.
    pub(crate) fn connect_name(&self, host: &HostName) -> Option<Option<AccountId>> {
        self.tables.load().connect_names.pin().get(host).map(|name| name.account)
    }

    /// The connect URL that the host is, or whose name for a region it is.
    pub(crate) fn connect_url(&self, host: &HostName) -> Option<HostName> {
        let tables = self.tables.load();
        let names = tables.connect_names.pin();
        if names.get(host)?.is_whole { Some(host.clone()) } else { host.parent() }
    }

    /// The names for one region each of the connect URL that the host is, or belongs to.
    pub(crate) fn regional(&self, host: &HostName) -> Arc<[HostName]> {
        self.tables.load().connect_names.pin().get(host).map(|name| Arc::clone(&name.regional)).unwrap_or_default()
    }

    /// Whether the host is a connect URL of an account's own, which is a zone that was delegated to the installation.
    pub(crate) fn is_connect_zone(&self, host: &HostName) -> bool {
        let is_zone = |name: &ConnectName| name.account.is_some() && name.is_whole;
        self.tables.load().connect_names.pin().get(host).is_some_and(is_zone)
    }

    /// Whether agents dial this host, and its certificates are all from the internal CA.
    pub(crate) fn has_own_certificates(&self, host: &HostName) -> bool {
        self.tables.load().connect_names.pin().get(host).is_some_and(|name| !name.public_certificates)
    }

    /// Whether the CNAME record of a reserved domain is to point here.
    pub(crate) fn is_cname_target(&self, host: &HostName) -> bool {
        self.tables.load().cname_targets.pin().contains_key(host)
    }

    /// What is answered at a path for challenges of a host (RFC 8555 section 8.3).
    pub(crate) fn http_proof(&self, host: &HostName, token: &str) -> Option<String> {
        self.tables.load().proofs.http(host, token)
    }

    /// How the authority is accepted that looks for the proof of a host by TLS (RFC 8737 section 3).
    pub(crate) fn alpn_proof(&self, host: &HostName) -> Option<Arc<ServerConfig>> {
        self.tables.load().proofs.alpn(host)
    }

    /// The text of the challenge with this name in DNS (RFC 8555 section 8.4).
    pub(crate) fn dns_proof(&self, name: &HostName) -> Option<String> {
        self.tables.load().proofs.dns(name)
    }

    /// The base domain; none before the first snapshot.
    pub(crate) fn base_domain(&self) -> Option<HostName> {
        HostName::clone(self.tables.load().base_domain.load().as_ref().as_ref()?).into()
    }

    /// What the account's restriction of this type says of an address.
    pub(crate) fn admission(&self, account: AccountId, kind: RestrictionType, ip: IpAddr) -> Admission {
        self.tables.load().ip.admission(account, kind, ip)
    }

    /// What an IP policy of the account says of an address; nothing when the account has no such policy.
    pub(crate) fn ip_verdict(&self, account: AccountId, policy: &IpPolicyId, ip: IpAddr) -> Option<IpAction> {
        self.tables.load().ip.verdict(account, policy, ip)
    }

    /// Whether the account has this IP policy.
    pub(crate) fn has_ip_policy(&self, account: AccountId, policy: &IpPolicyId) -> bool {
        self.tables.load().ip.has_policy(account, policy)
    }

    /// Replaces everything. Resources that cannot be used are left out and returned.
    pub(crate) fn replace(&self, resources: Vec<pb::Resource>) -> Vec<ResourceFault> {
        let fresh = Tables::default();
        let (mut faults, mut visitor, mut connect) = (Vec::new(), Vec::new(), Vec::new());
        let (mut attached, mut named, mut authorities) = (Vec::new(), Vec::new(), Vec::new());
        for resource in resources {
            match ReplicaRecord::try_from(resource) {
                Ok(ReplicaRecord::Certificate(record)) => {
                    let (id, kind) = (record.id.clone(), Kind::of(&record));
                    let entries = match kind {
                        Kind::AttachedCertificate => &mut attached,
                        _ if record.connect => &mut connect,
                        _ => &mut visitor,
                    };
                    fresh.ids.pin().insert(id.clone(), kind);
                    match entry(record) {
                        Ok(entry) => entries.push(entry),
                        Err(source) => faults.push(ResourceFault::Certificate { id, source }),
                    }
                }
                Ok(ReplicaRecord::ReservedDomain(record)) => {
                    fresh.put_domain(&record);
                    named.push(of_domain(record));
                }
                Ok(ReplicaRecord::ConnectName(record)) => {
                    named.push(of_connect_name(&record));
                    fresh.put(ReplicaRecord::ConnectName(record));
                }
                Ok(ReplicaRecord::CertificateAuthority(record)) => {
                    fresh.ids.pin().insert(record.id.to_string(), Kind::CertificateAuthority(record.id));
                    authorities.push(record);
                }
                Ok(record) => {
                    fresh.put(record);
                }
                Err(error) => faults.push(error.into()),
            }
        }
        let [for_visitors, for_agents] = self.attached.replace(attached, named);
        visitor.extend(for_visitors);
        self.authorities.replace(authorities);
        fresh.ip.settle();
        self.change_connect(|entries| {
            *entries = connect.iter().map(|entry| (entry.id.clone(), entry.clone())).collect();
        });
        connect.extend(for_agents);
        self.connect_certs.replace_all(connect);
        self.visitor_certs.replace_all(visitor);
        self.tables.store(Arc::new(fresh));
        // An endpoint may have a name before there is a certificate for it: visitors see then whose server it is.
        self.visitor_certs.set_fallback(self.base_domain());
        self.synced.send_replace(true);
        faults
    }

    /// Applies changes in place; twice is the same as once.
    pub(crate) fn change(&self, delta: pb::Delta) -> (Vec<Change>, Vec<ResourceFault>) {
        let tables = self.tables.load_full();
        let (mut changes, mut faults) = (Vec::new(), Vec::new());
        for id in delta.removed {
            let removed = tables.ids.pin().remove(&id).cloned();
            match removed {
                Some(kind) => self.forget(&tables, &id, &kind, &mut changes),
                // A lease that was claimed here and taken back before the replica showed it: whose it was is not known.
                None if id.parse::<LeaseId>().is_ok() => changes.push(Change::Replaced),
                None => {}
            }
        }
        for resource in delta.changed {
            match ReplicaRecord::try_from(resource) {
                Ok(ReplicaRecord::Certificate(record)) => faults.extend(self.put_certificate(&tables, record).err()),
                Ok(ReplicaRecord::ReservedDomain(record)) => {
                    tables.put_domain(&record);
                    self.attached.put(of_domain(record), self.stores());
                }
                Ok(ReplicaRecord::ConnectName(record)) => {
                    self.attached.put(of_connect_name(&record), self.stores());
                    changes.extend(tables.put(ReplicaRecord::ConnectName(record)));
                }
                Ok(ReplicaRecord::CertificateAuthority(record)) => {
                    tables.ids.pin().insert(record.id.to_string(), Kind::CertificateAuthority(record.id));
                    self.authorities.put(record);
                }
                Ok(record) => changes.extend(tables.put(record)),
                Err(error) => faults.push(error.into()),
            }
        }
        let restricted =
            tables.ip.settle().into_iter().filter(|account| tables.ip.restricts(*account, RestrictionType::Agent));
        changes.extend(restricted.map(Change::AgentsRestricted));
        (changes, faults)
    }

    /// Every credential that may open sessions now; for comparing after a snapshot.
    pub(crate) fn has_credential(&self, id: CredentialId) -> bool {
        self.tables.load().ids.pin().contains_key(&id.to_string())
    }

    fn stores(&self) -> Stores<'_> {
        Stores { visitor: &self.visitor_certs, connect: &self.connect_certs }
    }

    fn put_certificate(&self, tables: &Tables, record: CertificateRecord) -> Result<(), ResourceFault> {
        let (id, kind) = (record.id.clone(), Kind::of(&record));
        let entry = entry(record).map_err(|source| ResourceFault::Certificate { id: id.clone(), source })?;
        tables.ids.pin().insert(id.clone(), kind.clone());
        match kind {
            Kind::AttachedCertificate => self.attached.put_certificate(entry, self.stores()),
            Kind::Certificate { connect: true } => {
                self.change_connect(|entries| {
                    entries.insert(id, entry.clone());
                });
                self.connect_certs.insert(entry);
            }
            _ => self.visitor_certs.insert(entry),
        }
        Ok(())
    }

    /// Changes the connect certificates and chooses who is presented to an agent that dialled an address: the one for addresses.
    fn change_connect(&self, change: impl FnOnce(&mut HashMap<String, CertEntry>)) {
        let mut entries = self.connect_entries.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut entries);
        let names_address = |entry: &CertEntry| entry.names.iter().any(|name| matches!(name, CertName::Ip(_)));
        let default = entries.values().max_by_key(|entry| (names_address(entry), Reverse(entry.id.clone())));
        self.connect_certs.set_default(default.map(|entry| entry.key.clone()));
    }

    fn forget(&self, tables: &Tables, id: &str, kind: &Kind, changes: &mut Vec<Change>) {
        match kind {
            Kind::Credential(digest) => {
                if let Some(gone) = tables.credentials.pin().remove(digest) {
                    changes.push(Change::CredentialRevoked(gone.id));
                }
            }
            Kind::Certificate { connect: true } => {
                self.change_connect(|entries| {
                    entries.remove(id);
                });
                self.connect_certs.remove(id);
            }
            Kind::Certificate { connect: false } => {
                self.visitor_certs.remove(id);
            }
            Kind::AttachedCertificate => self.attached.remove_certificate(id, self.stores()),
            Kind::ReservedDomain { cname_target } => {
                if let Some(target) = cname_target {
                    tables.cname_targets.pin().remove(target);
                }
                tables.proofs.remove(id);
                self.attached.remove(id, self.stores());
            }
            Kind::CertificateAuthority(authority) => self.authorities.remove(authority),
            Kind::ConnectName(hosts) => {
                let names = tables.connect_names.pin();
                for host in hosts {
                    names.remove(host);
                }
                tables.proofs.remove(id);
                self.attached.remove(id, self.stores());
                changes.push(Change::ConnectNamesRemoved(hosts.clone()));
            }
            Kind::Lease(url) => {
                // A newer lease of the name may have taken its place already.
                let leases = tables.leases.pin();
                if let Ok(Some((_, gone))) = leases.remove_if(url, |_, lease| lease.id.to_string() == *id) {
                    changes.push(Change::LeaseRemoved(Arc::clone(gone)));
                }
            }
            Kind::Settings => {}
            Kind::IpPolicy(_) | Kind::IpPolicyRule(..) | Kind::IpRestriction(..) => tables.forget_ip(kind),
        }
    }
}

impl Tables {
    /// Puts one resource in; returns what it means to sessions. Certificates, and what has to do with them, live in their stores.
    fn put(&self, record: ReplicaRecord) -> Option<Change> {
        let (id, ids) = (record.id(), self.ids.pin());
        match record {
            ReplicaRecord::Credential(record) => {
                let record = Arc::new(record);
                let credentials = self.credentials.pin();
                let old = ids.insert(id, Kind::Credential(record.digest));
                if let Some(Kind::Credential(digest)) = old.filter(|old| **old != Kind::Credential(record.digest)) {
                    credentials.remove(digest);
                }
                let before = credentials.insert(record.digest, Arc::clone(&record));
                before.is_some_and(|before| *before != record).then_some(Change::CredentialChanged(record))
            }
            ReplicaRecord::ConnectName(record) => {
                let ConnectNameRecord { account, public_certificates, .. } = record;
                let names = self.connect_names.pin();
                let regional: Arc<[HostName]> = record.regional.as_slice().into();
                let name =
                    |is_whole| ConnectName { account, is_whole, regional: Arc::clone(&regional), public_certificates };
                names.insert(record.host.clone(), name(true));
                for host in &record.regional {
                    names.insert(host.clone(), name(false));
                }
                self.proofs.put(&id, &record.proofs);
                let hosts = std::iter::once(record.host).chain(record.regional).collect();
                ids.insert(id, Kind::ConnectName(hosts));
                None
            }
            ReplicaRecord::Lease(record) => {
                let record = Arc::new(record);
                ids.insert(id, Kind::Lease(record.url.clone()));
                self.leases.pin().insert(record.url.clone(), Arc::clone(&record));
                Some(Change::LeaseChanged(record))
            }
            ReplicaRecord::Settings(record) => {
                ids.insert(id, Kind::Settings);
                self.base_domain.store(Arc::new(Some(record.base_domain)));
                None
            }
            ReplicaRecord::IpPolicy(record) => {
                ids.insert(id, Kind::IpPolicy(record.id));
                self.ip.put_policy(&record);
                None
            }
            ReplicaRecord::IpPolicyRule(record) => {
                self.replace_ip(id, Kind::IpPolicyRule(record.policy, record.id));
                self.ip.put_rule(&record);
                None
            }
            ReplicaRecord::IpRestriction(record) => {
                self.replace_ip(id, Kind::IpRestriction(record.account, record.kind, record.id));
                self.ip.put_restriction(record);
                None
            }
            ReplicaRecord::Certificate(_)
            | ReplicaRecord::ReservedDomain(_)
            | ReplicaRecord::CertificateAuthority(_) => None,
        }
    }

    /// A domain's id, where its CNAME record is to point to (neither ever changes), and its proofs.
    fn put_domain(&self, record: &ReservedDomainRecord) {
        let cname_target = record.cname_target.clone();
        if let Some(target) = &cname_target {
            self.cname_targets.pin().insert(target.clone(), ());
        }
        self.proofs.put(&record.id, &record.proofs);
        self.ids.pin().insert(record.id.clone(), Kind::ReservedDomain { cname_target });
    }

    /// Notes where a record is now, and takes it away from where it was.
    fn replace_ip(&self, id: String, kind: Kind) {
        let ids = self.ids.pin();
        if let Some(old) = ids.insert(id, kind.clone()).filter(|old| **old != kind) {
            self.forget_ip(old);
        }
    }

    fn forget_ip(&self, kind: &Kind) {
        match kind {
            Kind::IpPolicy(id) => self.ip.remove_policy(*id),
            Kind::IpPolicyRule(policy, id) => self.ip.remove_rule(*policy, *id),
            Kind::IpRestriction(account, kind, id) => self.ip.remove_restriction(*account, *kind, *id),
            _ => {}
        }
    }
}

impl Kind {
    fn of(certificate: &CertificateRecord) -> Kind {
        match certificate.attached {
            true => Kind::AttachedCertificate,
            false => Kind::Certificate { connect: certificate.connect },
        }
    }
}

fn of_domain(record: ReservedDomainRecord) -> Named {
    Named { id: record.id, certificate: record.certificate, names: vec![record.domain], connect: false }
}

fn of_connect_name(record: &ConnectNameRecord) -> Named {
    let names = std::iter::once(&record.host).chain(&record.regional).cloned().map(HostPattern::Exact).collect();
    Named { id: record.id.clone(), certificate: record.certificate.clone(), names, connect: true }
}

/// The certificate as the stores take it.
fn entry(record: CertificateRecord) -> Result<CertEntry, CertifiedKeyError> {
    let chain = record.chain.iter().map(|certificate| certificate.to_vec()).collect();
    let key = CertifiedKey::from_der(chain, record.private_key.expose_secret())?;
    let name = |name| match name {
        CertificateName::Pattern(pattern) => CertName::Pattern(pattern),
        CertificateName::Ip(ip) => CertName::Ip(ip),
    };
    Ok(CertEntry {
        id: record.id,
        names: record.names.into_iter().map(name).collect(),
        key,
        preferred: record.attached,
    })
}

#[cfg(test)]
mod tests;

//! What an edge follows: everything at once, or what changed since a version.

use std::collections::BTreeSet;

use portway_names::HostName;

use crate::error::Fault;
use crate::sql::Connection;
use crate::{
    Certificate, Followed, Lease, Store, StoreError, certificates, connect_names, feed, leases, resources, settings,
};

/// One thing an edge follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A certificate with its sealed key.
    Certificate(Certificate),
    /// A host that agents dial.
    ConnectName(HostName),
    /// Who may serve a name.
    Lease(Lease),
    /// A resource of the REST API.
    Resource(Followed),
    /// What is true of the installation: the base domain.
    Settings {
        /// The base domain.
        base_domain: String,
    },
}

impl Record {
    /// The id, unique over all kinds.
    pub fn id(&self) -> String {
        match self {
            Record::Certificate(certificate) => certificate.id.to_string(),
            Record::ConnectName(host) => format!("{}{host}", connect_names::PREFIX),
            Record::Lease(lease) => lease.id.to_string(),
            Record::Resource(followed) => followed.resource.id.clone(),
            Record::Settings { .. } => settings::RESOURCE.to_owned(),
        }
    }
}

/// The whole state at one version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Of the feed.
    pub epoch: String,
    /// The state's version.
    pub version: u64,
    /// Everything, in no particular order.
    pub records: Vec<Record>,
}

/// What happened after a version.
#[derive(Debug, Clone)]
pub enum Changes {
    /// The feed does not reach back that far, or is another one: take a [`Snapshot`].
    Unknown,
    /// Resources that changed, as they are now; a resource may be newer than `version`, and then comes again.
    Known {
        /// Apply the rest, and this is the version reached; the asked one when nothing happened.
        version: u64,
        /// New or changed.
        changed: Vec<Record>,
        /// Ids of what is gone.
        removed: Vec<String>,
    },
}

impl Store {
    /// Everything an edge follows, as it was at one moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let feed = feed::state(&mut tx).await?;
            let mut records = Vec::new();
            if let Some(base_domain) = settings::get(&mut tx, settings::BASE_DOMAIN).await? {
                records.push(Record::Settings { base_domain });
            }
            records.extend(connect_names::all(&mut tx).await?.into_iter().map(Record::ConnectName));
            records.extend(certificates::all(&mut tx).await?.into_iter().map(Record::Certificate));
            records.extend(leases::all(&mut tx).await?.into_iter().map(Record::Lease));
            records.extend(resources::all_followed(&mut tx).await?.into_iter().map(Record::Resource));
            Ok(Snapshot { epoch: feed.epoch, version: feed.version, records })
        })
        .await
    }

    /// What happened after `version` of `epoch`, at most `limit` changes of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn changes_since(&self, epoch: &str, version: u64, limit: u32) -> Result<Changes, StoreError> {
        self.named(async {
            let mut tx = self.read().await?;
            let Some((reached, ids)) = feed::changed_ids(&mut tx, epoch, version, limit).await? else {
                return Ok(Changes::Unknown);
            };
            let (mut changed, mut removed) = (Vec::new(), Vec::new());
            for id in BTreeSet::from_iter(ids) {
                match record(&mut tx, &id).await? {
                    Some(record) => changed.push(record),
                    None => removed.push(id),
                }
            }
            Ok(Changes::Known { version: reached, changed, removed })
        })
        .await
    }
}

/// What this resource is now. The kind is in the id.
async fn record(tx: &mut Connection, id: &str) -> Result<Option<Record>, Fault> {
    if id == settings::RESOURCE {
        let base_domain = settings::get(tx, settings::BASE_DOMAIN).await?;
        return Ok(base_domain.map(|base_domain| Record::Settings { base_domain }));
    }
    if let Some(host) = id.strip_prefix(connect_names::PREFIX) {
        return Ok(connect_names::find(tx, host).await?.map(Record::ConnectName));
    }
    let own = match id.split_once('_').map(|(prefix, _)| prefix) {
        Some(portway_names::TlsCertificateId::PREFIX) => certificates::find(tx, id).await?.map(Record::Certificate),
        Some(portway_names::LeaseId::PREFIX) => leases::find(tx, id).await?.map(Record::Lease),
        _ => None,
    };
    match own {
        Some(own) => Ok(Some(own)),
        // Certificates are kept in both: those that the installation issues, and those of accounts.
        None => Ok(resources::followed(tx, id).await?.map(Record::Resource)),
    }
}

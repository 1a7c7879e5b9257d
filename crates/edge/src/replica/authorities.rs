//! Authorities whose certificates visitors may show to endpoints that ask for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use portway_names::{AccountId, CertificateAuthorityId};
use portway_proto::CertificateAuthorityRecord;

/// The authorities of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Authorities {
    all: papaya::HashMap<CertificateAuthorityId, CertificateAuthorityRecord>,
    version: AtomicU64,
}

impl Authorities {
    /// Grows after each change, so that whoever made something of authorities knows when to make it again.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The account's authority of this id, PEM.
    pub(crate) fn pem(&self, account: &AccountId, id: &CertificateAuthorityId) -> Option<String> {
        self.all.pin().get(id).filter(|record| record.account == *account).map(|record| record.pem.clone())
    }

    pub(super) fn replace(&self, records: Vec<CertificateAuthorityRecord>) {
        let (all, ids) = (self.all.pin(), records.iter().map(|record| record.id).collect::<HashSet<_>>());
        all.retain(|id, _| ids.contains(id));
        for record in records {
            all.insert(record.id, record);
        }
        self.changed();
    }

    pub(super) fn put(&self, record: CertificateAuthorityRecord) {
        self.all.pin().insert(record.id, record);
        self.changed();
    }

    pub(super) fn remove(&self, id: &CertificateAuthorityId) {
        self.all.pin().remove(id);
        self.changed();
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

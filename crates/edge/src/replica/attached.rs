//! Users' certificates and the reserved domains that they are attached to: each is presented for exactly the domains that refer to it and that
//! it covers, whichever of the two came first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portway_names::HostPattern;
use portway_proto::ReservedDomainRecord;
use portway_tls::{CertEntry, CertName, CertStore};

/// What is known. Only the follower of the control plane writes; nobody reads while serving.
#[derive(Debug, Default)]
pub(super) struct Attached {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// With the names that they cover.
    certificates: HashMap<String, CertEntry>,
    /// The certificate that each domain refers to.
    domains: HashMap<String, String>,
    /// The names of the domains that refer to each certificate.
    names: HashMap<String, HashMap<String, HostPattern>>,
}

impl Attached {
    /// Makes these everything that is known, and returns what is to be presented.
    pub(super) fn replace(&self, certificates: Vec<CertEntry>, domains: Vec<ReservedDomainRecord>) -> Vec<CertEntry> {
        let mut books = self.books();
        books.certificates = certificates.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        (books.domains, books.names) = Default::default();
        for domain in domains {
            books.attach(domain);
        }
        books.certificates.keys().filter_map(|id| books.presented(id)).collect()
    }

    pub(super) fn put_certificate(&self, entry: CertEntry, store: &CertStore) {
        let (mut books, id) = (self.books(), entry.id.clone());
        books.certificates.insert(id.clone(), entry);
        books.present(&id, store);
    }

    pub(super) fn remove_certificate(&self, id: &str, store: &CertStore) {
        let mut books = self.books();
        books.certificates.remove(id);
        books.present(id, store);
    }

    pub(super) fn put_domain(&self, domain: ReservedDomainRecord, store: &CertStore) {
        let mut books = self.books();
        let old = books.detach(&domain.id);
        // The new one first: the name is never without.
        for id in books.attach(domain).iter().chain(&old) {
            books.present(id, store);
        }
    }

    pub(super) fn remove_domain(&self, id: &str, store: &CertStore) {
        let mut books = self.books();
        if let Some(certificate) = books.detach(id) {
            books.present(&certificate, store);
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Returns the certificate that the domain refers to.
    fn attach(&mut self, domain: ReservedDomainRecord) -> Option<String> {
        let certificate = domain.certificate?;
        self.domains.insert(domain.id.clone(), certificate.clone());
        self.names.entry(certificate.clone()).or_default().insert(domain.id, domain.domain);
        Some(certificate)
    }

    /// Returns the certificate that the domain referred to.
    fn detach(&mut self, domain: &str) -> Option<String> {
        let certificate = self.domains.remove(domain)?;
        if let Entry::Occupied(mut names) = self.names.entry(certificate.clone()) {
            names.get_mut().remove(domain);
            if names.get().is_empty() {
                names.remove();
            }
        }
        Some(certificate)
    }

    /// Brings the store up to date with one certificate.
    fn present(&self, id: &str, store: &CertStore) {
        match self.presented(id) {
            Some(entry) => store.insert(entry),
            None => {
                store.remove(id);
            }
        }
    }

    /// A certificate with the names it is presented for; none when there are none.
    fn presented(&self, id: &str) -> Option<CertEntry> {
        let entry = self.certificates.get(id)?;
        let covered = self.names.get(id)?.values().filter(|name| covers(&entry.names, name));
        let names: Vec<CertName> = covered.cloned().map(CertName::Pattern).collect();
        (!names.is_empty()).then(|| CertEntry { names, ..entry.clone() })
    }
}

/// Whether clients that ask for the name, or for one directly below the wildcard's base, take a certificate with these names (RFC 9525
/// section 6.3).
fn covers(names: &[CertName], domain: &HostPattern) -> bool {
    let above = match domain {
        HostPattern::Exact(host) => host.parent().map(HostPattern::Wildcard),
        HostPattern::Wildcard(_) => None,
    };
    names.iter().any(|name| match name {
        CertName::Pattern(name) => name == domain || above.as_ref() == Some(name),
        CertName::Ip(_) => false,
    })
}

//! Certificates of accounts, and the names that they are attached to: each is presented for exactly the names that refer to it and that it covers,
//! whichever of the two came first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portway_names::HostPattern;
use portway_tls::{CertEntry, CertName, CertStore};

/// What is known. Only the follower of the control plane writes; nobody reads while serving.
#[derive(Debug, Default)]
pub(super) struct Attached {
    books: Mutex<Books>,
}

/// Names that refer to a certificate: a reserved domain, or a connect URL.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// Id of the resource.
    pub(super) id: String,
    pub(super) certificate: Option<String>,
    pub(super) names: Vec<HostPattern>,
    /// Agents dial them.
    pub(super) connect: bool,
}

/// Where certificates are presented from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stores<'a> {
    pub(super) visitor: &'a CertStore,
    pub(super) connect: &'a CertStore,
}

#[derive(Debug, Default)]
struct Books {
    /// With the names that they cover.
    certificates: HashMap<String, CertEntry>,
    /// The certificate that each resource refers to.
    resources: HashMap<String, String>,
    /// What refers to each certificate.
    referring: HashMap<String, HashMap<String, Named>>,
}

impl Attached {
    /// Makes these everything that is known, and returns what is to be presented to visitors and to agents.
    pub(super) fn replace(&self, certificates: Vec<CertEntry>, named: Vec<Named>) -> [Vec<CertEntry>; 2] {
        let mut books = self.books();
        books.certificates = certificates.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        (books.resources, books.referring) = Default::default();
        for named in named {
            books.attach(named);
        }
        [false, true].map(|connect| books.certificates.keys().filter_map(|id| books.presented(id, connect)).collect())
    }

    pub(super) fn put_certificate(&self, entry: CertEntry, stores: Stores<'_>) {
        let (mut books, id) = (self.books(), entry.id.clone());
        books.certificates.insert(id.clone(), entry);
        books.present(&id, stores);
    }

    pub(super) fn remove_certificate(&self, id: &str, stores: Stores<'_>) {
        let mut books = self.books();
        books.certificates.remove(id);
        books.present(id, stores);
    }

    pub(super) fn put(&self, named: Named, stores: Stores<'_>) {
        let mut books = self.books();
        let old = books.detach(&named.id);
        // The new one first: the name is never without.
        for id in books.attach(named).iter().chain(&old) {
            books.present(id, stores);
        }
    }

    pub(super) fn remove(&self, id: &str, stores: Stores<'_>) {
        let mut books = self.books();
        if let Some(certificate) = books.detach(id) {
            books.present(&certificate, stores);
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Returns the certificate that it refers to.
    fn attach(&mut self, named: Named) -> Option<String> {
        let certificate = named.certificate.clone()?;
        self.resources.insert(named.id.clone(), certificate.clone());
        self.referring.entry(certificate.clone()).or_default().insert(named.id.clone(), named);
        Some(certificate)
    }

    /// Returns the certificate that it referred to.
    fn detach(&mut self, id: &str) -> Option<String> {
        let certificate = self.resources.remove(id)?;
        if let Entry::Occupied(mut referring) = self.referring.entry(certificate.clone()) {
            referring.get_mut().remove(id);
            if referring.get().is_empty() {
                referring.remove();
            }
        }
        Some(certificate)
    }

    /// Brings the stores up to date with one certificate.
    fn present(&self, id: &str, stores: Stores<'_>) {
        for (connect, store) in [(false, stores.visitor), (true, stores.connect)] {
            match self.presented(id, connect) {
                Some(entry) => store.insert(entry),
                None => {
                    store.remove(id);
                }
            }
        }
    }

    /// A certificate with the names it is presented for to visitors or agents; none when there are none.
    fn presented(&self, id: &str, connect: bool) -> Option<CertEntry> {
        let entry = self.certificates.get(id)?;
        let referring = self.referring.get(id)?.values().filter(|named| named.connect == connect);
        let covered = referring.flat_map(|named| &named.names).filter(|name| covers(&entry.names, name));
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

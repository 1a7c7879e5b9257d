//! The certificates that a listener serves.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use portway_names::{HostName, HostNameError, HostPattern, match_order};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign;

use crate::CertifiedKey;

/// A name that a certificate is served for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertName {
    /// A host name or `*.base`, found by SNI. A wildcard here covers any depth below its base: whether the certificate itself is
    /// good for the name is between its issuer and the client.
    Pattern(HostPattern),
    /// An address. Clients send no SNI for it (RFC 6066 section 3), so the name only documents what the certificate is for; see
    /// [`CertStore::set_default`].
    Ip(IpAddr),
}

/// A text that is neither host name, wildcard nor address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no host name, wildcard or address: {source}")]
pub struct CertNameError {
    /// The text.
    text: String,
    /// Why it is no host name.
    source: HostNameError,
}

/// One certificate of a [`CertStore`].
#[derive(Clone, Debug)]
pub struct CertEntry {
    /// Identifies the certificate for replacement and removal.
    pub id: String,
    /// Names it is served for.
    pub names: Vec<CertName>,
    /// Chain and key.
    pub key: CertifiedKey,
    /// Served for its names whatever else names them, unless that is preferred, too.
    pub preferred: bool,
}

/// Certificates by name, changed while they are served. Look-ups take the longest match (an exact name before any wildcard, a longer
/// wildcard before a shorter one), wait for nobody and see each change at once; writers wait for each other.
///
/// When several certificates name the same host, the one that came last is served, a preferred one before any that is not, and when it goes
/// the one before it returns.
#[derive(Default)]
pub struct CertStore {
    live: papaya::HashMap<HostPattern, CertifiedKey>,
    default: ArcSwapOption<sign::CertifiedKey>,
    books: Mutex<Books>,
}

/// What only writers need.
#[derive(Default)]
struct Books {
    entries: HashMap<String, CertEntry>,
    /// Ids of the certificates that name a pattern, preferred ones behind others, the served one last.
    holders: HashMap<HostPattern, Vec<String>>,
}

impl CertStore {
    /// An empty store: every handshake is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate that is not preferred, or takes the place of the one with the same id. Names that the new one lacks are given up.
    pub fn upsert(&self, id: &str, names: Vec<CertName>, key: CertifiedKey) {
        self.insert(CertEntry { id: id.to_owned(), names, key, preferred: false });
    }

    /// Adds a certificate, or takes the place of the one with the same id. Names that the new one lacks are given up.
    pub fn insert(&self, entry: CertEntry) {
        let mut books = self.books();
        self.put(&mut books, entry);
    }

    /// Takes a certificate away. Tells whether there was one.
    pub fn remove(&self, id: &str) -> bool {
        let mut books = self.books();
        self.take(&mut books, id)
    }

    /// Makes these the only certificates. Names that are in both the old set and the new one are served throughout.
    pub fn replace_all(&self, entries: Vec<CertEntry>) {
        let mut books = self.books();
        let mut gone: Vec<String> = books.entries.keys().cloned().collect();
        gone.retain(|id| !entries.iter().any(|entry| entry.id == *id));
        for entry in entries {
            self.put(&mut books, entry);
        }
        for id in gone {
            self.take(&mut books, &id);
        }
    }

    /// The certificate for clients that send no SNI, which is what dialling an address means.
    pub fn set_default(&self, key: Option<CertifiedKey>) {
        self.default.store(key.map(|key| key.0));
    }

    /// The certificate that is served for a name.
    pub fn resolve(&self, name: &HostName) -> Option<CertifiedKey> {
        let live = self.live.pin();
        match_order(name).find_map(|key| live.get(&key).cloned())
    }

    /// Certificates in the store, without the default.
    pub fn len(&self) -> usize {
        self.books().entries.len()
    }

    /// True when the store has no certificate.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store as rustls asks it.
    pub fn resolver(self: &Arc<Self>) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Resolver(self.clone()))
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, books: &mut Books, entry: CertEntry) {
        let live = self.live.pin();
        let Books { entries, holders } = &mut *books;
        for pattern in patterns(&entry.names) {
            let holders = holders.entry(pattern.clone()).or_default();
            holders.retain(|id| *id != entry.id);
            let is_preferred = |id: &String| entries.get(id).is_some_and(|entry| entry.preferred);
            let before = holders.iter().position(is_preferred).filter(|_| !entry.preferred);
            holders.insert(before.unwrap_or(holders.len()), entry.id.clone());
            let served = holders.last().filter(|_| before.is_some()).and_then(|id| entries.get(id));
            live.insert(pattern.clone(), served.unwrap_or(&entry).key.clone());
        }
        if let Some(old) = books.entries.insert(entry.id.clone(), entry.clone()) {
            for pattern in patterns(&old.names).filter(|pattern| !patterns(&entry.names).any(|kept| kept == *pattern)) {
                self.release(books, pattern, &entry.id);
            }
        }
    }

    fn take(&self, books: &mut Books, id: &str) -> bool {
        let Some(old) = books.entries.remove(id) else { return false };
        for pattern in patterns(&old.names) {
            self.release(books, pattern, id);
        }
        true
    }

    /// `id` gives up one name: its certificate goes, or the one that was served before it returns.
    fn release(&self, books: &mut Books, pattern: &HostPattern, id: &str) {
        let Some(holders) = books.holders.get_mut(pattern) else { return };
        holders.retain(|holder| holder != id);
        let next = holders.last().and_then(|holder| books.entries.get(holder));
        match next {
            Some(entry) => {
                self.live.pin().insert(pattern.clone(), entry.key.clone());
            }
            None => {
                books.holders.remove(pattern);
                self.live.pin().remove(pattern);
            }
        }
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore").field("names", &self.live.len()).finish_non_exhaustive()
    }
}

impl FromStr for CertName {
    type Err = CertNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(ip));
        }
        text.parse().map(Self::Pattern).map_err(|source| CertNameError { text: text.to_owned(), source })
    }
}

impl From<HostPattern> for CertName {
    fn from(pattern: HostPattern) -> Self {
        Self::Pattern(pattern)
    }
}

impl From<IpAddr> for CertName {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

#[derive(Debug)]
struct Resolver(Arc<CertStore>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        match hello.server_name() {
            Some(name) => self.0.resolve(&name.parse().ok()?).map(|key| key.0),
            None => self.0.default.load_full(),
        }
    }
}

fn patterns(names: &[CertName]) -> impl Iterator<Item = &HostPattern> {
    names.iter().filter_map(|name| match name {
        CertName::Pattern(pattern) => Some(pattern),
        CertName::Ip(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> CertifiedKey {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        CertifiedKey::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    }

    fn names(texts: &[&str]) -> Vec<CertName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn served(store: &CertStore, name: &str) -> Option<Vec<u8>> {
        store.resolve(&name.parse().unwrap()).map(|key| key.end_entity_der().to_vec())
    }

    #[test]
    fn the_longest_match_is_served() {
        let store = CertStore::new();
        let (exact, long, short) = (key("exact"), key("long"), key("short"));
        store.upsert("short", names(&["*.example.com", "10.0.0.1"]), short.clone());
        store.upsert("long", names(&["*.shop.example.com"]), long.clone());
        store.upsert("exact", names(&["a.shop.example.com"]), exact.clone());
        assert_eq!(served(&store, "a.shop.example.com").as_deref(), Some(exact.end_entity_der()));
        assert_eq!(served(&store, "b.shop.example.com").as_deref(), Some(long.end_entity_der()));
        assert_eq!(served(&store, "shop.example.com").as_deref(), Some(short.end_entity_der()));
        assert_eq!(served(&store, "example.com"), None);
    }

    #[test]
    fn a_renewed_certificate_takes_over_and_drops_names_it_lacks() {
        let store = CertStore::new();
        let (old, new) = (key("old"), key("new"));
        store.upsert("one", names(&["a.example", "b.example"]), old);
        store.upsert("one", names(&["a.example"]), new.clone());
        assert_eq!(served(&store, "a.example").as_deref(), Some(new.end_entity_der()));
        assert_eq!(served(&store, "b.example"), None);
        assert!(store.remove("one") && !store.remove("one") && store.is_empty());
        assert_eq!(served(&store, "a.example"), None);
    }

    #[test]
    fn the_certificate_before_returns_when_the_last_one_goes() {
        let store = CertStore::new();
        let (first, second) = (key("first"), key("second"));
        store.upsert("first", names(&["a.example"]), first.clone());
        store.upsert("second", names(&["a.example"]), second.clone());
        assert_eq!(served(&store, "a.example").as_deref(), Some(second.end_entity_der()));
        store.remove("second");
        assert_eq!(served(&store, "a.example").as_deref(), Some(first.end_entity_der()));
    }

    #[test]
    fn a_preferred_certificate_is_served_whenever_others_come() {
        let store = CertStore::new();
        let (common, own, later) = (key("common"), key("own"), key("later"));
        let preferred = |key: &CertifiedKey, preferred| {
            store.insert(CertEntry { id: "own".into(), names: names(&["a.example"]), key: key.clone(), preferred });
        };
        store.upsert("common", names(&["a.example"]), common);
        preferred(&own, true);
        store.upsert("later", names(&["a.example"]), later.clone());
        assert_eq!(served(&store, "a.example").as_deref(), Some(own.end_entity_der()));
        preferred(&own, false);
        assert_eq!(served(&store, "a.example").as_deref(), Some(own.end_entity_der()));
        store.upsert("later", names(&["a.example"]), later.clone());
        assert_eq!(served(&store, "a.example").as_deref(), Some(later.end_entity_der()));
        preferred(&own, true);
        assert_eq!(served(&store, "a.example").as_deref(), Some(own.end_entity_der()));
        store.remove("own");
        assert_eq!(served(&store, "a.example").as_deref(), Some(later.end_entity_der()));
    }

    #[test]
    fn replace_all_leaves_only_the_new_set() {
        let store = CertStore::new();
        let (old, new) = (key("old"), key("new"));
        store.upsert("old", names(&["a.example", "b.example"]), old);
        let entry = CertEntry { id: "new".into(), names: names(&["a.example"]), key: new.clone(), preferred: false };
        store.replace_all(vec![entry]);
        assert_eq!(served(&store, "a.example").as_deref(), Some(new.end_entity_der()));
        assert_eq!(served(&store, "b.example"), None);
        assert_eq!(store.len(), 1);
    }
}

//! What is shown to the authority that certificates are ordered from, for as long as they are ordered (RFC 8555 section 8).

use std::sync::Arc;

use portway_names::HostName;
use portway_proto::ProofRecord;
use portway_tls::challenge_config;
use rustls::ServerConfig;

/// The proofs. Readers never wait.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    /// By host and token.
    http: papaya::HashMap<(HostName, String), String>,
    alpn: papaya::HashMap<HostName, Arc<ServerConfig>>,
    /// By the name of the record.
    dns: papaya::HashMap<HostName, String>,
    /// What there is for each resource.
    of: papaya::HashMap<String, Vec<ProofRecord>>,
}

impl Proofs {
    /// Makes these the proofs of a resource.
    pub(super) fn put(&self, id: &str, proofs: &[ProofRecord]) {
        if proofs.is_empty() {
            return self.remove(id);
        }
        for proof in proofs {
            match proof {
                ProofRecord::Http { host, token, text } => {
                    self.http.pin().insert((host.clone(), token.clone()), text.clone());
                }
                ProofRecord::Alpn { host, digest } => match challenge_config(host, digest) {
                    Ok(config) => {
                        self.alpn.pin().insert(host.clone(), config);
                    }
                    Err(error) => tracing::error!(%error, %host, "a name cannot be proved"),
                },
                ProofRecord::Dns { name, text } => {
                    self.dns.pin().insert(name.clone(), text.clone());
                }
            }
        }
        let of = self.of.pin();
        if let Some(before) = of.insert(id.to_owned(), proofs.to_vec()) {
            self.take_away(before.iter().filter(|old| !proofs.iter().any(|new| is_at(old, new))));
        }
    }

    /// Forgets those of a resource.
    pub(super) fn remove(&self, id: &str) {
        if let Some(before) = self.of.pin().remove(id) {
            self.take_away(before.iter());
        }
    }

    pub(super) fn http(&self, host: &HostName, token: &str) -> Option<String> {
        self.http.pin().get(&(host.clone(), token.to_owned())).cloned()
    }

    pub(super) fn alpn(&self, host: &HostName) -> Option<Arc<ServerConfig>> {
        self.alpn.pin().get(host).cloned()
    }

    pub(super) fn dns(&self, name: &HostName) -> Option<String> {
        self.dns.pin().get(name).cloned()
    }

    fn take_away<'a>(&self, proofs: impl Iterator<Item = &'a ProofRecord>) {
        for proof in proofs {
            match proof {
                ProofRecord::Http { host, token, .. } => {
                    self.http.pin().remove(&(host.clone(), token.clone()));
                }
                ProofRecord::Alpn { host, .. } => {
                    self.alpn.pin().remove(host);
                }
                ProofRecord::Dns { name, .. } => {
                    self.dns.pin().remove(name);
                }
            }
        }
    }
}

/// Whether the one takes the place of the other.
fn is_at(old: &ProofRecord, new: &ProofRecord) -> bool {
    match (old, new) {
        (ProofRecord::Http { host, token, .. }, ProofRecord::Http { host: other, token: another, .. }) => {
            host == other && token == another
        }
        (ProofRecord::Alpn { host, .. }, ProofRecord::Alpn { host: other, .. }) => host == other,
        (ProofRecord::Dns { name, .. }, ProofRecord::Dns { name: other, .. }) => name == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! Proofs are there for as long as their resource has them.

    use super::*;

    fn http(host: &str, token: &str, text: &str) -> ProofRecord {
        ProofRecord::Http { host: host.parse().unwrap(), token: token.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn they_come_and_go_with_their_resource() {
        let proofs = Proofs::default();
        let host: HostName = "app.example.com".parse().unwrap();
        let challenge: HostName = "_acme-challenge.c.example".parse().unwrap();
        let alpn = ProofRecord::Alpn { host: host.clone(), digest: [7; 32] };
        let dns = ProofRecord::Dns { name: challenge.clone(), text: "t".to_owned() };
        proofs.put("rd_1", &[http("app.example.com", "token", "text"), alpn, dns]);
        assert_eq!(proofs.http(&host, "token").as_deref(), Some("text"));
        assert_eq!(proofs.http(&"b.example.com".parse().unwrap(), "token"), None, "of another name");
        assert_eq!(proofs.http(&host, "Token"), None);
        assert!(proofs.alpn(&host).is_some());
        assert_eq!(proofs.dns(&challenge).as_deref(), Some("t"));
        // The next order.
        proofs.put("rd_1", &[http("app.example.com", "token", "other"), http("app.example.com", "more", "m")]);
        assert_eq!(proofs.http(&host, "token").as_deref(), Some("other"));
        assert!(proofs.alpn(&host).is_none() && proofs.dns(&challenge).is_none());
        proofs.put("rd_1", &[]);
        assert!(proofs.http(&host, "token").is_none() && proofs.http(&host, "more").is_none());
        assert!(proofs.of.is_empty() && proofs.http.is_empty() && proofs.alpn.is_empty() && proofs.dns.is_empty());
    }
}

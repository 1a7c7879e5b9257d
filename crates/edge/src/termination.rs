//! How TLS with the visitors of one endpoint ends, where it ends otherwise than for the rest.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, CertificateAuthorityId, Scheme};
use portway_tls::{CertStore, CertifiedKey, EndpointTls, TlsVersions, endpoint_server_config};
use portway_traffic::{ClientAuthorities, PEM_MAX, TerminateTls, TlsVersion};
use rustls::ServerConfig;
use secrecy::ExposeSecret;

use crate::replica::{Authorities, Replica};

/// A `terminate-tls` action that is ready. Authorities that it names by id are followed: a handshake sees those that there are when it begins.
pub(crate) struct Termination {
    account: AccountId,
    certificates: Arc<CertStore>,
    alpn: &'static [&'static [u8]],
    /// Without authorities.
    tls: EndpointTls,
    authorities: Option<ClientAuthorities>,
    made: ArcSwap<Made>,
}

/// What a handshake needs.
#[derive(Debug)]
pub(crate) struct Made {
    /// Of the authorities that it was made with.
    version: u64,
    /// None: no authority that could have issued a visitor's certificate is left, so nobody may come.
    pub(crate) config: Option<Arc<ServerConfig>>,
    /// Authorities whose certificates visitors must have, PEM. Two connections were checked alike when these texts are equal.
    pub(crate) client_authorities: Option<Arc<str>>,
}

impl Termination {
    /// Makes the action ready for an endpoint of the account. Certificates that it does not bring itself are the replica's.
    ///
    /// # Errors
    /// A certificate that cannot be used (14001); authorities that are not there or cannot be used (14002).
    pub(crate) fn prepare(
        action: &TerminateTls,
        scheme: Scheme,
        account: AccountId,
        replica: &Replica,
    ) -> Result<Termination, PublicError> {
        let versions = match (action.min_version, action.max_version) {
            (TlsVersion::V1_3, _) => TlsVersions::Only13,
            (_, TlsVersion::V1_2) => TlsVersions::Only12,
            _ => TlsVersions::Both,
        };
        let ready = Termination {
            account,
            certificates: Arc::clone(&replica.visitor_certs),
            alpn: if scheme == Scheme::Https { &[b"h2", b"http/1.1"] } else { &[] },
            tls: EndpointTls { certificate: own_certificate(action)?, versions, client_authorities: None },
            authorities: action.client_authorities.clone(),
            made: ArcSwap::from_pointee(Made { version: 0, config: None, client_authorities: None }),
        };
        let unusable = |error: Unusable| Code::ERR_NGROK_14002.with(format!("{error}."));
        let gone = ready.authorities.iter().flat_map(|all| &all.ids);
        if let Some(gone) = gone.copied().find(|id| replica.authorities.pem(&account, id).is_none()) {
            return Err(unusable(Unusable::NoSuchAuthority(gone)));
        }
        ready.made.store(Arc::new(ready.make(&replica.authorities).map_err(unusable)?));
        Ok(ready)
    }

    /// What holds for a handshake that begins now.
    pub(crate) fn now(&self, authorities: &Authorities) -> Arc<Made> {
        let made = self.made.load_full();
        let named = self.authorities.as_ref().is_some_and(|all| !all.ids.is_empty());
        if !named || made.version == authorities.version() {
            return made;
        }
        let made = Arc::new(self.make(authorities).unwrap_or_else(|error| {
            tracing::error!(account = %self.account, %error, "visitors of an endpoint are refused");
            Made { version: authorities.version(), config: None, client_authorities: Some(Arc::default()) }
        }));
        self.made.store(Arc::clone(&made));
        made
    }

    /// Authorities that are gone are left out.
    fn make(&self, authorities: &Authorities) -> Result<Made, Unusable> {
        // Before the authorities are read: what changes meanwhile is made again.
        let version = authorities.version();
        let client_authorities = self.authorities.as_ref().map(|all| self.pem(all, authorities)).transpose()?;
        let client_authorities: Option<Arc<str>> = client_authorities.map(Arc::from);
        if client_authorities.as_deref() == Some("") {
            return Ok(Made { version, config: None, client_authorities });
        }
        let pem = client_authorities.as_ref().map(|pem| pem.as_bytes().to_vec());
        let tls = EndpointTls { client_authorities: pem, ..self.tls.clone() };
        let config = endpoint_server_config(&self.certificates, self.alpn, &tls)?;
        Ok(Made { version, config: Some(config), client_authorities })
    }

    fn pem(&self, all: &ClientAuthorities, authorities: &Authorities) -> Result<String, Unusable> {
        let mut pem = all.pem.clone();
        for named in all.ids.iter().filter_map(|id| authorities.pem(&self.account, id)) {
            pem.push_str(named.trim());
            pem.push('\n');
        }
        if pem.len() > PEM_MAX { Err(Unusable::TooLong) } else { Ok(pem) }
    }
}

impl fmt::Debug for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Termination").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

/// Why visitors' certificates cannot be checked.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("Visitors' certificates could not be checked: the account has no certificate authority {0}")]
    NoSuchAuthority(CertificateAuthorityId),
    #[error("Visitors' certificates could not be checked: the authorities have more than {PEM_MAX} bytes together")]
    TooLong,
    #[error("Visitors' certificates could not be checked: {0}")]
    Tls(#[from] portway_tls::EndpointTlsError),
}

fn own_certificate(action: &TerminateTls) -> Result<Option<CertifiedKey>, PublicError> {
    let unusable = |why: &dyn fmt::Display| {
        Code::ERR_NGROK_14001.with(format!("The endpoint's certificate cannot be used: {why}."))
    };
    let Some(pair) = &action.key_pair else { return Ok(None) };
    let key = CertifiedKey::from_pem(pair.certificate.as_bytes(), pair.private_key.expose_secret().as_bytes());
    match key {
        Ok(key) if key.signs_slowly() => {
            Err(unusable(&"its RSA key has more than 4,096 bits, with which every handshake takes too long"))
        }
        key => key.map(Some).map_err(|error| unusable(&error)),
    }
}

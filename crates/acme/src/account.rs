//! An account at an authority.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use instant_acme::{
    AccountCredentials, CertificateIdentifier, Error, ExternalAccountKey, Identifier, LetsEncrypt, NewAccount, NewOrder,
};
use portway_names::HostPattern;
use portway_tls::Roots;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use crate::fault::Fault;
use crate::https::Https;
use crate::order::Order;

/// Where the authority is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Authority {
    /// URL of its directory.
    pub directory: String,
    /// Who may vouch for the authority's own server.
    pub roots: Roots,
}

impl Authority {
    /// The domains by which CAA records name this authority (RFC 8659 section 4.2), as its directory says them; none when it does not say.
    ///
    /// # Errors
    /// When the directory is not reached, or is none.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn identities(&self) -> Result<Vec<String>, Fault> {
        let directory = Https::new(&self.roots)?.get(&self.directory).await?;
        let directory: serde_json::Value = serde_json::from_slice(&directory).map_err(Fault::strange)?;
        let identities = directory["meta"]["caaIdentities"].as_array();
        Ok(identities.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_lowercase)).collect())
    }
}

/// The directories of Let's Encrypt: what `letsencrypt` and `letsencrypt-staging` stand for.
pub fn lets_encrypt(name: &str) -> Option<&'static str> {
    match name {
        "letsencrypt" => Some(LetsEncrypt::Production.url()),
        "letsencrypt-staging" => Some(LetsEncrypt::Staging.url()),
        _ => None,
    }
}

/// When an authority wants a certificate to be renewed (RFC 9773 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Not before.
    pub from: SystemTime,
    /// And not after.
    pub until: SystemTime,
    /// After which time it is to be asked again.
    pub ask_again: Duration,
}

/// That an account at the authority belongs to one that was made there in another way (RFC 8555 section 7.3.4).
#[derive(Clone, Debug)]
pub struct ExternalAccount {
    /// The id of the key.
    pub key_id: String,
    /// The key for HMAC-SHA256, in base64url as authorities give it.
    pub key: SecretString,
}

impl ExternalAccount {
    fn read(&self) -> Result<ExternalAccountKey, Fault> {
        let key = URL_SAFE_NO_PAD.decode(self.key.expose_secret().trim_end_matches('='));
        let key = key.map_err(|_| Fault::strange("the key of the external account is not base64url"))?;
        Ok(ExternalAccountKey::new(self.key_id.clone(), &key))
    }
}

/// An account at an authority. Cheap to clone.
#[derive(Clone)]
pub struct Account(instant_acme::Account);

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Account").field(&self.0.id()).finish()
    }
}

impl Account {
    /// Makes an account, and returns it with what brings it back by [`Account::restore`]; its private key is in that. The terms of the authority
    /// are accepted by it. `contact` is a URL, `mailto:ops@example.com`.
    ///
    /// # Errors
    /// When the authority is not reached or refuses.
    ///
    /// # Cancel safety
    /// There may be an account then that nobody uses.
    pub async fn register(
        authority: &Authority,
        contact: Option<&str>,
        external: Option<&ExternalAccount>,
    ) -> Result<(Account, SecretString), Fault> {
        let external = external.map(ExternalAccount::read).transpose()?;
        let contact: Vec<&str> = contact.into_iter().collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let builder = instant_acme::Account::builder_with_http(Box::new(Https::new(&authority.roots)?));
        let (account, credentials) = builder.create(&new, authority.directory.clone(), external.as_ref()).await?;
        let credentials = serde_json::to_string(&credentials).map_err(Fault::strange)?;
        Ok((Account(account), credentials.into()))
    }

    /// The account that [`Account::register`] returned these credentials with.
    ///
    /// # Errors
    /// When the authority is not reached, or the credentials are none.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn restore(authority: &Authority, credentials: &SecretString) -> Result<Account, Fault> {
        let credentials: AccountCredentials =
            serde_json::from_str(credentials.expose_secret()).map_err(Fault::strange)?;
        let builder = instant_acme::Account::builder_with_http(Box::new(Https::new(&authority.roots)?));
        Ok(Account(builder.from_credentials(credentials).await?))
    }

    /// Orders a certificate for these names. `replaced` is the one that it comes in the place of, PEM, leaf first: where the authority has its own
    /// wishes about renewals it is told (RFC 9773 section 5).
    ///
    /// # Errors
    /// When the authority is not reached or refuses.
    ///
    /// # Cancel safety
    /// There may be an order then that runs out.
    pub async fn order(&self, names: &[HostPattern], replaced: Option<&str>) -> Result<Order, Fault> {
        let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns(name.to_string())).collect();
        let plain = NewOrder::new(&identifiers);
        let leaf = replaced.and_then(|chain| leaf(chain).ok());
        if let Some(id) = leaf.as_ref().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok()) {
            match self.0.new_order(&NewOrder::new(&identifiers).replaces(id)).await {
                // It has none, does not know the certificate, or knows another order for its place.
                Err(Error::Unsupported(_) | Error::Api(_) | Error::Other(_)) => {}
                placed => return Ok(Order::new(placed?)),
            }
        }
        Ok(Order::new(self.0.new_order(&plain).await?))
    }

    /// When the authority wants this certificate to be renewed: PEM, leaf first. None where authorities have no wishes.
    ///
    /// # Errors
    /// When the authority is not reached, or does not know the certificate.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn renewal(&self, chain: &str) -> Result<Option<Renewal>, Fault> {
        let leaf = leaf(chain)?;
        let id = CertificateIdentifier::try_from(&leaf).map_err(Fault::strange)?;
        match self.0.renewal_info(&id).await {
            Ok((info, ask_again)) => {
                let window = info.suggested_window;
                Ok(Some(Renewal { from: window.start.into(), until: window.end.into(), ask_again }))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An order that was placed before.
    ///
    /// # Errors
    /// When the authority is not reached, or does not know it any more.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn resume(&self, url: &str) -> Result<Order, Fault> {
        Ok(Order::new(self.0.order(url.to_owned()).await?))
    }
}

fn leaf(chain: &str) -> Result<CertificateDer<'static>, Fault> {
    CertificateDer::from_pem_slice(chain.as_bytes()).map_err(Fault::strange)
}

//! The account at the authority: made when it is needed first, kept sealed, the same for all control planes on a database.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portway_acme::{Account, Fault};
use portway_store::{Store, StoreError};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::objection::{Objection, UNKNOWN_ACCOUNT};
use super::{AcmeConfig, Stop};
use crate::seal::MasterKey;

/// Keeps the account.
#[derive(Debug)]
pub(super) struct AccountKeeper {
    store: Store,
    master: Arc<MasterKey>,
    config: AcmeConfig,
    /// Name of the secret: another authority has another account.
    secret: String,
    open: Mutex<Option<Opened>>,
}

#[derive(Debug, Clone)]
struct Opened {
    account: Account,
    /// By which domains CAA records name the authority.
    identities: Arc<[String]>,
    sealed: String,
}

impl AccountKeeper {
    pub(super) fn new(store: Store, master: Arc<MasterKey>, config: AcmeConfig) -> AccountKeeper {
        let directory = digest(&SHA256, config.authority.directory.as_bytes());
        let secret = format!("acme account {}", URL_SAFE_NO_PAD.encode(directory));
        AccountKeeper { store, master, config, secret, open: Mutex::default() }
    }

    /// The account, and by which domains CAA records name the authority.
    pub(super) async fn get(&self) -> Result<(Account, Arc<[String]>), Stop> {
        let mut open = self.open.lock().await;
        if let Some(opened) = &*open {
            return Ok((opened.account.clone(), Arc::clone(&opened.identities)));
        }
        let authority = &self.config.authority;
        let identities = authority.identities().await?.into();
        let (account, sealed) = match self.store.secret(&self.secret).await? {
            Some(sealed) => (self.restored(&sealed).await?, sealed),
            None => self.registered().await?,
        };
        let opened = open.insert(Opened { account, identities, sealed });
        Ok((opened.account.clone(), Arc::clone(&opened.identities)))
    }

    /// Hears of a failure: an account that the authority does not know any more is given up, so that the next attempt makes another one.
    pub(super) async fn note(&self, fault: &Fault) {
        if fault.kind != UNKNOWN_ACCOUNT {
            return;
        }
        let Some(opened) = self.open.lock().await.take() else { return };
        tracing::warn!(
            directory = self.config.authority.directory,
            "the certificate authority does not know the account any more"
        );
        if let Err(error) = self.store.remove_secret(&self.secret, &opened.sealed).await {
            tracing::error!(%error, "the account cannot be given up");
        }
    }

    async fn registered(&self) -> Result<(Account, String), Stop> {
        let contact = self.config.contact.as_ref().map(|contact| format!("mailto:{contact}"));
        let AcmeConfig { authority, external, .. } = &self.config;
        let (account, credentials) = Account::register(authority, contact.as_deref(), external.as_ref()).await?;
        let sealed = self.master.seal(&self.secret, credentials.expose_secret().as_bytes());
        match self.store.add_secret(&self.secret, &sealed).await {
            Ok(()) => {
                tracing::info!(directory = authority.directory, "account made at the certificate authority");
                Ok((account, sealed))
            }
            // Another control plane was faster: all use its account.
            Err(StoreError::Exists { .. }) => match self.store.secret(&self.secret).await? {
                Some(sealed) => Ok((self.restored(&sealed).await?, sealed)),
                None => Err(Objection::passing("The account was given up meanwhile.").into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn restored(&self, sealed: &str) -> Result<Account, Stop> {
        let opened = self.master.open(&self.secret, sealed)?;
        let credentials = SecretString::from(String::from_utf8_lossy(&opened).into_owned());
        Ok(Account::restore(&self.config.authority, &credentials).await?)
    }
}

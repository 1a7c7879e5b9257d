//! Administration from the server's host, on its data directory, whether the server runs or not.
//!
//! Works beside a running server: the database allows it, and the server's edges follow within half a second.

mod authtoken_id;
mod dns;
mod restrictions;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use authtoken_id::AuthtokenId;
pub use dns::WantedRecord;
use portway_access::{Acl, AclError, SshKey, SshKeyError};
pub use portway_api::RestrictionType;
use portway_names::{AccountId, CredentialId, IpRestrictionId, SshCredentialId};
pub use portway_store::BackupError;
use portway_store::{
    Audit, Content, DatabaseUrl, Digest, InUse, NewResource, PAGE_MAX, Resource, ResourceError, Store, StoreError,
    Timestamp,
};
pub use restrictions::Restriction;
use secrecy::SecretString;
use serde_json::json;

use crate::OpenError;
use crate::directory::{DATABASE, DataDir};
use crate::kept::principals::{AGENT_KINDS, CREDENTIAL, CredentialBody, SSH_CREDENTIAL, SshCredentialBody, known_as};
use crate::kept::{BodyFault, read, written};
use crate::random;
use crate::service::new_epoch;

/// Who makes changes here, in the audit log.
const WHO: &str = "portway admin";

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
}

/// An authtoken or SSH key, without its secret: that is known only to whoever made it.
#[derive(Debug, Clone)]
pub struct Authtoken {
    /// Its id.
    pub id: AuthtokenId,
    /// The account it opens sessions for.
    pub account: AccountId,
    /// What it is for, in the operator's words.
    pub description: String,
    /// Rules in their text form; empty means no restriction.
    pub acl: Vec<String>,
    /// When it was made.
    pub created: SystemTime,
}

/// Why an administrative command failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No server was ever started on this directory.
    #[error(
        "{} is not the data directory of a Portway server with its own database; pass the server's --data-dir, or its --database-url where \
         it has one, or start the server once to make it",
        .0.display()
    )]
    NoDataDir(PathBuf),
    /// A first start was killed before it made an account.
    #[error("{0} has no account yet: the server's first start was not finished; start it once")]
    NoAccount(String),
    /// No authtoken has this id.
    #[error("there is no authtoken {0}; `portway admin authtokens list` shows those there are")]
    UnknownAuthtoken(AuthtokenId),
    /// No IP restriction has this id.
    #[error("there is no IP restriction {0}; `portway admin restrictions list` shows those there are")]
    UnknownRestriction(IpRestrictionId),
    /// The account has no IP restriction of this type.
    #[error(
        "the account {account} has no IP restriction of the type {kind}; `portway admin restrictions list` shows those there are"
    )]
    NoRestriction {
        /// Of which account.
        account: AccountId,
        /// Of which type.
        kind: RestrictionType,
    },
    /// A rule that cannot be understood.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// A file that was named.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text that is no public key.
    #[error("the SSH key cannot be used: {0}")]
    SshKey(#[from] SshKeyError),
    /// A server has the database open.
    #[error("a server is running on the data directory {}{}; stop it first", dir.display(), .holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Running {
        /// The directory.
        dir: PathBuf,
        /// The server's process id, when it wrote one.
        holder: Option<u32>,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(OpenError),
    /// A backup or its way back.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A public key that opens sessions already.
    #[error("the SSH key is registered already; `portway admin authtokens list` shows it, and `revoke` removes it")]
    SshKeyRegistered,
    /// A record that was changed by hand.
    #[error("{0}")]
    Damaged(String),
    /// The database does not take a change.
    #[error("the change was refused: {0}")]
    Refused(ResourceError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ResourceError> for AdminError {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Store(error) => AdminError::Store(error),
            other => AdminError::Refused(other),
        }
    }
}

impl From<BodyFault> for AdminError {
    fn from(fault: BodyFault) -> Self {
        AdminError::Damaged(fault.to_string())
    }
}

/// Puts a backup in the place of a stopped server's database. What was there is kept under another name, which is returned. Edges take a
/// new snapshot; authtokens that were made after the backup are gone. The master key must be the one of the backup's time.
///
/// # Errors
/// [`AdminError::Running`] while a server has the directory, [`AdminError::Backup`] when the file cannot be used; nothing is changed then.
///
/// # Cancel safety
/// Dropped half-way, restore again.
pub async fn restore(data_dir: &Path, backup: &Path) -> Result<Option<PathBuf>, AdminError> {
    let held = DataDir::hold(data_dir).map_err(|error| match error {
        OpenError::Locked { dir, holder } => AdminError::Running { dir, holder },
        other => AdminError::Directory(other),
    })?;
    Ok(portway_store::restore(backup, &held.file(DATABASE), &new_epoch(Timestamp::now())).await?)
}

/// An installation's database opened for administration.
#[derive(Debug)]
pub struct Admin {
    store: Store,
}

impl Admin {
    /// Opens the data directory of a server that was started at least once. Makes nothing.
    ///
    /// # Errors
    /// [`AdminError::NoDataDir`] when there is none; a store error when it belongs to another version or cannot be read.
    pub async fn open(data_dir: &Path) -> Result<Admin, AdminError> {
        let store = Store::open_existing(&data_dir.join(DATABASE)).await.map_err(|error| match error {
            StoreError::Missing { .. } => AdminError::NoDataDir(data_dir.to_path_buf()),
            other => other.into(),
        })?;
        Ok(Admin { store })
    }

    /// Opens the PostgreSQL database of a server that was started at least once. Makes nothing.
    ///
    /// # Errors
    /// A store error when it cannot be reached, belongs to another version or is empty.
    pub async fn connect(url: &DatabaseUrl) -> Result<Admin, AdminError> {
        Ok(Admin { store: Store::connect_existing(url).await? })
    }

    /// Writes a backup of the database to a new file, beside a running server or without one. The master key is not in it.
    ///
    /// # Errors
    /// [`AdminError::Backup`]: the file is there already or cannot be written, or the state is in PostgreSQL.
    ///
    /// # Cancel safety
    /// Dropped half-way, a file that is not whole may stay.
    pub async fn backup(&self, file: &Path) -> Result<(), AdminError> {
        Ok(self.store.backup(file).await?)
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, AdminError> {
        let accounts = self.store.accounts().await?.into_iter();
        Ok(accounts.map(|one| Account { id: one.id, name: one.name, created: one.created.into() }).collect())
    }

    /// All authtokens and SSH keys of all accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read, or [`AdminError::Damaged`].
    pub async fn authtokens(&self) -> Result<Vec<Authtoken>, AdminError> {
        let mut tokens = Vec::new();
        for account in self.store.accounts().await? {
            for kind in AGENT_KINDS {
                let mut before: Option<String> = None;
                loop {
                    let page = self.store.resources(&account.id, kind, before.as_deref(), PAGE_MAX).await?;
                    let Some(last) = page.last() else { break };
                    before = Some(last.id.clone());
                    for resource in &page {
                        tokens.push(authtoken(resource)?);
                    }
                }
            }
        }
        tokens.sort_by_key(|token| (token.created, token.id));
        Ok(tokens)
    }

    /// Makes an authtoken for the first account and returns its text, which is shown this once. Without rules it may bind anything.
    ///
    /// # Errors
    /// When a rule is malformed, or the database cannot be written.
    ///
    /// # Cancel safety
    /// Dropped half-way, an authtoken may be there whose text nobody knows; it opens nothing.
    pub async fn create_authtoken(
        &self,
        description: &str,
        acl: &[String],
    ) -> Result<(CredentialId, SecretString), AdminError> {
        let now = Timestamp::now();
        let (id, token) = (CredentialId::new(random::ksuid(now)), random::token(now));
        let body = CredentialBody {
            membership_id: None,
            description: description.to_owned(),
            metadata: String::new(),
            acl: rules(acl)?,
            digest: random::token_digest(&token),
            owner_id: None,
        };
        let after = json!({ "id": id.to_string(), "description": body.description, "acl": body.acl });
        let audit = audit("credentials create", Some(after.to_string()));
        self.add(id.to_string(), CREDENTIAL, written(&body), &body.digest, &audit, now).await?;
        Ok((id, token.into()))
    }

    /// Lets a public SSH key open sessions for the first account with `ssh -R`. Without rules it may bind anything.
    ///
    /// # Errors
    /// When a rule or the key is malformed, when the key is registered already, or the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn register_ssh_key(
        &self,
        description: &str,
        acl: &[String],
        public_key: &str,
    ) -> Result<SshCredentialId, AdminError> {
        let key = SshKey::parse(public_key)?;
        let description =
            if description.is_empty() { format!("SSH key {}", key.comment) } else { description.to_owned() };
        let now = Timestamp::now();
        let id = SshCredentialId::new(random::ksuid(now));
        let body = SshCredentialBody {
            membership_id: None,
            description: description.trim_end().to_owned(),
            metadata: String::new(),
            acl: rules(acl)?,
            digest: random::digest_of(&key.secret()),
            owner_id: None,
            public_key: format!("{key} {}", key.comment).trim_end().to_owned(),
        };
        // Keys that were registered before they were a kind of their own are authtokens.
        if self.store.resource_by_key(CREDENTIAL, &body.digest.to_string()).await?.is_some() {
            return Err(AdminError::SshKeyRegistered);
        }
        let after = json!({
            "id": id.to_string(),
            "description": body.description,
            "acl": body.acl,
            "public_key": body.public_key,
        });
        let audit = audit("ssh-credentials create", Some(after.to_string()));
        let added = self.add(id.to_string(), SSH_CREDENTIAL, written(&body), &body.digest, &audit, now).await;
        added.map_err(|error| match error {
            AdminError::Refused(ResourceError::KeyTaken { .. }) => AdminError::SshKeyRegistered,
            other => other,
        })?;
        Ok(id)
    }

    /// Ends an authtoken or SSH key: its sessions end within two seconds. An SSH key is found by either form of its id.
    ///
    /// # Errors
    /// [`AdminError::UnknownAuthtoken`] when there is none with this id; a store error when the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn revoke(&self, id: impl Into<AuthtokenId>) -> Result<(), AdminError> {
        let id = id.into();
        let known = match id {
            AuthtokenId::Authtoken(token) => known_as(&token).to_vec(),
            AuthtokenId::SshKey(key) => vec![(SSH_CREDENTIAL, key.to_string())],
        };
        for (kind, name) in known {
            let Some(found) = self.store.resource_of_any_account(kind, &name).await? else { continue };
            let action = if kind == CREDENTIAL { "credentials delete" } else { "ssh-credentials delete" };
            let (audit, now) = (audit(action, None), Timestamp::now());
            match self.store.delete_resource(&found.account, kind, &name, InUse::Refuse, &audit, now).await {
                Ok(_) => return Ok(()),
                // Somebody else was faster.
                Err(ResourceError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AdminError::UnknownAuthtoken(id))
    }

    async fn first_account(&self) -> Result<AccountId, AdminError> {
        let account = self.store.operator_account().await?;
        Ok(account.ok_or_else(|| AdminError::NoAccount(self.store.name().to_owned()))?.id)
    }

    /// Adds something that opens sessions to the first account. It has no owner: the operator of the host made it.
    async fn add(
        &self,
        id: String,
        kind: &str,
        body: String,
        digest: &Digest,
        audit: &Audit,
        now: Timestamp,
    ) -> Result<(), AdminError> {
        let account = self.first_account().await?;
        let content = Content { body, keys: vec![digest.to_string()], ..Content::default() };
        let new = NewResource { id, kind: kind.to_owned(), account, followed: true, content };
        self.store.create_resource(&new, audit, now).await?;
        Ok(())
    }
}

fn rules(acl: &[String]) -> Result<Vec<String>, AdminError> {
    Ok(Acl::parse(acl.iter().map(String::as_str))?.rules().collect())
}

fn audit(action: &str, after: Option<String>) -> Audit {
    Audit { who: WHO.to_owned(), action: action.to_owned(), after, ..Audit::default() }
}

fn authtoken(resource: &Resource) -> Result<Authtoken, AdminError> {
    let (description, acl) = if resource.kind == CREDENTIAL {
        let body: CredentialBody = read(resource)?;
        (body.description, body.acl)
    } else {
        let body: SshCredentialBody = read(resource)?;
        (body.description, body.acl)
    };
    let id = resource.id.parse().map_err(|error| AdminError::Damaged(format!("{}: {error}", resource.id)))?;
    Ok(Authtoken { id, account: resource.account, description, acl, created: resource.created.into() })
}

//! Authtokens.

use portway_names::{AccountId, CredentialId};

use crate::error::{Fault, is_unique_violation};
use crate::row::{list, list_text, parsed, text, time};
use crate::sql::{Connection, Row, query};
use crate::{Digest, Store, StoreError, Timestamp, feed};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.id, c.account_id, a.name AS account_name, c.digest, c.acl, c.description, c.metadata, c.created_ms ",
            "FROM credentials c JOIN accounts a ON a.id = c.account_id ",
            $rest
        )
    };
}

const LIST: &str = select!("ORDER BY c.created_ms, c.id");
const BY_ID: &str = select!("WHERE c.id = $1");
const BY_DIGEST: &str = select!("WHERE c.digest = $1");
const ADD: &str = "INSERT INTO credentials (id, account_id, digest, acl, description, metadata, created_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const REMOVE: &str = "DELETE FROM credentials WHERE id = $1 RETURNING id";

/// An authtoken, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// The account it opens sessions for.
    pub account: AccountId,
    /// That account's name; read only.
    pub account_name: String,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// ACL rules in their text form; empty means no restriction.
    pub acl: Vec<String>,
    /// What it is for.
    pub description: String,
    /// The owner's own data.
    pub metadata: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    /// All authtokens of all accounts, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn credentials(&self) -> Result<Vec<Credential>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            all(&mut tx).await
        })
        .await
    }

    /// The authtoken with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn credential(&self, id: &CredentialId) -> Result<Option<Credential>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            find(&mut tx, &id.to_string()).await
        })
        .await
    }

    /// The authtoken with this digest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn credential_by_digest(&self, digest: &Digest) -> Result<Option<Credential>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(BY_DIGEST).bind(digest.to_string()).fetch_optional(&mut tx).await?;
            row.as_ref().map(credential).transpose()
        })
        .await
    }

    /// Adds an authtoken; its account must be there.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the id or digest is there, or when the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn add_credential(&self, credential: &Credential, now: Timestamp) -> Result<(), StoreError> {
        let run = async {
            let mut tx = self.write().await?;
            insert(&mut tx, credential, now).await?;
            tx.commit().await
        };
        run.await.map_err(|fault: Fault| match is_unique_violation(&fault) {
            true => StoreError::Exists { what: "authtoken" },
            false => self.fault(fault),
        })
    }

    /// Ends an authtoken. Returns whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn remove_credential(&self, id: &CredentialId, now: Timestamp) -> Result<bool, StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let removed = remove(&mut tx, &id.to_string(), now).await?;
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Credential>, Fault> {
    query(LIST).fetch_all(connection).await?.iter().map(credential).collect()
}

pub(crate) async fn find(connection: &mut Connection, id: &str) -> Result<Option<Credential>, Fault> {
    let row = query(BY_ID).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(credential).transpose()
}

pub(crate) async fn insert(connection: &mut Connection, credential: &Credential, now: Timestamp) -> Result<(), Fault> {
    query(ADD)
        .bind(credential.id.to_string())
        .bind(credential.account.to_string())
        .bind(credential.digest.to_string())
        .bind(list_text(&credential.acl))
        .bind(&credential.description)
        .bind(&credential.metadata)
        .bind(credential.created.millis())
        .execute(&mut *connection)
        .await?;
    feed::append(connection, &[credential.id.to_string()], now).await?;
    Ok(())
}

pub(crate) async fn remove(connection: &mut Connection, id: &str, now: Timestamp) -> Result<bool, Fault> {
    let removed = query(REMOVE).bind(id).fetch_optional(&mut *connection).await?.is_some();
    if removed {
        feed::append(connection, &[id.to_owned()], now).await?;
    }
    Ok(removed)
}

fn credential(row: &Row) -> Result<Credential, Fault> {
    Ok(Credential {
        id: parsed(row, "id")?,
        account: parsed(row, "account_id")?,
        account_name: text(row, "account_name")?,
        digest: parsed(row, "digest")?,
        acl: list(row, "acl")?,
        description: text(row, "description")?,
        metadata: text(row, "metadata")?,
        created: time(row, "created_ms")?,
    })
}

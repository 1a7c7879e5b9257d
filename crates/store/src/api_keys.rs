//! Keys of the REST interface.

use portway_names::{AccountId, ApiKeyId, UserId};

use crate::error::Fault;
use crate::row::{parsed, text, time};
use crate::sql::{Connection, Row, query};
use crate::{Digest, Store, StoreError, Timestamp};

const BY_DIGEST: &str =
    "SELECT id, account_id, user_id, digest, description, metadata, created_ms FROM api_keys WHERE digest = $1";
const ADD: &str = "INSERT INTO api_keys (id, account_id, user_id, digest, description, metadata, created_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const REMOVE: &str = "DELETE FROM api_keys WHERE id = $1";

/// A key of the REST interface, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The account it acts for.
    pub account: AccountId,
    /// The user whose rights it has.
    pub user: UserId,
    /// SHA-256 of the key.
    pub digest: Digest,
    /// What it is for.
    pub description: String,
    /// The owner's own data.
    pub metadata: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Store {
    /// The key with this digest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn api_key_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(BY_DIGEST).bind(digest.to_string()).fetch_optional(&mut tx).await?;
            row.as_ref().map(api_key).transpose()
        })
        .await
    }
}

pub(crate) async fn insert(connection: &mut Connection, key: &ApiKey) -> Result<(), Fault> {
    query(ADD)
        .bind(key.id.to_string())
        .bind(key.account.to_string())
        .bind(key.user.to_string())
        .bind(key.digest.to_string())
        .bind(&key.description)
        .bind(&key.metadata)
        .bind(key.created.millis())
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn remove(connection: &mut Connection, id: &str) -> Result<(), Fault> {
    query(REMOVE).bind(id).execute(connection).await?;
    Ok(())
}

fn api_key(row: &Row) -> Result<ApiKey, Fault> {
    Ok(ApiKey {
        id: parsed(row, "id")?,
        account: parsed(row, "account_id")?,
        user: parsed(row, "user_id")?,
        digest: parsed(row, "digest")?,
        description: text(row, "description")?,
        metadata: text(row, "metadata")?,
        created: time(row, "created_ms")?,
    })
}

//! Secrets of the installation, sealed by the caller.

use crate::error::{Fault, is_unique_violation};
use crate::row::text;
use crate::sql::query;
use crate::{Store, StoreError};

const GET: &str = "SELECT sealed FROM secrets WHERE name = $1";
const ADD: &str = "INSERT INTO secrets (name, sealed) VALUES ($1, $2)";
const REMOVE: &str = "DELETE FROM secrets WHERE name = $1 AND sealed = $2";
const COUNT: &str = "SELECT name FROM secrets LIMIT 1";

impl Store {
    /// A sealed secret.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn secret(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            let row = query(GET).bind(name).fetch_optional(&mut tx).await?;
            row.as_ref().map(|row| text(row, "sealed")).transpose()
        })
        .await
    }

    /// Whether anything sealed is here: then the key it was sealed with must not be lost.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn has_secrets(&self) -> Result<bool, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            Ok(query(COUNT).fetch_optional(&mut tx).await?.is_some())
        })
        .await
    }

    /// Keeps a sealed secret; one of this name must not be there.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn add_secret(&self, name: &str, sealed: &str) -> Result<(), StoreError> {
        let run = async {
            let mut tx = self.write().await?;
            query(ADD).bind(name).bind(sealed).execute(&mut tx).await?;
            tx.commit().await
        };
        run.await.map_err(|fault: Fault| match is_unique_violation(&fault) {
            true => StoreError::Exists { what: "secret" },
            false => self.fault(fault),
        })
    }

    /// Removes a secret, when it is still sealed as the caller knows it.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn remove_secret(&self, name: &str, sealed: &str) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(REMOVE).bind(name).bind(sealed).execute(&mut tx).await?;
            tx.commit().await
        })
        .await
    }
}

//! Whether the database takes writes, for whoever asks while operations come and go.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Store, StoreError, Timestamp, settings};

/// The setting that [`Store::try_write`] changes. Its value says nothing.
const PROBE: &str = "write_probe";

/// What was last seen of the database. Cheap to clone; it holds no connection, so it may outlive the store.
#[derive(Debug, Clone, Default)]
pub struct Health {
    fault: Arc<Mutex<Option<String>>>,
}

impl Health {
    /// Why the database failed, in words for the operator; `None` while it works. A fault stays until [`Store::try_write`] succeeds: that
    /// another operation went well may only mean that it wrote nothing.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn failed(&self, error: &StoreError) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    fn recovered(&self) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Store {
    /// How the database fares. Every operation that the engine refuses shows in it.
    pub fn health(&self) -> &Health {
        &self.inner.health
    }

    /// Writes a row that means nothing, and lets [`Store::health`] be well again when that succeeds.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn try_write(&self, now: Timestamp) -> Result<(), StoreError> {
        // A value that was there already would not be written.
        let value = now.millis().to_string();
        self.named(async {
            let mut tx = self.write().await?;
            settings::put(&mut tx, PROBE, &value).await?;
            tx.commit().await
        })
        .await?;
        self.inner.health.recovered();
        Ok(())
    }
}

//! Named values of the installation.

use portway_names::HostName;

use crate::error::Fault;
use crate::row::text;
use crate::sql::{Connection, query};
use crate::{Store, StoreError, Timestamp, feed};

const GET: &str = "SELECT value FROM settings WHERE name = $1";
const PUT: &str =
    "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// The setting with the base domain, and the id of the resource that edges follow.
pub(crate) const BASE_DOMAIN: &str = "base_domain";
/// Id of the settings among the resources.
pub(crate) const RESOURCE: &str = "settings";

impl Store {
    /// A named value.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            get(&mut tx, name).await
        })
        .await
    }

    /// Sets a named value. Edges do not follow it.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            put(&mut tx, name, value).await?;
            tx.commit().await
        })
        .await
    }

    /// The base domain; none before a server was started.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn base_domain(&self) -> Result<Option<HostName>, StoreError> {
        self.named(async {
            let found = get(&mut self.reader().await?, BASE_DOMAIN).await?;
            let read = |text: String| text.parse().map_err(|error| Fault::Damaged(format!("{BASE_DOMAIN}: {error}")));
            found.map(read).transpose()
        })
        .await
    }

    /// Sets the base domain that edges follow; nothing is written when it is that already.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_base_domain(&self, base_domain: &str, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            if get(&mut tx, BASE_DOMAIN).await?.as_deref() == Some(base_domain) {
                return Ok(());
            }
            put(&mut tx, BASE_DOMAIN, base_domain).await?;
            feed::append(&mut tx, &[RESOURCE.to_owned()], now).await?;
            tx.commit().await
        })
        .await
    }
}

pub(crate) async fn get(connection: &mut Connection, name: &str) -> Result<Option<String>, Fault> {
    let row = query(GET).bind(name).fetch_optional(connection).await?;
    row.as_ref().map(|row| text(row, "value")).transpose()
}

pub(crate) async fn put(connection: &mut Connection, name: &str, value: &str) -> Result<(), Fault> {
    query(PUT).bind(name).bind(value).execute(connection).await?;
    Ok(())
}

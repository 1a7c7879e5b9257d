//! Hosts that agents dial.

use std::collections::BTreeSet;

use portway_names::HostName;

use crate::error::Fault;
use crate::row::parsed;
use crate::sql::{Connection, query};
use crate::{Store, StoreError, Timestamp, feed};

const LIST: &str = "SELECT host FROM connect_names ORDER BY host";
const ADD: &str = "INSERT INTO connect_names (host) VALUES ($1)";
const REMOVE: &str = "DELETE FROM connect_names WHERE host = $1";
const BY_HOST: &str = "SELECT host FROM connect_names WHERE host = $1";

/// What the ids of these resources begin with; the host follows.
pub(crate) const PREFIX: &str = "connect:";

impl Store {
    /// The hosts that agents dial.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn connect_names(&self) -> Result<Vec<HostName>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            all(&mut tx).await
        })
        .await
    }

    /// Makes these the hosts that agents dial, and no others; writes only the difference.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_connect_names(&self, hosts: &[HostName], now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            let present: BTreeSet<HostName> = all(&mut tx).await?.into_iter().collect();
            let wanted: BTreeSet<HostName> = hosts.iter().cloned().collect();
            let mut changed = Vec::new();
            for host in present.difference(&wanted) {
                query(REMOVE).bind(host.as_str()).execute(&mut tx).await?;
                changed.push(format!("{PREFIX}{host}"));
            }
            for host in wanted.difference(&present) {
                query(ADD).bind(host.as_str()).execute(&mut tx).await?;
                changed.push(format!("{PREFIX}{host}"));
            }
            feed::append_some(&mut tx, &changed, now).await?;
            tx.commit().await
        })
        .await
    }
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<HostName>, Fault> {
    query(LIST).fetch_all(connection).await?.iter().map(|row| parsed(row, "host")).collect()
}

pub(crate) async fn find(connection: &mut Connection, host: &str) -> Result<Option<HostName>, Fault> {
    let row = query(BY_HOST).bind(host).fetch_optional(connection).await?;
    row.as_ref().map(|row| parsed(row, "host")).transpose()
}

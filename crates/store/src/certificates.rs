//! Certificates that edges present, with their keys sealed by the caller.

use portway_names::TlsCertificateId;

use crate::error::Fault;
use crate::row::{list, list_text, parsed, text, time};
use crate::sql::{Connection, Row, query};
use crate::{Store, StoreError, Timestamp, feed};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, names, chain_pem, sealed_key, connect, not_before_ms, not_after_ms FROM certificates ",
            $rest
        )
    };
}

const LIST: &str = select!("ORDER BY not_before_ms, id");
const BY_ID: &str = select!("WHERE id = $1");
const PUT: &str = "INSERT INTO certificates (id, names, chain_pem, sealed_key, connect, not_before_ms, not_after_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET names = excluded.names, chain_pem = excluded.chain_pem, \
     sealed_key = excluded.sealed_key, connect = excluded.connect, not_before_ms = excluded.not_before_ms, \
     not_after_ms = excluded.not_after_ms";
const REMOVE: &str = "DELETE FROM certificates WHERE id = $1";

/// A certificate that edges present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its id; stays when it is renewed.
    pub id: TlsCertificateId,
    /// Host names, wildcard patterns and addresses it is presented for.
    pub names: Vec<String>,
    /// PEM, leaf first.
    pub chain_pem: String,
    /// The private key, sealed.
    pub sealed_key: String,
    /// For the hosts that agents dial; otherwise for visitors.
    pub connect: bool,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

impl Store {
    /// All certificates.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn certificates(&self) -> Result<Vec<Certificate>, StoreError> {
        self.named(async {
            let mut tx = self.reader().await?;
            all(&mut tx).await
        })
        .await
    }

    /// Adds a certificate, or replaces the one with its id.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn put_certificate(&self, certificate: &Certificate, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(PUT)
                .bind(certificate.id.to_string())
                .bind(list_text(&certificate.names))
                .bind(&certificate.chain_pem)
                .bind(&certificate.sealed_key)
                .bind(certificate.connect)
                .bind(certificate.not_before.millis())
                .bind(certificate.not_after.millis())
                .execute(&mut tx)
                .await?;
            feed::append(&mut tx, &[certificate.id.to_string()], now).await?;
            tx.commit().await
        })
        .await
    }

    /// Removes a certificate.
    ///
    /// # Errors
    /// When the database cannot be written.
    ///
    /// # Cancel safety
    /// It happens or it does not.
    pub async fn remove_certificate(&self, id: &TlsCertificateId, now: Timestamp) -> Result<(), StoreError> {
        self.named(async {
            let mut tx = self.write().await?;
            query(REMOVE).bind(id.to_string()).execute(&mut tx).await?;
            feed::append(&mut tx, &[id.to_string()], now).await?;
            tx.commit().await
        })
        .await
    }
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Certificate>, Fault> {
    query(LIST).fetch_all(connection).await?.iter().map(certificate).collect()
}

pub(crate) async fn find(connection: &mut Connection, id: &str) -> Result<Option<Certificate>, Fault> {
    let row = query(BY_ID).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(certificate).transpose()
}

fn certificate(row: &Row) -> Result<Certificate, Fault> {
    Ok(Certificate {
        id: parsed(row, "id")?,
        names: list(row, "names")?,
        chain_pem: text(row, "chain_pem")?,
        sealed_key: text(row, "sealed_key")?,
        connect: row.get("connect")?,
        not_before: time(row, "not_before_ms")?,
        not_after: time(row, "not_after_ms")?,
    })
}

//! PostgreSQL: its address, connections, locks.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};

use crate::error::Fault;
use crate::sql::answered;

/// Connections at a time. Writes go one after the other; reads are short.
const CONNECTIONS: u32 = 8;
/// How long opening a connection, or waiting for a free one, may take.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a writer waits for another one, in milliseconds.
const LOCK_TIMEOUT: &str = "10000";
/// The oldest server that the statements are tested with.
const OLDEST: u32 = 15;

/// Holds the write lock until the end of the transaction. All writers take it first: then transactions follow each other as they do in
/// SQLite, what one of them reads stays true until it commits, and versions of the feed become visible in their order. The number means
/// nothing ("portway" as ASCII); advisory locks belong to one database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(31647734762529145)";
/// One state of the database for all that is read.
const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What a URL may say after the question mark. An unknown word would be logged with its value, which may be a password.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// `postgres://user:password@host:port/database?sslmode=verify-full`. It may hold a password, so it is never shown: `Debug` is opaque, and
/// what names the database in texts is [`crate::Store::name`].
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

/// A text that is no URL of a PostgreSQL database. It does not repeat the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another engine, or no URL.
    #[error("database_url does not begin with postgres:// or postgresql://; leave it out for the embedded database")]
    Scheme,
    /// A parameter that is not known.
    #[error("a parameter in database_url is not known; known are {}", PARAMETERS.join(", "))]
    Parameter,
    /// Anything else.
    #[error(
        "database_url is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE; other characters than letters and digits in \
             user and password are written as %XX"
    )]
    Malformed,
}

impl DatabaseUrl {
    /// Takes the text as it is; [`DatabaseUrl::check`] says whether it is a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(SecretString::from(url.into()))
    }

    /// Whether this is the URL of a PostgreSQL database.
    ///
    /// # Errors
    /// What does not fit; the text itself is in no error.
    pub fn check(&self) -> Result<(), DatabaseUrlError> {
        self.options().map(drop)
    }

    fn options(&self) -> Result<PgConnectOptions, DatabaseUrlError> {
        let url = self.0.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(DatabaseUrlError::Scheme);
        }
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters).split('&');
        let mut names =
            parameters.filter(|one| !one.is_empty()).map(|one| one.split_once('=').map_or(one, |(name, _)| name));
        if !names.all(|name| PARAMETERS.contains(&name)) {
            return Err(DatabaseUrlError::Parameter);
        }
        let options = PgConnectOptions::from_str(url).map_err(|_| DatabaseUrlError::Malformed)?;
        Ok(options.options([("lock_timeout", LOCK_TIMEOUT), ("timezone", "UTC")]))
    }

    /// The database in words: without user and password.
    pub(crate) fn place(&self) -> String {
        let Ok(options) = self.options() else { return "postgres://?".to_owned() };
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(socket) => format!("postgres:///{database}?host={}", socket.display()),
            None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

/// Two URLs are equal when their texts are.
impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for DatabaseUrl {}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

/// For configuration, where a failure would repeat the text: nothing is refused before [`DatabaseUrl::check`].
impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(url))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Connects, once to see that it works.
pub(crate) async fn open(url: &DatabaseUrl) -> Result<PgPool, Fault> {
    let options = url.options().map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
    // The pool would try for a while where the server refuses, and then only say that it took too long.
    let connection = answered(options.connect()).await?;
    let version = connection.server_version_num().map_or(OLDEST, |version| version / 10_000);
    answered(connection.close()).await?;
    if version < OLDEST {
        return Err(Fault::Unfit(format!("PostgreSQL {version} is older than {OLDEST}")));
    }
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(pool.connect_lazy_with(options))
}

type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// A transaction that holds the write lock.
pub(crate) async fn write(pool: &PgPool) -> Result<Transaction, Fault> {
    let pool = pool.clone();
    whole(async move {
        let mut tx = pool.begin().await?;
        sqlx::query(LOCK).execute(&mut *tx).await?;
        Ok(tx)
    })
    .await
}

/// A transaction that sees one state.
pub(crate) async fn read(pool: &PgPool) -> Result<Transaction, Fault> {
    let pool = pool.clone();
    whole(async move { pool.begin_with(BEGIN_READ).await }).await
}

/// Lets a transaction begin although nobody may wait for it any more. A driver's future dropped between BEGIN and its answer leaves a
/// connection in the pool that the driver believes to be outside of a transaction, and that holds its locks.
fn whole(
    begin: impl Future<Output = Result<Transaction, sqlx::Error>> + Send + 'static,
) -> impl Future<Output = Result<Transaction, Fault>> {
    let begun = tokio::spawn(begin);
    // The task ends early with its runtime only.
    answered(async { begun.await.unwrap_or(Err(sqlx::Error::PoolClosed)) })
}

#[cfg(test)]
mod tests {
    use super::{DatabaseUrl, DatabaseUrlError};

    #[test]
    fn nothing_of_a_password_is_shown() {
        for url in [
            "postgres://me:geheim@db.example:5433/portway",
            "postgres:///portway?host=db.example&port=5433&password=geheim",
        ] {
            let url = DatabaseUrl::new(url);
            url.check().unwrap();
            assert_eq!(url.place(), "postgres://db.example:5433/portway");
            assert!(!format!("{url:?}").contains("geheim"));
        }
        for (url, expected) in [
            ("geheim", DatabaseUrlError::Scheme),
            ("mysql://me:geheim@host/db", DatabaseUrlError::Scheme),
            ("postgres://host/db?passwort=geheim", DatabaseUrlError::Parameter),
            ("postgres://me:geheim#@host:99999/db", DatabaseUrlError::Malformed),
            ("postgres://host/db?sslmode=geheim", DatabaseUrlError::Malformed),
        ] {
            let error = DatabaseUrl::new(url).check().unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("geheim"));
        }
    }
}

//! Statements for either engine: one text, one kind of values, one kind of rows.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Type};

use crate::error::Fault;

/// How long an answer of a database server may take. Statements take milliseconds and wait ten seconds for a lock at most; a network that
/// swallows packets would otherwise hold an operation for a quarter of an hour.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What runs statements.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTransaction(sqlx::Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTransaction(sqlx::Transaction<'static, Postgres>),
}

/// A connection of the engine's own kind.
pub(crate) enum Engine<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection {
    /// For what is not the same on both.
    pub(crate) fn engine(&mut self) -> Engine<'_> {
        match self {
            Connection::Sqlite(connection) => Engine::Sqlite(connection),
            Connection::SqliteTransaction(connection) => Engine::Sqlite(connection),
            Connection::Postgres(connection) => Engine::Postgres(connection),
            Connection::PostgresTransaction(connection) => Engine::Postgres(connection),
        }
    }
}

/// A transaction. Dropping it undoes it.
#[derive(Debug)]
pub(crate) struct Transaction(Connection);

impl Transaction {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Makes everything durable and visible.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        match self.0 {
            Connection::SqliteTransaction(transaction) => Ok(transaction.commit().await?),
            Connection::PostgresTransaction(transaction) => answered(transaction.commit()).await,
            Connection::Sqlite(_) | Connection::Postgres(_) => Ok(()),
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// A value for a statement. Texts must not hold a NUL character: PostgreSQL has none.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bool(bool),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(Some(text.clone()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(Some(number))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// A statement with its values, `$1` first.
#[derive(Debug)]
pub(crate) struct Query {
    sql: &'static str,
    values: Vec<Value>,
}

/// A statement that both engines understand.
pub(crate) fn query(sql: &'static str) -> Query {
    Query { sql, values: Vec::new() }
}

impl Query {
    /// The next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it for its effect; returns the number of rows it touched.
    pub(crate) async fn execute(self, connection: &mut Connection) -> Result<u64, Fault> {
        match connection.engine() {
            Engine::Sqlite(connection) => {
                let done = sqlx::query_with(self.sql, arguments::<SqliteArguments>(self.values)?).execute(connection);
                Ok(Box::pin(done).await?.rows_affected())
            }
            Engine::Postgres(connection) => {
                let done = sqlx::query_with(self.sql, arguments::<PgArguments>(self.values)?).execute(connection);
                Ok(answered(done).await?.rows_affected())
            }
        }
    }

    /// All rows.
    pub(crate) async fn fetch_all(self, connection: &mut Connection) -> Result<Vec<Row>, Fault> {
        match connection.engine() {
            Engine::Sqlite(connection) => {
                let rows = sqlx::query_with(self.sql, arguments::<SqliteArguments>(self.values)?).fetch_all(connection);
                Ok(Box::pin(rows).await?.into_iter().map(Row::Sqlite).collect())
            }
            Engine::Postgres(connection) => {
                let rows = sqlx::query_with(self.sql, arguments::<PgArguments>(self.values)?).fetch_all(connection);
                Ok(answered(rows).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row.
    pub(crate) async fn fetch_optional(self, connection: &mut Connection) -> Result<Option<Row>, Fault> {
        match connection.engine() {
            Engine::Sqlite(connection) => {
                let row = sqlx::query_with(self.sql, arguments::<SqliteArguments>(self.values)?);
                Ok(Box::pin(row.fetch_optional(connection)).await?.map(Row::Sqlite))
            }
            Engine::Postgres(connection) => {
                let row = sqlx::query_with(self.sql, arguments::<PgArguments>(self.values)?);
                Ok(answered(row.fetch_optional(connection)).await?.map(Row::Postgres))
            }
        }
    }

    /// The first row, which must be there.
    pub(crate) async fn fetch_one(self, connection: &mut Connection) -> Result<Row, Fault> {
        self.fetch_optional(connection).await?.ok_or(Fault::Engine(sqlx::Error::RowNotFound))
    }
}

/// A row of either engine.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A column's value.
    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, Fault>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Row::Sqlite(row) => Ok(row.try_get(column)?),
            Row::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

/// Waits for a database server, for a while. What it waits for is boxed at once: the driver's futures have tens of kilobytes.
pub(crate) fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, Fault>> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, Box::pin(answer));
    async {
        match answer.await {
            // The pool tries again while connections are refused; how that ended says only that there is none.
            Err(_) | Ok(Err(sqlx::Error::PoolTimedOut)) => Err(Fault::Silent),
            Ok(answer) => Ok(answer?),
        }
    }
}

fn arguments<A>(values: Vec<Value>) -> Result<A, Fault>
where
    A: Arguments,
    Option<String>: for<'q> sqlx::Encode<'q, A::Database> + Type<A::Database>,
    Option<i64>: for<'q> sqlx::Encode<'q, A::Database> + Type<A::Database>,
    bool: for<'q> sqlx::Encode<'q, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
            Value::Bool(value) => arguments.add(value),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

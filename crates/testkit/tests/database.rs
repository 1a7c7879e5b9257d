//! What happens while the database takes no writes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_server::Settings;
use portway_testkit::{Cluster, HttpUpstream};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a full disk does to a transaction: it fails and is undone by the engine itself.
const REFUSE: [&str; 2] = [
    "CREATE TRIGGER no_edges BEFORE INSERT ON edges BEGIN SELECT RAISE(ROLLBACK, 'no space, says the test'); END",
    "CREATE TRIGGER no_settings BEFORE INSERT ON settings BEGIN SELECT RAISE(ROLLBACK, 'no space, says the test'); END",
];
const ACCEPT: [&str; 2] = ["DROP TRIGGER no_edges", "DROP TRIGGER no_settings"];

async fn execute(database: &Path, statements: [&'static str; 2]) -> Result<()> {
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(database)).await?;
    for statement in statements {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

async fn until_ready(cluster: &Cluster, status: u16) -> Result<String> {
    let asking = async {
        loop {
            let (found, text) = cluster.admin("/readyz").await?;
            if found == status {
                return anyhow::Ok(text);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("/readyz never said {status}"))?
}

#[tokio::test]
async fn readiness_follows_the_database_and_names_come_back_with_it() -> Result<()> {
    let cluster = Cluster::start().await?;
    let upstream = HttpUpstream::start().await?;
    let agent = cluster.agent().connect().await?;
    let served = cluster.url("https", "served");
    let _endpoint = agent.http().url(&served).forward_to(&upstream.url()).await?;
    let database = cluster.data_dir().join("portway.db");

    execute(&database, REFUSE).await?;
    let other = agent.http().url(cluster.url("https", "other"));
    // The agent asks again and again: its answer may come before the database works or after.
    let other =
        tokio::spawn(async move { other.forward_to("http://127.0.0.1:1").await.map(|endpoint| endpoint.url()) });
    let text = until_ready(&cluster, 503).await?;
    assert!(text.starts_with("not ready: the database ") && text.contains("no space, says the test"), "{text}");
    assert_eq!(cluster.admin("/healthz").await?.0, 200);
    assert_eq!(cluster.client().get(&served).await?.status, 200, "visitors are served from the replica");

    execute(&database, ACCEPT).await?;
    assert_eq!(until_ready(&cluster, 200).await?, "ready\n");
    drop(other.await?);
    agent.http().url(cluster.url("https", "third")).forward_to("http://127.0.0.1:1").await?;
    Ok(())
}

#[tokio::test]
async fn a_start_on_a_database_that_takes_no_writes_fails_with_the_reason() -> Result<()> {
    let cluster = Cluster::start().await?;
    let database = cluster.data_dir().join("portway.db");
    let data = cluster.stop().await?;
    execute(&database, REFUSE).await?;
    // Only what is written after the opening fails: the start waits for it.
    let started = tokio::time::timeout(PATIENCE, Cluster::restart(data, Settings::default())).await;
    let error = started.context("the start neither serves nor ends")?.err().context("the server started")?;
    ensure!(error.to_string().contains("no space, says the test"), "{error}");
    Ok(())
}

//! What is PostgreSQL's alone: a server that is away, and what it holds of others.

use portway_store::{DatabaseUrl, SCHEMA_VERSION, Store, StoreError};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::engine::fill;
use crate::postgres::Database;
use crate::{add_credential, credentials};

async fn raw(database: &Database, sql: &'static str) {
    let mut connection = PgConnection::connect(database.url()).await.expect("the database is there");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("valid SQL");
}

#[tokio::test]
async fn other_schemas_are_refused_with_both_versions() {
    let Some(database) = Database::make().await else { return };
    let url = DatabaseUrl::new(database.url());
    let error = Store::connect_existing(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 0, known: SCHEMA_VERSION, .. }), "{error}");
    Store::connect(&url).await.unwrap().close().await;
    Store::connect_existing(&url).await.unwrap().close().await;
    raw(
        &database,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, '', 0)",
    )
    .await;
    for opened in [Store::connect(&url).await, Store::connect_existing(&url).await] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, known: SCHEMA_VERSION, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_named_without_the_password() {
    // A port that nobody listens on: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = DatabaseUrl::new(format!("postgres://me:geheim@127.0.0.1:{port}/portway"));
    let error = Store::connect(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }) && error.is_temporary(), "{error}");
    let (text, debug) = (error.to_string(), format!("{error:?} {url:?}"));
    assert!(text.contains(&format!("postgres://127.0.0.1:{port}/portway")), "{text}");
    assert!(!text.contains("geheim") && !debug.contains("geheim"), "{text} {debug}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_not_made() {
    let Some(database) = Database::make().await else { return };
    let url = database.url().replace("/portway_test_", "/no_portway_test_");
    let error = Store::connect(&DatabaseUrl::new(url)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
}

/// Connections that the server ended are replaced; what was asked for over one of them may fail once.
#[tokio::test]
async fn writes_go_on_when_the_server_has_ended_the_connections() {
    let Some(database) = Database::make().await else { return };
    let store = Store::connect(&DatabaseUrl::new(database.url())).await.unwrap();
    fill(&store).await;
    raw(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    add_credential(&store, 1, 1).await.unwrap();
    assert_eq!(credentials(&store).await.len(), 1);
}

//! A database of an older version becomes one of this version, once, and can be had back.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portway_store::{
    ClaimAnswer, Content, DatabaseUrl, FirstAccount, NewResource, Record, SCHEMA_VERSION, Store, StoreError,
};
use serde_json::{Value, json};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqlSafeStr};

use crate::engine::fill;
use crate::leases::{claim, granted, wish};
use crate::postgres::Database;
use crate::resources::audit;
use crate::{START, TTL, account, account_id, add_credential, credential_id, ksuid, lease_id};

const FIRST: &str = include_str!("../../migrations/0001_first.sql");
const SECOND: &str = include_str!("../../migrations/0002_resources.sql");
const OLD_ACCOUNT: &str = "INSERT INTO accounts (id, name, created_ms) VALUES ($1, 'old', 5)";

/// What the first version of the program made.
fn first_version() -> Migrator {
    let first = Migration::new(1, Cow::Borrowed("first"), MigrationType::Simple, FIRST.into_sql_str(), false);
    Migrator::with_migrations(vec![first])
}

/// What the second version made on an engine that says a mark so.
fn second_version(mark: &str, meaning: &str) -> Migrator {
    let migration = |version, name: &'static str, sql: &str| {
        let sql = AssertSqlSafe(sql.replace(mark, meaning)).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(vec![migration(1, "first", FIRST), migration(2, "resources", SECOND)])
}

async fn old_database(path: &Path) {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    first_version().run(&mut connection).await.unwrap();
    sqlx::query(OLD_ACCOUNT).bind(account_id(9).to_string()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn accounts(path: &Path) -> i64 {
    let url = format!("sqlite:{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM accounts").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn an_old_file_is_copied_and_then_upgraded_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    old_database(&path).await;
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: SCHEMA_VERSION, .. }), "{error}");

    let (first, second) = tokio::join!(Store::open(&path), Store::open(&path));
    let (store, second) = (first.unwrap(), second.unwrap());
    assert_eq!(store.accounts().await.unwrap()[0].id, account_id(9));
    fill(&store).await;
    assert_eq!(second.resource_count(&account_id(9), "domain").await.unwrap(), 0);
    assert_eq!(second.accounts().await.unwrap().len(), 3);

    let copy = dir.path().join("portway.db.schema-1");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(accounts(&copy).await, 1, "the copy is the state before");
    let partial = fs::read_dir(dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0);

    // The second start has nothing to do.
    fs::remove_file(&copy).unwrap();
    Store::open(&path).await.unwrap().close().await;
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_new_file_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(&dir.path().join("portway.db")).await.unwrap().close().await;
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["portway.db"]);
}

/// Where the copy cannot be made, nothing is upgraded.
#[tokio::test]
async fn without_a_copy_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    old_database(&path).await;
    // A folder that is not empty stands where the copy belongs.
    fs::create_dir_all(dir.path().join("portway.db.schema-1/full")).unwrap();
    Store::open(&path).await.unwrap_err();
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, .. }), "{error}");
    fs::remove_dir_all(dir.path().join("portway.db.schema-1")).unwrap();
    Store::open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn an_old_postgres_is_upgraded_once_by_many() {
    let Some(database) = Database::make().await else { return };
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    first_version().run(&mut connection).await.unwrap();
    sqlx::query(OLD_ACCOUNT).bind(account_id(9).to_string()).execute(&mut connection).await.unwrap();
    let url = DatabaseUrl::new(database.url());
    let opened = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::connect(&url).await })
    });
    let mut stores = Vec::new();
    for store in opened.collect::<Vec<_>>() {
        stores.push(store.await.unwrap().unwrap());
    }
    fill(&stores[0]).await;
    add_credential(&stores[1], 1, 1).await.unwrap();
    assert_eq!(stores[2].accounts().await.unwrap().len(), 3);
    assert_eq!(stores[3].resource_count(&account_id(9), "domain").await.unwrap(), 0);
}

/// Statements that fill a database of the second version: two accounts, a user with an API key, authtokens, leases that are held by an edge
/// which is alive, and a first start that nobody has confirmed.
fn of_every_kind() -> String {
    let [first, second] = [1, 2].map(account_id);
    let (user, key) = (ksuid(1), ksuid(2));
    let [token, restricted] = [1, 2].map(|seed| credential_id(seed).to_string());
    let hosts = ["*.wild.example.com", "app.example.com", "c", ""];
    let leases = hosts.iter().zip(1_u8..).map(|(host, seed)| {
        let url = if host.is_empty() { "tcp://example.com:20001".to_owned() } else { format!("tls://{host}") };
        let (id, agent) = (lease_id(seed), "01".repeat(16));
        format!(
            "INSERT INTO leases VALUES ('{id}', '{url}', '{host}', '{first}', '{token}', '{agent}', 'a', 1, 5, NULL);"
        )
    });
    let leases: String = leases.collect();
    let alive = (START + TTL).millis();
    let pending = json!({
        "account": first.to_string(),
        "user": format!("usr_{user}"),
        "credential": token,
        "api_key": format!("ak_{key}"),
    });
    format!(
        r#"INSERT INTO feed VALUES (1, 'first', 7, 7);
        INSERT INTO accounts VALUES ('{first}', 'default', 5), ('{second}', 'other', 6);
        INSERT INTO users VALUES ('usr_{user}', '{first}', 'admin@example.com', '$argon2id$x', 5);
        INSERT INTO api_keys VALUES ('ak_{key}', '{first}', 'usr_{user}', 'd0', 'a ''key''', '', 5);
        INSERT INTO credentials VALUES ('{token}', '{first}', 'd1', '[]', 'made on the "first" start', '', 5),
            ('{restricted}', '{second}', 'd2', '["bind:*.example.com"]', 'ünïcode', 'own {{}}', 8);
        INSERT INTO edges VALUES ('a', {alive});
        {leases}
        INSERT INTO resources VALUES ('rd_1', 'domain', '{second}', 1, '{{}}', TRUE, 5, 5);
        INSERT INTO settings VALUES ('bootstrap', '{pending}');"#
    )
}

async fn what_was_kept_works_as_resources(store: &Store) {
    let [user, membership] = ["usr", "mbr"].map(|prefix| format!("{prefix}_{}", ksuid(1)));
    let found = async |kind: &str, key: &str| {
        let found = store.resource_by_key(kind, key).await.unwrap().unwrap_or_else(|| panic!("no {kind} {key}"));
        let body: Value = serde_json::from_str(&found.body).unwrap();
        (found, body)
    };
    let (found_user, body) = found("user", "admin@example.com").await;
    assert_eq!((&found_user.id, found_user.account, found_user.created.millis()), (&user, account_id(1), 5));
    assert_eq!(body, json!({"email": "admin@example.com", "name": "", "active": true, "password_hash": "$argon2id$x"}));
    let (found_membership, body) = found("membership", &format!("{} {user}", account_id(1))).await;
    assert_eq!((&found_membership.id, found_membership.followed), (&membership, false));
    assert_eq!(body, json!({"user_id": user, "developer": "read-write", "team": "manager", "administrator": true}));
    let (key, body) = found("api_key", "d0").await;
    assert_eq!(
        body,
        json!({
            "description": "a 'key'", "metadata": "", "digest": "d0", "owner_id": user, "membership_id": membership,
        })
    );
    assert_eq!(store.resource_referrers(&membership, 10).await.unwrap()[0].id, key.id);
    assert_eq!(store.resource_referrers(&user, 10).await.unwrap()[0].id, membership);

    let (token, body) = found("credential", "d2").await;
    let acl = ["bind:*.example.com"];
    assert_eq!(
        body,
        json!({"description": "ünïcode", "metadata": "own {}", "acl": acl, "digest": "d2", "owner_id": null})
    );
    assert_eq!((token.id, token.account), (credential_id(2).to_string(), account_id(2)));
    let records = store.snapshot().await.unwrap().records;
    let names = records.iter().filter_map(|record| match record {
        Record::Resource(followed) => Some((followed.resource.id.clone(), followed.account_name.as_str())),
        _ => None,
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    let [first, second] = [1, 2].map(|seed| credential_id(seed).to_string());
    assert_eq!(names, [(first, "default"), (second, "other"), ("rd_1".to_owned(), "other")]);
    assert_eq!(store.feed().await.unwrap().version, 7, "edges have all of it already");
}

async fn leases_hold_as_before(store: &Store) {
    for url in [
        "https://x.y.wild.example.com",
        "https://*.wild.example.com",
        "https://app.example.com",
        "https://*.example.com",
        "http://c",
        "https://*.c",
        "tcp://example.com:20001",
    ] {
        assert_eq!(claim(store, wish(2, 9, url), START).await, ClaimAnswer::Taken, "{url}");
    }
    granted(store, wish(2, 9, "https://wild.example.com"), START).await;
    granted(store, wish(1, 9, "https://x.wild.example.com"), START).await;
}

/// A start of the new version goes on where one of the old version was killed.
async fn the_first_start_is_finished(store: &Store) {
    let content = Content { body: "{}".to_owned(), keys: vec!["admin@example.com".to_owned()], ..Content::default() };
    let (id, kind) = ("usr_new".to_owned(), "user".to_owned());
    let user = NewResource { id, kind, account: account_id(7), followed: false, content };
    let first = FirstAccount { account: account(7), resources: vec![user], audit: audit("create") };
    assert_eq!(store.put_first_account(&first, START).await.unwrap(), Some(account_id(1)));
    for (kind, key) in [("api_key", "d0"), ("credential", "d1")] {
        assert_eq!(store.resource_by_key(kind, key).await.unwrap(), None, "{kind}");
    }
    assert_eq!(store.resource_by_key("user", "admin@example.com").await.unwrap().unwrap().id, "usr_new");
    assert_eq!(store.resource_count(&account_id(1), "membership").await.unwrap(), 0);
    assert!(store.resource_by_key("credential", "d2").await.unwrap().is_some());
}

async fn everything_is_there(store: &Store) {
    what_was_kept_works_as_resources(store).await;
    leases_hold_as_before(store).await;
    the_first_start_is_finished(store).await;
}

#[tokio::test]
async fn a_file_of_the_second_version_keeps_all_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("portway.db");
    let mut connection = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    second_version("/* in key order */", "WITHOUT ROWID").run(&mut connection).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(of_every_kind())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    everything_is_there(&Store::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_postgres_of_the_second_version_keeps_all_it_has() {
    let Some(database) = Database::make().await else { return };
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    second_version("TEXT /* by bytes */", "TEXT COLLATE \"C\"").run(&mut connection).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(of_every_kind())).execute(&mut connection).await.unwrap();
    everything_is_there(&Store::connect(&DatabaseUrl::new(database.url())).await.unwrap()).await;
}

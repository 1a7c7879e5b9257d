//! Resources in an SQLite file, few and many: a page, a lookup, a creation, the reservation of a host name and a claim must not depend on how many
//! there are.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use portway_names::{AccountId, CredentialId, Ksuid, LeaseId};
use portway_store::{Account, Audit, Claim, ClaimAnswer, Content, NewResource, Store, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::runtime::Runtime;

const SIZES: [u64; 2] = [1_000, 1_000_000];
const ACCOUNTS: u64 = 10;
/// Resources on a page, as the REST API gives by default.
const PAGE: u32 = 100;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn account(number: u64) -> AccountId {
    AccountId::new(Ksuid::from_parts(NOW.unix_secs(), [u8::try_from(number).expect("few accounts"); 16]))
}

/// Ids grow with time, as those of real resources do; keys are scattered, as names are.
fn id(number: u64) -> String {
    format!("rd_{number:027}")
}

fn key(number: u64) -> String {
    format!("{:08X}.example.com", number * 2_654_435_761 % (1 << 32))
}

/// A database with this many resources, each with a key and an entry of the audit log.
async fn filled(path: &Path, size: u64) -> Store {
    let store = Store::open(path).await.expect("a database");
    store.begin_feed("bench").await.expect("writable");
    let mut accounts = String::new();
    for number in 0..ACCOUNTS {
        let (name, description) = (number.to_string(), String::new());
        let account = Account { id: account(number), name, description, suspended: false, created: NOW };
        store.add_account(&account, &Audit::default()).await.expect("writable");
        accounts.push_str(&format!(" WHEN {number} THEN '{}'", account.id));
    }
    store.close().await;
    let account = format!("CASE i % {ACCOUNTS}{accounts} END");
    let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {size})");
    let id = "printf('rd_%027d', i)";
    let body = "printf('{\"id\":\"%d\",\"description\":\"%s\"}', i, hex(zeroblob(120)))";
    let key = "printf('%08X.example.com', i * 2654435761 % 4294967296)";
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.expect("a database");
    for (table, columns) in [
        ("resources", format!("{id}, 'domain', {account}, 1, {body}, FALSE, 1, 1")),
        ("resource_keys", format!("'domain', {key}, {account}, {id}")),
        (
            "reserved_hosts",
            format!("'com.example.' || lower(printf('%08X', i * 2654435761 % 4294967296)), {account}, {id}"),
        ),
        (
            "audit (seq, account_id, at_ms, who, address, action, kind, id, before_json, after_json)",
            format!("i + 1 + {ACCOUNTS}, {account}, 1, 'ak_1', '192.0.2.1', 'create', 'domain', {id}, NULL, {body}"),
        ),
    ] {
        let insert = format!("INSERT INTO {table} {numbers} SELECT {columns} FROM n");
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut connection).await.expect("valid SQL");
    }
    connection.close().await.expect("closed");
    Store::open(path).await.expect("the same database")
}

/// Of a name that nobody has.
fn claim(number: u64) -> Claim {
    let mut payload = [0; 16];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    let ksuid = Ksuid::from_parts(NOW.unix_secs(), payload);
    Claim {
        id: LeaseId::new(ksuid),
        url: format!("https://m{number}.example.com").parse().expect("a URL"),
        account: account(number % ACCOUNTS),
        credential: CredentialId::new(ksuid),
        agent: payload.to_vec(),
        edge: "edge".parse().expect("an edge"),
        holder_offline: false,
    }
}

fn resources(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let next = AtomicU64::new(1);
    // Another place each time.
    let any = |size: u64| next.fetch_add(1, Ordering::Relaxed) * 7_919 % size;
    let mut group = criterion.benchmark_group("resources");
    group.sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for size in SIZES {
        let store = runtime.block_on(filled(&dir.path().join(format!("{size}.db")), size));
        group.bench_function(BenchmarkId::new("first page", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let page = store.resources(&account(any(ACCOUNTS)), "domain", None, PAGE).await.expect("readable");
                assert_eq!(page.len(), 100);
            });
        });
        group.bench_function(BenchmarkId::new("next page", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let before = id(size - 1 - any(size / 100));
                let page = store.resources(&account(any(ACCOUNTS)), "domain", Some(&before), PAGE - 20).await;
                assert_eq!(page.expect("readable").len(), 80);
            });
        });
        group.bench_function(BenchmarkId::new("by key", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let found = store.resource_by_key("domain", &key(any(size))).await.expect("readable");
                assert!(found.is_some());
            });
        });
        group.bench_function(BenchmarkId::new("create", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let number = 10 * SIZES[1] + next.fetch_add(1, Ordering::Relaxed);
                let content = Content { body: "{}".to_owned(), keys: vec![key(number)], ..Content::default() };
                let (kind, account) = ("domain".to_owned(), account(number % ACCOUNTS));
                let new = NewResource { id: id(number), kind, account, followed: false, content };
                store.create_resource(&new, &Audit::default(), NOW).await.expect("writable")
            });
        });
        group.bench_function(BenchmarkId::new("reserve", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let number = 20 * SIZES[1] + next.fetch_add(1, Ordering::Relaxed);
                let host = format!("n{number}.example.com").parse().expect("a host");
                let content = Content { body: "{}".to_owned(), host: Some(host), ..Content::default() };
                let (kind, account) = ("domain".to_owned(), account(number % ACCOUNTS));
                let new = NewResource { id: id(number), kind, account, followed: false, content };
                store.create_resource(&new, &Audit::default(), NOW).await.expect("writable")
            });
        });
        group.bench_function(BenchmarkId::new("claim 256", size), |bencher| {
            bencher.to_async(&runtime).iter(async || {
                let claims: Vec<Claim> = (0..256).map(|_| claim(next.fetch_add(1, Ordering::Relaxed))).collect();
                let answers = store.claim(&claims, NOW, Duration::from_secs(60)).await.expect("writable");
                assert!(matches!(answers[0], ClaimAnswer::Granted(_)));
            });
        });
        runtime.block_on(store.close());
    }
    group.finish();
}

criterion_group!(benches, resources);
criterion_main!(benches);

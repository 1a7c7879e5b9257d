//! A process that is killed while it writes: what it acknowledged is there, and nothing is there by half.
//!
//! The process is this test again, told by a variable to be the one that writes. Its clients say on stdout what the store has acknowledged.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::process::{Command, Stdio};

use portway_store::{Content, InUse, NewResource, Store};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::engine::Engine;
use crate::resources::{audit, content};
use crate::{START, account_id};

/// Where the writing process finds its database: a path or a URL.
const DATABASE: &str = "PORTWAY_CRASH_DATABASE";
/// Which time it is, so that its ids are new.
const ROUND: &str = "PORTWAY_CRASH_ROUND";
const ROUNDS: usize = 10;
const CLIENTS: usize = 8;
const KIND: &str = "domain";
/// What all others refer to.
const ANCHOR: &str = "rd_anchor";
/// Before what the process acknowledged, among other things that a test process prints.
const SAID: &str = "acknowledged ";

#[tokio::test]
async fn a_file_survives_kills() {
    match env::var(DATABASE) {
        Ok(path) => write(Store::open(path.as_ref()).await.unwrap()).await,
        Err(_) => kill_and_look(&Engine::file(), "crash::a_file_survives_kills").await,
    }
}

#[tokio::test]
async fn a_server_survives_kills_of_its_client() {
    match env::var(DATABASE) {
        Ok(url) => write(Store::connect(&url.as_str().into()).await.unwrap()).await,
        Err(_) => {
            let Some(engine) = Engine::postgres().await else { return };
            kill_and_look(&engine, "crash::a_server_survives_kills_of_its_client").await;
        }
    }
}

/// Writes with several clients until it is killed.
async fn write(store: Store) {
    let round = env::var(ROUND).unwrap();
    let clients = (0..CLIENTS).map(|client| {
        let (store, round) = (store.clone(), round.clone());
        tokio::spawn(async move {
            for number in 0.. {
                live(&store, &format!("rd_{round}_{client}_{number}"), number % 3 == 0).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

/// The life of one resource.
async fn live(store: &Store, id: &str, short: bool) {
    let account = account_id(1);
    let new = NewResource { id: id.to_owned(), kind: KIND.to_owned(), account, followed: true, content: first(id) };
    store.create_resource(&new, &audit("create"), START).await.unwrap();
    say("create", id);
    store.update_resource(&account, KIND, id, 1, &second(id), &audit("update"), START).await.unwrap();
    say("update", id);
    if short {
        store.delete_resource(&account, KIND, id, InUse::Refuse, &audit("delete"), START).await.unwrap();
        say("delete", id);
    }
}

fn first(id: &str) -> Content {
    content("1", &[&format!("{id} first"), id], &[ANCHOR])
}

fn second(id: &str) -> Content {
    content("2", &[&format!("{id} second"), id], &[ANCHOR])
}

fn say(action: &str, id: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{SAID}{action} {id}").unwrap();
    out.flush().unwrap();
}

async fn kill_and_look(engine: &Engine, test: &'static str) {
    let database = match engine {
        Engine::File(dir) => dir.path().join("portway.db").display().to_string(),
        Engine::Postgres(database) => database.url().to_owned(),
        Engine::Memory => panic!("nothing survives in memory"),
    };
    let store = engine.filled().await;
    let anchor = NewResource {
        id: ANCHOR.to_owned(),
        kind: KIND.to_owned(),
        account: account_id(1),
        followed: true,
        content: content("2", &["second", ANCHOR], &[ANCHOR]),
    };
    store.create_resource(&anchor, &audit("create"), START).await.unwrap();
    store.close().await;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let database = database.clone();
        // A few writes into the work, and in another moment each time.
        let enough = 5 + 13 * round;
        let more = tokio::task::spawn_blocking(move || one_life(test, &database, round, enough)).await.unwrap();
        assert!(more.len() >= enough, "it wrote");
        acknowledged.extend(more);
        let store = engine.open().await;
        look(engine, &store, &acknowledged).await;
        store.close().await;
    }
}

/// Lets a process write until it has acknowledged that much, kills it, and returns all that it acknowledged.
fn one_life(test: &str, database: &str, round: usize, enough: usize) -> Vec<(String, String)> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(DATABASE, database).env(ROUND, round.to_string());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    // A line without its end is one that was not said.
    while output.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        if let Some((action, id)) = line.trim_end().strip_prefix(SAID).and_then(|said| said.split_once(' ')) {
            acknowledged.push((action.to_owned(), id.to_owned()));
        }
        if acknowledged.len() == enough {
            process.kill().unwrap();
        }
        line.clear();
    }
    process.wait().unwrap();
    acknowledged
}

async fn look(engine: &Engine, store: &Store, acknowledged: &[(String, String)]) {
    // Waits for a transaction that a server still commits for the killed process.
    store.try_write(START).await.unwrap();
    let lives = lives(store).await;
    for (action, id) in acknowledged {
        assert!(lives.get(id).is_some_and(|actions| actions.contains(action)), "{action} of {id} is lost");
    }
    let mut alive = 0;
    for (id, actions) in &lives {
        let found = store.resource(&account_id(1), KIND, id).await.unwrap();
        let (version, key) = match actions.last().map(String::as_str) {
            Some("create") if id != ANCHOR => (1, format!("{id} first")),
            Some("create") => (1, "second".to_owned()),
            Some("update") => (2, format!("{id} second")),
            _ => {
                assert_eq!(found, None);
                continue;
            }
        };
        alive += 1;
        let found = found.unwrap_or_else(|| panic!("{id} is lost after {actions:?}"));
        assert!(found.version == version && (found.body == version.to_string() || id == ANCHOR), "{found:?}");
        for key in [key.as_str(), id.as_str()] {
            assert_eq!(store.resource_by_key(KIND, key).await.unwrap().as_ref(), Some(&found), "{key}");
        }
    }
    let changes: usize = lives.values().map(Vec::len).sum();
    assert_eq!(store.feed().await.unwrap().version, changes as u64, "each change is announced");
    for (sql, expected) in [
        ("SELECT count(*) FROM resources", alive),
        ("SELECT count(*) FROM resource_keys", 2 * alive),
        ("SELECT count(*) FROM resource_refs WHERE target = 'rd_anchor'", alive),
        ("SELECT count(*) FROM outbox", i64::try_from(changes).unwrap()),
    ] {
        assert_eq!(count(engine, sql).await, expected, "{sql}");
    }
}

/// What the audit log says of each resource, oldest first.
async fn lives(store: &Store) -> BTreeMap<String, Vec<String>> {
    let mut lives: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut before = None;
    loop {
        let page = store.audit_log(&account_id(1), before, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        for entry in page.into_iter().filter(|entry| entry.kind == KIND) {
            lives.entry(entry.id).or_default().insert(0, entry.audit.action);
        }
    }
    lives
}

async fn count(engine: &Engine, sql: &'static str) -> i64 {
    match engine {
        Engine::File(dir) => {
            let url = format!("sqlite:{}", dir.path().join("portway.db").display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        }
        Engine::Postgres(database) => {
            let mut connection = PgConnection::connect(database.url()).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        }
        Engine::Memory => panic!("nothing survives in memory"),
    }
}

//! A PostgreSQL for tests: the one at `PORTWAY_TEST_POSTGRES_URL`, or a private one in a temporary folder, started once for each test
//! process from the system's programs and gone with it. Each test has a database of its own in it.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

/// Nobody: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// Starts a cluster that listens on a socket in its folder only, says so, and removes everything when its stdin ends: that happens in
/// every way in which a test process can end. The language of the databases is one that does not order by bytes, as is usual.
const SCRIPT: &str = r#"
export LC_ALL=C
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --locale-provider=icu --icu-locale=en-US --no-sync >"$2/log" 2>&1 &&
"$1/pg_ctl" -D "$2/data" -l "$2/log" -w -t 120 start >>"$2/log" 2>&1 \
    -o "-k $2 -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=300" &&
echo ready
exec >/dev/null
read -r _
"$1/pg_ctl" -D "$2/data" -m immediate stop
rm -rf "$2"
"#;

static SERVER: LazyLock<Option<Server>> = LazyLock::new(Server::find);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A server where databases can be made.
struct Server {
    /// Of a database that is there.
    url: String,
    /// Its stdin ends with this process.
    _watcher: Option<Child>,
}

/// An empty database. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Database {
    name: String,
    url: String,
}

impl Database {
    /// Makes a database. None, and a line that says so, when there is no PostgreSQL on this machine.
    pub(crate) async fn make() -> Option<Self> {
        // The first one waits for the server to start.
        let server = tokio::task::spawn_blocking(|| SERVER.as_ref()).await.expect("the server starts");
        let Some(server) = server else {
            println!("skipped: needs PostgreSQL 15 or newer; install it with apt-get install postgresql");
            return None;
        };
        let name = format!("portway_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        run(&server.url, format!("CREATE DATABASE {name}")).await;
        Some(Self { url: with_database(&server.url, &name), name })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(server) = SERVER.as_ref() else { return };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // This may be inside of a runtime, which must not be blocked by another one.
        let dropping = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(&server.url, statement));
        });
        let _ = dropping.join();
    }
}

impl Server {
    fn find() -> Option<Self> {
        if let Ok(url) = env::var("PORTWAY_TEST_POSTGRES_URL") {
            return Some(Self { url, _watcher: None });
        }
        let programs = programs()?;
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&programs).arg(&folder).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Of its own, so that an interrupt from the keyboard does not end it before it has cleaned up.
        command.process_group(0);
        if fs::metadata(&folder).expect("the folder is there").uid() == 0 {
            chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may give a folder away");
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut watcher = command.spawn().expect("sh is there");
        let mut said = String::new();
        let output = watcher.stdout.take().expect("stdout is piped");
        BufReader::new(output).read_line(&mut said).expect("the output is text");
        if said != "ready\n" {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("PostgreSQL from {} does not start:\n{log}", programs.display());
        }
        let url = format!("postgres:///postgres?host={}&user=postgres", folder.display());
        Some(Self { url, _watcher: Some(watcher) })
    }
}

/// The folder with the newest `initdb` and `pg_ctl`.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            (version >= 15).then(|| (version, path.join("bin")))
        })
        .collect();
    folders.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let complete = |folder: &Path| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().rev().map(|(_, folder)| folder).chain(env::split_paths(&path)).find(|folder| complete(folder))
}

async fn run(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.expect("the server answers");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("the user may make databases");
    connection.close().await.expect("a close");
}

/// The URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut parts: Vec<&str> = place.splitn(4, '/').collect();
    parts.truncate(3);
    format!("{}/{name}?{parameters}", parts.join("/"))
}

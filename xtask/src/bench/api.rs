//! `cargo xtask bench api`: what the REST API does in a second on each database, and how soon the edge does what a call changed.
//!
//! Domains are created by as many clients as are asked for at the same time, each over a connection that it keeps, until there are as many
//! as a large installation has. Then they are read. The time until the edge obeys is measured with them and with connected agents.

mod caller;
mod effects;
mod postgres;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

pub(super) use self::caller::Caller;
use self::postgres::Postgres;
use super::load::{Load, Requests};
use super::portway::Portway;
use super::{Options, report};
use crate::workspace::Workspace;

/// Clients at a time, each with a connection of its own.
const CLIENTS: usize = 32;

/// How much there is of everything.
#[derive(Clone, Copy)]
struct Size {
    domains: usize,
    sessions: u32,
    /// Seconds of each measurement of reads.
    reading: Duration,
    /// Changes of each kind that the edge is watched for.
    changes: usize,
}

impl Size {
    fn of(options: &Options) -> Self {
        let reading = Duration::from_secs(options.seconds);
        match options.quick {
            true => Self { domains: 2_000, sessions: 200, reading: Duration::from_secs(1), changes: 10 },
            false => Self { domains: 100_000, sessions: 10_000, reading, changes: 100 },
        }
    }
}

/// A line of the report. Times are in milliseconds.
struct Row {
    what: String,
    per_second: Option<f64>,
    p50: f64,
    p99: f64,
    /// What the 99th of 100 should not be above.
    wanted: Option<f64>,
}

/// Runs the bench.
pub(super) fn run(workspace: &Workspace, options: &Options, programs: &Path, scratch: &Path) -> Result<()> {
    let size = Size::of(options);
    let load = Load::new(scratch)?;
    let (program, agents) = (programs.join("portway"), programs.join("examples/idle_agents"));
    let mut rows = Vec::new();

    let folder = made(scratch, "sqlite")?;
    let server = Portway::start(&program, &folder)?;
    throughput("SQLite", &server, &load, size, &mut rows)?;
    println!("connecting {} agents", size.sessions);
    let held = server.hold(&agents, "tcp", size.sessions)?;
    effects::measure(&server, size.changes, &mut rows)?;
    drop((held, server));

    let folder = made(scratch, "postgres")?;
    // PostgreSQL runs as nobody, and has to get to its folder.
    fs::set_permissions(scratch, Permissions::from_mode(0o711)).context("opening the way to a folder")?;
    match Postgres::start(&folder)? {
        Ok(postgres) => {
            let server = Portway::start_on(&program, &folder, postgres.url())?;
            throughput("PostgreSQL", &server, &load, size, &mut rows)?;
        }
        Err(why) => println!("skipped: PostgreSQL: {why}"),
    }

    print(&rows, size);
    if let Some(file) = &options.json {
        let document = json(workspace, &rows, size);
        fs::write(file, format!("{document:#}\n")).with_context(|| format!("writing {}", file.display()))?;
        println!("all values are in {}", file.display());
    }
    Ok(())
}

fn made(scratch: &Path, name: &str) -> Result<PathBuf> {
    let folder = scratch.join(name);
    fs::create_dir(&folder).context("making a folder")?;
    Ok(folder)
}

/// Creates the domains, and reads one and a page of them over and over.
fn throughput(engine: &str, server: &Portway, load: &Load, size: Size, rows: &mut Vec<Row>) -> Result<()> {
    println!("{engine}: creating {} domains", size.domains);
    rows.push(create(server, size.domains, format!("{engine}: create a domain"))?);
    let newest = Caller::new(server)?.call("GET", "/reserved_domains?limit=1", None)?;
    let id = newest["reserved_domains"][0]["id"].as_str().context("a list without domains")?.to_owned();
    println!("{engine}: reading");
    let headers = [format!("Authorization: Bearer {}", server.fact("api_key")?), "Ngrok-Version: 2".to_owned()];
    for (what, path) in [
        ("read one domain", format!("/reserved_domains/{id}")),
        ("read a page of 10", "/reserved_domains?limit=10".to_owned()),
        ("read a page of 100", "/reserved_domains?limit=100".to_owned()),
    ] {
        let url = format!("{}{path}", server.fact("api_url")?);
        let read = load.requests_with(&url, CLIENTS, size.reading, &headers)?;
        if read.errors > 0 {
            bail!("{engine}: {what}: {} errors", read.errors);
        }
        rows.push(Row::of_requests(format!("{engine}: {what}"), &read));
    }
    Ok(())
}

/// Creates so many domains with all clients together.
fn create(server: &Portway, count: usize, what: String) -> Result<Row> {
    let next = AtomicUsize::new(0);
    let client = || -> Result<Vec<Duration>> {
        let mut caller = Caller::new(server)?;
        let mut times = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(times);
            }
            let body = json!({"domain": format!("d{number}.bench.example")});
            let start = Instant::now();
            caller.call("POST", "/reserved_domains", Some(&body))?;
            times.push(start.elapsed());
        }
    };
    let start = Instant::now();
    let times: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect()
    });
    let per_second = count as f64 / start.elapsed().as_secs_f64();
    Ok(Row { per_second: Some(per_second), ..Row::of_times(what, times?.concat()) })
}

impl Row {
    fn of_times(what: String, mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |share: f64| {
            let index = (times.len() as f64 * share).ceil() as usize;
            times.get(index.saturating_sub(1)).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
        };
        Self { what, per_second: None, p50: at(0.5), p99: at(0.99), wanted: None }
    }

    fn of_requests(what: String, read: &Requests) -> Self {
        Self { what, per_second: Some(read.per_second()), p50: read.p50 / 1000.0, p99: read.p99 / 1000.0, wanted: None }
    }
}

fn print(rows: &[Row], size: Size) {
    println!("\n{CLIENTS} clients, {} domains; edge with {} agents connected", size.domains, size.sessions);
    println!("{:<52} {:>10} {:>10} {:>10}  goal", "", "per second", "p50, ms", "p99, ms");
    for row in rows {
        let per_second = row.per_second.map_or_else(String::new, |value| format!("{value:.0}"));
        let goal = row.wanted.map_or_else(String::new, |wanted| {
            format!("p99 <= {wanted:.0}: {}", if row.p99 <= wanted { "met" } else { "MISSED" })
        });
        println!("{:<52} {per_second:>10} {:>10.2} {:>10.2}  {goal}", row.what, row.p50, row.p99);
    }
}

fn json(workspace: &Workspace, rows: &[Row], size: Size) -> Value {
    let row = |row: &Row| json!({"what": row.what, "per_second": row.per_second, "p50_ms": row.p50, "p99_ms": row.p99, "p99_wanted_ms": row.wanted});
    json!({
        "machine": report::machine(workspace),
        "clients": CLIENTS,
        "domains": size.domains,
        "sessions": size.sessions,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let row = Row::of_times("x".to_owned(), times);
        assert_eq!((row.p50, row.p99), (100.0, 198.0));
    }
}

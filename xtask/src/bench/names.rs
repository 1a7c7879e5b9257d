//! `cargo xtask bench names`: DNS answers and TLS handshakes of a server, and what many certificates cost.
//!
//! Everything is asked of the server as it is run: a query over UDP for another name each time, and whole handshakes with names that have a
//! certificate of their own, when there are ten of them and when there are a hundred thousand. What counts is the server's CPU time for each.

mod dns;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::api::Caller;
use super::portway::Portway;
use super::{Options, report};
use crate::workspace::Workspace;

/// Certificates of a small installation.
const FEW: usize = 10;
/// Clients that upload certificates at the same time.
const UPLOADERS: usize = 8;
/// How much more CPU a handshake may take with many certificates than with few.
const HANDSHAKE_LIMIT: f64 = 1.3;

/// Something that was done over and over.
struct Row {
    what: String,
    per_second: f64,
    /// For each second of the server's CPU time.
    per_core: f64,
    p50_us: f64,
    p99_us: f64,
}

/// What a client counted.
struct Counted {
    done: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Runs the bench.
pub(super) fn run(workspace: &Workspace, options: &Options, programs: &Path, scratch: &Path) -> Result<()> {
    let many = if options.quick { 2_000 } else { 100_000 };
    let time = Duration::from_secs(if options.quick { 1 } else { options.seconds.max(5) });
    let rounds = if options.quick { 1 } else { options.rounds };
    let server = Portway::start(&programs.join("portway"), scratch)?;
    let certificate = Certificate::make(scratch)?;
    let handshakes = programs.join("examples/handshakes");
    let mut rows = Vec::new();

    println!("DNS");
    let dns = server.fact("dns_addr")?.parse().context("an address")?;
    let base = server.fact("base_domain")?;
    rows.push(best(rounds, || measure(&server, "DNS answers", time, || dns::ask(dns, base, time)))?);

    let mut uploaded = 0;
    let mut memory = Vec::new();
    for count in [FEW, many] {
        println!("handshakes with {count} certificates");
        let before = server.server.pss();
        certificate.upload(&server, uploaded..count)?;
        memory.push((server.server.pss().saturating_sub(before)) as f64 / (count - uploaded) as f64);
        uploaded = count;
        let what = format!("TLS handshakes, {count} certificates");
        let shake = || certificate.handshakes(&handshakes, &server, count, time);
        rows.push(best(rounds, || measure(&server, &what, time, shake))?);
    }
    let ratio = rows[1].per_core / rows[2].per_core;
    let each = memory[1] / 1024.0;
    print(&rows, ratio, each, many);
    if let Some(file) = &options.json {
        let row = |row: &Row| json!({"what": row.what, "per_second": row.per_second, "per_core": row.per_core, "p50_us": row.p50_us, "p99_us": row.p99_us});
        let document = json!({
            "machine": report::machine(workspace),
            "rows": rows.iter().map(row).collect::<Vec<_>>(),
            "handshake_ratio": ratio,
            "certificate_kib": each,
        });
        fs::write(file, format!("{document:#}\n")).with_context(|| format!("writing {}", file.display()))?;
        println!("all values are in {}", file.display());
    }
    Ok(())
}

/// The round in which the server needed least: what else the machine does only adds.
fn best(rounds: usize, mut round: impl FnMut() -> Result<Row>) -> Result<Row> {
    let mut best = round()?;
    for _ in 1..rounds {
        let row = round()?;
        if row.per_core > best.per_core {
            best = row;
        }
    }
    Ok(best)
}

fn measure(server: &Portway, what: &str, time: Duration, work: impl FnOnce() -> Result<Counted>) -> Result<Row> {
    let before = server.server.cpu();
    let Counted { done, p50_us, p99_us } = work()?;
    let spent = server.server.cpu().saturating_sub(before);
    let (per_second, per_core) = (done / time.as_secs_f64(), done / spent.as_secs_f64());
    Ok(Row { what: what.to_owned(), per_second, per_core, p50_us, p99_us })
}

/// A certificate for all names of the bench, with its key; PEM. Each upload of it is a certificate of its own to the server.
struct Certificate {
    chain: String,
    key: String,
    file: std::path::PathBuf,
}

impl Certificate {
    fn make(scratch: &Path) -> Result<Self> {
        let (file, key) = (scratch.join("names.pem"), scratch.join("names-key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
        openssl.args(["-subj", "/CN=names", "-addext", "subjectAltName=DNS:*.names.example"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(&key).arg("-out").arg(&file);
        let made = openssl.output().context("starting openssl")?;
        if !made.status.success() {
            bail!("openssl: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        Ok(Self { chain: fs::read_to_string(&file)?, key: fs::read_to_string(&key)?, file })
    }

    /// Uploads it once for each of these names, and reserves the name with it.
    fn upload(&self, server: &Portway, numbers: std::ops::Range<usize>) -> Result<()> {
        let next = AtomicUsize::new(numbers.start);
        let uploader = || -> Result<()> {
            let mut caller = Caller::new(server)?;
            let certificate = json!({"certificate_pem": self.chain, "private_key_pem": self.key});
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return Ok(());
                }
                let made = caller.call("POST", "/tls_certificates", Some(&certificate))?;
                let domain = json!({"domain": format!("n{number}.names.example"), "certificate_id": made["id"]});
                caller.call("POST", "/reserved_domains", Some(&domain))?;
            }
        };
        thread::scope(|scope| {
            let uploaders: Vec<_> = (0..UPLOADERS).map(|_| scope.spawn(uploader)).collect();
            uploaders.into_iter().try_for_each(|uploader| uploader.join().expect("an uploader does not panic"))
        })
    }

    fn handshakes(&self, program: &Path, server: &Portway, count: usize, time: Duration) -> Result<Counted> {
        let mut command = Command::new(program);
        command.args([server.fact("https_addr")?, &count.to_string(), &time.as_secs().to_string()]);
        let output = command.env("PORTWAY_CA", &self.file).output().context("starting handshakes")?;
        if !output.status.success() {
            bail!("handshakes: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let counted: Value = serde_json::from_slice(&output.stdout).context("reading what handshakes counted")?;
        let number = |key: &str| counted[key].as_f64().with_context(|| format!("handshakes does not say {key}"));
        Ok(Counted { done: number("done")?, p50_us: number("p50_us")?, p99_us: number("p99_us")? })
    }
}

fn print(rows: &[Row], ratio: f64, each: f64, many: usize) {
    println!("\n{:<40} {:>10} {:>12} {:>10} {:>10}", "", "per second", "per CPU s", "p50, us", "p99, us");
    for row in rows {
        println!(
            "{:<40} {:>10.0} {:>12.0} {:>10.0} {:>10.0}",
            row.what, row.per_second, row.per_core, row.p50_us, row.p99_us
        );
    }
    let verdict = if ratio <= HANDSHAKE_LIMIT { "met" } else { "MISSED" };
    println!(
        "\nCPU of a handshake with {many} certificates / with {FEW}: {ratio:.2}  goal <= {HANDSHAKE_LIMIT}: {verdict}"
    );
    println!("memory of the server for each of {many} certificates with its domain: {each:.1} KiB");
}

//! Server and agent as processes: start, stop, upgrade, kill, and what survives.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use portway_testkit::{Client, HttpUpstream};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is killed when the test is over.
struct Process {
    child: Child,
}

impl Process {
    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).context("a pid")?;
        Ok(kill_process(pid, signal)?)
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        bail!("the process did not end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A data directory and the addresses that every server on it uses.
struct Site {
    dir: TempDir,
    https: u16,
    http: u16,
}

impl Site {
    fn new() -> Result<Self> {
        Ok(Self { dir: TempDir::new()?, https: free_port()?, http: free_port()? })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portway"));
        command
            .env_clear()
            .current_dir(self.dir.path())
            .args(["server", "--data-dir", "data"])
            .args(["--api-addr", "--admin-addr", "--dns-addr", "--ssh-addr"].map(|flag| format!("{flag}=127.0.0.1:0")))
            .args(["--https-addr", &format!("127.0.0.1:{}", self.https)])
            .args(["--http-addr", &format!("127.0.0.1:{}", self.http)])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts a server and returns with its ready line.
    fn server(&self, more: &[&str]) -> Result<(Process, serde_json::Value)> {
        let log = OpenOptions::new().append(true).create(true).open(self.server_log())?;
        let mut child = self.command(more).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut line)?;
        let process = Process { child };
        Ok((process, serde_json::from_str(&line).with_context(|| format!("the ready line: {line:?}"))?))
    }

    /// A server that must not start: its exit code and what it said.
    fn refused(&self, more: &[&str]) -> Result<(Option<i32>, String)> {
        let mut process = Process { child: self.command(more).spawn()? };
        let status = process.wait()?;
        let mut text = String::new();
        process.child.stderr.take().context("stderr")?.read_to_string(&mut text)?;
        Ok((status.code(), text))
    }

    /// What every server of the site wrote to stderr.
    fn server_log(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// An agent command that runs to its end: its exit code and what it said on stderr.
    fn agent_ends(&self, args: &[&str], authtoken: &str) -> Result<(Option<i32>, String)> {
        let child = Command::new(env!("CARGO_BIN_EXE_portway"))
            .env_clear()
            .current_dir(self.dir.path())
            .args(args)
            .args(["--ca", "data/ca.pem", "--connect-url", &format!("127.0.0.1:{}", self.https)])
            .env("PORTWAY_AUTHTOKEN", authtoken)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut process = Process { child };
        let status = process.wait()?;
        let mut text = String::new();
        process.child.stderr.take().context("stderr")?.read_to_string(&mut text)?;
        Ok((status.code(), text))
    }

    fn authtoken(&self) -> Result<String> {
        Ok(self.bootstrap()?["authtoken"].as_str().context("an authtoken")?.to_owned())
    }

    fn bootstrap(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs::read(self.data().join("bootstrap.json"))?)?)
    }

    /// Starts an agent that publishes `upstream` as `https://app.portway.localhost`.
    fn agent(&self, upstream: &str) -> Result<Process> {
        let child = Command::new(env!("CARGO_BIN_EXE_portway"))
            .env_clear()
            .current_dir(self.dir.path())
            .args([
                "http",
                upstream,
                "--url",
                "https://app.portway.localhost",
                "--ca",
                "data/ca.pem",
                "--log",
                "agent.log",
            ])
            .args(["--connect-url", &format!("127.0.0.1:{}", self.https)])
            .env("PORTWAY_AUTHTOKEN", self.authtoken()?)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Process { child })
    }

    fn client(&self) -> Result<Client> {
        let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Client::new(&fs::read(self.data().join("ca.pem"))?, address(self.https), address(self.http)))
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// Asks until the answer is 200.
async fn until_served(site: &Site, client: &Client) -> Result<()> {
    let asking = async {
        while !client.get("https://app.portway.localhost/").await.is_ok_and(|answer| answer.status == 200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let log = || fs::read_to_string(site.dir.path().join("agent.log")).unwrap_or_default();
    tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("not served; the agent says:\n{}", log()))
}

#[test]
fn first_start_makes_private_files_and_a_ready_line_without_secrets() -> Result<()> {
    let site = Site::new()?;
    let (mut server, ready) = site.server(&[])?;
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["connect_url"], format!("connect.portway.localhost:{}", site.https));
    let bootstrap = site.bootstrap()?;
    for secret in ["authtoken", "api_key", "admin_password"] {
        let secret = bootstrap[secret].as_str().context("a secret")?;
        assert!(secret.len() > 16 && !ready.to_string().contains(secret));
    }
    assert_eq!(mode(&site.data())?, 0o700);
    for file in ["bootstrap.json", "master.key", "portway.db"] {
        assert_eq!(mode(&site.data().join(file))?, 0o600, "{file}");
    }
    server.signal(Signal::TERM)?;
    assert_eq!(server.wait()?.code(), Some(0));

    let (mut again, ready) = site.server(&[])?;
    let log = fs::read_to_string(site.server_log())?;
    let key = |line: &&str| line.contains("SSH host key") && line.contains("SHA256:");
    let keys: Vec<_> = log.lines().filter(key).filter_map(|line| line.split_once("fingerprint=")).collect();
    assert_eq!(keys.len(), 4, "two keys a start: {log}");
    assert_eq!((keys[0].1, keys[1].1), (keys[2].1, keys[3].1), "they stay");
    let after = site.bootstrap()?;
    for secret in ["authtoken", "api_key", "admin_email", "admin_password"] {
        assert_eq!(after[secret], bootstrap[secret], "a second start makes no new {secret}");
    }
    for address in ["api_url", "admin_addr", "https_addr", "connect_url"] {
        assert_eq!(after[address], ready[address], "{address} is what the running server has");
    }
    assert_eq!(mode(&site.data().join("bootstrap.json"))?, 0o600);
    again.signal(Signal::INT)?;
    assert_eq!(again.wait()?.code(), Some(0));

    fs::remove_file(site.data().join("bootstrap.json"))?;
    let _again = site.server(&[])?;
    assert!(!site.data().join("bootstrap.json").exists(), "a file that was taken away stays away");
    Ok(())
}

#[test]
fn what_keeps_a_server_from_starting_is_named() -> Result<()> {
    let site = Site::new()?;
    fs::write(site.dir.path().join("bad.toml"), "\nhttps_adr = \"127.0.0.1:1\"\n")?;
    let (code, text) = site.refused(&["--config", "bad.toml"])?;
    assert_eq!((code, text.contains("bad.toml:2:1: unknown key `https_adr`")), (Some(2), true), "{text}");
    assert!(text.contains("nearest known key is `https_addr`"), "{text}");

    let (code, text) = site.refused(&["--upgrade"])?;
    assert_eq!((code, text.contains("start without --upgrade")), (Some(1), true), "{text}");

    let busy = TcpListener::bind(("127.0.0.1", site.http))?;
    let (code, text) = site.refused(&[])?;
    assert_eq!((code, text.contains("is in use by another program")), (Some(1), true), "{text}");
    assert!(text.contains("--http-addr"), "{text}");
    drop(busy);

    let (_server, _) = site.server(&[])?;
    let (code, text) = site.refused(&[])?;
    assert_eq!((code, text.contains("another server is running on the data directory")), (Some(1), true), "{text}");
    assert!(text.contains("--upgrade"), "{text}");
    let other = Site { dir: site.dir, https: free_port()?, http: free_port()? };
    let (code, text) = other.refused(&[])?;
    assert_eq!((code, text.contains("another server is running on the data directory")), (Some(1), true), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_start_that_waits_for_the_database_ends_when_it_is_told_to() -> Result<()> {
    let site = Site::new()?;
    let (mut server, _) = site.server(&[])?;
    server.signal(Signal::TERM)?;
    server.wait()?;
    let database = SqliteConnectOptions::new().filename(site.data().join("portway.db"));
    let mut holder = SqliteConnection::connect_with(&database).await?;
    let writing = holder.begin_with("BEGIN IMMEDIATE").await?;

    let mut waiting = Process { child: site.command(&[]).stderr(Stdio::null()).spawn()? };
    let ours = format!("{}\n", waiting.child.id());
    let end = Instant::now() + PATIENCE;
    // It has the directory now and waits for the write lock.
    while fs::read_to_string(site.data().join("lock"))? != ours {
        ensure!(Instant::now() < end, "the server did not take its lock");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    waiting.signal(Signal::TERM)?;
    assert_eq!(waiting.wait()?.code(), Some(0), "it gave up by itself before it obeyed");
    writing.rollback().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_refuses_nobody() -> Result<()> {
    let site = Site::new()?;
    let upstream = HttpUpstream::start().await?;
    let (mut first, _) = site.server(&[])?;
    let _agent = site.agent(&upstream.url())?;
    let client = site.client()?;
    until_served(&site, &client).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(ask_until(client.clone(), Arc::clone(&stop)));
    let (mut second, _) = site.server(&["--upgrade"])?;
    assert_eq!(first.wait()?.code(), Some(0), "the predecessor drains and ends");
    // Some more requests on the successor alone.
    for _ in 0..20 {
        client.get("https://app.portway.localhost/").await?;
    }
    stop.store(true, Ordering::SeqCst);
    let asked = load.await??;
    assert!(asked > 20, "{asked} requests are no load");
    let log = fs::read_to_string(site.server_log())?;
    assert!(
        !log.contains("lvl=eror") && !log.contains("control plane lost"),
        "an orderly handover is no fault:\n{log}"
    );
    second.signal(Signal::TERM)?;
    assert_eq!(second.wait()?.code(), Some(0));
    Ok(())
}

/// Asks again and again; every answer must be 200. Tells how many there were.
async fn ask_until(client: Client, stop: Arc<AtomicBool>) -> Result<usize> {
    let mut asked = 0;
    while !stop.load(Ordering::SeqCst) {
        let answer = client.get("https://app.portway.localhost/").await?;
        ensure!(answer.status == 200, "request {asked}: {} {}", answer.status, answer.text());
        asked += 1;
    }
    Ok(asked)
}

#[tokio::test]
async fn server_and_agent_survive_each_others_kill() -> Result<()> {
    let site = Site::new()?;
    let upstream = HttpUpstream::start().await?;
    let (mut server, _) = site.server(&[])?;
    let mut agent = site.agent(&upstream.url())?;
    let client = site.client()?;
    until_served(&site, &client).await?;

    server.signal(Signal::KILL)?;
    server.wait()?;
    let (_server, _) = site.server(&[])?;
    until_served(&site, &client).await?;

    agent.signal(Signal::KILL)?;
    agent.wait()?;
    let _agent = site.agent(&upstream.url())?;
    until_served(&site, &client).await?;
    Ok(())
}

#[tokio::test]
async fn start_serves_what_it_gets_and_asks_again_for_the_rest() -> Result<()> {
    let site = Site::new()?;
    let upstream = HttpUpstream::start().await?;
    let (_server, _) = site.server(&[])?;
    let kept = "  - {name: kept, url: 'https://api.portway.localhost', upstream: {url: 80}}\n";
    let web =
        format!("  - {{name: web, url: 'https://app.portway.localhost', upstream: {{url: '{}'}}}}\n", upstream.url());
    fs::write(site.dir.path().join("kept.yml"), format!("version: 3\nendpoints:\n{kept}"))?;
    fs::write(site.dir.path().join("both.yml"), format!("version: 3\nendpoints:\n{kept}{web}"))?;

    let token = site.authtoken()?;
    let (code, text) = site.agent_ends(&["start", "--all", "--config", "kept.yml"], &token)?;
    assert_eq!((code, text.contains("the endpoint \"kept\" cannot be opened")), (Some(1), true), "{text}");
    assert_eq!(text.lines().last(), Some("ERR_NGROK_347"), "{text}");

    let child = Command::new(env!("CARGO_BIN_EXE_portway"))
        .env_clear()
        .current_dir(site.dir.path())
        .args(["start", "--all", "--config", "both.yml", "--ca", "data/ca.pem", "--log", "agent.log"])
        .args(["--connect-url", &format!("127.0.0.1:{}", site.https)])
        .env("PORTWAY_AUTHTOKEN", token)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut agent = Process { child };
    until_served(&site, &site.client()?).await?;
    agent.signal(Signal::TERM)?;
    assert_eq!(agent.wait()?.code(), Some(0));
    let log = fs::read_to_string(site.dir.path().join("agent.log"))?;
    let refused =
        log.lines().find(|line| line.contains("failed to start tunnel")).context("a line about the refusal")?;
    for part in ["name=kept", "https://api.portway.localhost", "ERR_NGROK_347", "retry_in="] {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
    Ok(())
}

#[test]
fn a_refused_agent_says_its_code_last() -> Result<()> {
    let site = Site::new()?;
    let (_server, _) = site.server(&[])?;
    for (token, expected) in [("wrong", "ERR_NGROK_105"), ("2Yt0000000000000000000000ab_unknown", "ERR_NGROK_107")] {
        let (code, text) = site.agent_ends(&["http", "80"], token)?;
        assert_eq!((code, text.lines().last()), (Some(1), Some(expected)), "{text}");
        assert!(text.contains("Check --authtoken"), "{text}");
    }
    Ok(())
}

#[test]
fn a_closed_stdout_is_no_reason_to_stop_draining() -> Result<()> {
    let dir = TempDir::new()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_portway"));
    command.env_clear().current_dir(dir.path()).args(["quickstart", "--data-dir", "data"]);
    for flag in ["--https-addr", "--http-addr", "--api-addr", "--admin-addr", "--dns-addr", "--ssh-addr"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    let mut process = Process { child: command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()? };
    let mut lines = BufReader::new(process.child.stdout.take().context("stdout")?).lines();
    let url = lines.by_ref().map_while(Result::ok).find(|line| line.contains("https://")).context("a URL")?;
    assert!(url.contains("https://hello.portway.localhost"), "{url}");
    drop(lines);
    process.signal(Signal::TERM)?;
    assert_eq!(process.wait()?.code(), Some(0));
    Ok(())
}

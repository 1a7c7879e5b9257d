//! A server on loopback, keys, services and the OpenSSH client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_ssh::{AcceptError, Accepted, Front, Gate, HostKeys, Limits, Offer};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// For whatever should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) const TOKEN: &str = "2abcdefghijklmnopqrstuvwxyz_0123456789ABCDEFGHIJ";

pub(crate) fn client_addr() -> SocketAddr {
    "192.0.2.7:1234".parse().unwrap()
}

/// Knows one key and one authtoken.
#[derive(Debug)]
pub(crate) struct OneUser {
    pub(crate) fingerprint: String,
}

impl Gate for OneUser {
    type Who = &'static str;

    async fn admit(&self, offer: Offer, _: SocketAddr) -> Result<&'static str, PublicError> {
        match offer {
            Offer::Key(key) if key.fingerprint == self.fingerprint => Ok("key"),
            Offer::Key(_) => Err(Code::ERR_NGROK_1102.plain()),
            Offer::Token(token) if token.expose_secret() == TOKEN => Ok("token"),
            Offer::Token(_) => Err(Code::ERR_NGROK_107.plain()),
        }
    }
}

pub(crate) type Outcome = Result<Accepted<&'static str>, AcceptError>;

/// A server that hands out what it accepted.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) keys: HostKeys,
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(crate) async fn start(fingerprint: &str) -> Self {
        let limits = Limits { login_grace: SOON, setup_grace: SOON, ..Limits::default() };
        Self::with(fingerprint, limits).await
    }

    pub(crate) async fn with(fingerprint: &str, limits: Limits) -> Self {
        let keys = HostKeys::generate().unwrap();
        let front = Arc::new(Front::new(&keys, limits));
        let gate = Arc::new(OneUser { fingerprint: fingerprint.to_owned() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, outcomes) = mpsc::channel(64);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let (front, gate, tell) = (front.clone(), gate.clone(), tell.clone());
                tokio::spawn(async move {
                    let _ = tell.send(front.accept(stream, peer, addr, gate).await).await;
                });
            }
        });
        Self { addr, keys, outcomes, accepting }
    }

    pub(crate) async fn outcome(&mut self) -> Outcome {
        soon(self.outcomes.recv()).await.unwrap()
    }

    pub(crate) async fn accepted(&mut self) -> Accepted<&'static str> {
        match self.outcome().await {
            Ok(accepted) => accepted,
            Err(error) => panic!("not accepted: {error}"),
        }
    }

    pub(crate) async fn refused(&mut self) -> Code {
        match self.outcome().await {
            Err(AcceptError::Refused(error)) => error.code,
            other => panic!("not refused: {other:?}"),
        }
    }
}

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

/// The client of the machine with a key of its own, or the reason why the test is skipped.
pub(crate) struct OpenSsh {
    dir: TempDir,
    pub(crate) fingerprint: String,
}

impl OpenSsh {
    pub(crate) fn new() -> Option<Self> {
        if !Path::new("/usr/bin/ssh").exists() || !Path::new("/usr/bin/ssh-keygen").exists() {
            println!("skipped: needs ssh; install it with apt-get install openssh-client");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        make_key(&key, "ed25519");
        Some(Self { fingerprint: fingerprint(&key), dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ssh` with everything that is needed to reach `server` as `user`, but no command.
    pub(crate) fn ssh(&self, server: &Server, user: &str, options: &[&str]) -> Command {
        let known = self.path("known_hosts");
        let port = server.addr.port();
        let lines: Vec<_> = server.keys.public().iter().map(|key| format!("[127.0.0.1]:{port} {key}\n")).collect();
        std::fs::write(&known, lines.concat()).unwrap();
        let mut command = Command::new("/usr/bin/ssh");
        command.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
        ]);
        command.args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        if !options.contains(&"-i") {
            command.arg("-i").arg(self.path("key"));
        }
        command.args(["-p", &port.to_string()]).args(options).arg(format!("{user}@127.0.0.1"));
        command.env_clear().env("HOME", self.dir.path()).env("TERM", "dumb").env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

pub(crate) fn fingerprint(key: &Path) -> String {
    let listed = std::process::Command::new("/usr/bin/ssh-keygen").arg("-lf").arg(key).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.split_whitespace().nth(1).unwrap().to_owned()
}

pub(crate) fn make_key(path: &Path, kind: &str) {
    let made = std::process::Command::new("/usr/bin/ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", "", "-f"])
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

pub(crate) async fn output(child: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = soon(child.wait_with_output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A service that answers each connection by `serve`.
pub(crate) async fn service<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Sends back what it gets, and ends when the other side has.
pub(crate) async fn echo() -> u16 {
    service(|mut stream| async move {
        let (mut reading, mut writing) = stream.split();
        let _ = tokio::io::copy(&mut reading, &mut writing).await;
        let _ = writing.shutdown().await;
    })
    .await
}

/// Reads to the end, then answers with the count.
pub(crate) async fn counter() -> u16 {
    service(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(format!("{} bytes", all.len()).as_bytes()).await.unwrap();
    })
    .await
}

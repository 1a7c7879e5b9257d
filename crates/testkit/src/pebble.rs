//! A certificate authority of the test's own: Pebble (Debian's `pebble`), which looks for proofs where the test says.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// Where the program is.
const PROGRAM: &str = "/usr/bin/pebble";
/// Longest wait for it to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authority that does not run yet: where it will be is known.
#[derive(Debug)]
pub struct Pebble {
    folder: TempDir,
    listen: u16,
    management: u16,
    certificate: String,
    program: Option<Child>,
}

/// How it is to behave.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The port at which it looks for proofs by HTTP.
    pub http: u16,
    /// The port at which it looks for proofs by TLS.
    pub tls: u16,
    /// The resolver that it asks.
    pub dns: SocketAddr,
    /// Of a hundred good nonces it refuses so many.
    pub refused_nonces: u8,
    /// How long its certificates are valid.
    pub validity: Duration,
    /// Its account must belong to one elsewhere: the key `kid-1` of [`Pebble::EXTERNAL_KEY`].
    pub external_accounts: bool,
}

impl Pebble {
    /// The key of the external account, in base64url.
    pub const EXTERNAL_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

    /// Chooses where it will be. None where it is not installed: a test says so and passes.
    ///
    /// # Errors
    /// When there is no folder or port for it.
    pub fn plan() -> Result<Option<Pebble>> {
        if !Path::new(PROGRAM).exists() {
            println!("skipped: needs pebble; install it with apt-get install pebble");
            return Ok(None);
        }
        let folder = TempDir::new()?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.self_signed(&key)?.pem();
        std::fs::write(folder.path().join("cert.pem"), &certificate)?;
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem())?;
        let [listen, management] = free_ports()?;
        Ok(Some(Pebble { folder, listen, management, certificate, program: None }))
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.listen)
    }

    /// What vouches for its own server, PEM.
    pub fn own_root(&self) -> &str {
        &self.certificate
    }

    /// The same as a file.
    pub fn own_root_file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Where it is managed: `/roots/0` is what vouches for its certificates.
    pub fn management(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.management).into()
    }

    /// Starts it, or starts it anew: it remembers nothing.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub async fn start(&mut self, behaviour: &Behaviour) -> Result<()> {
        self.stop();
        let Behaviour { http, tls, dns, refused_nonces, validity, external_accounts } = behaviour;
        let (listen, management, seconds) = (self.listen, self.management, validity.as_secs());
        let config = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{listen}", "managementListenAddress": "127.0.0.1:{management}",
                "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": {http}, "tlsPort": {tls}, "ocspResponderURL": "",
                "externalAccountBindingRequired": {external_accounts}, "externalAccountMACKeys": {{"kid-1": "{}"}},
                "certificateValidityPeriod": {seconds}}}}}"#,
            Self::EXTERNAL_KEY
        );
        std::fs::write(self.folder.path().join("config.json"), config)?;
        let program = Command::new(PROGRAM)
            .args(["-config", "config.json", "-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", refused_nonces.to_string())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.program = Some(program);
        let listening = async {
            for port in [listen, management] {
                while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.context("pebble does not listen")
    }

    /// Ends it; what it knew is gone.
    pub fn stop(&mut self) {
        if let Some(mut program) = self.program.take() {
            drop(program.kill());
            drop(program.wait());
        }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that nobody listens on, for TCP and UDP.
///
/// # Errors
/// When there are none.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::new();
    while held.len() < N {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?) {
            held.push((tcp.local_addr()?.port(), tcp, udp));
        }
    }
    let ports: Vec<u16> = held.iter().map(|(port, ..)| *port).collect();
    ports.try_into().map_err(|_| anyhow::anyhow!("as many as were asked for"))
}

//! What is behind the endpoints, and the keys of a small CA that is not the server's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::{Program, wait_for};
use crate::sdk::Ports;
use crate::workspace::Workspace;

/// How long the services may take until they listen.
const START: Duration = Duration::from_secs(30);
/// The settings of openssl that every key of the suite is made with.
const KEY: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// HTTP, HTTP over TLS and an echo over TCP, in one program.
pub(super) struct Upstream {
    pub(super) ports: Ports,
    keys: PathBuf,
    /// Ends when this is dropped.
    _program: Program,
}

impl Upstream {
    /// Makes the keys, with certificates for the names below `domain`, and starts the services.
    pub(super) fn start(workspace: &Workspace, folder: &Path, domain: &str) -> Result<Self> {
        let keys = folder.join("keys");
        make_keys(&keys, domain)?;
        let mut command = Command::new("python3");
        command
            .arg(workspace.root().join("compat/upstream.py"))
            .arg(keys.join("server.pem"))
            .arg(keys.join("server.key"));
        let mut program = Program::start("upstream", folder, &mut command)?;
        let ports = wait_for("the upstream", START, || {
            program.alive()?;
            Ok(serde_json::from_str::<Value>(program.output().trim()).ok())
        })?;
        let port = |name: &str| {
            let port = ports[name].as_u64().and_then(|port| u16::try_from(port).ok());
            port.with_context(|| format!("the upstream has no port {name}"))
        };
        let ports = Ports { http: port("http")?, tls: port("tls")?, tcp: port("tcp")? };
        Ok(Self { ports, keys, _program: program })
    }

    /// A file of the small CA: `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.keys.join(name)
    }
}

/// Makes a CA, a certificate for every name below `domain`, and one for a client.
pub(super) fn make_keys(folder: &Path, domain: &str) -> Result<()> {
    fs::create_dir_all(folder).context("creating a folder")?;
    let subject = ["-subj", "/CN=compat CA", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(folder, &[&["req", "-x509"], KEY, &subject].concat())?;
    let extensions = [
        ("server", format!("basicConstraints=CA:FALSE\nsubjectAltName=DNS:{domain},DNS:*.{domain}\n")),
        ("client", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n".to_owned()),
    ];
    for (name, extension) in extensions {
        fs::write(folder.join("extensions"), extension).context("writing a file")?;
        let (subject, key, certificate) = (format!("/CN={name}"), format!("{name}.key"), format!("{name}.pem"));
        openssl(folder, &[&["req"], KEY, &["-subj", &subject, "-keyout", &key, "-out", "request"]].concat())?;
        let signed = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(folder, &[&signed[..], &["-days", "2", "-extfile", "extensions", "-out", &certificate]].concat())?;
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().context("starting openssl")?;
    if !output.status.success() {
        bail!("openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

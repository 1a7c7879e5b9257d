//! The official ngrok SDKs and API clients, each at an exact version, and their programs in `compat/`: installed, started, listened to.
//!
//! [compat/README.md](../../compat/README.md) describes what programs are told and what they say.

mod client;
mod install;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

pub(crate) use self::client::{Client, First, Refusal};
pub(crate) use self::install::{Build, install};

/// Gives the rest of its arguments an `/etc/hosts` of their own.
const OWN_HOSTS: &str = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
/// Variables that would change what an SDK does.
const FOREIGN: &[&str] =
    &["NGROK_AUTHTOKEN", "NGROK_API_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// How an SDK is installed and run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Language {
    Python,
    Node,
    Rust,
    Go,
    Java,
    Ssh,
    Terraform,
}

impl Language {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Java => "java",
            Self::Ssh => "ssh",
            Self::Terraform => "terraform",
        }
    }
}

/// An SDK or API client of the suite.
#[derive(Debug)]
pub(crate) struct Sdk {
    /// Unique: language, and what tells versions apart.
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    pub(crate) package: &'static str,
    /// As pinned in `compat/`.
    pub(crate) version: &'static str,
    /// The folder of its program below `compat/`.
    pub(crate) home: &'static str,
    /// Its folder or file there, where versions have their own.
    pub(crate) variant: &'static str,
    /// Its TLS library verifies names only, no addresses: it dials the connect name.
    pub(crate) needs_name: bool,
}

/// An SDK that is installed: the command of its program, without the scenario.
pub(crate) struct Installed {
    pub(crate) sdk: &'static Sdk,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

/// What every program is told: where to go, as whom, for which names, and what is behind the endpoints.
pub(crate) struct Settings<'a> {
    /// Its working folder.
    pub(crate) folder: &'a Path,
    /// What agents dial, by name and by address.
    pub(crate) connect: (&'a str, &'a str),
    pub(crate) ca: &'a Path,
    pub(crate) authtoken: &'a str,
    /// The SSH front, where there is one.
    pub(crate) ssh: Option<SocketAddr>,
    /// Host names of the first and the second endpoint.
    pub(crate) names: [&'a str; 2],
    pub(crate) ports: Ports,
}

/// Ports of the services behind the endpoints.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) tls: u16,
    pub(crate) tcp: u16,
}

impl Installed {
    /// The command, without settings and without what of our environment would change it.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        remove_foreign(&mut command);
        command
    }

    /// The command that does what `scenario` asks for.
    pub(crate) fn command(&self, scenario: &str, settings: &Settings<'_>) -> Result<Command> {
        let (by_name, by_address) = settings.connect;
        let mut command = if self.sdk.needs_name {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--map-root-user", "sh", "-c", OWN_HOSTS, "sh"]);
            command.arg(hosts(settings.folder, by_name)?).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(&self.arguments).arg(scenario).current_dir(settings.folder);
        remove_foreign(&mut command);
        command.env("COMPAT_CONNECT_ADDR", if self.sdk.needs_name { by_name } else { by_address });
        command.env("COMPAT_CA", settings.ca).env("COMPAT_AUTHTOKEN", settings.authtoken);
        command.env("COMPAT_NAME", settings.names[0]).env("COMPAT_NAME_2", settings.names[1]);
        for (kind, port) in
            [("UPSTREAM", settings.ports.http), ("TLS", settings.ports.tls), ("TCP", settings.ports.tcp)]
        {
            command.env(format!("COMPAT_{kind}_PORT"), port.to_string());
        }
        if let Some(address) = settings.ssh {
            command.env("COMPAT_SSH_ADDR", address.to_string());
        }
        Ok(command)
    }
}

fn remove_foreign(command: &mut Command) {
    for name in FOREIGN {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
}

/// A file of hosts in `folder` in which the connect name is this machine.
fn hosts(folder: &Path, connect: &str) -> Result<PathBuf> {
    let name = connect.rsplit_once(':').map_or(connect, |(name, _)| name);
    let path = folder.join("hosts");
    fs::write(&path, format!("127.0.0.1 localhost {name}\n")).context("writing a file of hosts")?;
    Ok(path)
}

const fn sdk(
    name: &'static str,
    language: Language,
    package: &'static str,
    version: &'static str,
    variant: &'static str,
) -> Sdk {
    Sdk { name, language, package, version, home: language.name(), variant, needs_name: false }
}

const fn api(
    name: &'static str,
    language: Language,
    package: &'static str,
    version: &'static str,
    (home, variant): (&'static str, &'static str),
) -> Sdk {
    Sdk { name, language, package, version, home, variant, needs_name: false }
}

const fn by_name(sdk: Sdk) -> Sdk {
    Sdk { needs_name: true, ..sdk }
}

/// The newest version of each, and the oldest that installs, runs and can be given an address and a CA.
pub(crate) const SDKS: &[Sdk] = &[
    sdk("python-newest", Language::Python, "PyPI ngrok", "1.4.0", "newest"),
    by_name(sdk("python-oldest", Language::Python, "PyPI ngrok", "0.5.0", "oldest")),
    sdk("node-newest", Language::Node, "npm @ngrok/ngrok", "1.7.0", "newest"),
    by_name(sdk("node-oldest", Language::Node, "npm @ngrok/ngrok", "0.5.2", "oldest")),
    sdk("rust-newest", Language::Rust, "crates.io ngrok", "0.19.0", "newest"),
    by_name(sdk("rust-oldest", Language::Rust, "crates.io ngrok", "0.13.1", "oldest")),
    sdk("go-v2-newest", Language::Go, "golang.ngrok.com/ngrok/v2", "v2.4.0", "v2/go.mod"),
    sdk("go-v2-oldest", Language::Go, "golang.ngrok.com/ngrok/v2", "v2.0.0", "v2/oldest.mod"),
    sdk("go-v1-newest", Language::Go, "golang.ngrok.com/ngrok", "v1.12.1", "v1/go.mod"),
    sdk("go-v1-oldest", Language::Go, "golang.ngrok.com/ngrok", "v1.4.0", "v1/oldest.mod"),
    sdk("java", Language::Java, "com.ngrok:ngrok-java", "1.0.1", ""),
    sdk("ssh", Language::Ssh, "OpenSSH", "the system's", ""),
];

/// The newest version of each client of the REST API.
pub(crate) const API_CLIENTS: &[Sdk] = &[
    api("api-python", Language::Python, "PyPI ngrok-api", "0.19.0", ("api/python", "newest")),
    api("api-node", Language::Node, "npm @ngrok/ngrok-api", "0.11.0", ("api/node", "newest")),
    api("api-rust", Language::Rust, "crates.io ngrok-api", "0.12.1", ("api/rust", "newest")),
    api("api-go", Language::Go, "github.com/ngrok/ngrok-api-go/v8", "v8.0.0", ("api/go", "go.mod")),
    api(
        "api-terraform",
        Language::Terraform,
        "github.com/ngrok/terraform-provider-ngrok",
        "v0.8.0",
        ("api/terraform", "main.tf"),
    ),
];

/// What compares the REST API with its own description.
pub(crate) const SCHEMATHESIS: &Sdk =
    &api("schemathesis", Language::Python, "PyPI schemathesis", "4.32.5", ("api/schemathesis", "newest"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_begin_with_the_language() {
        for (index, sdk) in SDKS.iter().enumerate() {
            assert!(sdk.name.starts_with(sdk.language.name()), "{}", sdk.name);
            assert!(SDKS[..index].iter().all(|other| other.name != sdk.name), "{}", sdk.name);
        }
    }
}

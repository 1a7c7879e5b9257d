//! `bootstrap.json`: the first account's credentials, written once, and all addresses, kept up to date; readable by the owner only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portway_control::Bootstrap;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::ready::Ready;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "bootstrap.json";

/// Writes the file whole or not at all: a crash leaves the old state, and a file that exists is complete.
pub(crate) fn write(data_dir: &Path, ready: &Ready, secrets: &Bootstrap) -> io::Result<()> {
    let mut content = addresses(ready);
    content["authtoken"] = secrets.authtoken.expose_secret().into();
    content["api_key"] = secrets.api_key.expose_secret().into();
    content["admin_email"] = secrets.admin_email.clone().into();
    content["admin_password"] = secrets.admin_password.expose_secret().into();
    replace(data_dir, &content)
}

/// Brings the addresses in the file up to date. A file that was taken away stays away, and one that somebody made into something else is
/// left alone: its secrets are worth more than fresh addresses.
pub(crate) fn refresh(data_dir: &Path, ready: &Ready) -> io::Result<()> {
    let path = data_dir.join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Ok(Value::Object(old)) = serde_json::from_slice(&text) else {
        tracing::warn!(path = %path.display(), "the file is not what a first start writes; its addresses are not brought up to date");
        return Ok(());
    };
    let mut fresh = old.clone();
    if let Value::Object(addresses) = addresses(ready) {
        fresh.extend(addresses);
    }
    if fresh == old { Ok(()) } else { replace(data_dir, &Value::Object(fresh)) }
}

/// Everything in the file that is no secret.
fn addresses(ready: &Ready) -> Value {
    json!({
        "api_url": ready.api_url,
        "connect_url": ready.connect_url,
        "connect_addr": ready.connect_addr,
        "ca_cert": ready.ca_cert,
        "base_domain": ready.base_domain,
        "https_addr": ready.https_addr,
        "http_addr": ready.http_addr,
        "admin_addr": ready.admin_addr,
        "dns_addr": ready.dns_addr,
        "ssh_addr": ready.ssh_addr,
        "dashboard_url": ready.dashboard_url,
    })
}

fn replace(data_dir: &Path, content: &Value) -> io::Result<()> {
    let partial = data_dir.join(".bootstrap.json.partial");
    // What a crash left may have other rights.
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    writeln!(file, "{content:#}")?;
    file.sync_all()?;
    std::fs::rename(&partial, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

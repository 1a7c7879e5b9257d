//! `bootstrap.json`: the first account's credentials, written once, readable by the owner only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use portway_control::Bootstrap;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::ready::Ready;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "bootstrap.json";

/// Writes the file whole or not at all: a crash leaves the old state, and a file that exists is complete.
pub(crate) fn write(data_dir: &Path, ready: &Ready, secrets: &Bootstrap) -> io::Result<()> {
    let content = json!({
        "api_url": ready.api_url,
        "api_key": secrets.api_key.expose_secret(),
        "connect_url": ready.connect_url,
        "connect_addr": ready.connect_addr,
        "ca_cert": ready.ca_cert,
        "authtoken": secrets.authtoken.expose_secret(),
        "base_domain": ready.base_domain,
        "https_addr": ready.https_addr,
        "http_addr": ready.http_addr,
        "dns_addr": ready.dns_addr,
        "dashboard_url": ready.dashboard_url,
        "admin_email": secrets.admin_email,
        "admin_password": secrets.admin_password.expose_secret(),
    });
    let partial = data_dir.join(".bootstrap.json.partial");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    writeln!(file, "{content:#}")?;
    file.sync_all()?;
    std::fs::rename(&partial, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

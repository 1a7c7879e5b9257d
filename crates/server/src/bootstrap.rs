//! `bootstrap.json`: the first account's credentials, written once, readable by the owner only.

use portway_control::Bootstrap;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::ready::Ready;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "bootstrap.json";

/// What the file says.
pub(crate) fn content(ready: &Ready, secrets: &Bootstrap) -> String {
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
    format!("{content:#}\n")
}

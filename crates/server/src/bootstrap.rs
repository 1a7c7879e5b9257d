//! `bootstrap.json`: the first account's credentials, written once, and all addresses, kept up to date; readable by the owner only.

use portway_control::Bootstrap;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::ready::Ready;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "bootstrap.json";

/// What the first start writes.
pub(crate) fn content(ready: &Ready, secrets: &Bootstrap) -> String {
    let mut content = addresses(ready);
    content["authtoken"] = secrets.authtoken.expose_secret().into();
    content["api_key"] = secrets.api_key.expose_secret().into();
    content["admin_email"] = secrets.admin_email.clone().into();
    content["admin_password"] = secrets.admin_password.expose_secret().into();
    text(&content)
}

/// What the file is to say when `old` is in it: its addresses brought up to date; none when they are. What somebody made into something
/// else is left alone: its secrets are worth more than fresh addresses.
pub(crate) fn refreshed(old: &[u8], ready: &Ready) -> Option<String> {
    let Ok(Value::Object(old)) = serde_json::from_slice(old) else {
        tracing::warn!(
            file = FILE,
            "the file is not what a first start writes; its addresses are not brought up to date"
        );
        return None;
    };
    let mut fresh = old.clone();
    if let Value::Object(addresses) = addresses(ready) {
        fresh.extend(addresses);
    }
    (fresh != old).then(|| text(&Value::Object(fresh)))
}

fn text(content: &Value) -> String {
    format!("{content:#}\n")
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

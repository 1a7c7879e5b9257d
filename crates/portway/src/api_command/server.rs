//! Which server is called, with which key: from flags, the data directory, the environment and files, in this order.

use std::path::{Path, PathBuf};

use portway_agent::Roots;
use portway_api::{BaseUrl, BaseUrlError};
use portway_names::Host;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::agent_settings::{SettingsError, file_roots, flag_roots, read_config};
use crate::cli::ConfigFiles;

/// Where the server of this machine has its REST API.
pub(super) const DEFAULT_URL: &str = "http://127.0.0.1:4400";
/// What the first start of a server writes into its data directory.
const BOOTSTRAP: &str = "bootstrap.json";
/// Where a server keeps the certificate of its own authority, in its data directory.
const CA_FILE: &str = "ca.pem";

/// Why it is not known whom to call. All of them are wrong usage or configuration: exit code 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "no API key is known: give --api-key KEY, set PORTWAY_API_KEY, or write api_key below `agent` into the configuration file; on the server's own host, --data-dir DIR takes the first key from {BOOTSTRAP}"
    )]
    NoKey,
    #[error("the API's address {url:?}, from {named_by}, cannot be used: {error}")]
    Url { url: String, named_by: &'static str, error: BaseUrlError },
    #[error(
        "{0} is neither https nor on this machine, so the key would cross the network for everybody to read; use https, or a tunnel such as `ssh -L 4400:127.0.0.1:4400 HOST`"
    )]
    Clear(BaseUrl),
    #[error(
        "{} cannot be read: {error}; a server's first start writes it into its data directory, and only the server's own user may read it", path.display()
    )]
    Bootstrap { path: PathBuf, error: std::io::Error },
    #[error("{} is not what a server's first start writes: {error}", path.display())]
    NotBootstrap { path: PathBuf, error: String },
}

/// Where somebody who calls wants to go.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) api_url: Option<String>,
    pub(super) api_key: Option<SecretString>,
    pub(super) ca: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) config: Vec<PathBuf>,
}

/// Whom to call.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) base: BaseUrl,
    pub(super) key: SecretString,
    pub(super) roots: Roots,
    /// The file that the roots are from, for error texts.
    pub(super) ca: Option<PathBuf>,
}

/// What of `bootstrap.json` is of use here.
#[derive(Deserialize)]
struct Bootstrap {
    api_url: String,
    api_key: SecretString,
}

impl Server {
    /// `lookup` reads a variable of the environment.
    pub(super) fn find(wanted: Wanted, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ServerError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let flag_ca = wanted.ca.filter(|ca| !ca.is_empty());
        let flag_url = wanted.api_url.filter(|url| !url.is_empty()).map(|url| (url, "--api-url"));
        let flag_key = wanted.api_key.filter(|key| !key.expose_secret().trim().is_empty());
        if let Some(dir) = &wanted.data_dir {
            // All that is needed is there, so neither the environment nor a file of the agent's has a say.
            let Bootstrap { api_url, api_key } = bootstrap(dir)?;
            let url = flag_url.unwrap_or((api_url, BOOTSTRAP));
            let own_ca = || Some(dir.join(CA_FILE)).filter(|ca| ca.exists())?.into_os_string().into_string().ok();
            let roots = flag_ca.or_else(own_ca).map_or(Ok((Roots::Host, None)), |ca| flag_roots(&ca))?;
            return Self::new(url, flag_key.unwrap_or(api_key), roots);
        }
        let config = read_config(&ConfigFiles { files: wanted.config }).map_err(SettingsError::from)?;
        let url = flag_url
            .or_else(|| lookup("PORTWAY_API_URL").map(|url| (url, "PORTWAY_API_URL")))
            .or_else(|| config.settings.api_url.clone().map(|url| (url, "`api_url` in the configuration file")))
            .unwrap_or_else(|| (DEFAULT_URL.to_owned(), "the default"));
        let variable = || ["PORTWAY_API_KEY", "NGROK_API_KEY"].into_iter().find_map(lookup);
        let key = flag_key.or_else(|| variable().map(SecretString::from)).or(config.settings.api_key.clone());
        let key = key.filter(|key| !key.expose_secret().trim().is_empty()).ok_or(ServerError::NoKey)?;
        let roots = match flag_ca.or_else(|| lookup("PORTWAY_CA")) {
            Some(ca) => flag_roots(&ca)?,
            None => file_roots(&config)?,
        };
        Self::new(url, key, roots)
    }

    fn new(
        (url, named_by): (String, &'static str),
        key: SecretString,
        (roots, ca): (Roots, Option<PathBuf>),
    ) -> Result<Self, ServerError> {
        let base: BaseUrl = match url.parse() {
            Ok(base) => base,
            Err(error) => return Err(ServerError::Url { url, named_by, error }),
        };
        if !keeps_secrets(&base) {
            return Err(ServerError::Clear(base));
        }
        Ok(Self { base, key: key.expose_secret().trim().into(), roots, ca })
    }
}

/// Whether nobody on the way can read what is sent there.
fn keeps_secrets(base: &BaseUrl) -> bool {
    let uri: Option<http::Uri> = base.to_string().parse().ok();
    let Some(uri) = uri.filter(|uri| uri.scheme_str() == Some("http")) else { return true };
    match uri.host().unwrap_or_default().parse() {
        Ok(Host::Ip(ip)) => ip.to_canonical().is_loopback(),
        Ok(Host::Name(name)) => name.as_str() == "localhost" || name.as_str().ends_with(".localhost"),
        Err(_) => false,
    }
}

fn bootstrap(dir: &Path) -> Result<Bootstrap, ServerError> {
    let path = dir.join(BOOTSTRAP);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) => return Err(ServerError::Bootstrap { path, error }),
    };
    serde_json::from_slice(&text).map_err(|error| {
        // Where, and nothing of what is there: these are secrets.
        let error = format!("something is wrong or missing at line {}", error.line());
        ServerError::NotBootstrap { path, error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(wanted: Wanted, variables: &[(&str, &str)]) -> Result<Server, ServerError> {
        let value = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        Server::find(wanted, value)
    }

    fn found(wanted: Wanted, variables: &[(&str, &str)]) -> (String, String) {
        let server = find(wanted, variables).unwrap();
        (server.base.to_string(), server.key.expose_secret().to_owned())
    }

    fn pair(url: &str, key: &str) -> (String, String) {
        (url.to_owned(), key.to_owned())
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("portway.yml");
        std::fs::write(&file, "version: 3\nagent: {api_key: file, api_url: 'https://file.example'}\n").unwrap();
        let wanted = || Wanted { config: vec![file.clone()], ..Wanted::default() };
        assert_eq!(found(wanted(), &[]), pair("https://file.example", "file"));
        let ngrok = ("NGROK_API_KEY", "ngrok");
        assert_eq!(found(wanted(), &[ngrok]), pair("https://file.example", "ngrok"));
        let ours = [ngrok, ("PORTWAY_API_KEY", "env"), ("PORTWAY_API_URL", "https://env.example")];
        assert_eq!(found(wanted(), &ours), pair("https://env.example", "env"));
        let bootstrap = r#"{"api_url": "http://127.0.0.1:1", "api_key": "first", "authtoken": "t"}"#;
        std::fs::write(dir.path().join(BOOTSTRAP), bootstrap).unwrap();
        let here = || Wanted { data_dir: Some(dir.path().to_owned()), ..wanted() };
        let server = find(here(), &ours).unwrap();
        assert_eq!((server.base.to_string(), server.key.expose_secret()), ("http://127.0.0.1:1".to_owned(), "first"));
        assert_eq!(server.roots, Roots::Host);
        let pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
        std::fs::write(dir.path().join(CA_FILE), pem).unwrap();
        assert_eq!(find(here(), &ours).unwrap().roots, Roots::Pem(pem.into()));
        assert!(!format!("{server:?}").contains("first"));
        let flags = Wanted { api_url: Some("https://flag".into()), api_key: Some("flag".into()), ..here() };
        assert_eq!(found(flags, &ours), pair("https://flag", "flag"));
    }

    #[test]
    fn keys_do_not_leave_the_machine_in_clear() {
        let key = [("PORTWAY_API_KEY", "k")];
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.yml");
        std::fs::write(&empty, "").unwrap();
        let wanted =
            |url: &str| Wanted { api_url: Some(url.to_owned()), config: vec![empty.clone()], ..Wanted::default() };
        let at = |url: &str| find(wanted(url), &key);
        for url in [
            "http://127.0.0.1:4400",
            "http://[::1]:4400",
            "http://localhost",
            "http://api.localhost:1",
            "https://a.example",
        ] {
            assert!(at(url).is_ok(), "{url}");
        }
        for url in ["http://192.0.2.1:4400", "http://api.example.com", "http://localhost.example.com", "http://a_b"] {
            assert!(matches!(at(url), Err(ServerError::Clear(_))), "{url}");
        }
        assert!(matches!(at("api.example.com"), Err(ServerError::Url { .. })));
        assert!(matches!(find(wanted(DEFAULT_URL), &[("PORTWAY_API_KEY", " ")]), Err(ServerError::NoKey)));
    }
}

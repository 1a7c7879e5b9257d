//! What an operator can set about certificates that are ordered.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use portway_control::{AcmeConfig, Authority, ExternalAccount, lets_encrypt};
use portway_tls::Roots;
use secrecy::SecretString;
use serde::Deserialize;

use crate::config::ConfigError;

/// Certificates that an account may order in an hour.
const ORDERS_PER_HOUR: NonZeroU32 = NonZeroU32::new(20).expect("a constant");

/// The table `[acme]` of the file, and the flags that begin with `--acme-`.
#[derive(Debug, Clone, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct AcmeSettings {
    /// Order certificates for accounts' domains from this ACME directory, whose terms you accept: letsencrypt, letsencrypt-staging or a URL [default: none]
    #[arg(id = "acme_directory", long = "acme-directory", value_name = "URL", env = "PORTWAY_ACME_DIRECTORY")]
    pub directory: Option<String>,
    /// E-mail address for the certificate authority
    #[arg(id = "acme_contact", long = "acme-contact", value_name = "EMAIL", env = "PORTWAY_ACME_CONTACT")]
    pub contact: Option<String>,
    /// Key id of the account elsewhere, for authorities that want one (external account binding)
    #[arg(id = "acme_eab_key_id", long = "acme-eab-key-id", value_name = "ID", env = "PORTWAY_ACME_EAB_KEY_ID")]
    pub eab_key_id: Option<String>,
    /// Its key, in base64url
    #[arg(id = "acme_eab_key", long = "acme-eab-key", value_name = "KEY", env = "PORTWAY_ACME_EAB_KEY", hide_env_values = true, value_parser = secret)]
    pub eab_key: Option<SecretString>,
    /// PEM file of the authorities that vouch for the directory's own server [default: the public ones]
    #[arg(id = "acme_roots", long = "acme-roots", value_name = "FILE", env = "PORTWAY_ACME_ROOTS")]
    pub roots: Option<PathBuf>,
    /// Order certificates for the base domain and everything one label below, too; it has to be delegated to this server
    #[arg(
        id = "acme_base_domain",
        long = "acme-base-domain",
        value_name = "BOOL",
        env = "PORTWAY_ACME_BASE_DOMAIN",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub base_domain: Option<bool>,
    /// Certificates that an account may order in an hour, renewals not counted [default: 20]
    #[arg(
        id = "acme_orders_per_hour",
        long = "acme-orders-per-hour",
        value_name = "N",
        env = "PORTWAY_ACME_ORDERS_PER_HOUR"
    )]
    pub orders_per_hour: Option<NonZeroU32>,
}

impl AcmeSettings {
    /// What is set here, and of the others what is not.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            directory: self.directory.or(others.directory),
            contact: self.contact.or(others.contact),
            eab_key_id: self.eab_key_id.or(others.eab_key_id),
            eab_key: self.eab_key.or(others.eab_key),
            roots: self.roots.or(others.roots),
            base_domain: self.base_domain.or(others.base_domain),
            orders_per_hour: self.orders_per_hour.or(others.orders_per_hour),
        }
    }

    /// How certificates are ordered; none when no directory is set.
    pub(crate) fn resolve(self, resolver: Option<SocketAddr>) -> Result<Option<AcmeConfig>, ConfigError> {
        let Some(directory) = self.directory else {
            return Ok(None);
        };
        let directory = match lets_encrypt(&directory) {
            Some(known) => known.to_owned(),
            None if directory.starts_with("https://") => directory,
            None => return Err(ConfigError::AcmeDirectory { directory }),
        };
        let roots = match self.roots {
            None => Roots::Webpki,
            Some(path) => match std::fs::read(&path) {
                Ok(pem) => Roots::Pem(pem),
                Err(source) => return Err(ConfigError::AcmeRoots { path, source }),
            },
        };
        let external = match (self.eab_key_id, self.eab_key) {
            (None, None) => None,
            (Some(key_id), Some(key)) => Some(ExternalAccount { key_id, key }),
            _ => return Err(ConfigError::AcmeExternal),
        };
        Ok(Some(AcmeConfig {
            authority: Authority { directory, roots },
            contact: self.contact.map(|contact| contact.trim_start_matches("mailto:").to_owned()),
            external,
            base_domain: self.base_domain.unwrap_or(false),
            orders_per_hour: self.orders_per_hour.unwrap_or(ORDERS_PER_HOUR),
            resolver,
        }))
    }
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    //! What is set is used, and what does not fit together is said.

    use super::*;

    fn resolved(settings: AcmeSettings) -> Result<Option<AcmeConfig>, String> {
        settings.resolve(None).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_ordered_without_a_directory() {
        assert!(resolved(AcmeSettings::default()).unwrap().is_none());
    }

    #[test]
    fn names_stand_for_directories() {
        let of = |name: &str| AcmeSettings { directory: Some(name.to_owned()), ..AcmeSettings::default() };
        let config = resolved(of("letsencrypt-staging")).unwrap().unwrap();
        assert!(config.authority.directory.contains("staging"), "{config:?}");
        assert_eq!(config.orders_per_hour.get(), 20);
        assert_eq!(
            resolved(of("https://ca.example/dir")).unwrap().unwrap().authority.directory,
            "https://ca.example/dir"
        );
        for wrong in ["lets-encrypt", "http://ca.example/dir", ""] {
            assert!(resolved(of(wrong)).unwrap_err().contains("acme.directory"), "{wrong}");
        }
    }

    #[test]
    fn half_a_binding_and_missing_roots_are_refused_and_no_key_is_shown() {
        let settings = AcmeSettings {
            directory: Some("letsencrypt".to_owned()),
            eab_key: Some("c2VjcmV0".into()),
            contact: Some("mailto:ops@example.com".to_owned()),
            ..AcmeSettings::default()
        };
        assert!(!format!("{settings:?}").contains("c2VjcmV0"));
        assert!(resolved(settings.clone()).unwrap_err().contains("eab_key_id"));
        let whole = AcmeSettings { eab_key_id: Some("kid".to_owned()), ..settings };
        let config = resolved(whole.clone()).unwrap().unwrap();
        assert!(!format!("{config:?}").contains("c2VjcmV0"));
        assert_eq!(config.contact.as_deref(), Some("ops@example.com"));
        let nowhere = AcmeSettings { roots: Some("/nowhere.pem".into()), ..whole };
        assert!(resolved(nowhere).unwrap_err().contains("/nowhere.pem"));
    }
}

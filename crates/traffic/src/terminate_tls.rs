//! `terminate-tls`: how TLS with visitors ends at the edge. Certificates are opened where TLS is configured; here they are texts.

use portway_names::CertificateAuthorityId;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::ConfigError;

/// Bytes of PEM in one field, and of all authorities together: a chain of a dozen certificates, or as many authorities as a handshake can name.
pub const PEM_MAX: usize = 64 * 1024;
const TOO_LONG: &str = "it is longer than 65,536 bytes";
/// Entries of `mutual_tls_certificate_authorities`.
const AUTHORITIES_MAX: usize = 100;

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246 section 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446 section 1.2.
    #[serde(rename = "1.3")]
    V1_3,
}

/// What is asked of a visitor's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerificationStrategy {
    /// There must be one that an authority of the list issued.
    #[default]
    RequireAndVerify,
    /// There must be one; refused, nothing here could look at it.
    RequireAny,
    /// There may be one; refused likewise.
    Request,
}

/// Configuration of `terminate-tls`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TerminateTlsConfig {
    /// Oldest version. Default: 1.2.
    pub min_version: Option<TlsVersion>,
    /// Newest version. Default: 1.3.
    pub max_version: Option<TlsVersion>,
    /// Key of the certificate, PEM.
    pub server_private_key: Option<SecretString>,
    /// Certificate and chain, PEM, end entity first. Default: the edge's own for the name.
    pub server_certificate: Option<String>,
    /// Authorities, PEM texts or ids, one of which must have issued the visitor's certificate. Empty: visitors need none.
    pub mutual_tls_certificate_authorities: Vec<String>,
    /// What is asked of the visitor's certificate.
    pub mutual_tls_verification_strategy: VerificationStrategy,
}

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct TlsKeyPair {
    /// Certificate and chain.
    pub certificate: String,
    /// The key.
    pub private_key: SecretString,
}

/// Authorities that issue visitors' certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAuthorities {
    /// Those that were given themselves, PEM.
    pub pem: String,
    /// Those that the account has under an id.
    pub ids: Vec<CertificateAuthorityId>,
}

/// The compiled action. That the texts hold certificates is found out by who configures TLS with them.
#[derive(Clone, Debug)]
pub struct TerminateTls {
    /// Oldest version.
    pub min_version: TlsVersion,
    /// Newest version.
    pub max_version: TlsVersion,
    /// A certificate of the endpoint's own.
    pub key_pair: Option<TlsKeyPair>,
    /// Authorities whose certificates visitors must have.
    pub client_authorities: Option<ClientAuthorities>,
}

impl TerminateTls {
    /// Type of the action.
    pub const NAME: &str = "terminate-tls";

    /// Compiles the action.
    ///
    /// # Errors
    /// Versions in the wrong order, half a key pair, a text that is too long or no PEM (2204), a verification strategy that is not built (40004), more
    /// than 100 authorities (2218).
    pub fn new(config: &TerminateTlsConfig) -> Result<TerminateTls, ConfigError> {
        let min_version = config.min_version.unwrap_or(TlsVersion::V1_2);
        let max_version = config.max_version.unwrap_or(TlsVersion::V1_3);
        if min_version > max_version {
            return Err(ConfigError::value(Self::NAME, "min_version", "it is newer than max_version"));
        }
        let key_pair = match (&config.server_certificate, &config.server_private_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                check_pem("server_certificate", certificate)?;
                check_pem("server_private_key", key.expose_secret())?;
                Some(TlsKeyPair { certificate: certificate.clone(), private_key: key.clone() })
            }
            (Some(_), None) => return Err(ConfigError::empty(Self::NAME, "server_private_key")),
            (None, Some(_)) => return Err(ConfigError::empty(Self::NAME, "server_certificate")),
        };
        let client_authorities = authorities(config)?;
        Ok(TerminateTls { min_version, max_version, key_pair, client_authorities })
    }
}

fn authorities(config: &TerminateTlsConfig) -> Result<Option<ClientAuthorities>, ConfigError> {
    const FIELD: &str = "mutual_tls_certificate_authorities";
    if config.mutual_tls_verification_strategy != VerificationStrategy::RequireAndVerify {
        let why = "only require-and-verify is built";
        return Err(ConfigError::not_built(TerminateTls::NAME, "mutual_tls_verification_strategy", why));
    }
    let texts = &config.mutual_tls_certificate_authorities;
    if texts.is_empty() {
        return Ok(None);
    }
    if texts.len() > AUTHORITIES_MAX {
        return Err(ConfigError::too_many(TerminateTls::NAME, FIELD, AUTHORITIES_MAX));
    }
    let mut all = ClientAuthorities::default();
    for (at, text) in texts.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        if text.starts_with(CertificateAuthorityId::PREFIX) {
            let why = "it is no id of a certificate authority and no PEM text";
            all.ids.push(text.parse().map_err(|_| ConfigError::value(TerminateTls::NAME, field, why))?);
            continue;
        }
        check_pem(&field, text)?;
        all.pem.push_str(text.trim());
        all.pem.push('\n');
    }
    if all.pem.len() > PEM_MAX {
        return Err(ConfigError::value(TerminateTls::NAME, FIELD, TOO_LONG));
    }
    Ok(Some(all))
}

fn check_pem(field: &str, text: &str) -> Result<(), ConfigError> {
    if text.len() > PEM_MAX {
        return Err(ConfigError::value(TerminateTls::NAME, field, TOO_LONG));
    }
    if !text.contains("-----BEGIN ") {
        return Err(ConfigError::value(TerminateTls::NAME, field, "it is no PEM text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn fault(json: &str) -> (u32, String) {
        let config: TerminateTlsConfig = serde_json::from_str(json).unwrap();
        let error = TerminateTls::new(&config).unwrap_err();
        (error.code.number(), error.field)
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (json, code, field) in [
            (r#"{"min_version":"1.3","max_version":"1.2"}"#, 2204, "min_version"),
            (r#"{"server_certificate":"-----BEGIN CERTIFICATE-----"}"#, 2223, "server_private_key"),
            (r#"{"server_private_key":"-----BEGIN PRIVATE KEY-----"}"#, 2223, "server_certificate"),
            (r#"{"server_private_key":"x","server_certificate":"y"}"#, 2204, "server_certificate"),
            (r#"{"mutual_tls_certificate_authorities":["ca_2abc"]}"#, 2204, "mutual_tls_certificate_authorities[0]"),
            (r#"{"mutual_tls_certificate_authorities":["x"]}"#, 2204, "mutual_tls_certificate_authorities[0]"),
            (r#"{"mutual_tls_verification_strategy":"request"}"#, 40_004, "mutual_tls_verification_strategy"),
            (r#"{"mutual_tls_verification_strategy":"require-any"}"#, 40_004, "mutual_tls_verification_strategy"),
        ] {
            assert_eq!(fault(json), (code, field.to_owned()), "{json}");
        }
    }

    #[test]
    fn authorities_are_joined() {
        let id = format!("ca_{}", "1".repeat(27));
        let config = TerminateTlsConfig {
            mutual_tls_certificate_authorities: vec![PEM.to_owned(), id.clone(), format!("\n{PEM}")],
            ..TerminateTlsConfig::default()
        };
        let compiled = TerminateTls::new(&config).unwrap().client_authorities.unwrap();
        assert_eq!(compiled, ClientAuthorities { pem: [PEM, PEM].concat(), ids: vec![id.parse().unwrap()] });
        assert!(TerminateTls::new(&TerminateTlsConfig::default()).unwrap().client_authorities.is_none());
    }
}

//! The internal CA: made on the first start, then the issuer of every certificate until a public CA takes over.

use std::time::Duration;

use portway_store::{Store, StoreError, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::OpenError;
use crate::seal::MasterKey;

/// Name of the CA among the sealed secrets, and the context it is sealed in.
const SECRET: &str = "ca";
const CONTEXT: &str = "portway secret ca";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Lifetime of the CA. People install its certificate by hand; it should outlive the machine.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Lifetime of what it issues.
pub(crate) const LEAF_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Certificates are valid from this long before they were made: clocks of agents and visitors differ.
const BACKDATED: Duration = DAY;

/// The CA with its key.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A fresh certificate with its key.
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    /// PKCS#8 DER.
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

/// The form the CA is sealed in: certificate and key belong together, so they are one secret.
#[derive(Serialize, Deserialize)]
struct Sealed {
    certificate: String,
    key: String,
}

impl Authority {
    /// The CA of this store; made when there is none.
    pub(crate) async fn open(store: &Store, master: &MasterKey, now: Timestamp) -> Result<Authority, OpenFailed> {
        let sealed = match store.secret(SECRET).await? {
            Some(sealed) => sealed,
            None => {
                let fresh = make(now).map_err(OpenFailed::Rcgen)?;
                let sealed = master.seal(CONTEXT, &fresh);
                store.add_secret(SECRET, &sealed).await?;
                sealed
            }
        };
        let opened = master.open(CONTEXT, &sealed).map_err(|_| OpenFailed::Sealed)?;
        let opened: Sealed = serde_json::from_slice(&opened).map_err(|_| OpenFailed::Sealed)?;
        let key = Zeroizing::new(opened.key);
        let key = KeyPair::from_pem(&key).map_err(OpenFailed::Rcgen)?;
        let issuer = Issuer::from_ca_cert_pem(&opened.certificate, key).map_err(OpenFailed::Rcgen)?;
        Ok(Authority { issuer, pem: opened.certificate })
    }

    /// The CA's certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for host names, wildcard patterns and addresses, with a key of its own.
    pub(crate) fn issue(&self, names: &[String], now: Timestamp) -> Result<Issued, rcgen::Error> {
        let (not_before, not_after) = (now - BACKDATED, now + LEAF_LIFETIME);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        // Clients look at the alternative names; the common name is for people, and at most 64 characters (RFC 5280 appendix A.1).
        let common_name = names.iter().find(|name| name.len() <= 64).map_or("Portway", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date(not_before);
        params.not_after = date(not_after);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = Zeroizing::new(key.serialize_der());
        Ok(Issued { chain_pem: certificate.pem(), key, not_before, not_after })
    }
}

/// The CA holds its key.
impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenFailed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the CA does not open")]
    Sealed,
    #[error(transparent)]
    Rcgen(rcgen::Error),
}

impl OpenFailed {
    pub(crate) fn into_open_error(self, master_key: std::path::PathBuf) -> OpenError {
        match self {
            OpenFailed::Store(error) => error.into(),
            OpenFailed::Sealed => OpenError::MasterKeyWrong { path: master_key },
            OpenFailed::Rcgen(error) => {
                OpenError::Certificate { names: "the internal CA".to_owned(), reason: error.to_string() }
            }
        }
    }
}

/// Makes a CA, in the form that is sealed.
fn make(now: Timestamp) -> Result<Zeroizing<Vec<u8>>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    // Two installations' CAs in one trust store must not have one name: verifiers look issuers up by it.
    let tag = crate::random::ksuid(now).to_string();
    params.distinguished_name.push(DnType::CommonName, format!("Portway internal CA {}", &tag[tag.len() - 8..]));
    params.distinguished_name.push(DnType::OrganizationName, "Portway");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = date(now - BACKDATED);
    params.not_after = date(now + CA_LIFETIME);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let sealed = Sealed { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() };
    Ok(Zeroizing::new(serde_json::to_vec(&sealed).expect("two strings are always JSON")))
}

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

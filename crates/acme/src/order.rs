//! One order, from its proofs to the certificate.

use instant_acme::{AuthorizationStatus, ChallengeType, OrderStatus};
use portway_names::{HostName, HostPattern};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};

use crate::fault::Fault;

/// An order. What it knows of its state is what the authority said last.
pub struct Order(instant_acme::Order);

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Order").field(&self.0.url()).finish()
    }
}

/// How a name is proved to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A text at `http://<name>/.well-known/acme-challenge/<token>` (RFC 8555 section 8.3). Not for wildcards.
    Http,
    /// A TXT record at `_acme-challenge.<name>` (RFC 8555 section 8.4).
    Dns,
    /// A certificate for the protocol `acme-tls/1` (RFC 8737 section 3). Not for wildcards.
    TlsAlpn,
}

/// What the authority looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The name; of a wildcard what it is below.
    pub name: HostName,
    /// How it is looked for.
    pub way: Way,
    /// The last part of the path, for [`Way::Http`].
    pub token: String,
    /// What is answered there.
    pub text: String,
    /// The text of the record, for [`Way::Dns`].
    pub record: String,
    /// The SHA-256 of `text`, for the certificate of [`Way::TlsAlpn`].
    pub digest: Vec<u8>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Proofs are wanted, or looked at.
    Pending,
    /// All names are proved: [`Order::request`] comes next.
    Proved,
    /// The certificate is being made.
    Processing,
    /// It is there: [`Order::certificate`].
    Issued,
    /// It came to nothing, and another order is needed.
    Failed,
}

/// A private key that a certificate is ordered for.
pub struct SigningKey(KeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A fresh key on the curve P-256.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn ecdsa() -> Result<SigningKey, Fault> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(SigningKey).map_err(Fault::strange)
    }

    /// A fresh RSA key of 4,096 bits. It takes a second or more: not on a thread that others wait for.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn rsa() -> Result<SigningKey, Fault> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_4096);
        key.map(SigningKey).map_err(Fault::strange)
    }

    /// The key with these bytes: PKCS#8, DER.
    ///
    /// # Errors
    /// When they are none.
    pub fn from_pkcs8(der: &[u8]) -> Result<SigningKey, Fault> {
        KeyPair::try_from(der).map(SigningKey).map_err(Fault::strange)
    }

    /// Its bytes: PKCS#8, DER. Secret.
    pub fn to_pkcs8(&self) -> Vec<u8> {
        self.0.serialize_der()
    }
}

impl Order {
    pub(crate) fn new(order: instant_acme::Order) -> Order {
        Order(order)
    }

    /// By which [`crate::Account::resume`] finds it again.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// How far it is, as the authority says now.
    ///
    /// # Errors
    /// When it is not reached; why the order failed, when it did.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn refresh(&mut self) -> Result<Progress, Fault> {
        self.0.refresh().await?;
        let state = self.0.state();
        if let Some(problem) = &state.error {
            return Err(problem.clone().into());
        }
        let progress = progress(state.status);
        // Why is said of the name, not of the order.
        if progress == Progress::Failed { Err(self.why_failed().await) } else { Ok(progress) }
    }

    /// The proofs that are still wanted, each in the first of the `ways` that the authority offers for the name.
    ///
    /// # Errors
    /// When the authority is not reached, or offers none of the ways.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn proofs(&mut self, ways: &[Way]) -> Result<Vec<Proof>, Fault> {
        let mut wanted = Vec::new();
        let mut authorizations = self.0.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut authorization = next?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let identifier = authorization.identifier().to_string();
            let name = identifier.parse::<HostPattern>().map_err(Fault::strange)?;
            let offered = |way: &&Way| authorization.challenges.iter().any(|one| one.r#type == kind(**way));
            let Some(way) = ways.iter().find(offered).copied() else {
                return Err(Fault::strange(format!(
                    "the authority offers no way to prove {name} that can be gone here"
                )));
            };
            let Some(challenge) = authorization.challenge(kind(way)) else { continue };
            let key = challenge.key_authorization();
            wanted.push(Proof {
                name: name.name().clone(),
                way,
                token: challenge.token.clone(),
                text: key.as_str().to_owned(),
                record: key.dns_value(),
                digest: key.digest().as_ref().to_vec(),
            });
        }
        Ok(wanted)
    }

    /// Tells the authority that these proofs can be looked at. Those that were told before are not harmed.
    ///
    /// # Errors
    /// When it is not reached, or refuses at once.
    ///
    /// # Cancel safety
    /// Some may have been told.
    pub async fn show(&mut self, proofs: &[Proof]) -> Result<(), Fault> {
        let mut authorizations = self.0.authorizations();
        while let Some(next) = authorizations.next().await {
            let mut authorization = next?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let shown = proofs.iter().find(|proof| {
                authorization.challenges.iter().any(|one| one.token == proof.token && one.r#type == kind(proof.way))
            });
            let Some(proof) = shown else { continue };
            if let Some(mut challenge) = authorization.challenge(kind(proof.way)) {
                challenge.set_ready().await?;
            }
        }
        Ok(())
    }

    /// Asks for the certificate, when all names are proved.
    ///
    /// # Errors
    /// When the authority is not reached or refuses.
    ///
    /// # Cancel safety
    /// It may have been asked for: [`Order::refresh`] says so.
    pub async fn request(&mut self, names: &[HostPattern], key: &SigningKey) -> Result<(), Fault> {
        let names: Vec<String> = names.iter().map(HostPattern::to_string).collect();
        let mut wanted = CertificateParams::new(names).map_err(Fault::strange)?;
        wanted.distinguished_name = DistinguishedName::new();
        let request = wanted.serialize_request(&key.0).map_err(Fault::strange)?;
        Ok(self.0.finalize_csr(request.der()).await?)
    }

    /// The chain of the certificate, PEM, leaf first; none while it is being made.
    ///
    /// # Errors
    /// When the authority is not reached, or the order failed.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn certificate(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.0.certificate().await?)
    }

    async fn why_failed(&mut self) -> Fault {
        let mut authorizations = self.0.authorizations();
        while let Some(next) = authorizations.next().await {
            let Ok(mut authorization) = next else { break };
            let Ok(state) = authorization.refresh().await else { break };
            if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.clone()) {
                return problem.into();
            }
        }
        Fault::late("the order failed, and the authority does not say why")
    }
}

fn progress(status: OrderStatus) -> Progress {
    match status {
        OrderStatus::Pending => Progress::Pending,
        OrderStatus::Ready => Progress::Proved,
        OrderStatus::Processing => Progress::Processing,
        OrderStatus::Valid => Progress::Issued,
        OrderStatus::Invalid => Progress::Failed,
    }
}

fn kind(way: Way) -> ChallengeType {
    match way {
        Way::Http => ChallengeType::Http01,
        Way::Dns => ChallengeType::Dns01,
        Way::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

//! What a TLS failure means for the person who dials.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// What went wrong in a handshake, sorted by what the person can do about it. `Display` says what and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// No trusted authority issued the server's certificate. Remedy: give the server's CA file, or fix the interception in between.
    #[error("the server's certificate is not issued by an authority trusted here")]
    CaNotTrusted,
    /// The certificate is for other names. Remedy: dial one of them.
    #[error("the server's certificate is not for {expected}{}", presented_text(.presented))]
    WrongName {
        /// The name that was dialled, as far as known.
        expected: String,
        /// Names in the certificate, as far as known.
        presented: Vec<String>,
    },
    /// The certificate's time is over, or this machine's clock is ahead.
    #[error("the server's certificate has expired (or this machine's clock is wrong)")]
    Expired,
    /// The certificate's time has not come, or this machine's clock is behind.
    #[error("the server's certificate is not valid yet (or this machine's clock is wrong)")]
    NotYetValid,
    /// The certificate was revoked.
    #[error("the server's certificate was revoked")]
    Revoked,
    /// The certificate is unfit in another way.
    #[error("the server's certificate cannot be used: {detail}")]
    BadCertificate {
        /// What the verifier said.
        detail: String,
    },
    /// The server has no certificate for the name that was dialled.
    #[error("the server does not know the name that was dialled")]
    NameUnknown,
    /// The server does not speak any of the offered protocols.
    #[error("the server does not speak this protocol (no common ALPN name)")]
    NoCommonProtocol,
    /// The other side refused with an alert.
    #[error("the other side refused the handshake: {alert}")]
    Refused {
        /// Name of the alert.
        alert: String,
    },
    /// The other side does not speak TLS at all.
    #[error("the other side does not speak TLS on this port")]
    NotTls,
    /// Something else.
    #[error("TLS failed: {detail}")]
    Other {
        /// What rustls said.
        detail: String,
    },
}

/// Sorts a rustls error.
pub fn explain(error: &Error) -> TlsProblem {
    match error {
        Error::InvalidCertificate(error) => explain_certificate(error),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => TlsProblem::NameUnknown,
        // What rustls servers answer when their resolver has no certificate for the name.
        Error::AlertReceived(AlertDescription::AccessDenied) => TlsProblem::NameUnknown,
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            TlsProblem::NoCommonProtocol
        }
        Error::AlertReceived(alert) => TlsProblem::Refused { alert: format!("{alert:?}") },
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => TlsProblem::NotTls,
        other => TlsProblem::Other { detail: other.to_string() },
    }
}

/// Sorts an I/O error that may carry a rustls error, as `tokio-rustls` gives them, or one that carries such an error, as `hyper-rustls` does.
/// `None`: it is not about TLS.
pub fn explain_io(error: &io::Error) -> Option<TlsProblem> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<io::Error>() {
        Some(error) => explain_io(error),
        None => inner.downcast_ref::<Error>().map(explain),
    }
}

fn explain_certificate(error: &CertificateError) -> TlsProblem {
    match error {
        // A bad signature is what another installation's CA of the same name looks like.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsProblem::CaNotTrusted,
        CertificateError::NotValidForName => {
            TlsProblem::WrongName { expected: "the name that was dialled".to_owned(), presented: Vec::new() }
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            TlsProblem::WrongName { expected: expected.to_str().into_owned(), presented: presented.clone() }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsProblem::NotYetValid,
        CertificateError::Revoked => TlsProblem::Revoked,
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsProblem::BadCertificate { detail: "it is a CA certificate, not one for a server".to_owned() }
        }
        other => TlsProblem::BadCertificate { detail: other.to_string() },
    }
}

fn presented_text(presented: &[String]) -> String {
    if presented.is_empty() { String::new() } else { format!(" but for {}", presented.join(", ")) }
}

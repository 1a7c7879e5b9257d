//! Why there is no certificate, and who can do something about it.

use std::io;

use instant_acme::{Error, Problem};
use portway_tls::{RootsError, TlsProblem};

/// Prefix of the kinds of problems (RFC 8555 section 6.7).
const KIND: &str = "urn:ietf:params:acme:error:";

/// What kept a step from being done.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// Who can do something about it.
    pub blame: Blame,
    /// The kind of problem, as the authority calls it without its prefix: `dns`, `rateLimited`. Empty when it said none.
    pub kind: String,
    /// What failed, for people.
    pub text: String,
}

/// Who can do something about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whoever owns the name: its DNS records, or what answers at its addresses.
    Owner,
    /// Whoever runs the installation: the account, the contact, the address of the authority.
    Operator,
    /// Time: the authority is away or busy.
    Nobody,
}

impl Fault {
    pub(crate) fn strange(error: impl std::fmt::Display) -> Fault {
        Fault { blame: Blame::Operator, kind: String::new(), text: error.to_string() }
    }

    pub(crate) fn late(text: &str) -> Fault {
        Fault { blame: Blame::Nobody, kind: String::new(), text: text.to_owned() }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Fault {
        let kind = problem.r#type.as_deref().and_then(|kind| kind.strip_prefix(KIND)).unwrap_or_default();
        let blame = match kind {
            "caa" | "dns" | "connection" | "tls" | "unauthorized" | "incorrectResponse" | "rejectedIdentifier" => {
                Blame::Owner
            }
            "serverInternal" | "rateLimited" | "badNonce" | "orderNotReady" | "" => Blame::Nobody,
            _ => Blame::Operator,
        };
        let mut text = problem.detail.clone().unwrap_or_else(|| "the authority gives no reason".to_owned());
        for part in &problem.subproblems {
            if let Some(detail) = &part.detail {
                text.push_str("; ");
                text.push_str(detail);
            }
        }
        Fault { blame, kind: kind.to_owned(), text }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Api(problem) => problem.into(),
            Error::Timeout(_) => Fault::late("the authority has not decided yet"),
            Error::Other(error) => {
                // Down to the cause: what an HTTP client says itself is that sending failed.
                let causes =
                    std::iter::successors(Some(&*error as &(dyn std::error::Error + 'static)), |error| error.source());
                let problem =
                    causes.clone().find_map(|cause| portway_tls::explain_io(cause.downcast_ref::<io::Error>()?));
                let text = match problem {
                    Some(problem @ TlsProblem::CaNotTrusted) => {
                        format!("{problem}; the setting acme.roots says whom to trust for the directory")
                    }
                    Some(problem) => problem.to_string(),
                    None => causes.map(ToString::to_string).collect::<Vec<_>>().join(": "),
                };
                Fault { blame: Blame::Nobody, kind: String::new(), text }
            }
            // A proxy or a server that is no authority answers with something else than JSON, and may be an authority in a moment.
            error @ Error::Json(_) => Fault { blame: Blame::Nobody, kind: String::new(), text: error.to_string() },
            error => Fault::strange(error),
        }
    }
}

impl From<RootsError> for Fault {
    fn from(error: RootsError) -> Fault {
        Fault::strange(error)
    }
}

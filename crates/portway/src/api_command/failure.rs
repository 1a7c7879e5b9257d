//! Why a command failed, as people need it: what failed, what to do, and the code last.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use portway_api::{Body, CallError, ErrorBody, Operation, ReplyError, Spec};
use portway_telemetry::printable;
use portway_tls::TlsProblem;

use super::MAX_OBJECTS;
use super::client::SendError;
use super::server::ServerError;
use super::values::ValueError;
use crate::explain::{paragraphs, tls_remedy};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{error}")]
    Send {
        error: SendError,
        /// The file with the authorities that are trusted.
        ca: Option<PathBuf>,
    },
    #[error("{error}")]
    Reply { error: ReplyError, spec: &'static Spec },
    #[error(
        "the list has more than {MAX_OBJECTS} objects; take some of them with --filter, or page by page with --before-id"
    )]
    TooMany,
    #[error("the reply cannot be written as YAML: {0}; --output json can show it")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

impl Failure {
    /// Prints it, and gives the exit code: 2 for wrong usage and configuration, 1 for what the server or the way to it did.
    pub(super) fn report(&self) -> ExitCode {
        let text = match self {
            Self::Send { error, ca } => paragraphs(&[&error.to_string(), &send_remedy(error, ca.as_ref())]),
            Self::Reply { error: ReplyError::Refused(body), spec } => refusal(body, spec),
            Self::Reply { error, .. } => {
                paragraphs(&[&error.to_string(), "Check --api-url: it is the address of the API, not of an endpoint."])
            }
            other => other.to_string(),
        };
        // Nothing of what a server says is anything but text.
        let lines: Vec<String> = text.lines().map(|line| printable(line).to_string()).collect();
        let _ = writeln!(stderr(), "portway api: {}", lines.join("\n"));
        match self {
            Self::Server(_) | Self::Value(_) | Self::Call(_) => ExitCode::from(2),
            Self::Send { .. } | Self::Reply { .. } | Self::TooMany | Self::Yaml(_) => ExitCode::FAILURE,
        }
    }
}

fn refusal(body: &ErrorBody, spec: &Spec) -> String {
    let operation = body.details.get("operation_id").map(|id| format!("The id of the call is {id}."));
    let remedy = refusal_remedy(body.status_code, spec);
    paragraphs(&[&body.msg, &remedy, &operation.unwrap_or_default(), &body.error_code])
}

fn refusal_remedy(status: u16, spec: &Spec) -> String {
    let list = Operation::all().iter().find(|other| other.group() == spec.group() && other.verb() == "list");
    match status {
        401 => "Check --api-key (or PORTWAY_API_KEY, or api_key in the configuration file). On the server's own host, --data-dir DIR \
                takes the first key from bootstrap.json."
            .to_owned(),
        404 if list.is_some_and(|list| list.parameters().next().is_none()) => {
            format!("`portway api {} list` shows what there is.", spec.group())
        }
        400 if matches!(spec.body, Body::Json(_)) => {
            format!("`portway api {} --help` says what each field takes.", spec.name)
        }
        429 => "Wait a little, then try again.".to_owned(),
        500.. => "The server's log says more, under the id of the call.".to_owned(),
        _ => String::new(),
    }
}

fn send_remedy(error: &SendError, ca: Option<&PathBuf>) -> String {
    match error {
        SendError::Name(..) => "Check the spelling of --api-url, and the DNS entry of the server.".to_owned(),
        SendError::Connect(..) | SendError::ConnectTime(_) => {
            "Check that the server runs and that --api-url names the address of its API, which is api_url in its bootstrap.json."
                .to_owned()
        }
        SendError::Tls(_, TlsProblem::NotTls) | SendError::Http(..) => {
            "Check --api-url: whether it begins with http:// or https://, and its port.".to_owned()
        }
        SendError::Tls(_, TlsProblem::WrongName { .. } | TlsProblem::NameUnknown) => {
            "Check --api-url: its name must be one that the server has a certificate for.".to_owned()
        }
        SendError::Tls(_, problem) => tls_remedy(problem, ca.map(PathBuf::as_path)),
        SendError::Roots(_) | SendError::Reply(..) | SendError::ReplyTime(_) => String::new(),
    }
}

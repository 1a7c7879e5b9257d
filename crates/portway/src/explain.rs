//! Errors as people need them: what failed, why, what to do.

use std::fmt::Write as _;
use std::path::Path;

use portway_agent::{BindError, ConnectError, DialCause, TlsProblem};

/// Explains why the agent did not connect. `ca` is the CA file in use.
pub(crate) fn connect_error(error: &ConnectError, ca: Option<&Path>) -> String {
    let mut text = error.to_string();
    let remedy = match error {
        ConnectError::Dial(dial) => {
            let host = dial.target().to_string();
            dial.cause().map(|cause| dial_remedy(cause, &host, ca))
        }
        ConnectError::Refused { code, .. } => Some(refusal_remedy(code)),
        ConnectError::Handshake(_) | ConnectError::HandshakeTimeout(_) => {
            Some("Try again; if it stays so, look at the server's log.".to_owned())
        }
        _ => None,
    };
    if let Some(remedy) = remedy.filter(|remedy| !remedy.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n\n{remedy}");
    }
    text
}

fn dial_remedy(cause: &DialCause, target: &str, ca: Option<&Path>) -> String {
    match cause {
        DialCause::Dns(_) | DialCause::NoAddress => {
            format!(
                "The name cannot be resolved. Check the spelling of --connect-url ({target}) and the DNS entry of the server."
            )
        }
        DialCause::Refused => {
            format!(
                "Nothing listens at {target}. Check that the server runs and that --connect-url names its https address."
            )
        }
        DialCause::TimedOut(_) | DialCause::Unreachable(_) => format!(
            "{target} does not answer. Check --connect-url, the network and firewalls in between; behind a proxy give --proxy-url."
        ),
        DialCause::Tls(problem) => tls_remedy(problem, ca),
        DialCause::AlpnMissing => {
            format!(
                "Something answers at {target}, but it is no Portway server, or TLS is opened on the way. Check --connect-url."
            )
        }
        DialCause::Proxy { .. } => "Check --proxy-url, HTTPS_PROXY and ALL_PROXY; NO_PROXY exempts hosts.".to_owned(),
        _ => String::new(),
    }
}

fn tls_remedy(problem: &TlsProblem, ca: Option<&Path>) -> String {
    match (problem, ca) {
        (TlsProblem::CaNotTrusted, None) => "The server's certificate comes from an authority that this machine does not trust. When it is your own server, \
             give its CA file: --ca PATH. The server writes it to ca.pem in its data directory (.portway/ca.pem by default)."
            .to_owned(),
        (TlsProblem::CaNotTrusted, Some(ca)) => format!(
            "The server's certificate does not come from the authority in {}. Give the ca.pem of this server's own data directory \
             with --ca PATH.",
            ca.display()
        ),
        (TlsProblem::WrongName { .. } | TlsProblem::NameUnknown, _) => {
            "Connect to a name that the server has a certificate for: connect.BASE_DOMAIN, as its bootstrap.json says.".to_owned()
        }
        (TlsProblem::Expired | TlsProblem::NotYetValid, _) => "Check this machine's clock, then the server's log.".to_owned(),
        (TlsProblem::NotTls, _) => "Check the port of --connect-url: it must be the server's https address.".to_owned(),
        _ => String::new(),
    }
}

fn refusal_remedy(code: &str) -> String {
    match code {
        "ERR_NGROK_105" | "ERR_NGROK_107" | "ERR_NGROK_300" | "ERR_NGROK_302" => {
            "Check --authtoken (or PORTWAY_AUTHTOKEN, or authtoken in the configuration file). On the server's host, \
             `portway admin` lists authtokens and makes new ones."
                .to_owned()
        }
        _ => String::new(),
    }
}

/// Explains why an endpoint was not opened.
pub(crate) fn bind_error(error: &BindError) -> String {
    let mut text = error.to_string();
    let BindError::Refused { code, .. } = error else { return text };
    let remedy = match code.as_str() {
        "ERR_NGROK_308" | "ERR_NGROK_316" | "ERR_NGROK_356" => {
            "The authtoken may not bind that URL. Choose one that its rules allow, or make another authtoken with `portway admin`."
        }
        _ => return text,
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\n\n{remedy}");
    text
}

//! Errors as people need them: what failed, why, what to do.

use std::path::Path;

use portway_agent::{BindError, ConnectError, DialCause, TlsProblem};

/// Explains why the agent did not connect. `ca` is the CA file in use. What failed comes first, then what to do, then the code.
pub(crate) fn connect_error(error: &ConnectError, ca: Option<&Path>) -> String {
    match error {
        ConnectError::Dial(dial) => {
            let host = dial.target().to_string();
            let remedy = dial.cause().map(|cause| dial_remedy(cause, &host, ca)).unwrap_or_default();
            paragraphs(&[&error.to_string(), &remedy])
        }
        ConnectError::Refused { code, text, .. } => paragraphs(&[text, refusal_remedy(code), code]),
        ConnectError::Handshake(_) | ConnectError::HandshakeTimeout(_) => {
            paragraphs(&[&error.to_string(), "Try again; if it stays so, look at the server's log."])
        }
        ConnectError::Roots(problem) => match ca {
            Some(ca) => format!("the certificates in {} cannot be used: {problem}", ca.display()),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// The parts that say something, with an empty line between them.
pub(crate) fn paragraphs(parts: &[&str]) -> String {
    let said: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    said.join("\n\n")
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
                "Something answers at {target}, but not the agents' side of a Portway server. The name must be one that the server keeps \
                 for agents, usually connect.BASE_DOMAIN, and nothing may open TLS on the way. Check --connect-url."
            )
        }
        DialCause::Proxy { .. } => "Check --proxy-url, HTTPS_PROXY and ALL_PROXY; NO_PROXY exempts hosts.".to_owned(),
        _ => String::new(),
    }
}

pub(crate) fn tls_remedy(problem: &TlsProblem, ca: Option<&Path>) -> String {
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

fn refusal_remedy(code: &str) -> &'static str {
    match code {
        "ERR_NGROK_105" | "ERR_NGROK_107" | "ERR_NGROK_300" | "ERR_NGROK_302" => {
            "Check --authtoken (or PORTWAY_AUTHTOKEN, or authtoken in the configuration file). On the server's host, \
             `portway admin authtokens` lists authtokens and makes new ones."
        }
        _ => "",
    }
}

/// Explains why an endpoint was not opened: what failed, what to do, and the code last.
pub(crate) fn bind_error(error: &BindError) -> String {
    let BindError::Refused { code, text, .. } = error else { return error.to_string() };
    let remedy = match code.as_str() {
        "ERR_NGROK_308" | "ERR_NGROK_316" | "ERR_NGROK_356" => {
            "The authtoken may not bind that URL. Choose one that its rules allow, or make another authtoken with \
             `portway admin authtokens create` on the server's host."
        }
        _ => "",
    };
    paragraphs(&[text, remedy, code])
}

//! What a visitor is told when the upstream cannot answer.

use portway_codes::{Code, PublicError};
use portway_mux::{ErrorCode, StreamError};
use portway_names::{EndpointUrl, HostName};

use super::upstream_io::LinkFault;
use crate::bind::public_url;
use crate::endpoint::{Endpoint, OpenFault};
use crate::state::EdgeShared;

/// No stream could be opened.
pub(super) fn of_open(fault: &OpenFault, edge: &EdgeShared, endpoint: &Endpoint) -> PublicError {
    let url = public_url(edge, &endpoint.url);
    match fault {
        OpenFault::Offline => offline(&url),
        OpenFault::Busy => Code::ERR_PORTWAY_50301.plain(),
        OpenFault::Share => Code::ERR_PORTWAY_42901.plain(),
        OpenFault::Unreachable(why) => {
            let text = format!("The SSH client behind {url} is online, but it did not connect: {why}.");
            Code::ERR_NGROK_8012.with(text)
        }
    }
}

/// There is no endpoint under this URL now.
pub(super) fn offline(url: &impl std::fmt::Display) -> PublicError {
    Code::ERR_NGROK_3200.with(format!("The endpoint {url} is offline.\n{}", Code::ERR_NGROK_3200.text()))
}

/// The name belongs to the installation, which serves nothing on it.
pub(super) fn kept(name: &HostName) -> PublicError {
    Code::ERR_NGROK_3209.with(format!(
        "{name} is a name that this Portway installation keeps for itself. Nothing is served there in this version, and no agent can serve it."
    ))
}

/// The exchange failed before the head of a response was there. `link`: what became of the stream, where that is known.
pub(super) fn of_exchange(
    error: &hyper::Error,
    link: Option<LinkFault>,
    edge: &EdgeShared,
    endpoint: &Endpoint,
) -> PublicError {
    match link {
        Some(LinkFault::Broken(StreamError::Reset(code))) => of_reset(code, &public_url(edge, &endpoint.url)),
        Some(LinkFault::Broken(StreamError::SessionLost(_))) => Code::ERR_NGROK_3005.plain(),
        Some(LinkFault::Idle) => Code::ERR_NGROK_3008.plain(),
        Some(LinkFault::Reopen(fault)) => of_open(&fault, edge, endpoint),
        Some(LinkFault::Broken(StreamError::Finished)) | None => bad_answer(what_was_wrong(error)),
    }
}

/// The response cannot be passed on.
pub(super) fn bad_answer(why: &str) -> PublicError {
    Code::ERR_NGROK_3004.with(format!("{} ({why})", Code::ERR_NGROK_3004.text()))
}

fn of_reset(code: ErrorCode, url: &EndpointUrl) -> PublicError {
    let unreachable = |why: &str| {
        let advice = "Start the service, and check the address that the agent forwards to.";
        Code::ERR_NGROK_8012.with(format!("The agent of {url} is online, but {why}. {advice}"))
    };
    match code {
        ErrorCode::UPSTREAM_REFUSED => unreachable("the local service behind it refused the connection"),
        ErrorCode::UPSTREAM_TIMEOUT => unreachable("the local service behind it did not take the connection in time"),
        ErrorCode::UPSTREAM_UNREACHABLE => {
            unreachable("the network of the local service behind it could not be reached")
        }
        ErrorCode::UPSTREAM_NAME => unreachable("the name of the local service behind it does not resolve"),
        ErrorCode::UPSTREAM_TLS => Code::ERR_NGROK_3002.plain(),
        ErrorCode::UNKNOWN_ENDPOINT => Code::ERR_NGROK_3210.plain(),
        ErrorCode::AGENT_BUSY => Code::ERR_PORTWAY_50301.plain(),
        _ => bad_answer("the connection was cut before the answer"),
    }
}

fn what_was_wrong(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        "the header of the answer is too large"
    } else if error.is_parse() {
        "the answer is not valid HTTP"
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        "the connection ended before the answer"
    } else {
        "the exchange failed"
    }
}

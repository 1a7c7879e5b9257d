//! One try over QUIC.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use portway_names::Host;
use portway_tls::TlsProblem;
use quinn::{ConnectionError, TransportErrorCode};
use tokio::time::timeout;

use super::DialCause;
use crate::quic::{Handle, client_config, client_endpoint, close_reason};
use crate::{Role, Session, SessionConfig};

/// TLS alerts (RFC 8446 section 6) that say what a person can do something about.
mod alert {
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(super) const UNKNOWN_CA: u8 = 48;
    pub(super) const ACCESS_DENIED: u8 = 49;
    pub(super) const DECRYPT_ERROR: u8 = 51;
    pub(super) const UNRECOGNIZED_NAME: u8 = 112;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// When a handshake that has not ended is begun anew beside the first. Its packets are sent again after 1, 3 and 7 s, and a server that comes
/// back in between is not to wait for the last of them.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Connects to one address and begins a session there.
pub(super) async fn dial(
    address: SocketAddr,
    host: &Host,
    tls: &Arc<rustls::ClientConfig>,
    config: &SessionConfig,
) -> Result<Session, DialCause> {
    let invalid = |text: String| DialCause::Io(io::Error::new(io::ErrorKind::InvalidInput, text));
    let endpoint = client_endpoint(address).map_err(DialCause::from_io)?;
    let port = endpoint.local_addr().map_err(DialCause::from_io)?.port();
    let local = SocketAddr::new(source_ip(address).map_err(DialCause::from_io)?, port);
    let client = client_config(tls, config).map_err(|error| invalid(error.to_string()))?;
    let name = match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(ip) => ip.to_string(),
    };
    let mut tries = FuturesUnordered::new();
    loop {
        let next = endpoint.connect_with(client.clone(), address, &name);
        tries.push(next.map_err(|error| invalid(error.to_string()))?);
        if let Ok(Some(result)) = timeout(TRY_AGAIN, tries.next()).await {
            let connection = result.map_err(|error| cause(error, &name))?;
            return Ok(Session::quic(Handle::new(connection, Role::Agent, config.clone(), local)));
        }
    }
}

/// The address that packets to `peer` leave from at present; the session's own socket is bound to none, so that it may move.
fn source_ip(peer: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(peer)?;
    Ok(socket.local_addr()?.ip())
}

fn cause(error: ConnectionError, name: &str) -> DialCause {
    let (code, text) = match &error {
        ConnectionError::TransportError(error) => (error.code, error.reason.clone()),
        ConnectionError::ConnectionClosed(frame) => {
            (frame.error_code, String::from_utf8_lossy(&frame.reason).into_owned())
        }
        _ => return DialCause::Quic(close_reason(error)),
    };
    match tls_alert(code) {
        Some(alert::NO_APPLICATION_PROTOCOL) => DialCause::AlpnMissing,
        Some(alert) => DialCause::Tls(tls_problem(alert, text, name)),
        None if code == TransportErrorCode::CONNECTION_REFUSED => DialCause::Refused,
        None => DialCause::Quic(close_reason(error)),
    }
}

/// RFC 9001 section 4.8: alerts travel as 0x0100 plus their number.
fn tls_alert(code: TransportErrorCode) -> Option<u8> {
    u64::from(code).checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}

/// quinn keeps the alert and the text of the TLS error, not the error itself.
fn tls_problem(alert: u8, text: String, name: &str) -> TlsProblem {
    match alert {
        alert::UNKNOWN_CA => TlsProblem::CaNotTrusted,
        // What another installation's CA of the same name looks like.
        alert::DECRYPT_ERROR if text.contains("BadSignature") => TlsProblem::CaNotTrusted,
        alert::CERTIFICATE_EXPIRED => TlsProblem::Expired,
        alert::ACCESS_DENIED | alert::UNRECOGNIZED_NAME => TlsProblem::NameUnknown,
        alert::BAD_CERTIFICATE if text.contains("not valid for name") => {
            TlsProblem::WrongName { expected: name.to_owned(), presented: Vec::new() }
        }
        alert::BAD_CERTIFICATE => TlsProblem::BadCertificate { detail: text },
        _ => TlsProblem::Other { detail: text },
    }
}

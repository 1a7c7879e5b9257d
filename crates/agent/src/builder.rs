//! Describing and starting an agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portway_mux::{CarrierChoice, Dialer, ProxyUrl};
use portway_names::ConnectUrl;
use portway_tls::Roots;
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::agent::{Agent, Core};
use crate::endpoint::MAX_METADATA;
use crate::error::ConnectError;
use crate::region;
use crate::remote::Remote;
use crate::supervisor::{self, Aim, Supervisor};

/// Time for one attempt to reach the edge.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An agent being described. Made by [`Agent::builder`]; ends in [`Self::connect`].
#[must_use = "nothing happens before connect"]
pub struct AgentBuilder {
    connect_url: String,
    pub(crate) authtoken: SecretString,
    roots: Roots,
    carrier: CarrierChoice,
    region: String,
    proxy_url: Option<String>,
    pub(crate) metadata: String,
    pub(crate) client_type: String,
    pub(crate) watch_requests: bool,
    pub(crate) path_rtt: Option<Duration>,
    pub(crate) remote: Remote,
    connect_timeout: Duration,
    addresses: Vec<SocketAddr>,
}

impl Default for AgentBuilder {
    fn default() -> Self {
        Self {
            connect_url: String::new(),
            authtoken: SecretString::default(),
            roots: Roots::Host,
            carrier: CarrierChoice::Auto,
            region: String::new(),
            proxy_url: None,
            metadata: String::new(),
            client_type: "portway-rust".to_owned(),
            watch_requests: false,
            path_rtt: None,
            remote: Remote::default(),
            connect_timeout: CONNECT_TIMEOUT,
            addresses: Vec::new(),
        }
    }
}

impl AgentBuilder {
    /// Where to dial: `connect.example.com:443`; the port may be left out when it is 443. Required.
    pub fn connect_url(mut self, url: impl Into<String>) -> Self {
        self.connect_url = url.into();
        self
    }

    /// The credential of the account.
    pub fn authtoken(mut self, authtoken: impl Into<SecretString>) -> Self {
        self.authtoken = authtoken.into();
        self
    }

    /// Which certificates of the edge to trust; the host's own roots by default.
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// What carries the session; both are raced by default.
    pub fn carrier(mut self, carrier: CarrierChoice) -> Self {
        self.carrier = carrier;
        self
    }

    /// Uses the edges of one region only, by the connect URL's name for it (`eu.connect.example.com`). Empty or `auto`, which is the default:
    /// the agent measures the regions that the edge offers, and moves to one that is clearly faster.
    ///
    /// A region that the installation does not have is an error, unless ngrok has one of that name: then any region is used.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Dials through a proxy: `http://host:port` (CONNECT) or `socks5://host:port`. The session is then carried by TCP.
    pub fn proxy_url(mut self, url: impl Into<String>) -> Self {
        self.proxy_url = Some(url.into());
        self
    }

    /// Opaque text of the user, shown with the session; at most 4096 bytes.
    pub fn metadata(mut self, metadata: impl Into<String>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// Name of the program that embeds the agent.
    pub fn client_type(mut self, client_type: impl Into<String>) -> Self {
        self.client_type = client_type.into();
        self
    }

    /// Lets the owner of the account stop the program from afar; without it such a command is refused. `handler` must return at once, with a
    /// reason when it does not obey: the answer leaves before anything else happens, so it passes the wish on and the program closes the agent.
    pub fn on_stop(mut self, handler: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.remote.stop = Some(Box::new(handler));
        self
    }

    /// Like [`Self::on_stop`], for a program that ends and starts again.
    pub fn on_restart(mut self, handler: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.remote.restart = Some(Box::new(handler));
        self
    }

    /// Like [`Self::on_stop`], for a program that fetches another version of itself: the one given, or the newest when it is empty; of another
    /// major version only where the flag permits it.
    pub fn on_update(mut self, handler: impl Fn(&str, bool) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.remote.update = Some(Box::new(handler));
        self
    }

    /// Publishes [`Event::Request`](crate::Event::Request)s. Off by default, as it looks into every chunk.
    pub fn watch_requests(mut self, on: bool) -> Self {
        self.watch_requests = on;
        self
    }

    /// Chooses between the carriers by this round trip time instead of measuring it; for a path that is known in advance.
    pub fn path_rtt(mut self, rtt: Duration) -> Self {
        self.path_rtt = Some(rtt);
        self
    }

    /// Time for one attempt to reach the edge; 10 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Addresses to dial instead of asking the resolver; the connect URL's host is still what the certificate must name.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// Makes the first session and starts the agent. From then on it reconnects by itself for ever.
    ///
    /// Cancel safety: dropping the future abandons the attempt.
    ///
    /// # Errors
    /// What is wrong with the description, why the edge was not reached, or its refusal. [`ConnectError::is_transient`] tells whether
    /// trying again can help.
    pub async fn connect(self) -> Result<Agent, ConnectError> {
        let core = Arc::new(self.core()?);
        // The first handshake needs what is made ready here while the name is looked up.
        let warm_up = tokio::task::spawn_blocking(portway_tls::warm_up);
        let (link, _) = tokio::join!(supervisor::dial(&core, core.dialer.clone(), &Aim::Session, 1), warm_up);
        let link = link?;
        let (commands, received) = mpsc::unbounded_channel();
        // The task ends when the last handle is dropped or the agent is closed; `close` waits for it.
        tokio::spawn(Supervisor::new(core.clone(), received, link).run());
        Ok(Agent::new(core, commands))
    }

    fn core(self) -> Result<Core, ConnectError> {
        if self.metadata.len() > MAX_METADATA {
            return Err(ConnectError::MetadataTooLong { length: self.metadata.len(), limit: MAX_METADATA });
        }
        let connect_url: ConnectUrl = self
            .connect_url
            .parse()
            .map_err(|error| ConnectError::ConnectUrl { url: self.connect_url.clone(), reason: format!("{error}") })?;
        let region = region::choice(&self.region)?;
        let mut choice = self.carrier;
        let mut dialer = Dialer::new(connect_url, &self.roots).map_err(ConnectError::Roots)?;
        dialer = dialer.connect_timeout(self.connect_timeout).addresses(self.addresses.clone());
        if let Some(url) = &self.proxy_url {
            let proxy: ProxyUrl = url.parse().map_err(|error| ConnectError::ProxyUrl {
                url: crate::proxy::redacted(url),
                reason: format!("{error}"),
            })?;
            dialer = dialer.proxy(Some(proxy));
            choice = CarrierChoice::Tcp;
        }
        Ok(Core::new(dialer.carrier(choice), choice, region, self))
    }
}

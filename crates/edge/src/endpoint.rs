//! An endpoint that is online: whose it is, how its visitors are served, and how a stream to its service is opened.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use portway_mux::{OpenError, Session, Stream};
use portway_names::{AccountId, EndpointId, EndpointUrl, Scheme, SessionId};
use portway_proto::AgentId;
use portway_proto::agent::v1::ConnectionHead;
use portway_ssh::{Forwarded, OpenError as SshOpenError, RequestLines};
use portway_wire::head::encode_connection_head;
use portway_wire::ngrok::{ProxyHead, encode_proxy_head};
use portway_wire::proxy_protocol::{self, ProxyVersion};
use tokio::sync::SetOnce;

use crate::actions::EndpointActions;
use crate::admission::Limit;
use crate::link::AgentLink;
use crate::shares::{Shares, VisitorStream};

/// How long an SSH client may take to connect to its service.
const SSH_OPEN: Duration = Duration::from_secs(10);
/// How long a visitor waits for an agent to confirm that it knows a fresh endpoint: a round trip, mostly.
const CONFIRMATION: Duration = Duration::from_secs(5);

/// One public name that a session serves.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) url: EndpointUrl,
    pub(crate) account: AccountId,
    /// Its number in its session.
    pub(crate) handle: u32,
    /// How streams say whom they are for.
    pub(crate) address: Address,
    /// Only endpoints of the same account reach it.
    pub(crate) internal: bool,
    /// Others of the account may serve the same URL.
    pub(crate) pooled: bool,
    /// When it came online.
    pub(crate) since: SystemTime,
    pub(crate) about: Mutex<About>,
    pub(crate) session: AgentLink,
    /// What visitors have of the session's streams.
    pub(crate) shares: Arc<Shares>,
    /// The shard that drives the session.
    pub(crate) shard: usize,
    pub(crate) holder: Holder,
    pub(crate) options: EndpointOptions,
    pub(crate) counters: EndpointCounters,
}

/// How a visitor's stream says which endpoint it is for, in the words of the protocol that its agent speaks.
#[derive(Debug)]
pub(crate) enum Address {
    /// By the endpoint's number in its session.
    Native,
    /// By the id of its bind.
    Ngrok {
        id: Arc<str>,
        /// Set when the agent has read that the endpoint is online; before that it drops streams.
        confirmed: SetOnce<()>,
    },
    /// By a channel of its own kind.
    Ssh {
        forwarded: Forwarded,
        /// Where the user sees requests.
        requests: RequestLines,
    },
}

/// Who holds a name: decides which of two sessions has it, or whether both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Who holds the lease: the agent, or the pool of its account.
    pub(crate) lessee: AgentId,
    /// The agent process.
    pub(crate) agent: AgentId,
    /// Which of the agent's connections it is, when it keeps several.
    pub(crate) leg: u32,
    /// Counts the sessions of the agent.
    pub(crate) generation: u64,
    /// Fence of the lease: grows with each change of holder.
    pub(crate) fence: u64,
    pub(crate) session_id: SessionId,
}

/// How an endpoint's visitors are served.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointOptions {
    /// The upstream speaks HTTP/2 with prior knowledge.
    pub(crate) upstream_http2: bool,
    /// PROXY protocol header in front of each stream.
    pub(crate) proxy_protocol: Option<ProxyVersion>,
    /// Value for the Host field of forwarded requests; absent: the visitor's.
    pub(crate) host_header: Option<HeaderValue>,
    /// A tls endpoint whose TLS ends here.
    pub(crate) tls_edge: bool,
    /// What is done with its traffic; none: it is passed on.
    pub(crate) actions: Option<Arc<EndpointActions>>,
}

/// What its agent says of an endpoint, for display. An agent may change it while the endpoint is online.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) metadata: String,
    pub(crate) forwards_to: String,
}

/// What an endpoint counts for the live view.
#[derive(Debug, Default)]
pub(crate) struct EndpointCounters {
    /// Streams opened since the endpoint came online.
    pub(crate) streams: AtomicUsize,
}

/// Why no stream could be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OpenFault {
    /// The agent is gone; its endpoints leave the table at this moment.
    #[error("the agent's session is closed")]
    Offline,
    /// The session has as many streams as it may have.
    #[error("the agent's session has too many streams open")]
    Busy,
    /// The visitor's address has as many of them as it may have.
    #[error("the visitor's address has its share of the session's streams open")]
    Share,
    /// The SSH client did not take the connection.
    #[error("the SSH client did not connect: {0}")]
    Unreachable(String),
}

impl OpenFault {
    /// The limit that was reached, when it was one.
    pub(crate) fn limit(&self) -> Option<Limit> {
        match self {
            OpenFault::Busy => Some(Limit::Streams),
            OpenFault::Share => Some(Limit::StreamsPerAddress),
            OpenFault::Offline | OpenFault::Unreachable(_) => None,
        }
    }
}

impl Endpoint {
    /// Opens a stream to the upstream for a visitor at `client` that reached `server`. The head and, where asked for, the PROXY
    /// protocol header are queued already and leave with the first bytes written; there is no round trip.
    ///
    /// Cancel safety: dropped before it is ready, no stream is opened or it is reset.
    pub(crate) async fn open(&self, client: SocketAddr, server: SocketAddr) -> Result<VisitorStream, OpenFault> {
        let share = self.shares.take(client).ok_or(OpenFault::Share)?;
        let proxy = self.options.proxy_protocol.map(|version| proxy_protocol::encode(version, client, server));
        let stream = match (&self.session, &self.address) {
            (AgentLink::Mux(session), Address::Native) => {
                let head = encode_connection_head(&ConnectionHead::new(self.handle, client, server));
                open_mux(session, head, proxy).await?
            }
            (AgentLink::Mux(session), Address::Ngrok { id, confirmed }) => {
                if !confirmed.initialized() {
                    // Without the confirmation the agent may know it all the same.
                    let _ = tokio::time::timeout(CONFIRMATION, confirmed.wait()).await;
                }
                open_mux(session, self.proxy_head(id, client), proxy).await?
            }
            (_, Address::Ssh { forwarded, .. }) => open_ssh(forwarded, client, proxy).await?,
            (AgentLink::Ssh(_), _) => return Err(OpenFault::Offline),
        };
        self.counters.streams.fetch_add(1, Ordering::Relaxed);
        Ok(VisitorStream::new(stream, share))
    }

    fn proxy_head(&self, id: &str, client: SocketAddr) -> Bytes {
        let scheme = self.url.scheme;
        let passthrough_tls = scheme == Scheme::Tls && !self.options.tls_edge;
        encode_proxy_head(&ProxyHead { id, client, scheme, passthrough_tls })
    }

    /// Value for the Host field of forwarded requests; none: the visitor's.
    pub(crate) fn host_header(&self) -> Option<&HeaderValue> {
        let changed = self.options.actions.as_ref().and_then(|actions| actions.rules.request_headers.host());
        changed.or(self.options.host_header.as_ref())
    }

    /// Whether the session behind it can still open streams.
    pub(crate) fn is_online(&self) -> bool {
        self.session.close_reason().is_none()
    }
}

/// Head and PROXY protocol header leave in one frame.
async fn open_mux(session: &Session, head: Bytes, proxy: Option<Bytes>) -> Result<Stream, OpenFault> {
    let first = match proxy {
        None => head,
        Some(proxy) => {
            let mut joined = BytesMut::with_capacity(head.len() + proxy.len());
            joined.extend_from_slice(&head);
            joined.extend_from_slice(&proxy);
            joined.freeze()
        }
    };
    session.open(first).await.map_err(|error| match error {
        OpenError::TooManyStreams { .. } => OpenFault::Busy,
        OpenError::Closed(_) => OpenFault::Offline,
    })
}

/// The client connects to its service before the channel is open, so this takes a round trip and the service's time.
async fn open_ssh(forwarded: &Forwarded, client: SocketAddr, proxy: Option<Bytes>) -> Result<Stream, OpenFault> {
    let opened = tokio::time::timeout(SSH_OPEN, forwarded.open(client)).await;
    let opened = opened.unwrap_or_else(|_| Err(SshOpenError::Refused("it did not answer in time".to_owned())));
    let mut stream = opened.map_err(|error| match error {
        SshOpenError::TooManyStreams { .. } => OpenFault::Busy,
        SshOpenError::Closed(_) => OpenFault::Offline,
        SshOpenError::Refused(why) => OpenFault::Unreachable(why),
    })?;
    if let Some(proxy) = proxy {
        stream.write_chunk(proxy).await.map_err(|_| OpenFault::Offline)?;
    }
    Ok(stream)
}

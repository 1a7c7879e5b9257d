//! The front for `ssh -R` (`docs/ssh.md`): a connection of the user's SSH client as a session, its command as binds.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portway_codes::{Code, PublicError};
use portway_names::{AccountId, HostName, WantedUrl};
use portway_proto::{AgentId, CredentialRecord, SessionProtocol};
use portway_ssh::{
    AcceptError, Accepted, Command, Events, Front as SshServer, Gate, Happening, Offer, ProxyVersion, Terminal,
};
use portway_traffic::middleware;
use portway_wire::proxy_protocol;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::actions::EndpointActions;
use crate::admission::{ConnectionPermit, Limit};
use crate::bind::{Agent, Online, Refused, Wanted, is_internal};
use crate::commands::Commands;
use crate::config::Limits;
use crate::control_stream::ControlFault;
use crate::endpoint::{About, Address, Endpoint, EndpointOptions};
use crate::front::{Front, Heard};
use crate::link::AgentLink;
use crate::login;
use crate::metrics::{HandshakeLabel, HandshakeStage, Kind};
use crate::online::Introduction;
use crate::session::AgentSession;
use crate::shares::{Share, Shares};
use crate::state::EdgeShared;

/// What the user is told when the edge drains.
const GOING: &str = "The server is shutting down or restarting. Run the command again for a new session.";
/// Time within which the last words of a session reach the user.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection that speaks SSH, or is to.
pub(crate) struct Arrival<IO> {
    pub(crate) io: IO,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) permit: ConnectionPermit,
    pub(crate) shard: usize,
}

/// Serves an SSH connection from its first byte to its last.
pub(crate) async fn serve<IO>(edge: Arc<EdgeShared>, server: Arc<SshServer>, arrival: Arrival<IO>)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Arrival { io, peer, local, permit, shard } = arrival;
    let _permit = permit;
    let Some(place) = edge.ssh_logins.enter(&edge, peer) else { return turn_away(io).await };
    edge.count_connection(Kind::Agent);
    // SSH does not say which name was dialled; an address of a connect URL's own does.
    let connect_name = login::connect_name(&edge, None, local).unwrap_or_default();
    let gate = Arc::new(EdgeGate { edge: Arc::clone(&edge), connect_name: connect_name.clone() });
    let accepted = Box::pin(server.accept(io, peer, local, gate)).await;
    drop(place);
    match accepted {
        Ok(accepted) => {
            if let Some(session) = Box::pin(begin(edge, accepted, connect_name.as_ref(), shard)).await {
                session.run().await;
            }
        }
        Err(AcceptError::Refused(error)) => login::count_refusal(&edge, peer, &Refused::for_good(error)),
        Err(AcceptError::Helped) => {}
        Err(error @ (AcceptError::NoLogin(_) | AcceptError::Left(_))) => {
            edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage: HandshakeStage::AgentHello }).inc();
            tracing::debug!(%peer, %error, "SSH connection given up");
        }
    }
}

/// Where SSH connections are that have not logged in, or not said what to serve.
#[derive(Debug)]
pub(crate) struct Logins {
    all: Arc<Semaphore>,
    by_address: Arc<Shares>,
}

impl Logins {
    pub(crate) fn new(limits: &Limits) -> Logins {
        Logins {
            all: Arc::new(Semaphore::new(limits.ssh_logins as usize)),
            by_address: Shares::new(limits.ssh_logins_per_address, limits.loopback_exempt),
        }
    }

    /// Whether there is none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// A place for one more.
    fn enter(&self, edge: &EdgeShared, peer: SocketAddr) -> Option<(OwnedSemaphorePermit, Share)> {
        let place = Arc::clone(&self.all).try_acquire_owned();
        let place = place.map_err(|_| edge.admission.reached(Limit::SshLogins, peer)).ok()?;
        let Some(share) = self.by_address.take(peer) else {
            edge.admission.reached(Limit::SshLoginsPerAddress, peer);
            return None;
        };
        Some((place, share))
    }
}

/// Says why there is no version line (RFC 4253 section 4.2 lets a server say something in front of it).
async fn turn_away<IO: AsyncWrite + Unpin>(mut io: IO) {
    // A few bytes fit the socket; a client that takes none is not waited for.
    let text = b"Too many SSH logins are under way. Try again in a moment.\r\n";
    let _ = tokio::time::timeout(FAREWELL, async {
        io.write_all(text).await?;
        io.shutdown().await
    })
    .await;
}

/// A place among the sessions, and the first wishes.
async fn begin(
    edge: Arc<EdgeShared>,
    accepted: Accepted<Client>,
    connect_name: Option<&HostName>,
    shard: usize,
) -> Option<AgentSession> {
    let Accepted { who, command, endpoints, session, terminal, events } = accepted;
    let Client { credential, by_key } = who;
    let peer = session.peer_addr();
    let (session_id, registration) = match login::register(&edge, &credential, connect_name, peer) {
        Ok(registered) => registered,
        Err(refused) => {
            login::count_refusal(&edge, peer, &refused);
            terminal.fail(&refused.error).await;
            return None;
        }
    };
    let wishes = endpoints.into_iter().map(|wanted| (wanted.url, wanted.forwarded));
    let account = credential.account;
    let wishes: Result<VecDeque<_>, _> =
        wishes.map(|(url, to)| wanted(&edge, account, &command, url, to, &terminal)).collect();
    let wishes = match wishes {
        Ok(wishes) => wishes,
        Err(refused) => {
            terminal.fail(&refused.error).await;
            return None;
        }
    };
    tracing::info!(session = %session_id, account = %credential.account, %peer, "SSH session online");
    let front = SshFront {
        account: credential.account_name.clone(),
        region: edge.config.region.to_string(),
        handles: vec![None; wishes.len()],
        urls: vec![None; wishes.len()],
        wishes: wishes.into_iter().enumerate().collect(),
        events,
        terminal: Some(terminal),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let shares = Shares::of_session(edge.limits(), session.max_streams());
    let agent = Agent {
        edge,
        shard,
        shares,
        session: AgentLink::Ssh(session),
        session_id,
        credential,
        agent: AgentId::new(rand::random()),
        leg: 0,
        generation: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    };
    registration.handle().takes_commands(Commands::Ssh);
    let introduction = Introduction {
        protocol: SessionProtocol::Ssh,
        ssh_key: by_key,
        // SSH has no words for them.
        agent_version: String::new(),
        os: String::new(),
        metadata: String::new(),
    };
    Some(AgentSession::new(agent, registration, introduction, Front::Ssh(Box::new(front))))
}

/// What one `-R` asks for, with the options of the command.
fn wanted(
    edge: &EdgeShared,
    account: AccountId,
    command: &Command,
    url: WantedUrl,
    forwarded: portway_ssh::Forwarded,
    terminal: &Terminal,
) -> Result<Wanted, Refused> {
    let options = &command.options;
    let headers = |add: &[portway_ssh::HeaderField], remove: &[String]| {
        let add = add.iter().map(|field| format!("{}:{}", field.name, field.value)).collect();
        let headers = middleware::Headers { add, remove: remove.to_vec(), ..middleware::Headers::default() };
        (!headers.add.is_empty() || !headers.remove.is_empty()).then_some(headers)
    };
    let credentials: Vec<_> = options
        .basic_auth
        .iter()
        .map(|pair| middleware::Credential {
            username: pair.user.clone(),
            cleartext_password: Some(pair.password.clone()),
            hashed_password: None,
        })
        .collect();
    let asked = middleware::Middleware {
        basic_auth: (!credentials.is_empty()).then_some(middleware::BasicAuth { credentials }),
        request_headers: headers(&options.request_header_add, &options.request_header_remove),
        response_headers: headers(&options.response_header_add, &options.response_header_remove),
        ..middleware::Middleware::default()
    };
    let rules = asked.into_actions(url.scheme).map_err(Refused::for_good)?;
    let actions = EndpointActions::prepare(rules, url.scheme, account, &edge.replica).map_err(Refused::for_good)?;
    let proxy_protocol = options.proxy_protocol.map(|version| match version {
        ProxyVersion::V1 => proxy_protocol::ProxyVersion::V1,
        ProxyVersion::V2 => proxy_protocol::ProxyVersion::V2,
    });
    let about = About {
        description: options.description.clone(),
        metadata: options.metadata.clone(),
        forwards_to: "ssh".to_owned(),
        ..About::default()
    };
    Ok(Wanted {
        internal: url.host.as_ref().is_some_and(|host| is_internal(host.name())),
        url,
        options: EndpointOptions { proxy_protocol, actions, ..EndpointOptions::default() },
        about,
        address: Address::Ssh { forwarded, requests: terminal.requests() },
        id: None,
        pooled: false,
    })
}

/// Who logged in.
#[derive(Debug, Clone)]
struct Client {
    credential: Arc<CredentialRecord>,
    /// With a key, not with an authtoken.
    by_key: bool,
}

/// Answers whose credentials SSH clients offer.
struct EdgeGate {
    edge: Arc<EdgeShared>,
    connect_name: Option<HostName>,
}

impl Gate for EdgeGate {
    type Who = Client;

    async fn admit(&self, offer: Offer, peer: SocketAddr) -> Result<Self::Who, PublicError> {
        let name = self.connect_name.as_ref();
        let (by_key, admitted) = match offer {
            Offer::Token(token) => (false, login::authenticate(&self.edge, &token, name, peer).await),
            Offer::Key(key) => (true, login::authenticate_key(&self.edge, &key.openssh, name, peer).await),
        };
        admitted.map(|credential| Client { credential, by_key }).map_err(|refused| refused.error)
    }
}

/// One SSH client's side of a session.
#[derive(Debug)]
pub(crate) struct SshFront {
    account: String,
    region: String,
    /// What is still to be asked for, by the place of its `-R`.
    wishes: VecDeque<(usize, Wanted)>,
    /// The endpoints online, by the place of their `-R`.
    handles: Vec<Option<u32>>,
    /// Their URLs, in the order in which the user asked for them.
    urls: Vec<Option<String>>,
    events: Events<Client>,
    /// None when the user has been told the last word.
    terminal: Option<Terminal>,
}

impl SshFront {
    /// See [`Front::next`].
    pub(crate) async fn next(&mut self) -> Result<Heard, ControlFault> {
        if let Some((place, wanted)) = self.wishes.pop_front() {
            return Ok(Heard::Bind { request: place as u32, wanted: Ok(Box::new(wanted)) });
        }
        match self.events.next().await {
            Some(Happening::Cancelled(place)) => {
                let handle = self.handles.get_mut(place).and_then(Option::take);
                Ok(Heard::Unbind { request: 0, handle })
            }
            Some(Happening::Quit) | None => Err(ControlFault::Ended),
        }
    }

    /// An endpoint is online; the user is told when all are.
    pub(crate) fn bound(&mut self, request: u32, online: &Online) {
        let place = request as usize;
        if let (Some(handle), Some(url)) = (self.handles.get_mut(place), self.urls.get_mut(place)) {
            *handle = Some(online.endpoint.handle);
            *url = Some(online.public_url().to_string());
        }
        let all: Option<Vec<&String>> = self.urls.iter().map(Option::as_ref).collect();
        if let (Some(terminal), Some(urls)) = (&self.terminal, all) {
            terminal.online(&self.account, &self.region, &urls);
        }
    }

    /// One endpoint that cannot be had is the end of the command.
    pub(crate) async fn refused(&mut self, refused: &Refused) -> Result<(), ControlFault> {
        if let Some(terminal) = self.terminal.take() {
            terminal.fail(&refused.error).await;
        }
        Err(ControlFault::Ended)
    }

    /// An endpoint is no more.
    pub(crate) fn closed(&mut self, endpoint: &Endpoint, why: &PublicError) {
        self.handles.iter_mut().filter(|place| **place == Some(endpoint.handle)).for_each(|place| *place = None);
        if let Some(terminal) = &self.terminal {
            terminal.error(why);
        }
    }

    /// The client will not dial again by itself: it is told, and has all the time there is.
    pub(crate) fn go_away(&self) {
        self.say(GOING);
    }

    /// Ends the session of an edge that drains. The user did not want that, so it is an error: a loop around `ssh` looks at the exit status.
    pub(crate) async fn drained(&mut self) {
        self.leave(Some(&Code::ERR_NGROK_803.with(GOING))).await;
    }

    /// Shows the user a line.
    pub(crate) fn say(&self, text: &str) {
        if let Some(terminal) = &self.terminal {
            terminal.line(text);
        }
    }

    /// Ends the session; with an error when something went wrong.
    pub(crate) async fn leave(&mut self, why: Option<&PublicError>) {
        let Some(terminal) = self.terminal.take() else { return };
        let told = async {
            match why {
                Some(error) => terminal.fail(error).await,
                None => terminal.end(0, "").await,
            }
        };
        let _ = tokio::time::timeout(FAREWELL, told).await;
    }
}

/// Whether the first bytes of a connection are SSH's: a client says them at once (RFC 4253 section 4.2).
pub(crate) fn looks_like_ssh(first: &[u8]) -> bool {
    let banner = b"SSH-2.0-";
    let known = first.len().min(banner.len());
    known >= 4 && first[..known] == banner[..known]
}

//! The front for native agents: who they are, before their session begins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use portway_codes::{Code, PublicError};
use portway_mux::Session;
use portway_names::{HostName, SessionId};
use portway_proto::agent::v1::{Refusal, Welcome, agent_message, edge_message};
use portway_proto::{AgentHello, CredentialRecord, VERSION_MINOR};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout, timeout_at};

use crate::admission::{ConnectionPermit, Limit};
use crate::bind::{Agent, Refused, new_ksuid};
use crate::control_stream::{ControlFault, ControlStream};
use crate::metrics::{HandshakeLabel, HandshakeStage, Kind, ReasonLabel};
use crate::replica::Digest;
use crate::session::AgentSession;
use crate::sessions::Registration;
use crate::state::EdgeShared;

/// Time an agent has to read a refusal and close the session itself. Well below the two seconds within which a revoked credential ends.
const REFUSAL_READ: Duration = Duration::from_millis(500);

/// How an agent came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) session: Session,
    /// The name it dialled; none for an address.
    pub(crate) connect_name: Option<HostName>,
    pub(crate) permit: ConnectionPermit,
    /// The shard that drives the session.
    pub(crate) shard: usize,
}

/// Serves an agent from its first stream to its last. What is needed only for a while is boxed, so that an idle session is small.
pub(crate) async fn serve(edge: Arc<EdgeShared>, arrival: Arrival) {
    let Arrival { session, connect_name, permit, shard } = arrival;
    let _permit = permit;
    if let Some(session) = Box::pin(begin(edge, session, connect_name, shard)).await {
        session.run().await;
    }
}

/// From the first stream to the Welcome; none when it came to nothing.
async fn begin(
    edge: Arc<EdgeShared>,
    session: Session,
    connect_name: Option<HostName>,
    shard: usize,
) -> Option<AgentSession> {
    edge.count_connection(Kind::Agent);
    let peer = session.peer_addr();
    let deadline = Instant::now() + edge.limits().hello_timeout;
    let greeted = timeout_at(deadline, greet(&edge, &session)).await;
    let (mut control, hello) = match greeted {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(fault)) => {
            give_up(&edge, &session, &fault.to_string());
            return None;
        }
        Err(_) => {
            give_up(&edge, &session, "no Hello in time");
            return None;
        }
    };
    match admit(&edge, hello, connect_name.as_ref(), peer).await {
        Ok(admitted) => {
            let (agent, registration) = admitted.into_agent(&edge, &session, shard);
            welcome(agent, registration, control).await
        }
        Err(refused) => {
            count_refusal(&edge, peer, &refused);
            refuse(&mut control, &session, &refused).await;
            None
        }
    }
}

/// Sends a refusal and closes the session after it.
pub(crate) async fn refuse(control: &mut ControlStream, session: &Session, refused: &Refused) {
    let refusal = Refusal {
        code: refused.error.code.to_string(),
        text: refused.error.text.clone(),
        retryable: refused.retryable,
    };
    if control.send(edge_message::Message::Refusal(refusal)).await.is_err() {
        return session.abort();
    }
    control.finish().await;
    // A close may overtake what the agent has not read yet, so the agent is let go first.
    if timeout(REFUSAL_READ, session.closed()).await.is_err() {
        session.close(refused.error.code.title());
    }
}

async fn greet(edge: &EdgeShared, session: &Session) -> Result<(ControlStream, agent_message::Message), ControlFault> {
    let stream = session.accept().await.ok_or(ControlFault::Ended)?;
    let mut control = ControlStream::open(stream, edge.limits().control_write_timeout).await?;
    let first = control.next().await?;
    Ok((control, first))
}

/// The peer speaks something else: it would not understand a refusal.
fn give_up(edge: &EdgeShared, session: &Session, why: &str) {
    tracing::debug!(peer = %session.peer_addr(), why, "agent connection given up");
    edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage: HandshakeStage::AgentHello }).inc();
    session.abort();
}

fn count_refusal(edge: &EdgeShared, peer: SocketAddr, refused: &Refused) {
    let reason = refused.error.code.name();
    edge.metrics.refused.get_or_create(&ReasonLabel { reason }).inc();
    tracing::info!(%peer, code = reason, "agent session refused");
}

/// An agent that may have a session.
struct Admitted {
    hello: AgentHello,
    credential: Arc<CredentialRecord>,
    session_id: SessionId,
    registration: Registration,
}

async fn admit(
    edge: &Arc<EdgeShared>,
    first: agent_message::Message,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<Admitted, Refused> {
    let agent_message::Message::Hello(hello) = first else {
        let text = "The agent's first message must be Hello. Update the agent.";
        return Err(Refused::for_good(Code::ERR_NGROK_109.with(text)));
    };
    let hello = AgentHello::try_from(hello).map_err(|error| Refused::for_good(PublicError::from(&error)))?;
    if edge.draining.is_cancelled() {
        return Err(Refused::for_now(Code::ERR_NGROK_803));
    }
    if !edge.admission.may_authenticate(peer) {
        let text =
            "Too many authtokens that do not exist came from this address. Wait a minute, and correct the authtoken.";
        return Err(Refused::for_now(Code::ERR_PORTWAY_42902.with(text)));
    }
    let credential = authenticate(edge, &hello, peer).await?;
    if let Some(owner) = connect_name.and_then(|name| edge.replica.connect_name(name)).flatten()
        && owner != credential.account
    {
        return Err(Refused::for_good(Code::ERR_NGROK_122));
    }
    let session_id = SessionId::new(new_ksuid());
    let limit = edge.limits().sessions_per_account;
    match edge.sessions.register(session_id, credential.account, credential.id, limit) {
        Ok(registration) => Ok(Admitted { hello, credential, session_id, registration }),
        Err(error) => {
            edge.admission.reached(Limit::SessionsPerAccount, peer);
            let text = format!("The session is refused: {error}. Stop an agent that is no longer needed.");
            Err(Refused::for_now(Code::ERR_NGROK_108.with(text)))
        }
    }
}

/// The credential of a token: from the replica, or from the control plane when the token is newer than that.
async fn authenticate(
    edge: &EdgeShared,
    hello: &AgentHello,
    peer: SocketAddr,
) -> Result<Arc<CredentialRecord>, Refused> {
    let digest = token_digest(hello);
    let deadline = Instant::now() + edge.limits().bind_timeout;
    if let Some(known) = edge.replica.credential(&digest) {
        return Ok(known);
    }
    match edge.control.authenticate(&digest, deadline).await {
        Ok(Some(record)) => Ok(Arc::new(record)),
        Ok(None) => {
            edge.admission.bad_token(peer);
            Err(Refused::for_good(Code::ERR_NGROK_107))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Looking a digest up leaks nothing by time: who could steer the comparison would have to find preimages of SHA-256.
fn token_digest(hello: &AgentHello) -> Digest {
    let hash = digest(&SHA256, hello.authtoken.expose_secret().as_bytes());
    let mut out = Digest::default();
    out.copy_from_slice(hash.as_ref());
    out
}

impl Admitted {
    fn into_agent(self, edge: &Arc<EdgeShared>, session: &Session, shard: usize) -> (Agent, Registration) {
        let Admitted { hello, credential, session_id, registration } = self;
        tracing::info!(session = %session_id, account = %credential.account, peer = %session.peer_addr(),
            carrier = %session.carrier(), version = ?hello.agent_version, client = ?hello.client_type, "agent session online");
        let agent = Agent {
            edge: Arc::clone(edge),
            shard,
            session: session.clone(),
            session_id,
            credential,
            agent: hello.agent_id,
            generation: hello.generation,
        };
        (agent, registration)
    }
}

async fn welcome(agent: Agent, registration: Registration, mut control: ControlStream) -> Option<AgentSession> {
    let edge = &agent.edge;
    let welcome = Welcome {
        version_minor: VERSION_MINOR,
        session_id: agent.session_id.to_string(),
        region: edge.config.region.to_string(),
        edge_version: env!("CARGO_PKG_VERSION").to_owned(),
        account_name: agent.credential.account_name.clone(),
        base_domain: edge.replica.base_domain().map(|base| base.to_string()).unwrap_or_default(),
    };
    if control.send(edge_message::Message::Welcome(welcome)).await.is_err() {
        agent.session.abort();
        return None;
    }
    Some(AgentSession::new(agent, registration, control))
}

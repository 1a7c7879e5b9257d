//! The front for native agents: their session from its first message on, in the words of `docs/spec/native-protocol.md`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use portway_codes::{Code, PublicError};
use portway_mux::{ErrorCode, Session};
use portway_names::HostName;
use portway_proto::agent::v1::{
    Bind, BindRefused, Bound, EndpointClosed, GoAway, OfferedRegion, Refusal, Unbound, Welcome, agent_message,
    edge_message,
};
use portway_proto::{AgentCommand, AgentHello, BindRequest, MAX_REFUSAL_LEN, SessionProtocol, VERSION_MINOR};
use tokio::time::{Instant, timeout, timeout_at};

use crate::admission::ConnectionPermit;
use crate::bind::{Agent, Online, Refused, Wanted};
use crate::commands::Commands;
use crate::control_stream::{ControlFault, ControlStream};
use crate::endpoint::{About, Address, Endpoint, EndpointOptions};
use crate::front::{Front, Heard};
use crate::link::AgentLink;
use crate::login;
use crate::metrics::Kind;
use crate::online::Introduction;
use crate::session::AgentSession;
use crate::sessions::Registration;
use crate::shares::Shares;
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
        // Agents measure regions by handshakes that nothing follows.
        Ok(Err(ControlFault::Ended)) => return None,
        Ok(Err(fault)) => {
            login::give_up(&edge, &session, &fault.to_string());
            return None;
        }
        Err(_) => {
            login::give_up(&edge, &session, "no Hello in time");
            return None;
        }
    };
    match admit(&edge, hello, connect_name.as_ref(), &session, shard, peer).await {
        Ok(admitted) => welcome(admitted, control, session).await,
        Err(refused) => {
            login::count_refusal(&edge, peer, &refused);
            refuse(&mut control, &session, &refused).await;
            None
        }
    }
}

async fn greet(edge: &EdgeShared, session: &Session) -> Result<(ControlStream, agent_message::Message), ControlFault> {
    let stream = session.accept().await.ok_or(ControlFault::Ended)?;
    let mut control = ControlStream::open(stream, edge.limits().control_write_timeout).await?;
    let first = control.next().await?;
    Ok((control, first))
}

type Admitted = (Agent, Registration, Introduction);

async fn admit(
    edge: &Arc<EdgeShared>,
    first: agent_message::Message,
    connect_name: Option<&HostName>,
    session: &Session,
    shard: usize,
    peer: SocketAddr,
) -> Result<Admitted, Refused> {
    let agent_message::Message::Hello(hello) = first else {
        let text = "The agent's first message must be Hello. Update the agent.";
        return Err(Refused::for_good(Code::ERR_NGROK_109.with(text)));
    };
    let hello = AgentHello::try_from(hello).map_err(|error| Refused::for_good(PublicError::from(&error)))?;
    let connect_name = login::connect_name(edge, connect_name, session.local_addr())?;
    let connect_name = connect_name.as_ref();
    let credential = login::authenticate(edge, &hello.authtoken, connect_name, peer).await?;
    let (session_id, registration) = login::register(edge, &credential, connect_name, peer)?;
    tracing::info!(session = %session_id, account = %credential.account, %peer, carrier = %session.carrier(),
        version = hello.agent_version, client = hello.client_type, "agent session online");
    let agent = Agent {
        edge: Arc::clone(edge),
        shard,
        session: AgentLink::Mux(session.clone()),
        shares: Shares::of_session(edge.limits(), edge.config.session.max_streams),
        session_id,
        credential,
        agent: hello.agent_id,
        leg: 0,
        generation: hello.generation,
    };
    registration.handle().takes_commands(Commands::Native(hello.obeys));
    let introduction = Introduction {
        protocol: SessionProtocol::Native,
        ssh_key: false,
        agent_version: hello.agent_version,
        os: hello.os,
        metadata: hello.metadata,
    };
    Ok((agent, registration, introduction))
}

async fn welcome(admitted: Admitted, mut control: ControlStream, session: Session) -> Option<AgentSession> {
    let (agent, registration, introduction) = admitted;
    let edge = &agent.edge;
    let welcome = Welcome {
        version_minor: VERSION_MINOR,
        session_id: agent.session_id.to_string(),
        region: edge.config.region.to_string(),
        edge_version: env!("CARGO_PKG_VERSION").to_owned(),
        account_name: agent.credential.account_name.clone(),
        base_domain: edge.replica.base_domain().map(|base| base.to_string()).unwrap_or_default(),
        regions: registration.handle().connect_name.as_ref().map(|name| offered(edge, name)).unwrap_or_default(),
    };
    if control.send(edge_message::Message::Welcome(welcome)).await.is_err() {
        agent.session.abort();
        return None;
    }
    Some(AgentSession::new(agent, registration, introduction, Front::Native(control, session)))
}

/// The regions of the connect URL that `name` is, or belongs to.
fn offered(edge: &EdgeShared, name: &HostName) -> Vec<OfferedRegion> {
    let regional = edge.replica.regional(name);
    let offer = |host: &HostName| {
        let region = host.labels().next().unwrap_or_default().to_owned();
        OfferedRegion { region, connect_url: host.to_string() }
    };
    regional.iter().map(offer).collect()
}

/// The next thing that a native agent says.
///
/// Cancel safety: safe.
pub(crate) async fn next(control: &mut ControlStream, session: &Session) -> Result<Heard, ControlFault> {
    loop {
        tokio::select! {
            message = control.next() => return Ok(heard(message?)),
            stream = session.accept() => match stream {
                // A native agent has one control stream, and opens nothing else.
                Some(mut stream) => stream.reset(ErrorCode::STREAM_REFUSED),
                None => return Err(ControlFault::Ended),
            },
        }
    }
}

fn heard(message: agent_message::Message) -> Heard {
    match message {
        agent_message::Message::Bind(bind) => Heard::Bind { request: bind.request, wanted: wanted(bind).map(Box::new) },
        agent_message::Message::Unbind(unbind) => Heard::Unbind { request: 0, handle: Some(unbind.endpoint) },
        agent_message::Message::Goodbye(_) => Heard::Goodbye,
        agent_message::Message::CommandAnswer(answer) if answer.error.len() > MAX_REFUSAL_LEN => {
            let text =
                format!("The agent's answer to a command is longer than {MAX_REFUSAL_LEN} bytes. Update the agent.");
            Heard::Fault(Refused::for_good(Code::ERR_NGROK_109.with(text)))
        }
        agent_message::Message::CommandAnswer(answer) => Heard::Obeyed { request: answer.request, error: answer.error },
        agent_message::Message::Hello(_) => {
            let text = "The agent said Hello twice. Update the agent.";
            Heard::Fault(Refused::for_good(Code::ERR_NGROK_109.with(text)))
        }
    }
}

fn wanted(bind: Bind) -> Result<Wanted, Refused> {
    let request = BindRequest::try_from(bind).map_err(|error| Refused::for_good(error.to_bind_refusal()))?;
    let host_header = request.host_header.as_deref().map(HeaderValue::from_str).transpose().map_err(|_| {
        let text = "The Host header to set contains characters that a header cannot have. Change host_header.";
        Refused::for_good(Code::ERR_PORTWAY_40004.with(text))
    })?;
    let options = EndpointOptions {
        upstream_http2: request.upstream_http2,
        proxy_protocol: request.proxy_protocol,
        host_header,
        tls_edge: request.tls_edge,
        actions: None,
    };
    let BindRequest { url, name, description, metadata, forwards_to, .. } = request;
    let about = About { name, description, metadata, forwards_to };
    Ok(Wanted { url, options, about, address: Address::Native, id: None, pooled: false, internal: false })
}

/// Tells that an endpoint is online.
pub(crate) async fn bound(control: &mut ControlStream, request: u32, online: &Online) -> Result<(), ControlFault> {
    let endpoint = &online.endpoint;
    let (url, endpoint_id) = (online.public_url().to_string(), endpoint.id.to_string());
    let bound = Bound { request, endpoint: endpoint.handle, url, endpoint_id };
    control.send(edge_message::Message::Bound(bound)).await
}

/// Tells that an endpoint is not to be.
pub(crate) async fn bind_refused(
    control: &mut ControlStream,
    request: u32,
    refused: Refused,
) -> Result<(), ControlFault> {
    let Refused { error, retryable } = refused;
    let answer = BindRefused { request, code: error.code.to_string(), text: error.text, retryable };
    control.send(edge_message::Message::BindRefused(answer)).await
}

/// Tells that an endpoint was given up, as asked.
pub(crate) async fn unbound(control: &mut ControlStream, handle: u32) -> Result<(), ControlFault> {
    control.send(edge_message::Message::Unbound(Unbound { endpoint: handle })).await
}

/// Tells that an endpoint is no more.
pub(crate) async fn closed(
    control: &mut ControlStream,
    endpoint: &Endpoint,
    why: &PublicError,
) -> Result<(), ControlFault> {
    let closed = EndpointClosed { endpoint: endpoint.handle, code: why.code.to_string(), text: why.text.clone() };
    control.send(edge_message::Message::EndpointClosed(closed)).await
}

/// Tells the agent to do something; its answer names the request.
pub(crate) async fn command(
    control: &mut ControlStream,
    request: u32,
    command: &AgentCommand,
) -> Result<(), ControlFault> {
    control.send(edge_message::Message::Command(command.to_message(request))).await
}

/// Tells the agent to dial elsewhere.
pub(crate) async fn go_away(control: &mut ControlStream, grace: Duration) -> Result<(), ControlFault> {
    let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    let go_away = GoAway { reason: "the server is shutting down or restarting".to_owned(), grace_ms };
    control.send(edge_message::Message::GoAway(go_away)).await
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

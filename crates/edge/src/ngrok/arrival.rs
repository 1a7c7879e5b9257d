//! How an SDK arrives: its socket, its first questions, its place among the sessions.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use portway_codes::{Code, PublicError};
use portway_mux::Session;
use portway_names::HostName;
use portway_proto::{AgentId, CredentialRecord, SessionProtocol};
use portway_tls::ReadAhead;
use portway_wire::StreamType;
use portway_wire::ngrok::{Auth, AuthAnswer, error_answer, region_answer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use super::command::Obeys;
use super::front::{Identity, NgrokFront};
use super::request::{self, Request, RequestFault};
use super::resume::SessionCookie;
use crate::bind::{Agent, Refused};
use crate::commands::Commands;
use crate::front::Front;
use crate::link::AgentLink;
use crate::login;
use crate::metrics::Kind;
use crate::native::Arrival;
use crate::online::Introduction;
use crate::session::AgentSession;
use crate::sessions::Registration;
use crate::shares::Shares;
use crate::state::EdgeShared;

/// Questions that a peer may ask before it has said who it is.
const EARLY_QUESTIONS: usize = 8;
/// Longest of them, in bytes: an `Auth` with the longest metadata fits twice.
const EARLY_QUESTION_LEN: usize = 16 * 1024;
/// How long a login that may succeed soon is held instead of refused: one family of SDKs waits two minutes after its third refusal.
const SLOW_ANSWER: Duration = Duration::from_secs(30);
/// Wait between the tries of a login that is held.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Whether the first bytes inside of TLS are a muxado frame that opens a stream: the first byte is the highest of a length below 2^16, the
/// fourth says DATA with SYN, and the agent's stream ids are odd. No request of HTTP begins with a zero.
pub(crate) fn looks_like_muxado(first: &[u8]) -> bool {
    matches!(first, [0, _, _, 0x12 | 0x13, _, _, _, id, ..] if id % 2 == 1)
}

/// The connection of an SDK, with the bytes that were read to find out what it is.
///
/// One family of SDKs leaves Nagle's algorithm on and writes many small frames; with the kernel's delayed acknowledgements each request
/// would cost 40 ms. So acknowledgements are asked for at once, which Linux forgets again and again (tcp(7), `TCP_QUICKACK`).
#[derive(Debug)]
pub(crate) struct AgentIo {
    stream: TlsStream<ReadAhead<TcpStream>>,
    first: Bytes,
}

impl AgentIo {
    pub(crate) fn new(stream: TlsStream<ReadAhead<TcpStream>>, first: Bytes) -> Self {
        Self { stream, first }
    }
}

impl AsyncRead for AgentIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let count = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..count]);
            self.first.advance(count);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        // After the read, when the kernel has something to acknowledge. Where the system has no such option, requests are slower.
        let _ = SockRef::from(self.stream.get_ref().0.get_ref()).set_tcp_quickack(true);
        read
    }
}

impl AsyncWrite for AgentIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Serves an SDK from its first stream to its last. What is needed only for a while is boxed, so that an idle session is small.
pub(crate) async fn serve(edge: Arc<EdgeShared>, arrival: Arrival) {
    let Arrival { session, connect_name, permit, shard } = arrival;
    let _permit = permit;
    if let Some(session) = Box::pin(begin(edge, session, connect_name, shard)).await {
        session.run().await;
    }
}

/// From the first stream to the answered `Auth`; none when it came to nothing.
async fn begin(
    edge: Arc<EdgeShared>,
    session: Session,
    connect_name: Option<HostName>,
    shard: usize,
) -> Option<AgentSession> {
    edge.count_connection(Kind::Agent);
    let deadline = Instant::now() + edge.limits().hello_timeout;
    let asked = match timeout_at(deadline, first_auth(&edge, &session)).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(fault)) => {
            login::give_up(&edge, &session, &fault.to_string());
            return None;
        }
        Err(_) => {
            login::give_up(&edge, &session, "no Auth in time");
            return None;
        }
    };
    let Request { message, due, .. } = asked;
    let login = async {
        let malformed = |error: &dyn std::error::Error| {
            let text = format!("The agent's Auth message cannot be used: {error}. Update the agent.");
            Refused::for_good(Code::ERR_NGROK_109.with(text))
        };
        let auth = Auth::read(&message).map_err(|error| malformed(&error))?;
        patiently(&edge, &auth, connect_name.as_ref(), &session, shard).await
    };
    match login.await {
        Ok((agent, registration, auth)) => {
            let identity = Identity::of(&agent, &auth);
            let answer = welcome(&agent, &auth, &identity);
            registration.handle().takes_commands(Commands::Ngrok(session.clone(), Obeys::of(&auth)));
            edge.tasks.spawn(async move { request::answer(due, answer).await });
            let front = Front::Ngrok(Box::new(NgrokFront::new(identity)), session);
            Some(AgentSession::new(agent, registration, introduction(auth), front))
        }
        Err(refused) => {
            let peer = session.peer_addr();
            login::count_refusal(&edge, peer, &refused);
            if refused.error.code == Code::ERR_NGROK_803 {
                // The successor of a draining edge takes it at once; a refusal would make it wait.
                session.abort();
                return None;
            }
            request::answer(due, error_answer(Some(&refused.error))).await;
            session.close(refused.error.code.title());
            None
        }
    }
}

/// Answers what may be asked by anybody, until who it is is said.
async fn first_auth(edge: &EdgeShared, session: &Session) -> Result<Request, RequestFault> {
    let mut reading = JoinSet::new();
    let mut asked = 0;
    loop {
        let request = tokio::select! {
            stream = session.accept(), if asked < EARLY_QUESTIONS => {
                let Some(stream) = stream else { return Err(RequestFault::NoType) };
                asked += 1;
                reading.spawn(request::read(stream, None, EARLY_QUESTION_LEN));
                continue;
            }
            Some(read) = reading.join_next() => read.unwrap_or(Err(RequestFault::NoType))?,
            else => return Err(RequestFault::NoType),
        };
        match request.kind {
            StreamType::AUTH => return Ok(request),
            StreamType::SRV_INFO => {
                let answer = region_answer(edge.config.region.as_str());
                edge.tasks.spawn(async move { request::answer(request.due, answer).await });
            }
            _ => {
                let error = Code::ERR_NGROK_109.with("The agent asks for something before it has said who it is.");
                request::answer(request.due, error_answer(Some(&error))).await;
                return Err(RequestFault::Type(request.kind));
            }
        }
    }
}

type Admitted = (Agent, Registration, Auth);

/// Logs an agent in. A fault that passes is waited out.
async fn patiently(
    edge: &Arc<EdgeShared>,
    auth: &Auth,
    connect_name: Option<&HostName>,
    session: &Session,
    shard: usize,
) -> Result<Admitted, Refused> {
    let deadline = Instant::now() + SLOW_ANSWER;
    loop {
        match log_in(edge, auth, connect_name, session, shard).await {
            Err(refused) if waits(&refused.error) && Instant::now() < deadline => tokio::time::sleep(TRY_AGAIN).await,
            outcome => return outcome,
        }
    }
}

/// Whether a refusal is about the installation and not about the agent.
fn waits(error: &PublicError) -> bool {
    error.code == Code::ERR_PORTWAY_50303 || error.code == Code::ERR_NGROK_802
}

async fn log_in(
    edge: &Arc<EdgeShared>,
    auth: &Auth,
    connect_name: Option<&HostName>,
    session: &Session,
    shard: usize,
) -> Result<Admitted, Refused> {
    let peer = session.peer_addr();
    let connect_name = login::connect_name(edge, connect_name, session.local_addr())?;
    let connect_name = connect_name.as_ref();
    let credential = login::authenticate(edge, &auth.authtoken, connect_name, peer).await?;
    let (session_id, registration) = login::register(edge, &credential, connect_name, peer)?;
    let (agent, generation) = resume(edge, auth, &credential);
    tracing::info!(session = %session_id, account = %credential.account, %peer, leg = auth.leg,
        version = auth.agent_version, client = auth.client_type, "SDK session online");
    let agent = Agent {
        edge: Arc::clone(edge),
        shard,
        session: AgentLink::Mux(session.clone()),
        shares: Shares::of_session(edge.limits(), edge.config.session.towards_ngrok().max_streams),
        session_id,
        credential,
        agent,
        leg: auth.leg,
        generation,
    };
    Ok((agent, registration, auth.clone()))
}

/// Which agent it is, and how many sessions it had: the one of its cookie, or a fresh one. What was sealed for another account, for another
/// client id or by another installation counts for nothing.
fn resume(edge: &EdgeShared, auth: &Auth, credential: &CredentialRecord) -> (AgentId, u64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let known = edge.config.resume_key.open_cookie(&auth.cookie);
    match known.filter(|cookie| cookie.account == credential.account && cookie.agent.to_string() == auth.client_id) {
        // Time counts too: the cookie of a leg does not know the sessions of the others.
        Some(cookie) => (cookie.agent, now.max(cookie.generation + 1)),
        None => (AgentId::new(rand::random()), now),
    }
}

fn introduction(auth: Auth) -> Introduction {
    Introduction {
        protocol: SessionProtocol::Ngrok,
        ssh_key: false,
        agent_version: auth.agent_version,
        os: auth.os,
        metadata: auth.metadata,
    }
}

fn welcome(agent: &Agent, auth: &Auth, identity: &Identity) -> Bytes {
    let edge = &agent.edge;
    let cookie = SessionCookie { account: agent.credential.account, agent: agent.agent, generation: agent.generation };
    AuthAnswer {
        version: auth.version,
        client_id: &identity.client_id,
        cookie: &edge.config.resume_key.seal_cookie(&cookie),
        server_version: concat!("portway/", env!("CARGO_PKG_VERSION")),
        region: edge.config.region.as_str(),
        account_name: &agent.credential.account_name,
        session_id: &agent.session_id.to_string(),
    }
    .encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muxado_is_told_from_http() {
        assert!(looks_like_muxado(&[0, 0, 4, 0x12, 0, 0, 0, 3]));
        assert!(looks_like_muxado(&[0, 2, 0, 0x13, 0, 0, 0, 3, 0, 0]));
        for other in [&b"GET / HTTP/1.1"[..], b"PRI * HT", &[0, 0, 4, 0x12, 0, 0, 0, 2], &[0, 0, 4, 0x12], &[0; 8], b""]
        {
            assert!(!looks_like_muxado(other), "{other:?}");
        }
    }
}

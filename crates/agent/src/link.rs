//! One native session: greeting, control messages both ways, and the streams of visitors (`docs/spec/native-protocol.md`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use portway_mux::{Dialer, RecvStream, SendStream, Session};
use portway_proto::agent::v1::{AgentMessage, EdgeMessage, Goodbye, Hello, Welcome, agent_message, edge_message};
use portway_wire::{StreamType, message};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::agent::Core;
use crate::binding::Handles;
use crate::error::ConnectError;
use crate::forward;

/// Protocol version spoken (docs/spec/native-protocol.md).
const VERSION: (u32, u32) = (1, 0);
/// Time for the edge's answer to the greeting. An edge may answer slowly while its control plane is away.
const GREETING_PATIENCE: Duration = Duration::from_secs(15);
/// Control messages of the edge that wait for the supervisor; then the edge waits.
const INCOMING_QUEUE: usize = 64;
/// Bytes of the control stream taken at once.
const CONTROL_READ: usize = 16 * 1024;
/// A session that is left is closed when it has carried nothing for this long: a stream that was on its way still arrives.
const LINGER: Duration = Duration::from_secs(1);

/// A session that was greeted and welcomed. Dropping it aborts the session.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) session: Session,
    /// What dialled it.
    pub(crate) dialer: Dialer,
    pub(crate) generation: u64,
    pub(crate) welcome: Welcome,
    pub(crate) since: Instant,
    /// Endpoints by the handles of this session.
    pub(crate) handles: Arc<Handles>,
    outgoing: mpsc::UnboundedSender<AgentMessage>,
    incoming: mpsc::Receiver<EdgeMessage>,
    connections: TaskTracker,
    // Both end with the session.
    _control: AbortOnDropHandle<()>,
    _accept: AbortOnDropHandle<()>,
}

impl Link {
    /// Greets the edge and starts the session's tasks.
    ///
    /// Cancel safety: dropping the future aborts the session.
    pub(crate) async fn establish(
        core: &Arc<Core>,
        dialer: Dialer,
        session: Session,
        generation: u64,
    ) -> Result<Self, ConnectError> {
        let guard = AbortUnlessKept(Some(session.clone()));
        let greeting = greet(core, &session, generation);
        let greeted = tokio::time::timeout(GREETING_PATIENCE, greeting).await;
        let greeted = greeted.map_err(|_| ConnectError::HandshakeTimeout(GREETING_PATIENCE))??;

        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (received, incoming) = mpsc::channel(INCOMING_QUEUE);
        let handles = Arc::new(Handles::default());
        let connections = TaskTracker::new();
        connections.close();
        let control = run_control(greeted.reader, greeted.sender, to_send, received);
        let accept = accept_streams(core.clone(), session.clone(), handles.clone(), connections.clone());
        guard.keep();
        Ok(Self {
            session,
            dialer,
            generation,
            welcome: greeted.welcome,
            since: Instant::now(),
            handles,
            outgoing,
            incoming,
            connections,
            _control: AbortOnDropHandle::new(tokio::spawn(control)),
            _accept: AbortOnDropHandle::new(tokio::spawn(accept)),
        })
    }

    /// Queues a control message. The queue is as long as the program asks for endpoints; a dead session swallows it.
    pub(crate) fn send(&self, message: agent_message::Message) {
        // An error means that the session is over, which the supervisor learns from `receive`.
        let _over = self.outgoing.send(AgentMessage { message: Some(message) });
    }

    /// The next control message; none when the session is over.
    ///
    /// Cancel safety: no message is lost when the future is dropped.
    pub(crate) async fn receive(&mut self) -> Option<EdgeMessage> {
        self.incoming.recv().await
    }

    /// Visitors' connections that run on this session.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Waits until no visitor's connection runs.
    pub(crate) async fn idle(&self) {
        self.connections.wait().await;
    }

    /// Says goodbye, lets the running connections finish, and closes. Without a deadline they may take for ever.
    pub(crate) async fn leave(mut self, deadline: Option<tokio::time::Instant>) {
        self.send(agent_message::Message::Goodbye(Goodbye {}));
        let ignored = async {
            while self.incoming.recv().await.is_some() {}
            // The edge may end the control stream first; the connections go on.
            self.session.closed().await;
        };
        let finished = async {
            tokio::select! {
                () = ignored => {}
                () = quiet(&self.connections) => {}
            }
        };
        match deadline {
            None => finished.await,
            Some(deadline) => {
                if tokio::time::timeout_at(deadline, finished).await.is_err() {
                    tracing::warn!(
                        connections = self.connections.len(),
                        "the time to leave the old session is over; its connections are cut"
                    );
                }
            }
        }
        self.session.close("moved to another session");
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.session.close_reason().is_none() {
            self.session.abort();
        }
    }
}

/// Aborts a session that was not taken over by a [`Link`].
struct AbortUnlessKept(Option<Session>);

impl AbortUnlessKept {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for AbortUnlessKept {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.abort();
        }
    }
}

/// Returns when no connection has run for [`LINGER`].
async fn quiet(connections: &TaskTracker) {
    loop {
        connections.wait().await;
        tokio::time::sleep(LINGER).await;
        if connections.is_empty() {
            return;
        }
    }
}

/// The control stream after the greeting.
struct Greeted {
    welcome: Welcome,
    reader: ControlReader,
    sender: SendStream,
}

async fn greet(core: &Core, session: &Session, generation: u64) -> Result<Greeted, ConnectError> {
    let failed = |what: String| ConnectError::Handshake(format!("the edge was reached but the session failed: {what}"));
    let hello = Hello {
        version_major: VERSION.0,
        version_minor: VERSION.1,
        authtoken: core.authtoken.expose_secret().to_owned(),
        agent_id: Bytes::copy_from_slice(&core.agent_id),
        generation,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        client_type: core.client_type.clone(),
        metadata: core.metadata.clone(),
        heartbeat_interval_ms: 0,
        heartbeat_tolerance_ms: 0,
        obeys: core.remote.obeys(),
    };
    let hello = AgentMessage { message: Some(agent_message::Message::Hello(hello)) };
    let mut head = BytesMut::from(&StreamType::NATIVE_CONTROL.to_bytes()[..]);
    head.extend_from_slice(&message::encode(&hello));
    let stream = session.open(head.freeze()).await.map_err(|error| failed(error.to_string()))?;
    let (receiver, sender) = stream.split();
    let mut reader = ControlReader { receiver, decoder: message::Decoder::new(), buffer: BytesMut::new() };
    loop {
        let Some(answer) = reader.next().await.map_err(failed)? else {
            return Err(failed("the edge ended the control stream".to_owned()));
        };
        match answer.message {
            Some(edge_message::Message::Welcome(welcome)) => return Ok(Greeted { welcome, reader, sender }),
            Some(edge_message::Message::Refusal(refusal)) => {
                return Err(ConnectError::Refused {
                    code: refusal.code,
                    text: refusal.text,
                    retryable: refusal.retryable,
                });
            }
            // A newer edge may say more than this agent understands.
            Some(_) | None => {}
        }
    }
}

/// Reads control messages.
struct ControlReader {
    receiver: RecvStream,
    decoder: message::Decoder<EdgeMessage>,
    buffer: BytesMut,
}

impl ControlReader {
    /// The next message; none at the end.
    async fn next(&mut self) -> Result<Option<EdgeMessage>, String> {
        loop {
            if let Some(message) = self.decoder.next(&mut self.buffer).map_err(|error| error.to_string())? {
                return Ok(Some(message));
            }
            match self.receiver.read_chunk(CONTROL_READ).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Carries control messages both ways until either side ends. The supervisor learns it from the end of `received`.
async fn run_control(
    mut reader: ControlReader,
    mut sender: SendStream,
    mut outgoing: mpsc::UnboundedReceiver<AgentMessage>,
    received: mpsc::Sender<EdgeMessage>,
) {
    let read = async {
        loop {
            match reader.next().await {
                Ok(Some(message)) => {
                    if received.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(%error, "the control stream failed");
                    return;
                }
            }
        }
    };
    let write = async {
        while let Some(message) = outgoing.recv().await {
            let bytes: Bytes = message::encode(&message);
            if sender.write_chunk(bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Starts a task for each visitor's stream, until the session ends.
async fn accept_streams(core: Arc<Core>, session: Session, handles: Arc<Handles>, connections: TaskTracker) {
    while let Some(stream) = session.accept().await {
        let token = connections.token();
        connections.spawn(forward::serve(stream, core.clone(), handles.clone(), token));
    }
}

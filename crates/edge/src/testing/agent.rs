//! An agent that does what a test tells it.

use bytes::BytesMut;
use portway_mux::{Session, Stream};
use portway_names::WantedUrl;
use portway_proto::agent::v1::{
    AgentMessage, Bind, BindRefused, Bound, ConnectionHead, EdgeMessage, Refusal, Welcome, agent_message, edge_message,
};
use portway_proto::{AgentHello, AgentId, BindRequest, CommandKind, VERSION_MINOR};
use portway_wire::StreamType;
use portway_wire::head::{HeadDecoder, StreamHead};
use portway_wire::message::{Decoder, encode};

use super::{TestEdge, soon};

/// One session of an agent.
pub(crate) struct TestAgent {
    pub(crate) session: Session,
    pub(crate) control: Stream,
    pub(crate) welcome: Option<Welcome>,
    decoder: Decoder<EdgeMessage>,
    input: BytesMut,
    requests: u32,
}

impl TestAgent {
    /// A session over TCP and TLS.
    pub(crate) async fn connect(
        edge: &TestEdge,
        token: &str,
        agent_id: [u8; 16],
        generation: u64,
    ) -> Result<TestAgent, Refusal> {
        let session = edge.session().await;
        Self::over(session, token, agent_id, generation).await
    }

    /// Says Hello on a session that is there.
    pub(crate) async fn over(
        session: Session,
        token: &str,
        agent_id: [u8; 16],
        generation: u64,
    ) -> Result<TestAgent, Refusal> {
        let mut agent = Self::silent(session).await;
        agent.send(agent_message::Message::Hello(hello(token, agent_id, generation).to_message())).await;
        match agent.next().await.expect("an answer to Hello") {
            edge_message::Message::Welcome(welcome) => {
                agent.welcome = Some(welcome);
                Ok(agent)
            }
            edge_message::Message::Refusal(refusal) => Err(refusal),
            other => panic!("{other:?} as answer to Hello"),
        }
    }

    /// A control stream on which nothing was said yet.
    pub(crate) async fn silent(session: Session) -> TestAgent {
        let head = StreamType::NATIVE_CONTROL.to_bytes().to_vec();
        let control = session.open(head.into()).await.unwrap();
        TestAgent { session, control, welcome: None, decoder: Decoder::new(), input: BytesMut::new(), requests: 0 }
    }

    /// Binds a URL.
    pub(crate) async fn bind(&mut self, url: &str) -> Result<Bound, BindRefused> {
        self.bind_with(url, |_| {}).await
    }

    /// Binds a URL with options.
    pub(crate) async fn bind_with(&mut self, url: &str, change: impl FnOnce(&mut Bind)) -> Result<Bound, BindRefused> {
        self.requests += 1;
        let mut bind = BindRequest::new(WantedUrl::any(portway_names::Scheme::Https)).to_message(self.requests);
        bind.url = url.to_owned();
        change(&mut bind);
        self.send(agent_message::Message::Bind(bind)).await;
        match self.next().await.expect("an answer to Bind") {
            edge_message::Message::Bound(bound) => Ok(bound),
            edge_message::Message::BindRefused(refused) => Err(refused),
            other => panic!("{other:?} as answer to Bind"),
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: agent_message::Message) {
        let _ = self.control.write_chunk(encode(&AgentMessage { message: Some(message) })).await;
    }

    /// The next message of the edge; none when it ended the stream or the session.
    pub(crate) async fn next(&mut self) -> Option<edge_message::Message> {
        soon(async {
            loop {
                if let Some(message) = self.decoder.next(&mut self.input).unwrap() {
                    return message.message;
                }
                self.input.extend_from_slice(&self.control.read_chunk(65_536).await.ok()??);
            }
        })
        .await
    }

    /// The next visitor: its head, the bytes that came with it, and the stream.
    pub(crate) async fn accept(&self) -> Option<(ConnectionHead, BytesMut, Stream)> {
        accept(&self.session).await
    }

    /// Echoes every visitor from now on.
    pub(crate) fn echo_all(&self) -> tokio::task::JoinHandle<()> {
        let session = self.session.clone();
        tokio::spawn(async move {
            while let Some((_, first, stream)) = accept(&session).await {
                tokio::spawn(echo(stream, first));
            }
        })
    }
}

/// Gives back what comes, then ends.
async fn echo(mut stream: Stream, first: BytesMut) {
    let mut chunk = Some(first.freeze());
    while let Some(bytes) = chunk {
        if !bytes.is_empty() && stream.write_chunk(bytes).await.is_err() {
            return;
        }
        let Ok(next) = stream.read_chunk(65_536).await else { return };
        chunk = next;
    }
    let _ = stream.finish().await;
}

async fn accept(session: &Session) -> Option<(ConnectionHead, BytesMut, Stream)> {
    let mut stream = session.accept().await?;
    let (mut decoder, mut input) = (HeadDecoder::new(), BytesMut::new());
    loop {
        match decoder.push(&mut input).unwrap() {
            Some(StreamHead::Connection(head)) => return Some((head, input, stream)),
            Some(other) => panic!("{other:?} from the edge"),
            None => input.extend_from_slice(&stream.read_chunk(65_536).await.ok()??),
        }
    }
}

fn hello(token: &str, agent_id: [u8; 16], generation: u64) -> AgentHello {
    AgentHello {
        version_minor: VERSION_MINOR,
        authtoken: token.to_owned().into(),
        agent_id: AgentId::new(agent_id),
        generation,
        agent_version: "0.0.1".to_owned(),
        os: "test".to_owned(),
        arch: "test".to_owned(),
        client_type: "test".to_owned(),
        metadata: "of the session".to_owned(),
        heartbeat_interval: None,
        heartbeat_tolerance: None,
        obeys: vec![CommandKind::Stop, CommandKind::Update],
    }
}

//! What an SDK can be told to do: stop, restart, update itself.

use bytes::Bytes;
use portway_codes::PublicError;
use portway_mux::{Session, Stream, StreamError};
use portway_proto::AgentCommand;
use portway_wire::StreamType;
use portway_wire::ngrok::{Auth, Remote, RequestDecoder, command, command_error, update_command};
use tokio::time::timeout;

use crate::commands::{PATIENCE, not_done, unsupported};

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// Which commands an agent said that it obeys.
#[derive(Debug, Clone)]
pub(crate) struct Obeys {
    stop: Remote,
    restart: Remote,
    update: Remote,
}

impl Obeys {
    pub(super) fn of(auth: &Auth) -> Self {
        Self { stop: auth.stop.clone(), restart: auth.restart.clone(), update: auth.update.clone() }
    }

    /// Tells the agent of `session`, and waits for its word.
    ///
    /// Cancel safety: the agent may have been told; nothing else is left.
    pub(crate) async fn tell(&self, session: &Session, order: &AgentCommand) -> Result<(), PublicError> {
        let (remote, message) = match order {
            AgentCommand::Stop => (&self.stop, command(StreamType::STOP)),
            AgentCommand::Restart => (&self.restart, command(StreamType::RESTART)),
            AgentCommand::Update { version, permit_major } => (&self.update, update_command(version, *permit_major)),
        };
        let refusal = unsupported(order.kind());
        match remote {
            Remote::Supported => {}
            Remote::Unsupported(why) => return Err(refusal.code.with(why.clone())),
            Remote::Unknown => return Err(refusal),
        }
        match timeout(PATIENCE, ask(session, message)).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(why))) => Err(not_done(&why)),
            Ok(Err(error)) => Err(not_done(&error)),
            Err(_) => Err(not_done(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }
}

/// What the agent says went wrong; none when it obeys.
async fn ask(session: &Session, message: Bytes) -> Result<Option<String>, String> {
    let mut stream = session.open(message).await.map_err(|error| error.to_string())?;
    let answer = read(&mut stream).await;
    // Ends the stream also for an agent that has not ended its own direction.
    let _ = stream.finish().await;
    answer
}

async fn read(stream: &mut Stream) -> Result<Option<String>, String> {
    let (mut decoder, mut taken) = (RequestDecoder::new(), 0);
    let text = |error: StreamError| error.to_string();
    while let Some(chunk) = stream.read_chunk(ANSWER_MAX).await.map_err(text)? {
        taken += chunk.len();
        if taken > ANSWER_MAX {
            return Err("its answer has no end".to_owned());
        }
        let answer = decoder.push(&chunk).map_err(|error| error.to_string())?;
        if let Some(answer) = answer {
            return command_error(&answer).map_err(|error| error.to_string());
        }
    }
    Err("it ended the stream without an answer".to_owned())
}

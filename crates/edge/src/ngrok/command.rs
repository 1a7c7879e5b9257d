//! What an SDK can be told to do: stop, restart, update itself.

use std::time::Duration;

use bytes::Bytes;
use portway_codes::{Code, PublicError};
use portway_mux::{Session, Stream, StreamError};
use portway_wire::StreamType;
use portway_wire::ngrok::{Auth, Remote, RequestDecoder, command, command_error, update_command};
use tokio::time::timeout;

/// Time an agent has to answer. One family does not answer at all when its application has set no handler.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentCommand {
    /// End the program.
    Stop,
    /// End the program and start it again.
    Restart,
    /// Fetch another version of the program and start that.
    Update {
        /// The version; empty for the newest.
        version: String,
        /// It may be of another major version.
        permit_major: bool,
    },
}

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
        let (remote, code, message) = match order {
            AgentCommand::Stop => (&self.stop, Code::ERR_NGROK_804, command(StreamType::STOP)),
            AgentCommand::Restart => (&self.restart, Code::ERR_NGROK_805, command(StreamType::RESTART)),
            AgentCommand::Update { version, permit_major } => {
                (&self.update, Code::ERR_NGROK_806, update_command(version, *permit_major))
            }
        };
        match remote {
            Remote::Supported => {}
            Remote::Unsupported(why) => return Err(code.with(why.clone())),
            Remote::Unknown => return Err(code.plain()),
        }
        let failed = |why: &str| Code::ERR_NGROK_807.with(format!("The agent did not do it: {why}."));
        match timeout(PATIENCE, ask(session, message)).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(why))) => Err(failed(&why)),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&format!("no answer within {} s", PATIENCE.as_secs()))),
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

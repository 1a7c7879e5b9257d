//! Commands on their way to the agents of one edge, and their outcomes on the way back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_names::SessionId;
use portway_proto::AgentCommand;
use portway_proto::control::v1::{CommandOutcome, EdgeCommand};
use tokio::sync::{mpsc, oneshot};

/// Commands that one edge has not answered. People and their programs send them one by one.
const WAITING_MAX: usize = 256;

/// What a command comes to.
pub type PublicResult = Result<(), PublicError>;

/// What an edge says of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Failed(PublicError),
    UnknownSession,
}

/// The commands to one edge.
#[derive(Debug)]
pub(crate) struct Orders {
    commands: mpsc::Sender<EdgeCommand>,
    waiting: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    outcomes: HashMap<u64, oneshot::Sender<Answer>>,
}

/// A command that was sent; who drops it does not wait any more.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: u64,
    outcome: Option<oneshot::Receiver<Answer>>,
    table: Arc<Mutex<Table>>,
}

impl Orders {
    pub(crate) fn new(commands: mpsc::Sender<EdgeCommand>) -> Self {
        Orders { commands, waiting: Arc::default() }
    }

    /// Sends a command to the agent of a session.
    pub(crate) fn send(&self, session: SessionId, command: &AgentCommand) -> Result<Waiting, PublicError> {
        let (answer, outcome) = oneshot::channel();
        let mut table = lock(&self.waiting);
        if table.outcomes.len() >= WAITING_MAX {
            return Err(busy());
        }
        table.last += 1;
        let id = table.last;
        let message = EdgeCommand { command_id: id, session_id: session.to_string(), command: Some(command.into()) };
        self.commands.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => lost(),
        })?;
        table.outcomes.insert(id, answer);
        Ok(Waiting { id, outcome: Some(outcome), table: Arc::clone(&self.waiting) })
    }

    /// The edge answers. Nobody may wait any more.
    pub(crate) fn answer(&self, id: u64, answer: Answer) {
        if let Some(outcome) = lock(&self.waiting).outcomes.remove(&id) {
            let _ = outcome.send(answer);
        }
    }
}

/// Nobody will answer any more.
impl Drop for Orders {
    fn drop(&mut self) {
        lock(&self.waiting).outcomes.clear();
    }
}

impl Waiting {
    /// Waits for the answer; none when the edge is gone.
    ///
    /// Cancel safety: who does not wait to the end does not hear it.
    pub(crate) async fn outcome(mut self) -> Option<Answer> {
        match self.outcome.take() {
            Some(outcome) => outcome.await.ok(),
            None => None,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.table).outcomes.remove(&self.id);
    }
}

impl From<CommandOutcome> for Answer {
    fn from(outcome: CommandOutcome) -> Self {
        if outcome.unknown_session {
            return Answer::UnknownSession;
        }
        match outcome.code {
            0 => Answer::Done,
            // A newer edge may know more codes.
            number => {
                let code = Code::from_number(number).unwrap_or(Code::ERR_NGROK_807);
                Answer::Failed(code.with(outcome.text))
            }
        }
    }
}

/// The account has no such session.
pub(crate) fn not_online(session: SessionId) -> PublicError {
    Code::ERR_PORTWAY_40401.with(format!("There is no session {session} online in the account. Check the id."))
}

/// The edge of the session is away.
pub(crate) fn lost() -> PublicError {
    Code::ERR_NGROK_807
        .with("The edge that has the session is not connected at the moment. Try again in a few seconds.")
}

/// The edge does not answer in time.
pub(crate) fn late(deadline: Duration) -> PublicError {
    let seconds = deadline.as_secs();
    Code::ERR_NGROK_807.with(format!("The edge that has the session did not answer within {seconds} s. Try again."))
}

fn busy() -> PublicError {
    Code::ERR_NGROK_807.with("Too many commands wait for the edge that has the session. Try again in a few seconds.")
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    // Nothing in here panics half-way.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

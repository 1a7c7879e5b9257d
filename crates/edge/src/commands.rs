//! How an agent is told to stop, restart or update itself, in the words of each protocol.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_mux::Session;
use portway_proto::{AgentCommand, CommandKind};
use tokio::sync::oneshot;

use crate::ngrok::Obeys;

/// Time an agent has to answer. An SDK does not answer at all when its application has set no handler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Commands that one agent has not answered. People send them one by one.
const UNANSWERED_MAX: usize = 8;

/// The way to tell an agent.
#[derive(Debug)]
pub(crate) enum Commands {
    /// On the control stream; what the agent said that it obeys.
    Native(Vec<CommandKind>),
    /// On a stream for each.
    Ngrok(Session, Obeys),
    /// There is no agent: a stop is the end of the session.
    Ssh,
}

/// Commands for a native agent on their way to the task of its session, and answers on their way back.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    last_request: u32,
    unsent: Vec<(u32, AgentCommand)>,
    /// Who waits for the answer: why the agent does not obey, or none.
    unanswered: Vec<(u32, oneshot::Sender<Option<String>>)>,
}

/// The refusal of a command that the agent does not know, or of which it has not said that it obeys it.
pub(crate) fn unsupported(kind: CommandKind) -> PublicError {
    match kind {
        CommandKind::Stop => Code::ERR_NGROK_804,
        CommandKind::Restart => Code::ERR_NGROK_805,
        CommandKind::Update => Code::ERR_NGROK_806,
    }
    .plain()
}

/// The agent was told and does not do it, for this reason.
pub(crate) fn not_done(why: &str) -> PublicError {
    Code::ERR_NGROK_807.with(format!("The agent did not do it: {why}."))
}

impl Exchange {
    /// Hands a command in; its answer comes back. None when too many wait.
    pub(crate) fn hand_in(&self, command: AgentCommand) -> Option<oneshot::Receiver<Option<String>>> {
        let mut table = self.table();
        // Who does not wait any more is forgotten.
        table.unanswered.retain(|(_, answer)| !answer.is_closed());
        if table.unanswered.len() >= UNANSWERED_MAX || table.unsent.len() >= UNANSWERED_MAX {
            return None;
        }
        let (answer, outcome) = oneshot::channel();
        let request = table.last_request.wrapping_add(1);
        table.last_request = request;
        table.unsent.push((request, command));
        table.unanswered.push((request, answer));
        Some(outcome)
    }

    /// Takes what is to be sent, each under its number.
    pub(crate) fn take_unsent(&self) -> Vec<(u32, AgentCommand)> {
        std::mem::take(&mut self.table().unsent)
    }

    /// Passes the agent's answer on. One to a question that nobody asked is ignored.
    pub(crate) fn answer(&self, request: u32, error: String) {
        let mut table = self.table();
        if let Some(at) = table.unanswered.iter().position(|(number, _)| *number == request) {
            let (_, answer) = table.unanswered.swap_remove(at);
            // Nobody may wait any more.
            let _ = answer.send(Some(error).filter(|error| !error.is_empty()));
        }
    }

    /// The session is over: no answer comes any more.
    pub(crate) fn close(&self) {
        *self.table() = Table::default();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in here panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the answer of a native agent.
pub(crate) async fn answered(answer: oneshot::Receiver<Option<String>>) -> Result<(), PublicError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(why))) => Err(not_done(&why)),
        Ok(Err(_)) => Err(not_done("its session ended")),
        Err(_) => Err(not_done(&format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

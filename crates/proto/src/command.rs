//! What the owner of an account has an agent do from afar.

use crate::agent::v1::{Command, RemoteCommand};
use crate::control::v1::{RestartAgent, StopAgent, UpdateAgent, edge_command};
use crate::field::at_most;
use crate::{FieldError, FieldFault};

/// Longest version that an agent is told to update to, in bytes: what the REST interface allows too.
pub const MAX_VERSION_LEN: usize = 64;

/// Longest reason of an agent that does not obey, in bytes.
pub const MAX_REFUSAL_LEN: usize = 1024;

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentCommand {
    /// End the program.
    Stop,
    /// End the program and start it again.
    Restart,
    /// Fetch another version of the program and start that.
    Update {
        /// The version, at most [`MAX_VERSION_LEN`] bytes; empty for the newest.
        version: String,
        /// It may be of another major version.
        permit_major: bool,
    },
}

/// The kinds of commands, which an agent obeys or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandKind {
    /// End.
    Stop,
    /// End and start again.
    Restart,
    /// Another version.
    Update,
}

impl AgentCommand {
    /// What kind it is.
    pub fn kind(&self) -> CommandKind {
        match self {
            AgentCommand::Stop => CommandKind::Stop,
            AgentCommand::Restart => CommandKind::Restart,
            AgentCommand::Update { .. } => CommandKind::Update,
        }
    }

    /// The message for a native agent, under this number.
    pub fn to_message(&self, request: u32) -> Command {
        let command = RemoteCommand::from(self.kind()).into();
        match self {
            AgentCommand::Stop | AgentCommand::Restart => Command { request, command, ..Command::default() },
            AgentCommand::Update { version, permit_major } => {
                Command { request, command, version: version.clone(), permit_major: *permit_major }
            }
        }
    }
}

impl CommandKind {
    /// Those of a list that this version knows.
    pub(crate) fn known(list: &[i32]) -> Vec<CommandKind> {
        [CommandKind::Stop, CommandKind::Restart, CommandKind::Update]
            .into_iter()
            .filter(|kind| list.contains(&RemoteCommand::from(*kind).into()))
            .collect()
    }
}

impl From<CommandKind> for RemoteCommand {
    fn from(kind: CommandKind) -> Self {
        match kind {
            CommandKind::Stop => RemoteCommand::Stop,
            CommandKind::Restart => RemoteCommand::Restart,
            CommandKind::Update => RemoteCommand::Update,
        }
    }
}

impl TryFrom<Command> for AgentCommand {
    type Error = FieldError;

    fn try_from(message: Command) -> Result<Self, FieldError> {
        match RemoteCommand::try_from(message.command) {
            Ok(RemoteCommand::Stop) => Ok(AgentCommand::Stop),
            Ok(RemoteCommand::Restart) => Ok(AgentCommand::Restart),
            Ok(RemoteCommand::Update) => Ok(AgentCommand::Update {
                version: at_most("version", message.version, MAX_VERSION_LEN)?,
                permit_major: message.permit_major,
            }),
            Ok(RemoteCommand::Unspecified) | Err(_) => {
                Err(FieldError::new("command", FieldFault::Unknown(message.command.into())))
            }
        }
    }
}

impl From<&AgentCommand> for edge_command::Command {
    fn from(command: &AgentCommand) -> Self {
        match command {
            AgentCommand::Stop => edge_command::Command::Stop(StopAgent {}),
            AgentCommand::Restart => edge_command::Command::Restart(RestartAgent {}),
            AgentCommand::Update { version, permit_major } => {
                edge_command::Command::Update(UpdateAgent { version: version.clone(), permit_major: *permit_major })
            }
        }
    }
}

impl TryFrom<Option<edge_command::Command>> for AgentCommand {
    type Error = FieldError;

    fn try_from(message: Option<edge_command::Command>) -> Result<Self, FieldError> {
        match message {
            None => Err(FieldError::new("command", FieldFault::Missing)),
            Some(edge_command::Command::Stop(_)) => Ok(AgentCommand::Stop),
            Some(edge_command::Command::Restart(_)) => Ok(AgentCommand::Restart),
            Some(edge_command::Command::Update(update)) => Ok(AgentCommand::Update {
                version: at_most("version", update.version, MAX_VERSION_LEN)?,
                permit_major: update.permit_major,
            }),
        }
    }
}

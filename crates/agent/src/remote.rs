//! What the owner of the account may have the agent do from afar: stop, restart, another version. The program that embeds the agent says
//! which of them it obeys, and does them.

use std::fmt;

use portway_proto::agent::v1::{Command, CommandAnswer, RemoteCommand};
use portway_proto::{AgentCommand, MAX_REFUSAL_LEN};

/// Does a command, or says why not.
type Handler = Box<dyn Fn() -> Result<(), String> + Send + Sync>;
type UpdateHandler = Box<dyn Fn(&str, bool) -> Result<(), String> + Send + Sync>;

/// The commands that a program obeys.
#[derive(Default)]
pub(crate) struct Remote {
    pub(crate) stop: Option<Handler>,
    pub(crate) restart: Option<Handler>,
    pub(crate) update: Option<UpdateHandler>,
}

impl Remote {
    /// What the edge is told: it sends no others.
    pub(crate) fn obeys(&self) -> Vec<i32> {
        let obeyed = [
            (self.stop.is_some(), RemoteCommand::Stop),
            (self.restart.is_some(), RemoteCommand::Restart),
            (self.update.is_some(), RemoteCommand::Update),
        ];
        obeyed.into_iter().filter(|(obeyed, _)| *obeyed).map(|(_, command)| command.into()).collect()
    }

    /// Lets the program do a command; the answer.
    pub(crate) fn obey(&self, message: Command) -> CommandAnswer {
        let request = message.request;
        let done = match AgentCommand::try_from(message) {
            Ok(command) => self.carry_out(&command),
            Err(error) => Err(format!("the command is not understood: {error}")),
        };
        CommandAnswer { request, error: done.err().map(shortened).unwrap_or_default() }
    }

    fn carry_out(&self, command: &AgentCommand) -> Result<(), String> {
        let done = match (command, &self.stop, &self.restart, &self.update) {
            (AgentCommand::Stop, Some(stop), ..) => stop(),
            (AgentCommand::Restart, _, Some(restart), _) => restart(),
            (AgentCommand::Update { version, permit_major }, .., Some(update)) => update(version, *permit_major),
            _ => Err("this program does not do it".to_owned()),
        };
        match &done {
            Ok(()) => tracing::info!(obj = "tunnels.session", ?command, "told by the account's owner"),
            Err(error) => tracing::warn!(obj = "tunnels.session", ?command, err = error, "told, and not done"),
        }
        done
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remote").field(&self.obeys()).finish()
    }
}

/// At most as long as the edge takes; never empty, which would mean that the agent obeys.
fn shortened(mut error: String) -> String {
    if error.is_empty() {
        return "it does not say why".to_owned();
    }
    error.truncate(error.floor_char_boundary(MAX_REFUSAL_LEN));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_does_what_it_obeys_and_says_why_not() {
        let remote = Remote {
            stop: Some(Box::new(|| Ok(()))),
            restart: Some(Box::new(|| Err("ä".repeat(MAX_REFUSAL_LEN)))),
            update: Some(Box::new(|version, major| Err(format!("{version} {major}")))),
        };
        let obey = |remote: &Remote, command: &AgentCommand| remote.obey(command.to_message(7));
        assert_eq!(obey(&remote, &AgentCommand::Stop), CommandAnswer { request: 7, error: String::new() });
        let refused = obey(&remote, &AgentCommand::Restart).error;
        assert_eq!((refused.len(), refused.chars().all(|letter| letter == 'ä')), (MAX_REFUSAL_LEN, true));
        let update = AgentCommand::Update { version: "9".to_owned(), permit_major: true };
        assert_eq!(obey(&remote, &update).error, "9 true");
        assert_eq!(remote.obeys().len(), 3);

        let deaf = Remote::default();
        assert!(deaf.obeys().is_empty());
        assert!(!obey(&deaf, &AgentCommand::Stop).error.is_empty());
        let silent = Remote { stop: Some(Box::new(|| Err(String::new()))), ..Remote::default() };
        assert!(!obey(&silent, &AgentCommand::Stop).error.is_empty(), "a refusal is never taken for a yes");
        assert!(!remote.obey(Command { request: 1, command: 9, ..Command::default() }).error.is_empty());
    }
}

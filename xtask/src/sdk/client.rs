//! A running program of an SDK: what it says, and how it is told to close.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::{Program, wait_for};

/// How long a program may take for anything, so that a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program said first.
#[derive(Debug)]
pub(crate) enum First {
    /// An endpoint is bound.
    Bound(Value),
    /// The server refused.
    Refused(Refusal),
    /// The SDK has nothing for the scenario.
    Unsupported,
}

/// An error as the SDK shows it to an application.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The code, from wherever the SDK puts it.
    pub(crate) code: String,
    pub(crate) text: String,
}

/// A program; it ends when this is dropped.
pub(crate) struct Client {
    program: Program,
    /// Lines of its output that were taken.
    taken: usize,
}

impl Client {
    /// Starts `command`; what it writes goes to files of `folder`.
    pub(crate) fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        Ok(Self { program: Program::start_with_input(name, folder, command)?, taken: 0 })
    }

    /// Waits until an endpoint is bound, or until it is known that none will be.
    pub(crate) fn first(&mut self) -> Result<First> {
        loop {
            let event = self.next()?;
            match event["event"].as_str().unwrap_or_default() {
                "bound" => return Ok(First::Bound(event)),
                "unsupported" => return Ok(First::Unsupported),
                "error" => return Ok(First::Refused(Refusal::new(&event))),
                _ => {}
            }
        }
    }

    /// Waits for an event.
    pub(crate) fn wait(&mut self, name: &str) -> Result<Value> {
        loop {
            let event = self.next()?;
            if event["event"] == name {
                return Ok(event);
            }
            if event["event"] == "error" {
                bail!("instead of {name}: {event}");
            }
        }
    }

    /// Asks the program to close its first endpoint and waits until it has.
    pub(crate) fn close_endpoint(&mut self) -> Result<()> {
        self.program.tell("close\n")?;
        self.wait("closed")?;
        Ok(())
    }

    /// Closes the program's input and waits until it has ended without a failure.
    pub(crate) fn finish(self) -> Result<()> {
        self.program.finish(PATIENCE)
    }

    /// The program, for whom its events do not interest any more.
    pub(crate) fn into_program(self) -> Program {
        self.program
    }

    /// The next line that is an event.
    fn next(&mut self) -> Result<Value> {
        wait_for("an event of the program", PATIENCE, || {
            let alive = self.program.alive();
            let output = self.program.output();
            // Only a line that is whole: the program may be in the middle of one.
            let whole = output.rfind('\n').map_or("", |end| &output[..end]);
            for line in whole.lines().skip(self.taken) {
                self.taken += 1;
                if let Ok(event) = serde_json::from_str::<Value>(line) {
                    return Ok(Some(event));
                }
            }
            alive.map(|()| None)
        })
        .with_context(|| self.program.last_words())
    }
}

impl Refusal {
    fn new(event: &Value) -> Self {
        let text = event["text"].as_str().unwrap_or_default().to_owned();
        let code = event["code"].as_str().filter(|code| !code.is_empty());
        // Several SDKs leave the code in the text.
        let code = code.map_or_else(|| code_in(&text).unwrap_or_default().to_owned(), str::to_owned);
        Self { code, text }
    }
}

/// The last code in `text`, one of ngrok's before one of ours.
fn code_in(text: &str) -> Option<&str> {
    ["ERR_NGROK_", "ERR_PORTWAY_"].into_iter().find_map(|family| {
        let codes = text.match_indices(family).filter_map(|(at, _)| {
            let digits = text[at + family.len()..].bytes().take_while(u8::is_ascii_digit).count();
            (digits > 0).then(|| &text[at..at + family.len() + digits])
        });
        codes.last()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_in_texts() {
        assert_eq!(code_in("failed: no. error_code: ERR_NGROK_301"), Some("ERR_NGROK_301"));
        assert_eq!(code_in("Response(\"x\\n\\nERR_NGROK_107\\n\")"), Some("ERR_NGROK_107"));
        assert_eq!(code_in("see ERR_NGROK_ and nothing"), None);
    }

    #[test]
    fn a_program_is_read_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "echo noise; echo '{\"event\":\"bound\",\"url\":\"x\"}'; cat; exit 0";
        let mut client = Client::start("a", folder.path(), Command::new("sh").args(["-c", script])).expect("a program");
        let First::Bound(bound) = client.first().expect("an event") else { panic!("not bound") };
        assert_eq!(bound["url"], "x");
        client.finish().expect("a good end");
    }
}

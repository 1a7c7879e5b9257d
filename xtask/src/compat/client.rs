//! A running program of an SDK: what it says, and how it is told to close.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::program::pause;

/// How long a program may take for anything, so that a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program said first.
#[derive(Debug)]
pub(super) enum First {
    /// An endpoint is bound.
    Bound(Value),
    /// The server refused.
    Refused(Refusal),
    /// The SDK has nothing for the scenario.
    Unsupported,
}

/// An error as the SDK shows it to an application.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The code, from wherever the SDK puts it.
    pub(super) code: String,
    pub(super) text: String,
}

/// A program; it is killed when this is dropped.
pub(super) struct Client {
    child: Child,
    events: Receiver<Value>,
    input: Option<ChildStdin>,
    errors: PathBuf,
}

impl Client {
    /// Starts `command`; what it writes to stderr goes to a file of `folder`.
    pub(super) fn start(name: &str, folder: &Path, command: &mut Command) -> Result<Self> {
        let errors = folder.join(format!("{name}.err"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&errors).context("creating a log")?);
        let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let output = child.stdout.take().context("the program has no output")?;
        let input = child.stdin.take();
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line)
                    && sender.send(event).is_err()
                {
                    break;
                }
            }
        });
        Ok(Self { child, events, input, errors })
    }

    /// Waits until an endpoint is bound, or until it is known that none will be.
    pub(super) fn first(&self) -> Result<First> {
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
    pub(super) fn wait(&self, name: &str) -> Result<Value> {
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
    pub(super) fn close_endpoint(&mut self) -> Result<()> {
        let input = self.input.as_mut().context("the program has no input")?;
        input.write_all(b"close\n").context("asking the program to close its endpoint")?;
        self.wait("closed")?;
        Ok(())
    }

    /// Closes the program's input and waits until it has ended without a failure.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.input.take());
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("asking for a child")? {
                if status.success() {
                    return Ok(());
                }
                bail!("the program ended with {status}: {}", self.last_words());
            }
            if asked.elapsed() > PATIENCE {
                bail!("the program did not end after its input was closed: {}", self.last_words());
            }
            pause();
        }
    }

    fn next(&self) -> Result<Value> {
        match self.events.recv_timeout(PATIENCE) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the program said nothing for {} s: {}", PATIENCE.as_secs(), self.last_words())
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the program ended: {}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already; either is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
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
        let client = Client::start("a", folder.path(), Command::new("sh").args(["-c", script])).expect("a program");
        let First::Bound(bound) = client.first().expect("an event") else { panic!("not bound") };
        assert_eq!(bound["url"], "x");
        client.finish().expect("a good end");
    }
}

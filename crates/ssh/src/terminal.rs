//! What the user sees in the terminal in which `ssh` runs.
//!
//! Text of strangers (paths, names) is escaped before it gets there. Lines wait in a queue that drops when the terminal does not read, and
//! says so: a user who pressed Ctrl-S must not stop the visitors.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portway_codes::PublicError;
use russh::ChannelWriteHalf;
use russh::server::Msg;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::printable::printable;
use crate::session::Shared;

/// Lines that wait for the terminal. A screen or two.
const QUEUE: usize = 128;

/// Longest line from a stranger, in characters; the rest is left out.
const MAX_TEXT: usize = 512;

/// Columns of the labels, as ngrok has them.
const LABEL: usize = 12;

/// How long the user's terminal may take for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long the client may take to close by itself, after the command has ended: it has nothing else to do.
const LINGER: Duration = Duration::from_secs(2);

/// The user's terminal. Dropped, it leaves the session as it is.
#[derive(Debug)]
pub struct Terminal {
    lines: mpsc::Sender<String>,
    dropped: Arc<AtomicU64>,
    last: oneshot::Sender<(String, u32)>,
    written: oneshot::Receiver<()>,
    shared: Arc<Shared>,
    pty: bool,
}

/// Writes lines about requests to a user's terminal. Clones write to the same one; lines are dropped when it is gone or does not read.
#[derive(Clone, Debug)]
pub struct RequestLines {
    lines: mpsc::WeakSender<String>,
    dropped: Arc<AtomicU64>,
}

impl RequestLines {
    /// One line about a request that was served.
    pub fn request(&self, method: &str, target: &str, status: u16) {
        let line = format!("{:<8}{} {status}\n", cut(method), cut(target));
        if self.lines.upgrade().is_some_and(|lines| lines.try_send(line).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Terminal {
    pub(crate) fn new(channel: ChannelWriteHalf<Msg>, pty: bool, shared: Arc<Shared>) -> Self {
        let (lines, to_write) = mpsc::channel(QUEUE);
        let (last, ending) = oneshot::channel();
        let (done, written) = oneshot::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { channel, pty, dropped: Arc::clone(&dropped), shown: 0 };
        let over = Arc::clone(&shared);
        // Ends with the session at the latest.
        tokio::spawn(async move {
            tokio::select! {
                () = writer.run(to_write, ending) => {}
                _ = over.closed() => {}
            }
            let _ = done.send(());
        });
        Self { lines, dropped, last, written, shared, pty }
    }

    /// Whether the user has a terminal, with `ssh -t`; otherwise lines may go to a file or a program.
    pub fn is_pty(&self) -> bool {
        self.pty
    }

    /// Tells that the endpoints are online.
    pub fn online<U: Display>(&self, account: &str, region: &str, urls: &[U]) {
        let mut text = String::new();
        if self.pty {
            text.push_str("Portway (via SSH) (Ctrl+C to quit)\n\n");
        }
        labelled(&mut text, "Account", account);
        labelled(&mut text, "Region", region);
        for url in urls {
            labelled(&mut text, "Forwarding", &url.to_string());
        }
        if self.pty {
            text.push('\n');
        }
        self.push(text);
    }

    /// One line about a request that was served.
    pub fn request(&self, method: &str, target: &str, status: u16) {
        self.requests().request(method, target, status);
    }

    /// For whoever serves requests.
    pub fn requests(&self) -> RequestLines {
        RequestLines { lines: self.lines.downgrade(), dropped: Arc::clone(&self.dropped) }
    }

    /// One line of any text; it is escaped and cut.
    pub fn line(&self, text: &str) {
        self.push(format!("{}\n", cut(text)));
    }

    /// An error, with its code on the last line.
    pub fn error(&self, error: &PublicError) {
        self.push(error_text(error));
    }

    /// Lines that did not fit the queue.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is left and `text`, ends the command with `status`, and ends the session. Takes seven seconds at most: five for a terminal
    /// that does not read, two for a client that does not go.
    ///
    /// # Cancel safety
    /// When the future is dropped, the session is as if [`Terminal`] had been dropped.
    pub async fn end(self, status: u32, text: &str) {
        let Self { lines, last, written, shared, .. } = self;
        let mut safe = String::new();
        for line in text.lines() {
            push_line(&mut safe, &printable(line));
        }
        drop(lines);
        // Nobody hears it when the session is over.
        let _ = last.send((safe, status));
        let _ = timeout(LAST_WORDS, written).await;
        // A client whose command is over leaves; only one that has streams open waits for them.
        let _ = timeout(LINGER, shared.closed()).await;
        shared.abort();
    }

    /// As [`Terminal::end`], for an error.
    pub async fn fail(self, error: &PublicError) {
        self.end(1, &error_text(error)).await;
    }

    fn push(&self, text: String) {
        if self.lines.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines to the channel.
struct Writer {
    channel: ChannelWriteHalf<Msg>,
    pty: bool,
    dropped: Arc<AtomicU64>,
    /// Drops that the user was told of.
    shown: u64,
}

impl Writer {
    async fn run(mut self, mut lines: mpsc::Receiver<String>, ending: oneshot::Receiver<(String, u32)>) {
        while let Some(text) = lines.recv().await {
            if self.write(&text).await.is_err() {
                return;
            }
            let dropped = self.dropped.load(Ordering::Relaxed);
            if dropped > self.shown {
                let text = format!("({} lines left out)\n", dropped - self.shown);
                self.shown = dropped;
                if self.write(&text).await.is_err() {
                    return;
                }
            }
        }
        // Dropped without an end: the channel stays open until the session is over.
        let Ok((text, status)) = ending.await else { return };
        let end = async {
            self.write(&text).await?;
            self.channel.exit_status(status).await?;
            self.channel.eof().await?;
            self.channel.close().await
        };
        // Fails when the session is over.
        let _ = end.await;
    }

    async fn write(&self, text: &str) -> Result<(), russh::Error> {
        if text.is_empty() {
            return Ok(());
        }
        let text = if self.pty { text.replace('\n', "\r\n") } else { text.to_owned() };
        self.channel.data_bytes(text.into_bytes()).await
    }
}

fn labelled(out: &mut String, label: &str, value: &str) {
    push_line(out, &format_args!("{label:<LABEL$}{}", cut(value)));
}

fn error_text(error: &PublicError) -> String {
    let mut text = String::new();
    for line in error.to_string().lines() {
        push_line(&mut text, &printable(line));
    }
    text
}

fn push_line(out: &mut String, line: &impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}

/// A stranger's text, short and without what a terminal obeys.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", printable(&text[..end])),
        None => printable(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use portway_codes::Code;
    use proptest::prelude::*;

    use super::*;
    use crate::printable::is_unsafe;

    #[test]
    fn labels_have_twelve_columns() {
        let mut text = String::new();
        labelled(&mut text, "Forwarding", "tcp://a.b:1");
        labelled(&mut text, "Account", "me\n\x1b[2J");
        assert_eq!(text, "Forwarding  tcp://a.b:1\nAccount     me\\n\\u{1b}[2J\n");
    }

    #[test]
    fn an_error_ends_with_its_code() {
        let error = Code::ERR_NGROK_1107.with("one\r\ntwo\x1b");
        assert_eq!(error_text(&error), "one\ntwo\\u{1b}\n\nERR_NGROK_1107\n");
    }

    proptest! {
        #[test]
        fn strangers_cannot_write_to_the_terminal(text in any::<String>()) {
            prop_assert!(!cut(&text).chars().any(is_unsafe));
            prop_assert!(cut(&"\x1b".repeat(10_000)).len() < 10 * MAX_TEXT);
        }
    }
}

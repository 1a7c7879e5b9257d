//! Reports to the control plane what is online here, and carries its commands to the agents.
//!
//! Each stream begins with everything; then come the changes. A control plane that reads slowly holds back this task alone: meanwhile
//! changes become one or, when they are too many, the whole list again ([`crate::online`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portway_codes::PublicError;
use portway_names::SessionId;
use portway_proto::control::v1::edge_report::Report;
use portway_proto::control::v1::{CommandOutcome, EdgeCommand, EdgeReport, OnlineChange, OnlineItem, OnlinePart};
use portway_proto::{AgentCommand, EdgeRecord, ItemKey};
use prost::Message;
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::bind::{new_ksuid, public_url};
use crate::online::{Item, News, unix_millis};
use crate::state::EdgeShared;

/// First wait before the report is begun again; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest wait before the report is begun again: shorter than the control plane remembers what was reported before.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Messages that wait for the link, beside the bytes in its windows.
const QUEUE: usize = 4;
/// Bytes of items in one message; the last item may go beyond. Far below what the link accepts.
const PART: usize = 256 << 10;
/// Commands under way and outcomes on their way back; more wait in the link. People send them one by one.
const COMMANDS: usize = 64;

/// Reports until the edge stops; also while it drains.
pub(crate) async fn run(edge: Arc<EdgeShared>) {
    let stopped = edge.stopped.clone();
    let (process, started_at_ms) = (new_ksuid().to_string(), unix_millis(SystemTime::now()));
    let work = async {
        let mut wait = RETRY_FIRST;
        loop {
            let reporter = Reporter::new(Arc::clone(&edge), &process, started_at_ms);
            if reporter.report().await {
                wait = RETRY_FIRST;
            }
            // Edges that lost the same control plane do not come back in step.
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.0));
            tokio::time::sleep(jittered).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    };
    stopped.run_until_cancelled(work).await;
}

/// One report, from its beginning to its end.
struct Reporter {
    edge: Arc<EdgeShared>,
    info: EdgeRecord,
    /// The edge itself is to be reported.
    info_due: bool,
    listing: Listing,
    outcomes: VecDeque<CommandOutcome>,
}

/// How far the list of everything is.
enum Listing {
    /// It goes on behind this item, or with the first one.
    After(Option<ItemKey>),
    Done,
}

impl Reporter {
    fn new(edge: Arc<EdgeShared>, process: &str, started_at_ms: i64) -> Self {
        let info = EdgeRecord {
            id: edge.edge_id.clone(),
            process: process.to_owned(),
            region: edge.config.region.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at_ms,
            draining: edge.draining.is_cancelled(),
        };
        Reporter { edge, info, info_due: true, listing: Listing::After(None), outcomes: VecDeque::new() }
    }

    /// True when it came to something.
    async fn report(mut self) -> bool {
        let (sender, outgoing) = mpsc::channel(QUEUE);
        let mut commands = match self.edge.control.client().report(ReceiverStream::new(outgoing)).await {
            Ok(commands) => commands,
            Err(status) => {
                tracing::debug!(%status, "what is online cannot be reported");
                return false;
            }
        };
        self.edge.online.begin();
        let edge = Arc::clone(&self.edge);
        let mut running = JoinSet::new();
        let mut next = None;
        loop {
            next = next.or_else(|| self.next());
            let busy = running.len() + self.outcomes.len() >= COMMANDS;
            tokio::select! {
                permit = sender.reserve(), if next.is_some() => match (permit, next.take()) {
                    (Ok(permit), Some(report)) => permit.send(EdgeReport { report: Some(report) }),
                    _ => return true,
                },
                command = commands.next(), if !busy => match command {
                    Some(Ok(command)) => {
                        running.spawn(carry_out(Arc::clone(&edge), command));
                    }
                    Some(Err(status)) => {
                        tracing::debug!(%status, "the report of what is online broke");
                        return true;
                    }
                    None => return true,
                },
                Some(done) = running.join_next() => match done {
                    Ok(outcome) => self.outcomes.push_back(outcome),
                    // Its sender is told by its own deadline.
                    Err(error) => tracing::error!(%error, "a command failed inside"),
                },
                () = edge.online.changed(), if next.is_none() => {}
                () = edge.draining.cancelled(), if !self.info.draining => {
                    self.info.draining = true;
                    self.info_due = true;
                }
            }
        }
    }

    /// What is to be said next.
    fn next(&mut self) -> Option<Report> {
        if std::mem::take(&mut self.info_due) {
            return Some(Report::Edge(self.info.to_message()));
        }
        if let Some(outcome) = self.outcomes.pop_front() {
            return Some(Report::Outcome(outcome));
        }
        match self.listing {
            Listing::After(key) => Some(Report::Part(self.part(key))),
            Listing::Done => self.change(),
        }
    }

    fn part(&mut self, mut after: Option<ItemKey>) -> OnlinePart {
        let (mut items, mut size) = (Vec::new(), 0);
        while size < PART {
            let Some((key, item)) = self.edge.online.next_after(after) else {
                self.listing = Listing::Done;
                return OnlinePart { items, last: true };
            };
            let item = self.message(&item);
            size += item.encoded_len();
            items.push(item);
            after = Some(key);
        }
        self.listing = Listing::After(after);
        OnlinePart { items, last: false }
    }

    fn change(&mut self) -> Option<Report> {
        let (mut change, mut size) = (OnlineChange::default(), 0);
        while size < PART {
            match self.edge.online.take_news() {
                None => break,
                Some(News::Online(item)) => {
                    let item = self.message(&item);
                    size += item.encoded_len();
                    change.online.push(item);
                }
                Some(News::Gone(key)) => {
                    let key = key.to_message();
                    size += key.encoded_len();
                    change.gone.push(key);
                }
                // What was taken by now is part of it.
                Some(News::Everything) => {
                    self.edge.online.begin();
                    return Some(Report::Part(self.part(None)));
                }
            }
        }
        (size > 0).then_some(Report::Change(change))
    }

    fn message(&self, item: &Item) -> OnlineItem {
        item.record(|url| public_url(&self.edge, url)).to_message()
    }
}

/// Tells an agent what to do; what came of it.
async fn carry_out(edge: Arc<EdgeShared>, command: EdgeCommand) -> CommandOutcome {
    let EdgeCommand { command_id, session_id, command } = command;
    let outcome = CommandOutcome { command_id, ..CommandOutcome::default() };
    let failed = |error: PublicError| CommandOutcome {
        code: error.code.number(),
        text: error.text,
        ..CommandOutcome { command_id, ..CommandOutcome::default() }
    };
    let order = match AgentCommand::try_from(command) {
        Ok(order) => order,
        Err(error) => {
            let text = format!("The edge does not understand the command: {error}. Update the edge.");
            return failed(portway_codes::Code::ERR_NGROK_807.with(text));
        }
    };
    let session = session_id.parse::<SessionId>().ok().and_then(|id| edge.sessions.get(id));
    let Some(session) = session else { return CommandOutcome { unknown_session: true, ..outcome } };
    match session.tell(&order).await {
        Ok(()) => outcome,
        Err(error) => failed(error),
    }
}

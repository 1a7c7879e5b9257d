//! The live view: state of the session, URLs, connection counts and the last requests, on a terminal.
//!
//! What it shows comes from a snapshot source, so that any command with an agent can use it. Nothing that a visitor or a server sends
//! reaches the terminal as anything but text, and the terminal is given back on every way out, panics too.

mod draw;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crossterm::event::{Event as TerminalEvent, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use portway_agent::{Agent, EndpointState, Event, Status};
use portway_telemetry::printable;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Requests that are remembered: more than any terminal has lines.
const REMEMBERED_REQUESTS: usize = 200;
/// Shortest time between two drawings; a busy endpoint must not pay for the view.
const REDRAW_AFTER: Duration = Duration::from_millis(200);
/// Longest time between two drawings, so that ages and counts stay true.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// What the view shows besides requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Name and value, top to bottom.
    pub(crate) rows: Vec<Row>,
    /// Public URL and where it leads.
    pub(crate) forwards: Vec<Forward>,
    /// Connections now, ever, and how long they last.
    pub(crate) open: u64,
    pub(crate) total: u64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p90: Option<Duration>,
    /// Sentences below the table, for example warnings.
    pub(crate) notices: Vec<String>,
}

/// One line of the upper table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) tone: Tone,
}

/// One public URL.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) url: String,
    pub(crate) to: String,
    /// Why it is not served now.
    pub(crate) problem: Option<String>,
}

/// How a value is meant.
#[derive(Debug, Clone, Copy, Eq, PartialEq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Uncertain,
    Bad,
}

/// One line of the lower list.
#[derive(Debug, Clone)]
struct RequestLine {
    seen: Instant,
    /// Status code; none when the upstream was not reached.
    status: Option<u16>,
    text: String,
    duration: Option<Duration>,
}

impl Snapshot {
    /// The state of an agent.
    pub(crate) fn of(agent: &Agent, notices: &[String]) -> Self {
        let status = agent.status();
        let mut snapshot = Self { notices: notices.to_vec(), ..Self::default() };
        let mut row = |name, value: String, tone| snapshot.rows.push(Row { name, value, tone });
        match &*status.borrow() {
            Status::Online(online) => {
                row("Session Status", "online".to_owned(), Tone::Good);
                row("Account", online.account.clone(), Tone::Plain);
                row("Version", env!("CARGO_PKG_VERSION").to_owned(), Tone::Plain);
                row("Region", online.region.clone(), Tone::Plain);
                let latency = agent.latency().map_or_else(|| "measuring".to_owned(), draw::duration);
                row("Latency", latency, Tone::Plain);
                row("Carrier", format!("{} to {}", online.carrier, online.peer), Tone::Plain);
            }
            Status::Reconnecting { error, .. } => {
                row("Session Status", "reconnecting".to_owned(), Tone::Uncertain);
                row("Reason", error.clone(), Tone::Bad);
                row("Version", env!("CARGO_PKG_VERSION").to_owned(), Tone::Plain);
            }
            Status::Closed => row("Session Status", "closed".to_owned(), Tone::Bad),
            _ => row("Session Status", "connecting".to_owned(), Tone::Uncertain),
        }
        for endpoint in agent.endpoints() {
            let metrics = endpoint.metrics;
            snapshot.open += metrics.open;
            snapshot.total += metrics.total;
            // Of several endpoints the slowest is shown: it is the one to look at.
            snapshot.p50 = snapshot.p50.max(metrics.p50);
            snapshot.p90 = snapshot.p90.max(metrics.p90);
            snapshot.forwards.push(Forward {
                url: endpoint.url.unwrap_or_else(|| "(no URL yet)".to_owned()),
                to: endpoint.forwards_to,
                problem: match endpoint.state {
                    EndpointState::Refused { error } => Some(error),
                    _ => None,
                },
            });
        }
        snapshot
    }
}

/// Shows the view until the user leaves it (Ctrl-C or q) or `stop` is done. The terminal is then as it was before.
///
/// # Errors
/// The terminal cannot be used; nothing is left on it.
pub(crate) async fn run(
    mut source: impl FnMut() -> Snapshot,
    mut events: broadcast::Receiver<Event>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let _restored = Restored;
    let mut keys = EventStream::new();
    let mut requests = VecDeque::new();
    let mut drawn: Option<Instant> = None;
    let mut changed = true;
    let mut heard = true;
    tokio::pin!(stop);
    loop {
        let wait = if changed { REDRAW_AFTER } else { REDRAW_EVERY };
        let next = drawn.map_or_else(Instant::now, |drawn| drawn + wait);
        tokio::select! {
            () = &mut stop => return Ok(()),
            key = keys.next() => match key {
                Some(Ok(event)) if leaves(&event) => return Ok(()),
                Some(Ok(TerminalEvent::Resize(..))) => drawn = None,
                Some(Ok(_)) => {}
                // Without a keyboard the view goes on until it is told to stop.
                Some(Err(_)) | None => {
                    stop.as_mut().await;
                    return Ok(());
                }
            },
            event = events.recv(), if heard => {
                changed = true;
                match event {
                    Ok(event) => remember(&mut requests, event),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => heard = false,
                }
            }
            () = tokio::time::sleep_until(next.into()) => {
                let snapshot = source();
                let now = Instant::now();
                terminal.draw(|frame| draw::draw(frame, &snapshot, &requests, now))?;
                drawn = Some(now);
                changed = false;
            }
        }
    }
}

/// Gives the terminal back when it is dropped.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Whether the key means to leave.
fn leaves(event: &TerminalEvent) -> bool {
    let TerminalEvent::Key(key) = event else { return false };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (control_c || key.code == KeyCode::Char('q'))
}

fn remember(requests: &mut VecDeque<RequestLine>, event: Event) {
    let line = match event {
        Event::Request { method, path, status, duration, .. } => RequestLine {
            seen: Instant::now(),
            status: Some(status),
            text: format!("{} {}", printable(&method), printable(&path)),
            duration: Some(duration),
        },
        Event::UpstreamFailed { error, .. } => {
            RequestLine { seen: Instant::now(), status: None, text: printable(&error).to_string(), duration: None }
        }
        _ => return,
    };
    requests.truncate(REMEMBERED_REQUESTS - 1);
    requests.push_front(line);
}

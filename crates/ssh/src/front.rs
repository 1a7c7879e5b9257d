//! From a connection to a session that serves visitors.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_mux::CloseReason;
use portway_names::WantedUrl;
use russh::server::{Config, run_stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::command::{Command, Parsed, parse};
use crate::handler::{Asked, Event, FrontHandler, Opened};
use crate::limits::config;
use crate::line::Line;
use crate::login::Gate;
use crate::session::{Core, Shared, SshSession, supervise};
use crate::terminal::Terminal;
use crate::wanted::wanted;
use crate::{Forwarded, HostKeys, Limits};

/// How long a `-R` may come after the command. OpenSSH sends it before.
const LATE_FORWARD: Duration = Duration::from_secs(3);

/// Refused logins that are remembered, and for how long: the user tries again soon.
const REMEMBERED: usize = 256;
const REMEMBER: Duration = Duration::from_secs(120);

/// Speaks SSH on connections. One for each server; clones are not needed, share it.
#[derive(Debug)]
pub struct Front {
    config: Arc<Config>,
    limits: Limits,
    refused: Mutex<VecDeque<Refused>>,
}

/// A login that was refused and whose user was not told why.
#[derive(Debug)]
struct Refused {
    from: IpAddr,
    at: Instant,
    error: PublicError,
}

/// A client that logged in, and what it asks for. Nothing of it is online yet.
#[derive(Debug)]
pub struct Accepted<W> {
    /// Whose connection it is.
    pub who: W,
    /// The command with its options.
    pub command: Command,
    /// What each `-R` asks for: at least one.
    pub endpoints: Vec<Wanted>,
    /// The connection.
    pub session: SshSession,
    /// The user.
    pub terminal: Terminal,
    /// What the user does from now on.
    pub events: Events<W>,
}

/// An endpoint that is asked for.
#[derive(Debug)]
pub struct Wanted {
    /// Its URL; a bare label is still to be put below the base domain.
    pub url: WantedUrl,
    /// Where its visitors go.
    pub forwarded: Forwarded,
}

/// What the user does.
#[derive(Debug)]
pub struct Events<W> {
    events: mpsc::UnboundedReceiver<Event<W>>,
    asked: Vec<Asked>,
}

/// One thing that the user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The `-R` with this index in [`Accepted::endpoints`] was taken back.
    Cancelled(usize),
    /// Ctrl-C, or the terminal was closed.
    Quit,
}

/// Why a connection serves nothing. Whoever is at the other end has been told, where there was a way.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Not SSH, too slow, or gone before the login.
    #[error("no login: {0}")]
    NoLogin(String),
    /// Refused, with a text for the user.
    #[error("refused: {0}")]
    Refused(PublicError),
    /// The user asked for help and got it.
    #[error("the user asked for help")]
    Helped,
    /// Gone after the login.
    #[error("the client left: {0}")]
    Left(CloseReason),
}

/// What the setup has gathered.
struct Setup<W> {
    shared: Arc<Shared>,
    events: mpsc::UnboundedReceiver<Event<W>>,
    asked: Vec<Asked>,
    opened: Option<Opened>,
}

impl Front {
    /// A front with these host keys.
    pub fn new(keys: &HostKeys, limits: Limits) -> Self {
        Self { config: config(keys, &limits), limits, refused: Mutex::default() }
    }

    /// Takes one connection to the point where its endpoints can be bound: SSH handshake, login, forwards, command. A user who cannot be served
    /// is told why before this returns.
    ///
    /// SSH is spoken by tasks on the current runtime, which end with the session. Before the login a connection holds about a hundred kilobytes at
    /// most, and for no longer than [`Limits::login_grace`].
    ///
    /// # Cancel safety
    /// The connection is cut when the future is dropped.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn accept<IO, G>(
        &self,
        io: IO,
        peer: SocketAddr,
        local: SocketAddr,
        gate: Arc<G>,
    ) -> Result<Accepted<G::Who>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        G: Gate,
    {
        let deadline = Instant::now() + self.limits.login_grace;
        let (line, cut) = Line::new(io, self.limits.write_stall);
        let (shared, to_close) = Shared::new(peer, local, self.limits, cut);
        // Cuts the line however this ends, unless the session is given away.
        let core = Arc::new(Core { shared: Arc::clone(&shared) });
        let (tell, events) = mpsc::unbounded_channel();
        let handler = FrontHandler::new(Arc::clone(&shared), gate, tell, self.recall(peer.ip()));
        let running = match timeout_at(deadline, run_stream(Arc::clone(&self.config), line, handler)).await {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => return Err(AcceptError::NoLogin(error.to_string())),
            Err(_) => return Err(AcceptError::NoLogin("the client did not say that it speaks SSH in time".to_owned())),
        };
        // Set once.
        let _ = shared.handle.set(running.handle());
        tokio::spawn(supervise(running, Arc::clone(&shared), to_close));
        let mut setup = Setup { shared, events, asked: Vec::new(), opened: None };
        let who = match setup.login(deadline).await {
            Ok(who) => who,
            Err(error) => {
                if let Some(error) = setup.shared.refusal() {
                    self.remember(peer.ip(), error);
                }
                return Err(error);
            }
        };
        setup.gather(who.as_ref().err()).await?;
        setup.check(who, core).await
    }

    fn remember(&self, from: IpAddr, error: PublicError) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|one| one.from != from);
        if refused.len() >= REMEMBERED {
            refused.pop_front();
        }
        refused.push_back(Refused { from, at: Instant::now(), error });
    }

    /// Why the last login from an address failed, once. Nothing tells its users apart: this is said before a client names one.
    fn recall(&self, from: IpAddr) -> Option<String> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|one| one.at.elapsed() < REMEMBER);
        let at = refused.iter().position(|one| one.from == from)?;
        let one = refused.remove(at)?;
        Some(format!(
            "A recent SSH login from your address failed. If it was yours, this is why:\r\n{}\r\n",
            one.error.to_string().replace('\n', "\r\n")
        ))
    }
}

impl<W> Setup<W> {
    /// The login. An inner error is one that the user is still to be told.
    async fn login(&mut self, deadline: Instant) -> Result<Result<W, PublicError>, AcceptError> {
        loop {
            match self.next(deadline).await {
                Some(Event::LoggedIn(who)) => return Ok(who),
                Some(_) => {}
                None => {
                    let reason = self.shared.close_reason().map_or("too slow".to_owned(), |reason| reason.to_string());
                    return Err(AcceptError::NoLogin(reason));
                }
            }
        }
    }

    /// Forwards and the command. Without a command there is no terminal that a text could go to, so it goes with the disconnect.
    async fn gather(&mut self, refused: Option<&PublicError>) -> Result<(), AcceptError> {
        let deadline = Instant::now() + self.shared.limits.setup_grace;
        let mut until = deadline;
        while self.opened.is_none() || (self.asked.is_empty() && refused.is_none() && !self.needs_no_forward()) {
            match self.next(until).await {
                Some(Event::Forward(asked)) => self.asked.push(asked),
                Some(Event::Cancelled(asked)) => self.asked.retain(|one| *one != asked),
                Some(Event::Command(opened)) => {
                    self.opened = Some(opened);
                    until = deadline.min(Instant::now() + LATE_FORWARD);
                }
                Some(Event::Quit) => break,
                Some(Event::LoggedIn(_)) => {}
                None => break,
            }
        }
        if let Some(reason) = self.shared.close_reason() {
            return Err(AcceptError::Left(reason));
        }
        if self.opened.is_some() {
            return Ok(());
        }
        let error = refused.cloned().unwrap_or_else(|| Code::ERR_NGROK_1111.plain());
        self.shared.disconnect(printable_lines(&error)).await;
        Err(AcceptError::Refused(error))
    }

    /// Whether the command is answered without an endpoint: help, or an error.
    fn needs_no_forward(&self) -> bool {
        match self.opened.as_ref().map(|opened| &opened.line) {
            Some(Some(line)) => !matches!(parse(line), Ok(Parsed::Run(_))),
            Some(None) => true,
            None => false,
        }
    }

    /// Puts forwards and command together, or tells the user what is wrong.
    async fn check(self, who: Result<W, PublicError>, core: Arc<Core>) -> Result<Accepted<W>, AcceptError> {
        let Setup { shared, events, asked, opened } = self;
        let Some(opened) = opened else { return Err(AcceptError::Refused(Code::ERR_NGROK_1111.plain())) };
        let terminal = Terminal::new(opened.channel, opened.pty, Arc::clone(&shared));
        let read = match &who {
            Err(error) => Err(error.clone()),
            Ok(_) => opened.line.as_deref().map_or(Err(Code::ERR_NGROK_1107.plain()), parse),
        };
        let (who, command) = match (who, read) {
            (Ok(_), Ok(Parsed::Help(text))) => {
                terminal.end(0, &text).await;
                return Err(AcceptError::Helped);
            }
            (Ok(who), Ok(Parsed::Run(command))) => (who, *command),
            (_, Err(error)) | (Err(error), _) => return Err(refuse(terminal, error).await),
        };
        if asked.is_empty() {
            return Err(refuse(terminal, Code::ERR_NGROK_1112.plain()).await);
        }
        let several = asked.len() > 1;
        let mut endpoints = Vec::with_capacity(asked.len());
        for one in &asked {
            match wanted(&command, &one.address, one.port, several) {
                Ok(url) => {
                    let forwarded = Forwarded::new(Arc::clone(&core), &one.address, one.known_as);
                    endpoints.push(Wanted { url, forwarded });
                }
                Err(error) => return Err(refuse(terminal, error).await),
            }
        }
        shared.serving.store(true, Ordering::Relaxed);
        let session = SshSession::new(core);
        Ok(Accepted { who, command, endpoints, session, terminal, events: Events { events, asked } })
    }

    /// The next event; `None` when the session is over or the time has come.
    async fn next(&mut self, deadline: Instant) -> Option<Event<W>> {
        timeout_at(deadline, self.events.recv()).await.ok().flatten()
    }
}

impl<W> Events<W> {
    /// The next thing that the user does. `None`: the session is over.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Happening> {
        loop {
            match self.events.recv().await? {
                Event::Cancelled(asked) => {
                    if let Some(index) = self.asked.iter().position(|one| *one == asked) {
                        return Some(Happening::Cancelled(index));
                    }
                }
                Event::Quit => return Some(Happening::Quit),
                // Refused by the handler while visitors are served.
                Event::LoggedIn(_) | Event::Forward(_) | Event::Command(_) => {}
            }
        }
    }
}

/// For OpenSSH, which prints a disconnect on one line and escapes line ends itself.
fn printable_lines(error: &PublicError) -> String {
    format!("{} ({})", crate::printable::printable(error.text.trim_end()), error.code)
}

async fn refuse(terminal: Terminal, error: PublicError) -> AcceptError {
    terminal.fail(&error).await;
    AcceptError::Refused(error)
}

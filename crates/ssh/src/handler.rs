//! What the client does, as russh tells it.

mod auth;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portway_codes::{Code, PublicError};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Pty};
use tokio::sync::mpsc;

use self::auth::Login;
use crate::MAX_ADDRESS_LEN;
use crate::login::Gate;
use crate::session::Shared;

/// Most `tcpip-forward` requests of a session, with those that were cancelled again.
const MAX_FORWARD_REQUESTS: usize = 64;

/// First port that is made up for `-R 0`; it has no meaning but must be told apart from others.
const FIRST_MADE_UP_PORT: u32 = 49_152;

/// Smallest packet that a client may ask for on a visitor's channel: below, the headers cost more than the bytes.
const MIN_PEER_PACKET: u32 = 1024;

/// What happened, for whoever sets the session up and then serves it. The handler bounds how many there are.
#[derive(Debug)]
pub(crate) enum Event<W> {
    /// The login is over; an error is to be told to the user, who may do nothing else.
    LoggedIn(Result<W, PublicError>),
    /// A `-R`.
    Forward(Asked),
    /// A `-R` was taken back.
    Cancelled(Asked),
    /// The session channel says what to run.
    Command(Opened),
    /// The user wants it to end.
    Quit,
}

/// A `tcpip-forward` request (RFC 4254 section 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) address: String,
    /// As asked for.
    pub(crate) port: u32,
    /// Under which the client knows it: the same, or a made-up one for 0.
    pub(crate) known_as: u32,
}

/// A session channel with a request to run something.
pub(crate) struct Opened {
    /// The command line; `None` for a shell.
    pub(crate) line: Option<Vec<u8>>,
    pub(crate) channel: ChannelWriteHalf<Msg>,
    pub(crate) pty: bool,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("pty", &self.pty).finish_non_exhaustive()
    }
}

/// The one session channel.
#[derive(Default)]
struct Terminal {
    id: Option<ChannelId>,
    /// Until something is to be run.
    channel: Option<ChannelWriteHalf<Msg>>,
    pty: bool,
    /// The user said that it should end.
    quit: bool,
}

pub(crate) struct FrontHandler<G: Gate> {
    shared: Arc<Shared>,
    login: Login<G>,
    events: mpsc::UnboundedSender<Event<G::Who>>,
    forwards: Vec<Asked>,
    forward_requests: usize,
    terminal: Terminal,
    /// Shown before the login: why the last one from there failed.
    banner: Option<String>,
}

impl<G: Gate> FrontHandler<G> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        gate: Arc<G>,
        events: mpsc::UnboundedSender<Event<G::Who>>,
        banner: Option<String>,
    ) -> Self {
        let login = Login::new(gate, Arc::clone(&shared));
        Self { shared, login, events, forwards: Vec::new(), forward_requests: 0, terminal: Terminal::default(), banner }
    }

    fn tell(&self, event: Event<G::Who>) {
        // Nobody listens when the session is about to be cut.
        let _ = self.events.send(event);
    }

    fn is_terminal(&self, id: ChannelId) -> bool {
        self.terminal.id == Some(id)
    }

    /// Begins the command, once.
    fn run(&mut self, id: ChannelId, line: Option<Vec<u8>>, session: &mut Session) -> Result<(), russh::Error> {
        if !self.is_terminal(id) {
            return session.channel_failure(id);
        }
        let Some(channel) = self.terminal.channel.take() else { return session.channel_failure(id) };
        session.channel_success(id)?;
        self.tell(Event::Command(Opened { line, channel, pty: self.terminal.pty }));
        Ok(())
    }

    /// Once: a user may press the key many times.
    fn tell_quit(&mut self) {
        if !self.terminal.quit {
            self.terminal.quit = true;
            self.tell(Event::Quit);
        }
    }

    fn made_up_port(&self) -> u32 {
        let mut port = FIRST_MADE_UP_PORT;
        while self.forwards.iter().any(|asked| asked.known_as == port) {
            port += 1;
        }
        port
    }
}

impl<G: Gate> Handler for FrontHandler<G> {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(self.banner.take())
    }

    async fn auth_none(&mut self, user: &str) -> Result<Auth, russh::Error> {
        Ok(self.login.none(user).await)
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(self.login.password(user, password).await)
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        Ok(self.login.key_offered(user, offer.public_key, offer.algorithm).await)
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(self.login.key_proved(key.public_key, key.algorithm))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        match response {
            None => Ok(self.login.prompt(user).await),
            Some(mut response) => {
                let answer = response.next().unwrap_or_default();
                Ok(self.login.answer(&answer).await)
            }
        }
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), russh::Error> {
        let outcome = self.login.outcome().ok_or(russh::Error::NotAuthenticated)?;
        if outcome.is_ok() {
            self.shared.cut.trust();
        }
        self.tell(Event::LoggedIn(outcome));
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.terminal.id.is_some() {
            reply.reject(refused(Code::ERR_NGROK_1104)).await;
            return Ok(());
        }
        self.terminal.id = Some(channel.id());
        self.terminal.channel = Some(channel.split().1);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let reason = "Portway forwards from the internet to you (-R), not the other way (-L, -D, -W).".to_owned();
        reply.reject(ChannelOpenFailure::Other { code: 1, reason }).await;
        Ok(())
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        max_packet_size: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if max_packet_size < MIN_PEER_PACKET {
            return Err(russh::Error::PacketSize(max_packet_size as usize));
        }
        self.shared.inflow.add(id);
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        if self.is_terminal(id) {
            // Ctrl-C and Ctrl-D of a terminal in raw mode.
            if self.terminal.pty && data.iter().any(|byte| matches!(byte, 0x03 | 0x04)) {
                self.tell_quit();
            }
            return Ok(());
        }
        match self.shared.inflow.get(id) {
            Some(incoming) => incoming.push(data).map_err(|_| russh::Error::Inconsistent),
            None => Ok(()),
        }
    }

    fn adjust_window(&mut self, _: ChannelId, _: u32) -> u32 {
        let (window, stalled) = self.shared.inflow.window();
        for id in stalled {
            self.shared.close_channel(id);
        }
        window
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if self.is_terminal(id) {
            if self.terminal.pty {
                self.tell_quit();
            }
        } else if let Some(incoming) = self.shared.inflow.get(id) {
            incoming.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if self.is_terminal(id) {
            self.tell_quit();
        } else if let Some(incoming) = self.shared.inflow.get(id) {
            incoming.close();
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if !self.is_terminal(id) || self.terminal.channel.is_none() {
            return session.channel_failure(id);
        }
        self.terminal.pty = true;
        session.channel_success(id)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.run(id, None, session)
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        // One byte more than allowed is kept, so that the parser sees that it is too long.
        let kept = data.len().min(crate::MAX_COMMAND_LEN + 1);
        self.run(id, Some(data[..kept].to_vec()), session)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(id)
    }

    async fn tcpip_forward(&mut self, address: &str, port: &mut u32, _: &mut Session) -> Result<bool, russh::Error> {
        self.forward_requests += 1;
        let again = *port != 0 && self.forwards.iter().any(|asked| asked.address == address && asked.known_as == *port);
        let room = self.forwards.len() < self.shared.limits.forwards && self.forward_requests <= MAX_FORWARD_REQUESTS;
        let late = self.shared.serving.load(Ordering::Relaxed);
        if again || !room || late || *port > u32::from(u16::MAX) || address.len() > MAX_ADDRESS_LEN {
            return Ok(false);
        }
        let asked_port = *port;
        if asked_port == 0 {
            *port = self.made_up_port();
        }
        let asked = Asked { address: address.to_owned(), port: asked_port, known_as: *port };
        self.forwards.push(asked.clone());
        self.tell(Event::Forward(asked));
        Ok(true)
    }

    async fn cancel_tcpip_forward(&mut self, address: &str, port: u32, _: &mut Session) -> Result<bool, russh::Error> {
        let found = self.forwards.iter().position(|asked| {
            asked.address == address && (asked.known_as == port || (asked.port == port && port == 0))
        });
        let Some(found) = found else { return Ok(false) };
        let asked = self.forwards.remove(found);
        self.tell(Event::Cancelled(asked));
        Ok(true)
    }
}

fn refused(code: Code) -> ChannelOpenFailure {
    // The number of "administratively prohibited" (RFC 4254 section 5.1), with words of our own.
    ChannelOpenFailure::Other { code: 1, reason: format!("{} ({})", code.text(), code.name()) }
}

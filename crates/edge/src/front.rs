//! The protocol an agent speaks, towards the one kind of session behind it: what the agent says becomes one of a few wishes, and what the
//! session answers is put in the agent's words.

use std::collections::BTreeMap;
use std::time::Duration;

use portway_codes::PublicError;
use portway_mux::Session;
use portway_proto::AgentCommand;

use crate::bind::{Online, Refused, Wanted};
use crate::control_stream::{ControlFault, ControlStream};
use crate::endpoint::{About, Endpoint};
use crate::native;
use crate::ngrok::NgrokFront;
use crate::ssh::SshFront;

/// One agent's protocol.
#[derive(Debug)]
pub(crate) enum Front {
    Native(ControlStream, Session),
    Ngrok(Box<NgrokFront>, Session),
    Ssh(Box<SshFront>),
}

/// What an agent wishes. `request` stands for the question until it is answered.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An endpoint; or what is wrong with the wish.
    Bind { request: u32, wanted: Result<Box<Wanted>, Refused> },
    /// An endpoint that is found by labels.
    BindLabels { request: u32, wanted: Box<Labelled> },
    /// An end to an endpoint; none when the agent names one that is not there.
    Unbind { request: u32, handle: Option<u32> },
    /// An end to an endpoint that is found by labels.
    UnbindLabels { request: u32, id: String },
    /// Other words about an endpoint.
    Describe { request: u32, endpoint: String, change: Change },
    /// The answer to a command: why the agent does not obey; empty when it does.
    Obeyed { request: u32, error: String },
    /// No endpoint any more.
    Goodbye,
    /// Something that ends the session.
    Fault(Refused),
}

/// An endpoint that is found by labels.
#[derive(Debug)]
pub(crate) struct Labelled {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) about: About,
    /// The upstream speaks HTTP/2 with prior knowledge.
    pub(crate) upstream_http2: bool,
}

/// What an agent changes in what it says of an endpoint; what is none stays.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Option<String>,
}

impl Change {
    pub(crate) fn apply(self, about: &mut About) {
        let Change { name, description, metadata } = self;
        about.name = name.unwrap_or_else(|| std::mem::take(&mut about.name));
        about.description = description.unwrap_or_else(|| std::mem::take(&mut about.description));
        about.metadata = metadata.unwrap_or_else(|| std::mem::take(&mut about.metadata));
    }
}

/// How long visitors who were accepted before an agent was sent away may still come: their handshakes take a few round trips.
const LAST_VISITORS: Duration = Duration::from_secs(1);

/// How long a session may go on when its agent shall dial elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stay {
    /// While it has no streams.
    pub(crate) idle: Duration,
    /// While it has some.
    pub(crate) busy: Duration,
}

impl Stay {
    /// To the end of its streams, at most this long.
    pub(crate) fn until(busy: Duration) -> Stay {
        Stay { idle: LAST_VISITORS, busy }
    }
}

impl Front {
    /// The next wish.
    ///
    /// Cancel safety: safe, nothing that was heard is lost.
    pub(crate) async fn next(&mut self) -> Result<Heard, ControlFault> {
        match self {
            Front::Native(control, session) => native::next(control, session).await,
            // Boxed: every native agent's session would be as large as one of these.
            Front::Ngrok(front, session) => Box::pin(front.next(session)).await,
            Front::Ssh(front) => Box::pin(front.next()).await,
        }
    }

    /// An endpoint is online.
    pub(crate) async fn bound(&mut self, request: u32, online: &Online) -> Result<(), ControlFault> {
        match self {
            Front::Native(control, _) => native::bound(control, request, online).await,
            Front::Ngrok(front, _) => {
                front.bound(request, online);
                Ok(())
            }
            Front::Ssh(front) => {
                front.bound(request, online);
                Ok(())
            }
        }
    }

    /// An endpoint that is found by labels is online.
    pub(crate) fn labels_bound(&mut self, request: u32, id: &str) {
        if let Front::Ngrok(front, _) = self {
            front.labels_bound(request, id);
        }
    }

    /// A wish is refused.
    pub(crate) async fn refused(&mut self, request: u32, refused: Refused) -> Result<(), ControlFault> {
        match self {
            Front::Native(control, _) => native::bind_refused(control, request, refused).await,
            Front::Ngrok(front, _) => {
                front.answer(request, Some(&refused.error));
                Ok(())
            }
            Front::Ssh(front) => front.refused(&refused).await,
        }
    }

    /// An endpoint was given up, as asked.
    pub(crate) async fn unbound(&mut self, request: u32, handle: u32) -> Result<(), ControlFault> {
        match self {
            Front::Native(control, _) => native::unbound(control, handle).await,
            Front::Ngrok(front, _) => {
                front.answer(request, None);
                Ok(())
            }
            Front::Ssh(_) => Ok(()),
        }
    }

    /// A wish that only has to be confirmed was done.
    pub(crate) fn done(&mut self, request: u32) {
        if let Front::Ngrok(front, _) = self {
            front.answer(request, None);
        }
    }

    /// An endpoint is no more.
    pub(crate) async fn closed(&mut self, endpoint: &Endpoint, why: &PublicError) -> Result<(), ControlFault> {
        match self {
            Front::Native(control, _) => native::closed(control, endpoint, why).await,
            Front::Ngrok(front, session) => {
                front.closed(session, endpoint, why);
                Ok(())
            }
            Front::Ssh(front) => {
                front.closed(endpoint, why);
                Ok(())
            }
        }
    }

    /// An endpoint that is found by labels is no more.
    pub(crate) fn labels_closed(&mut self, id: &str, why: &PublicError) {
        if let Front::Ngrok(front, session) = self {
            front.stop_tunnel(session, id, why);
        }
    }

    /// The agent shall dial elsewhere; how long its session may go on here.
    pub(crate) async fn go_away(&mut self, grace: Duration) -> Result<Stay, ControlFault> {
        match self {
            Front::Native(control, _) => native::go_away(control, grace).await.map(|()| Stay::until(grace)),
            Front::Ngrok(front, _) => Ok(front.go_away(grace)),
            Front::Ssh(front) => {
                front.go_away();
                Ok(Stay::until(grace))
            }
        }
    }

    /// The agent is to do something.
    pub(crate) async fn command(&mut self, request: u32, command: &AgentCommand) -> Result<(), ControlFault> {
        match self {
            Front::Native(control, _) => native::command(control, request, command).await,
            // They are told by other ways.
            Front::Ngrok(..) | Front::Ssh(_) => Ok(()),
        }
    }

    /// The session ends because the owner of the account wants so.
    pub(crate) async fn stopped(&mut self, text: &str) {
        if let Front::Ssh(front) = self {
            front.say(text);
        }
        self.leave(text).await;
    }

    /// The session ends, and the agent is told why.
    pub(crate) async fn refuse(&mut self, endpoints: &[Online], refused: &Refused) {
        match self {
            Front::Native(control, session) => native::refuse(control, session, refused).await,
            Front::Ngrok(front, session) => front.refuse(session, endpoints, refused).await,
            Front::Ssh(front) => front.leave(Some(&refused.error)).await,
        }
    }

    /// The session ends because the edge drains.
    pub(crate) async fn drained(&mut self, text: &str) {
        match self {
            Front::Native(_, session) | Front::Ngrok(_, session) => session.close(text),
            Front::Ssh(front) => front.drained().await,
        }
    }

    /// The session ends as the agent wished, or because nothing is left to do.
    pub(crate) async fn leave(&mut self, text: &str) {
        match self {
            Front::Native(_, session) | Front::Ngrok(_, session) => session.close(text),
            Front::Ssh(front) => front.leave(None).await,
        }
    }
}

//! The strict watcher of HTTP/1 framing, in the words of a connection.

use portway_codes::{Code, PublicError};

use crate::config::Limits;

/// Where in the messages of a visitor the watcher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests.
    Between,
    Head,
    Body,
    /// Behind the head of a request that asks for another protocol.
    Upgrade,
}

/// What the watcher made of some bytes.
#[derive(Debug)]
pub(super) enum Seen {
    /// So many of them may be read; what is left must wait for the decision on an upgrade.
    Fine(usize),
    /// So many of them may be read; what follows is refused.
    Refused { passed: usize, error: PublicError, in_body: bool },
}

/// The watcher of one connection.
#[derive(Debug)]
pub(super) struct Guard {
    phase: Phase,
}

impl Guard {
    pub(super) fn new(_limits: &Limits) -> Guard {
        Guard { phase: Phase::Between }
    }

    pub(super) fn observe(&mut self, bytes: &[u8]) -> Seen {
        let _ = Code::ERR_PORTWAY_40001;
        Seen::Fine(bytes.len())
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The upgrade is refused: what follows is the next request.
    pub(super) fn upgrade_refused(&mut self) {
        self.phase = Phase::Between;
    }
}

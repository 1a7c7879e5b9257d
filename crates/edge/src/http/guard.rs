//! The strict watcher of HTTP/1 framing, in the words of a connection.

use portway_codes::{Code, PublicError};
use portway_wire::http1_guard::{GuardLimits, Http1Guard, Refusal};

pub(super) use portway_wire::http1_guard::GuardState as Phase;

use crate::config::Limits;

/// What the watcher made of some bytes.
#[derive(Debug)]
pub(super) enum Seen {
    /// So many of them may be read; the rest is to be shown again with more behind it.
    Fine(usize),
    /// So many of them may be read; what follows is refused. `in_body`: the request before it cannot be completed.
    Refused { passed: usize, error: PublicError, in_body: bool },
}

/// The watcher of one connection.
#[derive(Debug)]
pub(super) struct Guard {
    inner: Http1Guard,
}

impl Guard {
    pub(super) fn new(limits: &Limits) -> Guard {
        let limits = GuardLimits {
            max_head: limits.http_head_bytes,
            max_headers: limits.http_header_count,
            ..GuardLimits::default()
        };
        Guard { inner: Http1Guard::new(limits) }
    }

    pub(super) fn observe(&mut self, bytes: &[u8]) -> Seen {
        match self.inner.observe(bytes) {
            Ok(passed) => Seen::Fine(passed),
            Err(error) => Seen::Refused {
                passed: error.offset,
                error: refusal(error.kind),
                in_body: self.inner.refused_in_body(),
            },
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.inner.state()
    }

    /// The upgrade is refused: what follows is the next request.
    pub(super) fn upgrade_refused(&mut self) {
        self.inner.not_upgraded();
    }
}

/// What the visitor is told.
fn refusal(kind: Refusal) -> PublicError {
    let code = match kind {
        Refusal::TooManyHeaders | Refusal::HeadTooLarge | Refusal::TrailersTooLarge => Code::ERR_PORTWAY_43101,
        Refusal::HostMissing | Refusal::HostRepeated | Refusal::Host => Code::ERR_PORTWAY_40002,
        Refusal::TargetTooLong => Code::ERR_PORTWAY_41401,
        Refusal::Method | Refusal::TransferEncoding => Code::ERR_PORTWAY_50101,
        Refusal::Version => Code::ERR_PORTWAY_50501,
        Refusal::ConnectWithBody => Code::ERR_PORTWAY_40003,
        _ => Code::ERR_PORTWAY_40001,
    };
    code.with(format!("{} ({kind})", code.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_the_status_of_the_refusal() {
        for kind in [
            Refusal::TargetTooLong,
            Refusal::TooManyHeaders,
            Refusal::HeadTooLarge,
            Refusal::TrailersTooLarge,
            Refusal::Method,
            Refusal::TransferEncoding,
            Refusal::Version,
            Refusal::ConnectWithBody,
            Refusal::HostMissing,
            Refusal::LengthAndEncoding,
        ] {
            assert_eq!(refusal(kind).code.status(), kind.status(), "{kind}");
        }
    }
}

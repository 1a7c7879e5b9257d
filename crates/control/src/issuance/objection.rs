//! What is in the way of a certificate, who can do something about it, and when it is tried again.

use std::time::Duration;

use portway_acme::{Blame, Fault};
use portway_codes::Code;
use portway_store::Timestamp;
use rand::RngExt;

use crate::kept::issuance::{Issuance, Trouble};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The kind of problem that means that the authority does not know the account (RFC 8555 section 6.7).
pub(super) const UNKNOWN_ACCOUNT: &str = "accountDoesNotExist";
/// The kind of problem that means too many orders (RFC 8555 section 6.7).
const RATE_LIMITED: &str = "rateLimited";
/// Failures in a row at the authority, by nobody's fault, after which an order is given up: the authority may have lost it.
const ORDER_PATIENCE: u32 = 8;

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    /// The owner of the name has to do something.
    of_owner: bool,
    text: String,
    /// The wait after the first time, doubled each time, up to the second one.
    waits: (Duration, Duration),
    /// Another order is needed.
    ends_order: bool,
}

impl Objection {
    /// DNS is not as it has to be. Looking again costs little.
    pub(super) fn dns(code: Code, text: impl Into<String>) -> Objection {
        let text = format!("{} ({code})", text.into());
        Objection { of_owner: true, text, waits: (Duration::from_secs(5), 15 * MINUTE), ends_order: true }
    }

    /// DNS says that this authority may not issue.
    pub(super) fn forbidden(text: impl Into<String>) -> Objection {
        let waits = (Duration::from_secs(5), 15 * MINUTE);
        Objection { of_owner: true, text: text.into(), waits, ends_order: true }
    }

    /// Nobody's fault: it may go in a while.
    pub(super) fn passing(text: impl Into<String>) -> Objection {
        let waits = (Duration::from_secs(10), HOUR);
        Objection { of_owner: false, text: text.into(), waits, ends_order: false }
    }

    /// Too many orders, until there are fewer.
    pub(super) fn too_many(text: impl Into<String>, wait: Duration) -> Objection {
        Objection { of_owner: false, text: text.into(), waits: (wait, wait), ends_order: true }
    }

    /// The order came to nothing that can be used.
    pub(super) fn useless(text: impl Into<String>) -> Objection {
        let waits = (MINUTE, 6 * HOUR);
        Objection { of_owner: false, text: text.into(), waits, ends_order: true }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Writes down what is in the way of the certificate of a resource, and when it is tried again.
    pub(super) fn note(self, resource: &str, issuance: &mut Issuance, now: Timestamp) {
        // The same over and over is said once.
        let again = issuance.trouble.as_ref().is_some_and(|trouble| trouble.msg == self.text);
        match self.of_owner {
            _ if again => tracing::debug!(id = resource, reason = self.text, "a certificate cannot be ordered yet"),
            true => tracing::info!(id = resource, reason = self.text, "a certificate waits for the owner of its name"),
            false => tracing::warn!(id = resource, reason = self.text, "a certificate cannot be ordered now"),
        }
        let (first, most) = self.waits;
        let doubled = first.saturating_mul(1 << issuance.failures.min(20)).min(most);
        // So that what failed together is not tried together.
        let retries = now + doubled.mul_f64(rand::rng().random_range(0.8..1.0));
        issuance.failures = issuance.failures.saturating_add(1);
        issuance.due_ms = retries.millis();
        issuance.trouble = Some(Trouble { of_owner: self.of_owner, msg: self.text, retries_ms: retries.millis() });
        if self.ends_order || issuance.failures.is_multiple_of(ORDER_PATIENCE) {
            issuance.order = None;
            issuance.proofs.clear();
        }
    }
}

impl From<Fault> for Objection {
    fn from(Fault { blame, kind, text }: Fault) -> Objection {
        match blame {
            // Authorities permit five failures in an hour.
            Blame::Owner => Objection {
                of_owner: true,
                text: format!("The certificate authority refuses: {text}"),
                waits: (2 * MINUTE, 6 * HOUR),
                ends_order: true,
            },
            // Another one is made by the next attempt.
            Blame::Operator if kind == UNKNOWN_ACCOUNT => Objection {
                of_owner: false,
                text: format!("The certificate authority does not know the account: {text}"),
                waits: (Duration::from_secs(1), MINUTE),
                ends_order: true,
            },
            Blame::Operator => Objection::useless(format!("The certificate cannot be ordered: {text}")),
            Blame::Nobody if kind == RATE_LIMITED => {
                Objection::too_many(format!("The certificate authority wants fewer orders: {text}"), HOUR)
            }
            Blame::Nobody => Objection::passing(format!("The certificate authority cannot be asked now: {text}")),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Waits grow to their end, and orders are given up when they have to be.

    use super::*;
    use crate::kept::issuance::Order;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ordered() -> Issuance {
        let order = Order { key: String::new(), url: Some("https://ca/1".to_owned()), turn: 0, shown: false, polls: 0 };
        Issuance { order: Some(order), ..Issuance::begin("1".to_owned(), NOW) }
    }

    #[test]
    fn waits_double_up_to_their_end() {
        let mut issuance = ordered();
        let mut waits = Vec::new();
        for _ in 0..40 {
            Objection::dns(Code::ERR_NGROK_425, "no record").note("rd_1", &mut issuance, NOW);
            waits.push(issuance.due().since(NOW));
        }
        assert!(waits[0] <= Duration::from_secs(5) && waits[0] >= Duration::from_secs(4));
        assert!(waits[5] > 4 * waits[2] && waits.iter().all(|wait| *wait <= 15 * MINUTE));
        assert!(waits[39] >= 12 * MINUTE);
        let trouble = issuance.trouble.unwrap();
        assert_eq!((trouble.of_owner, trouble.msg.as_str()), (true, "no record (ERR_NGROK_425)"));
    }

    #[test]
    fn an_order_outlives_an_authority_that_is_away_for_a_while() {
        let mut issuance = ordered();
        for failure in 1..=ORDER_PATIENCE {
            Objection::passing("away").note("rd_1", &mut issuance, NOW);
            assert_eq!(issuance.order.is_some(), failure < ORDER_PATIENCE);
        }
        let mut issuance = ordered();
        Objection::useless("a certificate for other names").note("rd_1", &mut issuance, NOW);
        assert_eq!(issuance.order, None);
    }
}

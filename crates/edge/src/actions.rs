//! What an endpoint does with its traffic, and the state that belongs to that.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use portway_codes::{Code, PublicError};
use portway_names::{AccountId, Scheme};
use portway_traffic::{Actions, Breaker, Outcome, Ticket, WEBHOOK_BODY_MAX};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::replica::{Authorities, Replica};
use crate::termination::{Made, Termination};

/// Unit in which bodies that are read whole are accounted.
const ROOM_UNIT: usize = 16 * 1024;

/// Bodies that one endpoint reads whole may have so many bytes together: eight of the largest, or some hundreds of usual ones.
const ROOM: usize = 8 * WEBHOOK_BODY_MAX;

/// The actions of one registration of an endpoint.
pub(crate) struct EndpointActions {
    pub(crate) rules: Actions,
    breaker: Option<Mutex<Breaker>>,
    tls: Option<Termination>,
    room: Arc<Semaphore>,
}

impl EndpointActions {
    /// Makes actions ready for an endpoint of this scheme and account; none when there is nothing to do. Certificates that the endpoint does not
    /// bring itself, and what actions refer to, are the replica's.
    ///
    /// # Errors
    /// Actions that endpoints of the scheme cannot have; certificates and authorities that cannot be used.
    pub(crate) fn prepare(
        rules: Actions,
        scheme: Scheme,
        account: AccountId,
        replica: &Replica,
    ) -> Result<Option<Arc<EndpointActions>>, PublicError> {
        if rules.is_empty() {
            return Ok(None);
        }
        rules.check_scheme(scheme)?;
        let tls = rules.terminate_tls.as_ref().map(|action| Termination::prepare(action, scheme, account, replica));
        let tls = tls.transpose()?;
        let breaker = rules.circuit_breaker.map(|rules| Mutex::new(Breaker::new(rules)));
        Ok(Some(Arc::new(EndpointActions { rules, breaker, tls, room: Arc::new(Semaphore::new(ROOM / ROOM_UNIT)) })))
    }

    /// How TLS ends in a handshake that begins now, where it ends otherwise than for the rest.
    pub(crate) fn tls(&self, authorities: &Authorities) -> Option<Arc<Made>> {
        self.tls.as_ref().map(|tls| tls.now(authorities))
    }

    /// Lets a request through to the upstream, or holds it off. `start` is the same moment at every call.
    pub(crate) fn admit(&self, start: Instant) -> Result<Admitted<'_>, PublicError> {
        let Some(breaker) = &self.breaker else { return Ok(Admitted { breaker: None, start }) };
        let ticket = breaker.lock().unwrap_or_else(PoisonError::into_inner).admit(start.elapsed());
        let ticket = ticket.ok_or_else(|| Code::ERR_NGROK_3202.plain())?;
        Ok(Admitted { breaker: Some((breaker, ticket)), start })
    }

    /// Room for a body of `size` bytes, given back when dropped; none when other requests have it all.
    pub(crate) fn room(&self, size: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(size.div_ceil(ROOM_UNIT)).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(units).ok()
    }
}

impl fmt::Debug for EndpointActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointActions").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A request that was let through. Dropped, it was given up before anything was known of the upstream.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    breaker: Option<(&'a Mutex<Breaker>, Ticket)>,
    start: Instant,
}

impl Admitted<'_> {
    /// The upstream answered, well or badly.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.finish(if status.is_server_error() { Outcome::Failure } else { Outcome::Success });
    }

    /// There was no answer that could be passed on.
    pub(crate) fn failed(mut self) {
        self.finish(Outcome::Failure);
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some((breaker, ticket)) = self.breaker.take() {
            breaker.lock().unwrap_or_else(PoisonError::into_inner).finish(ticket, outcome, self.start.elapsed());
        }
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.finish(Outcome::Unknown);
    }
}

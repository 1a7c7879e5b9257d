//! The names of a session's endpoints: what becomes of an endpoint whose lease is gone.

use std::sync::Arc;
use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_names::{EndpointUrl, LeaseId, Scheme};
use portway_proto::LeaseRecord;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::{AgentSession, End};
use crate::bind::{Agent, Refused};
use crate::control_link::AskFault;

/// Wait before a lease that the control plane could not be asked for is asked for again.
const AGAIN: Duration = Duration::from_secs(5);

/// What came of asking for the lease of an endpoint again.
#[derive(Debug)]
pub(super) struct Renewal {
    handle: u32,
    outcome: Result<Arc<LeaseRecord>, PublicError>,
}

impl AgentSession {
    /// Ends the endpoints of leases that the control plane took back.
    pub(super) async fn end_lost(&mut self, lost: &[LeaseId]) -> Result<(), End> {
        let is_lost = |lease: &Arc<LeaseRecord>| lost.contains(&lease.id);
        let ended: Vec<u32> = self
            .endpoints
            .iter()
            .filter(|(_, online)| online.lease().is_some_and(is_lost))
            .map(|(handle, _)| *handle)
            .collect();
        for handle in ended {
            let Some(url) = self.endpoints.get(&handle).map(|online| online.public_url()) else { continue };
            self.end_endpoint(handle, &taken_back(&url)).await?;
        }
        Ok(())
    }

    /// Asks again for the leases that the replica does not show as they were granted. It may be behind, and answers are the same then.
    pub(super) fn renew_lost(&mut self) {
        for (handle, online) in &mut self.endpoints {
            let Some(lease) = online.lease().filter(|_| !online.renewing) else { continue };
            let shown = self.agent.edge.replica.lease(&lease.url);
            if shown.is_some_and(|shown| shown.id == lease.id && shown.fence == lease.fence) {
                continue;
            }
            let (agent, handle, url, pooled) =
                (Arc::clone(&self.agent), *handle, lease.url.clone(), online.endpoint.pooled);
            self.renewals.spawn(async move { Renewal { handle, outcome: renew(&agent, &url, pooled).await } });
            online.renewing = true;
        }
    }

    /// A lease was granted again, or its endpoint ends.
    pub(super) async fn renewed(&mut self, done: Result<Renewal, JoinError>) -> Result<(), End> {
        let Renewal { handle, outcome } = match done {
            Ok(renewal) => renewal,
            Err(error) => {
                tracing::error!(%error, "asking for a lease again failed inside");
                return Err(End::Refused(Refused::for_now(Code::ERR_NGROK_802)));
            }
        };
        match outcome {
            Ok(lease) => {
                match self.endpoints.get_mut(&handle) {
                    Some(online) => online.renewed(lease),
                    // It was closed meanwhile.
                    None => self.agent.edge.leases.give_back(lease, Duration::ZERO),
                }
                Ok(())
            }
            Err(error) => self.end_endpoint(handle, &error).await,
        }
    }

    async fn end_endpoint(&mut self, handle: u32, why: &PublicError) -> Result<(), End> {
        let Some(online) = self.endpoints.remove(&handle) else { return Ok(()) };
        let endpoint = Arc::clone(&online.endpoint);
        tracing::info!(session = %self.agent.session_id, url = %endpoint.url, code = why.code.name(), "endpoint ended");
        online.end();
        self.front.closed(&endpoint, why).await.map_err(End::Fault)
    }
}

/// Asks until there is an answer.
async fn renew(agent: &Agent, url: &EndpointUrl, pooled: bool) -> Result<Arc<LeaseRecord>, PublicError> {
    loop {
        let deadline = Instant::now() + agent.edge.limits().bind_timeout;
        match agent.claim_again(url, pooled, deadline).await {
            Ok(lease) => return Ok(lease),
            Err(fault) if fault.is_temporary() => tokio::time::sleep(AGAIN).await,
            Err(AskFault::Refused(error)) => return Err(error),
            Err(fault @ AskFault::Unreachable) => return Err(fault.into_public()),
        }
    }
}

/// What an agent is told whose name was taken back.
fn taken_back(url: &EndpointUrl) -> PublicError {
    let code = match url.scheme {
        Scheme::Tcp => Code::ERR_NGROK_307,
        _ if url.host.is_wildcard() => Code::ERR_NGROK_318,
        _ => Code::ERR_NGROK_319,
    };
    code.with(format!(
        "{url} was taken back from this account: its reservation was deleted. Reserve it again, or choose another URL."
    ))
}

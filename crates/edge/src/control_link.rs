//! Questions to the control plane, with patience: a temporary fault is tried again until the asker's time is over.

use std::time::Duration;

use portway_codes::{Code, PublicError};
use portway_names::LeaseId;
use portway_proto::control::v1 as pb;
use portway_proto::{Claim, CredentialRecord, LeaseRecord, ReplicaRecord};
use portway_rpc::{ControlClient, public_error, should_retry};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;

use crate::replica::Digest;

/// First wait before a question is asked again; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest wait before a question is asked again: the control plane is found within a second of its return.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// The way to the control plane.
#[derive(Debug)]
pub(crate) struct ControlLink {
    client: ControlClient,
    /// Questions under way at once: a storm of agents waits here instead of in the control plane.
    calls: Semaphore,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskFault {
    /// The control plane said no.
    #[error(transparent)]
    Refused(#[from] PublicError),
    /// It could not be reached in time.
    #[error("the control plane did not answer in time")]
    Unreachable,
}

impl AskFault {
    /// What the agent is told.
    pub(crate) fn into_public(self) -> PublicError {
        match self {
            AskFault::Refused(error) => error,
            AskFault::Unreachable => Code::ERR_PORTWAY_50303.plain(),
        }
    }

    /// Whether the agent may try again.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            AskFault::Unreachable => true,
            AskFault::Refused(error) => error.code == Code::ERR_PORTWAY_50303 || error.code == Code::ERR_NGROK_802,
        }
    }
}

impl ControlLink {
    pub(crate) fn new(client: ControlClient, calls: usize) -> Self {
        ControlLink { client, calls: Semaphore::new(calls) }
    }

    /// The client itself, for the watch.
    pub(crate) fn client(&self) -> &ControlClient {
        &self.client
    }

    /// Looks a credential up. Cancel safety: safe, it only reads.
    pub(crate) async fn authenticate(
        &self,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Option<CredentialRecord>, AskFault> {
        let digest = bytes::Bytes::copy_from_slice(digest);
        let ask = || self.client.authenticate(pb::AuthenticateRequest { digest: digest.clone() });
        let reply = self.ask(ask, deadline).await?;
        let Some(resource) = reply.credential else { return Ok(None) };
        match ReplicaRecord::try_from(resource) {
            Ok(ReplicaRecord::Credential(record)) => Ok(Some(record)),
            Ok(_) => Err(unusable("the answer to a credential lookup is no credential")),
            Err(error) => Err(unusable(&error.to_string())),
        }
    }

    /// Leases a name. Cancel safety: a lease that was granted and not seen ends with the edge, or is granted again to the same agent.
    pub(crate) async fn claim(&self, claim: &Claim, deadline: Instant) -> Result<LeaseRecord, AskFault> {
        let reply = self.ask(|| self.client.claim(claim.into()), deadline).await?;
        let Some(lease) = &reply.lease else { return Err(unusable("the answer to a claim holds no lease")) };
        LeaseRecord::from_message(&reply.lease_id, lease).map_err(|error| unusable(&error.to_string()))
    }

    /// Gives leases back, once; the caller tries again later. Cancel safety: safe, releasing again changes nothing.
    pub(crate) async fn release(&self, leases: &[(LeaseId, u64)]) -> Result<(), Status> {
        let released = |(id, fence): &(LeaseId, u64)| pb::Released { lease_id: id.to_string(), fence: *fence };
        self.client.release(pb::ReleaseRequest { leases: leases.iter().map(released).collect() }).await
    }

    async fn ask<T, F>(&self, call: impl Fn() -> F, deadline: Instant) -> Result<T, AskFault>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let patiently = async {
            let _permit = self.calls.acquire().await.map_err(|_| AskFault::Unreachable)?;
            let mut wait = RETRY_FIRST;
            loop {
                match call().await {
                    Ok(answer) => return Ok(answer),
                    Err(status) if should_retry(&status) => {
                        tracing::debug!(%status, "control plane asked again");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(RETRY_MAX);
                    }
                    Err(status) => return Err(refusal(&status)),
                }
            }
        };
        tokio::time::timeout_at(deadline, patiently).await.unwrap_or(Err(AskFault::Unreachable))
    }
}

fn refusal(status: &Status) -> AskFault {
    match public_error(status) {
        Some(error) => error.into(),
        None => unusable(&status.to_string()),
    }
}

fn unusable(what: &str) -> AskFault {
    tracing::error!(what, "the control plane gave an answer that cannot be used");
    AskFault::Refused(Code::ERR_NGROK_802.plain())
}

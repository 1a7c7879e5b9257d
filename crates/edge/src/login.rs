//! Who an agent is, whatever protocol it speaks: its credential, and its place among the sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portway_codes::Code;
use portway_names::{HostName, SessionId};
use portway_proto::CredentialRecord;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::admission::Limit;
use crate::bind::{Refused, new_ksuid};
use crate::metrics::ReasonLabel;
use crate::replica::Digest;
use crate::sessions::Registration;
use crate::state::EdgeShared;

/// The credential of an agent at `peer` that dialled `connect_name` (none for an address).
pub(crate) async fn authenticate(
    edge: &EdgeShared,
    authtoken: &SecretString,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<Arc<CredentialRecord>, Refused> {
    if edge.draining.is_cancelled() {
        return Err(Refused::for_now(Code::ERR_NGROK_803));
    }
    if !edge.admission.may_authenticate(peer) {
        let text =
            "Too many authtokens that do not exist came from this address. Wait a minute, and correct the authtoken.";
        return Err(Refused::for_now(Code::ERR_PORTWAY_42902.with(text)));
    }
    let credential = look_up(edge, authtoken, peer).await?;
    if let Some(owner) = connect_name.and_then(|name| edge.replica.connect_name(name)).flatten()
        && owner != credential.account
    {
        return Err(Refused::for_good(Code::ERR_NGROK_122));
    }
    Ok(credential)
}

/// The credential of a token: from the replica, or from the control plane when the token is newer than that.
async fn look_up(
    edge: &EdgeShared,
    authtoken: &SecretString,
    peer: SocketAddr,
) -> Result<Arc<CredentialRecord>, Refused> {
    let digest = token_digest(authtoken);
    let deadline = Instant::now() + edge.limits().bind_timeout;
    if let Some(known) = edge.replica.credential(&digest) {
        return Ok(known);
    }
    match edge.control.authenticate(&digest, deadline).await {
        Ok(Some(record)) => Ok(Arc::new(record)),
        Ok(None) => {
            edge.admission.bad_token(peer);
            Err(Refused::for_good(Code::ERR_NGROK_107))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Looking a digest up leaks nothing by time: who could steer the comparison would have to find preimages of SHA-256.
fn token_digest(authtoken: &SecretString) -> Digest {
    let hash = digest(&SHA256, authtoken.expose_secret().as_bytes());
    let mut out = Digest::default();
    out.copy_from_slice(hash.as_ref());
    out
}

/// A place among the account's sessions, under a fresh id.
pub(crate) fn register(
    edge: &Arc<EdgeShared>,
    credential: &CredentialRecord,
    peer: SocketAddr,
) -> Result<(SessionId, Registration), Refused> {
    let session_id = SessionId::new(new_ksuid());
    let limit = edge.limits().sessions_per_account;
    match edge.sessions.register(session_id, credential.account, credential.id, limit) {
        Ok(registration) => Ok((session_id, registration)),
        Err(error) => {
            edge.admission.reached(Limit::SessionsPerAccount, peer);
            let text = format!("The session is refused: {error}. Stop an agent that is no longer needed.");
            Err(Refused::for_now(Code::ERR_NGROK_108.with(text)))
        }
    }
}

/// Counts and logs a session that is not to be.
pub(crate) fn count_refusal(edge: &EdgeShared, peer: SocketAddr, refused: &Refused) {
    let reason = refused.error.code.name();
    edge.metrics.refused.get_or_create(&ReasonLabel { reason }).inc();
    tracing::info!(%peer, code = reason, "agent session refused");
}

//! Who an agent is, whatever protocol it speaks: its credential, and its place among the sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use portway_access::SshKey;
use portway_codes::Code;
use portway_mux::Session;
use portway_names::{AccountId, HostName, SessionId};
use portway_proto::{CredentialRecord, is_authtoken};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::admission::Limit;
use crate::bind::{Refused, new_ksuid};
use crate::metrics::{HandshakeLabel, HandshakeStage, ReasonLabel};
use crate::replica::Digest;
use crate::restriction;
use crate::sessions::Registration;
use crate::state::EdgeShared;

/// The connect name that counts for an agent that dialled `dialled` and arrived at `local`.
pub(crate) fn connect_name(
    edge: &EdgeShared,
    dialled: Option<&HostName>,
    local: SocketAddr,
) -> Result<Option<HostName>, Refused> {
    let url = dialled.and_then(|name| edge.replica.connect_url(name));
    edge.config.dedicated.connect_name(local.ip(), dialled, url.as_ref())
}

/// The credential of an agent at `peer` that dialled `connect_name` (none for an address).
pub(crate) async fn authenticate(
    edge: &EdgeShared,
    authtoken: &SecretString,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<Arc<CredentialRecord>, Refused> {
    let text = authtoken.expose_secret();
    if text.is_empty() {
        let text = "The agent sent no authtoken. Create one, and give it to the agent or to the application.";
        return Err(Refused::for_good(Code::ERR_NGROK_105.with(text)));
    }
    if !is_authtoken(text) {
        return Err(Refused::for_good(Code::ERR_NGROK_105));
    }
    let digest = digest_of(text.as_bytes());
    let found = find(edge, &digest, connect_name, peer).await?;
    found.ok_or_else(|| {
        edge.admission.bad_token(peer);
        Refused::for_good(Code::ERR_NGROK_107)
    })
}

/// The credential of a public SSH key (algorithm and base64). A key that is not known is no attack: clients offer all they have.
pub(crate) async fn authenticate_key(
    edge: &EdgeShared,
    openssh: &str,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<Arc<CredentialRecord>, Refused> {
    let unknown = || Refused::for_good(Code::ERR_NGROK_1102);
    let key = SshKey::parse(openssh).map_err(|_| unknown())?;
    let found = find(edge, &digest_of(&key.secret()), connect_name, peer).await?;
    found.ok_or_else(unknown)
}

async fn find(
    edge: &EdgeShared,
    digest: &Digest,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<Option<Arc<CredentialRecord>>, Refused> {
    if edge.draining.is_cancelled() {
        return Err(Refused::for_now(Code::ERR_NGROK_803));
    }
    if !edge.admission.may_authenticate(peer) {
        let text =
            "Too many authtokens that do not exist came from this address. Wait a minute, and correct the authtoken.";
        return Err(Refused::for_now(Code::ERR_PORTWAY_42902.with(text)));
    }
    let Some(credential) = look_up(edge, digest).await? else { return Ok(None) };
    check_connect_name(edge, connect_name, credential.account)?;
    Ok(Some(credential))
}

/// Whether agents of the account may use the host that this one dialled, or that it dialled when it came.
pub(crate) fn check_connect_name(
    edge: &EdgeShared,
    connect_name: Option<&HostName>,
    account: AccountId,
) -> Result<(), Refused> {
    let Some(name) = connect_name else { return Ok(()) };
    match edge.replica.connect_name(name) {
        Some(None) => Ok(()),
        Some(Some(owner)) if owner == account => Ok(()),
        Some(Some(_)) => Err(Refused::for_good(Code::ERR_NGROK_122)),
        None => {
            let text = format!("The connect URL {name} was deleted. Use another one of this account.");
            Err(Refused::for_good(Code::ERR_NGROK_118.with(text)))
        }
    }
}

/// The credential of a token: from the replica, or from the control plane when the token is newer than that.
async fn look_up(edge: &EdgeShared, digest: &Digest) -> Result<Option<Arc<CredentialRecord>>, Refused> {
    let deadline = Instant::now() + edge.limits().bind_timeout;
    if let Some(known) = edge.replica.credential(digest) {
        return Ok(Some(known));
    }
    Ok(edge.control.authenticate(digest, deadline).await?.map(Arc::new))
}

/// Looking a digest up leaks nothing by time: who could steer the comparison would have to find preimages of SHA-256.
pub(crate) fn digest_of(secret: &[u8]) -> Digest {
    let hash = digest(&SHA256, secret);
    let mut out = Digest::default();
    out.copy_from_slice(hash.as_ref());
    out
}

/// A place among the account's sessions, under a fresh id, for an agent whose address the account admits.
pub(crate) fn register(
    edge: &Arc<EdgeShared>,
    credential: &CredentialRecord,
    connect_name: Option<&HostName>,
    peer: SocketAddr,
) -> Result<(SessionId, Registration), Refused> {
    let session_id = SessionId::new(new_ksuid());
    let limit = edge.limits().sessions_per_account;
    match edge.sessions.register(session_id, credential.account, credential.id, connect_name, limit) {
        // Asked only now: what changes from here on is told to this session, too.
        Ok(registration) => {
            check_connect_name(edge, connect_name, credential.account)?;
            restriction::admit_agent(edge, credential.account, peer)?;
            Ok((session_id, registration))
        }
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

/// Gives a peer up that has not said who it is in a way that can be understood: it would not understand a refusal either.
pub(crate) fn give_up(edge: &EdgeShared, session: &Session, why: &str) {
    tracing::debug!(peer = %session.peer_addr(), why, "agent connection given up");
    edge.metrics.handshake_failures.get_or_create(&HandshakeLabel { stage: HandshakeStage::AgentHello }).inc();
    session.abort();
}

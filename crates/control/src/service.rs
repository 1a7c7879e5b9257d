//! The gRPC service for edges.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use portway_access::Acl;
use portway_bus::Topic;
use portway_codes::{Code, PublicError};
use portway_names::{EdgeId, EndpointUrl, HostName, HostPattern, LeaseId, Scheme, WantedUrl};
use portway_proto::Claim as WantedClaim;
use portway_proto::control::v1::{
    AuthenticateReply, AuthenticateRequest, ClaimReply, ClaimRequest, EdgeCommand, EdgeReport, ReleaseReply,
    ReleaseRequest, Update, WatchRequest,
};
use portway_rpc::control::control_plane_server::ControlPlane;
use portway_rpc::status_from;
use portway_store::{Claim, ClaimAnswer, Digest, Followed, Lease, Record, Release, Store, StoreError, Timestamp};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::certificates::Certificates;
use crate::desk::{DeskFault, LeaseDesk};
use crate::kept::principals::{AGENT_KINDS, known_as};
use crate::online::Online;
use crate::policy::NamePolicy;
use crate::presence::Presence;
use crate::random;
use crate::report;
use crate::resource;
use crate::seal::MasterKey;
use crate::watch::Watcher;

/// How long names of an edge process that was replaced wait for their agents. Agents of the Rust family try again after 0, 0.05, 2.5 and
/// then 127 seconds: whoever misses the first three must still find the name.
const EDGE_RESTART_GRACE: Duration = Duration::from_secs(180);
/// Names tried for somebody who wants any. With 52 random bits a second one is never needed; a third would mean that something is wrong.
const NAME_ATTEMPTS: usize = 3;
/// Leases an edge may give back in one call.
const MAX_RELEASES: usize = 10_000;

/// What a call is told that comes while the control plane closes: its caller tries again at the next one.
const STOPPING: &str = "the control plane is stopping";

/// What edges call. Cheap to clone; all clones are one control plane.
#[derive(Debug, Clone)]
pub struct ControlService {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) topic: Topic,
    pub(crate) desk: LeaseDesk,
    pub(crate) presence: Presence,
    pub(crate) online: Online,
    pub(crate) certificates: Certificates,
    pub(crate) names: Arc<NamePolicy>,
    pub(crate) lease_ttl: Duration,
    /// Whether certificates are ordered for names of accounts.
    pub(crate) orders_certificates: bool,
    /// Where backups go.
    pub(crate) data_dir: PathBuf,
    /// Changes of who administers an account follow each other, so that no two take the last ones.
    pub(crate) members: tokio::sync::Mutex<()>,
    /// Changes of IP restrictions and rules follow each other, so that each sees whom the one before lets in.
    pub(crate) restrictions: tokio::sync::Mutex<()>,
    /// Cancelled when the control plane closes: clones of the service may live on in connections.
    pub(crate) closing: CancellationToken,
}

impl ControlService {
    /// What is online at the edges.
    pub fn online(&self) -> &Online {
        &self.inner.online
    }
}

#[tonic::async_trait]
impl ControlPlane for ControlService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Update, Status>> + Send>>;
    type ReportStream = Pin<Box<dyn Stream<Item = Result<EdgeCommand, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let watcher = self.inner.begin_watch(request.into_inner()).await?;
        Ok(Response::new(Box::pin(watcher.updates())))
    }

    async fn authenticate(&self, request: Request<AuthenticateRequest>) -> Result<Response<AuthenticateReply>, Status> {
        let digest = Digest::try_from(request.get_ref().digest.as_ref());
        let digest = digest.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let found = self.inner.credential_by_digest(&digest).await?;
        let Inner { master, names, .. } = &*self.inner;
        let credential = match found.map(|found| resource::resource(master, names, Record::Resource(found))) {
            None => None,
            Some(Ok(resource)) => Some(resource),
            Some(Err((id, error))) => return Err(Status::internal(format!("{id}: {error}"))),
        };
        Ok(Response::new(AuthenticateReply { credential: credential.flatten() }))
    }

    async fn claim(&self, request: Request<ClaimRequest>) -> Result<Response<ClaimReply>, Status> {
        let claim =
            WantedClaim::try_from(request.into_inner()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let lease = self.inner.claim(claim).await?;
        Ok(Response::new(ClaimReply { lease: Some(resource::lease(&lease)), lease_id: lease.id.to_string() }))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        let released = request.into_inner().leases;
        if released.len() > MAX_RELEASES {
            return Err(Status::invalid_argument(format!("more than {MAX_RELEASES} leases in one release")));
        }
        // An id that is none cannot be a lease: ignored as an unknown one is.
        let releases: Vec<Release> = released
            .iter()
            .filter_map(|one| Some(Release { id: one.lease_id.parse::<LeaseId>().ok()?, fence: one.fence }))
            .collect();
        self.inner.desk.release(releases).await.map_err(not_now)?;
        Ok(Response::new(ReleaseReply {}))
    }

    async fn report(&self, request: Request<Streaming<EdgeReport>>) -> Result<Response<Self::ReportStream>, Status> {
        if self.inner.closing.is_cancelled() {
            return Err(Status::unavailable(STOPPING));
        }
        let (online, closing) = (self.inner.online.clone(), self.inner.closing.clone());
        Ok(Response::new(Box::pin(report::follow(online, request.into_inner(), closing))))
    }
}

impl Inner {
    async fn begin_watch(&self, request: WatchRequest) -> Result<Watcher, Status> {
        if self.closing.is_cancelled() {
            return Err(Status::unavailable(STOPPING));
        }
        let edge: EdgeId =
            request.edge_id.parse().map_err(|error| Status::invalid_argument(format!("edge_id: {error}")))?;
        let now = Timestamp::now();
        if request.epoch.is_empty() {
            self.store.edge_began(&edge, now + EDGE_RESTART_GRACE, now).await.map_err(unwritable)?;
        } else {
            self.store.edge_alive(&edge, now + self.lease_ttl).await.map_err(unwritable)?;
        }
        let feed = self.store.feed().await.map_err(unreadable)?;
        if request.epoch == feed.epoch && request.version > feed.version {
            tracing::warn!(
                %edge,
                seen = request.version,
                ours = feed.version,
                "an edge is ahead of the database, which was restored from a backup: all edges start from a snapshot"
            );
            self.store.restart_feed(&new_epoch(now)).await.map_err(unwritable)?;
        }
        self.topic.publish(feed.version);
        Ok(Watcher {
            store: self.store.clone(),
            master: Arc::clone(&self.master),
            names: Arc::clone(&self.names),
            subscription: self.topic.subscribe(),
            epoch: request.epoch,
            version: request.version,
            present: self.presence.enter(edge),
            closing: self.closing.clone(),
        })
    }

    async fn claim(&self, wanted: WantedClaim) -> Result<Lease, Status> {
        let acl = self.acl(&wanted).await?;
        let resolved = wanted.url.resolve(&self.names.base_domain);
        let url = resolved.map_err(|error| refused(Code::ERR_NGROK_328.with(format!("{error}."))))?;
        let lease = match url.host.clone() {
            Some(_) => {
                let url = url.complete().map_err(|error| Status::invalid_argument(error.to_string()))?;
                let accounts = match self.names.takes_in_base_domain(&url) {
                    true => self.store.account_count().await.map_err(unreadable)?,
                    false => 0,
                };
                let reservation = match self.names.needs_reservation(&url) {
                    true => self.store.host_reservation(&url.host).await.map_err(unreadable)?,
                    false => None,
                };
                let own = reservation.is_some_and(|(account, _)| account == wanted.account);
                self.names.permit(&url, accounts, own).map_err(refused)?;
                permit(&acl, &url)?;
                match self.order(&wanted, &url).await? {
                    ClaimAnswer::Granted(lease) => lease,
                    ClaimAnswer::Online => return Err(refused(online(&url))),
                    ClaimAnswer::Taken => return Err(refused(taken(&url))),
                    ClaimAnswer::Reserved => return Err(refused(reserved(&url))),
                }
            }
            None if url.scheme == Scheme::Tcp => {
                return Err(Status::invalid_argument("the edge chooses the host and port of a tcp URL"));
            }
            None => self.claim_any(&wanted, &url, &acl).await?,
        };
        match self.certificates.ensure_for(&lease.url, Timestamp::now()).await {
            Ok(false) => {}
            // Visitors may come as soon as the agent knows the URL.
            Ok(true) => self.topic.publish(self.store.feed().await.map_err(unreadable)?.version),
            // The name is granted and serves plain HTTP meanwhile; the next round tries again.
            Err(error) => tracing::error!(%error, url = %lease.url, "no certificate for a leased name yet"),
        }
        Ok(lease)
    }

    /// A fresh name below the base domain.
    async fn claim_any(&self, wanted: &WantedClaim, url: &WantedUrl, acl: &Acl) -> Result<Lease, Status> {
        for _ in 0..NAME_ATTEMPTS {
            let host = HostName::join(&random::label(), &self.names.base_domain)
                .map_err(|error| refused(Code::ERR_NGROK_328.with(format!("{error}."))))?;
            let url = EndpointUrl::new(url.scheme, HostPattern::Exact(host), url.port)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            permit(acl, &url)?;
            if let ClaimAnswer::Granted(lease) = self.order(wanted, &url).await? {
                return Ok(lease);
            }
        }
        // Somebody's wildcard or reserved name covers the base domain.
        Err(refused(Code::ERR_NGROK_320.with(format!(
            "No name below {} is free: another account serves a wildcard there, or has reserved it. Ask for a name of your own.",
            self.names.base_domain
        ))))
    }

    async fn order(&self, wanted: &WantedClaim, url: &EndpointUrl) -> Result<ClaimAnswer, Status> {
        let claim = Claim {
            id: LeaseId::new(random::ksuid(Timestamp::now())),
            url: url.clone(),
            account: wanted.account,
            credential: wanted.credential,
            agent: wanted.agent.as_bytes().to_vec(),
            edge: wanted.edge.clone(),
            holder_offline: wanted.holder_offline,
        };
        self.desk.claim(claim).await.map_err(not_now)
    }

    /// What opens sessions with this digest: an authtoken or an SSH key.
    async fn credential_by_digest(&self, digest: &Digest) -> Result<Option<Followed>, Status> {
        for kind in AGENT_KINDS {
            if let Some(found) = self.store.followed_by_key(kind, &digest.to_string()).await.map_err(unreadable)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The rules of a claim's credential: the edge's replica may be behind, so it is looked at once more where it is true.
    async fn acl(&self, wanted: &WantedClaim) -> Result<Acl, Status> {
        for (kind, id) in known_as(&wanted.credential) {
            let Some(found) = self.store.followed(kind, &id).await.map_err(unreadable)? else { continue };
            if found.resource.account != wanted.account {
                break;
            }
            let damaged = |error: &dyn std::fmt::Display| Status::internal(format!("rules of {id}: {error}"));
            let credential = resource::credential(&found).map_err(|error| damaged(&error))?.unwrap_or_default();
            return Acl::parse(credential.acl.iter().map(String::as_str)).map_err(|error| damaged(&error));
        }
        Err(refused(Code::ERR_NGROK_300.plain()))
    }
}

/// A name for a feed's numbering.
pub(crate) fn new_epoch(now: Timestamp) -> String {
    random::ksuid(now).to_string()
}

fn permit(acl: &Acl, url: &EndpointUrl) -> Result<(), Status> {
    acl.permit_bind(url).map(|_| ()).map_err(|denied| refused(denied.into()))
}

fn online(url: &EndpointUrl) -> PublicError {
    Code::ERR_NGROK_334
        .with(format!("Another agent of your account already serves {url}. Stop that agent, or choose another URL."))
}

fn taken(url: &EndpointUrl) -> PublicError {
    match url.scheme {
        Scheme::Tcp => Code::ERR_NGROK_309.with(format!(
            "{url} is in use by another account. Choose another port, or ask for any address with tcp://."
        )),
        _ => Code::ERR_NGROK_320.with(format!(
            "{} is in use by another account, or lies below one of its wildcards. Choose another name.",
            url.host
        )),
    }
}

fn reserved(url: &EndpointUrl) -> PublicError {
    match url.scheme {
        Scheme::Tcp => Code::ERR_NGROK_309.with(format!(
            "{url} is reserved for another account. Choose another port, or ask for any address with tcp://."
        )),
        _ => Code::ERR_NGROK_320.with(format!(
            "{} is reserved for another account, or lies above or below a name that is. Choose another name.",
            url.host
        )),
    }
}

fn refused(error: PublicError) -> Status {
    status_from(&error)
}

fn not_now(fault: DeskFault) -> Status {
    match fault {
        DeskFault::Full => Status::resource_exhausted(fault.to_string()),
        DeskFault::Store | DeskFault::Closed => Status::unavailable(fault.to_string()),
    }
}

fn unreadable(error: StoreError) -> Status {
    if matches!(error, StoreError::Closed { .. }) {
        return Status::unavailable(STOPPING);
    }
    tracing::error!(%error, "the control plane cannot read its database");
    Status::unavailable("the control plane cannot read its database")
}

fn unwritable(error: StoreError) -> Status {
    if matches!(error, StoreError::Closed { .. }) {
        return Status::unavailable(STOPPING);
    }
    tracing::error!(%error, "the control plane cannot write its database");
    Status::unavailable("the control plane cannot write its database")
}

//! A control plane in memory: enough to let an edge work, and to make it suffer.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::digest::{SHA256, digest};
use portway_access::Acl;
use portway_codes::Code;
use portway_names::{AccountId, CredentialId, EdgeId, EndpointUrl, HostName, HostPattern, Ksuid, LeaseId};
use portway_proto::control::v1 as pb;
use portway_proto::{
    AgentCommand, AgentId, CertificateRecord, Claim, ConnectNameRecord, CredentialRecord, EdgeRecord, ItemKey,
    LeaseRecord, OnlineRecord, ReplicaRecord, SettingsRecord,
};
use portway_rpc::control::control_plane_server::ControlPlane;
use portway_rpc::status_from;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::{BASE, Pki, TOKEN, pki};

/// The control plane. Clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeControl {
    state: Arc<Mutex<State>>,
    pki: Arc<Pki>,
}

struct State {
    version: u64,
    serial: u64,
    resources: HashMap<String, ReplicaRecord>,
    watchers: Vec<mpsc::UnboundedSender<pb::Update>>,
    /// Credentials that Authenticate knows and Watch does not show yet.
    unseen: Vec<CredentialRecord>,
    claims: usize,
    releases: Vec<LeaseId>,
    away: bool,
    /// New leases are refused for this reason.
    refusal: Option<Code>,
    reported: Reported,
}

/// What an edge reported.
#[derive(Default)]
struct Reported {
    edge: Option<EdgeRecord>,
    online: BTreeMap<ItemKey, OnlineRecord>,
    /// The list that is not complete.
    listed: BTreeMap<ItemKey, OnlineRecord>,
    /// Lists that were complete.
    lists: usize,
    commands: Option<mpsc::UnboundedSender<pb::EdgeCommand>>,
    outcomes: Vec<pb::CommandOutcome>,
}

/// SHA-256 of a token.
pub(crate) fn digest_of(token: &str) -> [u8; 32] {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().unwrap()
}

/// The id of an account.
pub(crate) fn account(number: u8) -> AccountId {
    AccountId::new(Ksuid::from_parts(1_700_000_000, [number; 16]))
}

impl FakeControl {
    /// One account with [`TOKEN`], certificates for the base domain and the connect name.
    pub(crate) fn new() -> FakeControl {
        let pki = pki();
        let state = State {
            version: 1,
            serial: 100,
            resources: HashMap::new(),
            watchers: Vec::new(),
            unseen: Vec::new(),
            claims: 0,
            releases: Vec::new(),
            away: false,
            refusal: None,
            reported: Reported::default(),
        };
        let control = FakeControl { state: Arc::new(Mutex::new(state)), pki };
        let base: HostName = BASE.parse().unwrap();
        control.put(ReplicaRecord::Settings(SettingsRecord { id: "settings".into(), base_domain: base.clone() }));
        let host = HostName::join("connect", &base).unwrap();
        control.put(ReplicaRecord::ConnectName(ConnectNameRecord {
            id: "connect".into(),
            host,
            account: None,
            regional: Vec::new(),
            certificate: None,
            public_certificates: false,
            proofs: Vec::new(),
        }));
        let (visitors, agents) = (control.pki.visitors.clone(), control.pki.agents.clone());
        control.put(certificate("visitors", &[BASE, "*.portway.test"], visitors, false));
        control.put(certificate("agents", &["connect.portway.test", "127.0.0.1"], agents, true));
        control.put(ReplicaRecord::Credential(Self::credential(TOKEN, 1, &[])));
        control
    }

    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        self.pki.ca_pem.clone().into_bytes()
    }

    /// A credential of account `account` with these rules; its id is made of the token.
    pub(crate) fn credential(token: &str, account: u8, acl: &[&str]) -> CredentialRecord {
        let digest = digest_of(token);
        let payload = digest[..16].try_into().unwrap();
        CredentialRecord {
            id: CredentialId::new(Ksuid::from_parts(1_700_000_000, payload)),
            account: self::account(account),
            account_name: format!("account {account}"),
            digest,
            acl: Acl::parse(acl.iter().copied()).unwrap(),
        }
    }

    /// Adds or changes a resource, and tells the edges.
    pub(crate) fn put(&self, record: ReplicaRecord) {
        let mut state = self.state();
        let resource = pb::Resource::from(&record);
        state.resources.insert(record.id(), record);
        state.tell(pb::Delta { changed: vec![resource], removed: Vec::new() });
    }

    /// Takes a resource away, and tells the edges.
    pub(crate) fn remove(&self, id: &str) {
        let mut state = self.state();
        state.resources.remove(id);
        state.tell(pb::Delta { changed: Vec::new(), removed: vec![id.to_owned()] });
    }

    /// Makes a credential known to Authenticate only.
    pub(crate) fn put_unseen(&self, record: CredentialRecord) {
        self.state().unseen.push(record);
    }

    /// Claims that reached the control plane.
    pub(crate) fn claims(&self) -> usize {
        self.state().claims
    }

    /// Leases that were given back.
    pub(crate) fn releases(&self) -> usize {
        self.state().releases.len()
    }

    /// From now on nothing is answered, and the watches break.
    pub(crate) fn go_away(&self) {
        let mut state = self.state();
        state.away = true;
        state.watchers.clear();
        state.reported.commands = None;
    }

    /// From now on new leases are refused.
    pub(crate) fn refuse_claims(&self, code: Code) {
        self.state().refusal = Some(code);
    }

    /// Takes the lease on a name back without telling the edges, as it runs out while they are away.
    pub(crate) fn forget_lease(&self, url: &str) {
        let url: EndpointUrl = url.parse().unwrap();
        self.state().resources.retain(|_, record| !matches!(record, ReplicaRecord::Lease(lease) if lease.url == url));
    }

    /// The id of the lease on a name.
    pub(crate) fn lease_id(&self, url: &str) -> String {
        let url: EndpointUrl = url.parse().unwrap();
        let state = self.state();
        let lease = state.resources.values().find_map(|record| match record {
            ReplicaRecord::Lease(lease) if lease.url == url => Some(lease.id.to_string()),
            _ => None,
        });
        lease.expect("the name is leased")
    }

    /// What the edge reported as online.
    pub(crate) fn online(&self) -> Vec<OnlineRecord> {
        self.state().reported.online.values().cloned().collect()
    }

    /// What the edge said of itself.
    pub(crate) fn edge(&self) -> Option<EdgeRecord> {
        self.state().reported.edge.clone()
    }

    /// Lists of everything that the edge finished.
    pub(crate) fn lists(&self) -> usize {
        self.state().reported.lists
    }

    /// Sends a command to the edge that reports.
    pub(crate) fn command(&self, command_id: u64, session: &str, command: &AgentCommand) {
        let command = pb::EdgeCommand { command_id, session_id: session.to_owned(), command: Some(command.into()) };
        self.state().reported.commands.as_ref().expect("an edge reports").send(command).unwrap();
    }

    /// What came of the commands.
    pub(crate) fn outcomes(&self) -> Vec<pb::CommandOutcome> {
        self.state().reported.outcomes.clone()
    }

    /// Ends [`FakeControl::go_away`].
    pub(crate) fn come_back(&self) {
        self.state().away = false;
    }

    fn present(&self) -> Result<MutexGuard<'_, State>, Status> {
        let state = self.state();
        if state.away { Err(Status::unavailable("away")) } else { Ok(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn tell(&mut self, delta: pb::Delta) {
        self.version += 1;
        let change = pb::update::Change::Delta(delta);
        let update = pb::Update { epoch: "e".to_owned(), version: self.version, change: Some(change) };
        self.watchers.retain(|watcher| watcher.send(update.clone()).is_ok());
    }

    fn ksuid(&mut self) -> Ksuid {
        self.serial += 1;
        Ksuid::from_parts(1_700_000_000, u128::from(self.serial).to_be_bytes())
    }

    /// One name belongs to one agent of one account until it is given back.
    fn claim(&mut self, claim: Claim) -> Result<LeaseRecord, Status> {
        let conflict = || status_from(&Code::ERR_NGROK_334.plain());
        let ksuid = self.ksuid();
        let mut wanted = claim.url.clone();
        if wanted.host.is_none() {
            let label = ksuid.to_string().to_lowercase();
            wanted.host = Some(HostPattern::Exact(HostName::join(&label, &BASE.parse().unwrap()).unwrap()));
        }
        let url: EndpointUrl = wanted.complete().unwrap();
        let held = self.resources.values().find_map(|record| match record {
            ReplicaRecord::Lease(lease) if lease.url == url => Some(lease.clone()),
            _ => None,
        });
        let lease = match held {
            Some(held) if held.account == claim.account && held.agent == claim.agent => held,
            Some(held) if held.account == claim.account && claim.holder_offline => {
                LeaseRecord { agent: claim.agent, fence: held.fence + 1, ..held }
            }
            Some(_) => return Err(conflict()),
            None if self.refusal.is_some() => return Err(status_from(&self.refusal.unwrap().plain())),
            None => self.fresh_lease(LeaseId::new(ksuid), url, claim.account, claim.agent, claim.edge),
        };
        let record = ReplicaRecord::Lease(lease.clone());
        let resource = pb::Resource::from(&record);
        self.resources.insert(record.id(), record);
        self.tell(pb::Delta { changed: vec![resource], removed: Vec::new() });
        Ok(lease)
    }

    fn fresh_lease(
        &self,
        id: LeaseId,
        url: EndpointUrl,
        account: AccountId,
        agent: AgentId,
        edge: EdgeId,
    ) -> LeaseRecord {
        LeaseRecord { id, url, account, agent, edge, fence: self.serial, expires_at_ms: None }
    }
}

impl Reported {
    fn take(&mut self, report: pb::EdgeReport) {
        let record = |item: pb::OnlineItem| OnlineRecord::try_from(item).unwrap();
        match report.report.unwrap() {
            pb::edge_report::Report::Edge(edge) => self.edge = Some(edge.try_into().unwrap()),
            pb::edge_report::Report::Part(part) => {
                self.listed.extend(part.items.into_iter().map(record).map(|record| (record.key(), record)));
                if part.last {
                    self.online = std::mem::take(&mut self.listed);
                    self.lists += 1;
                }
            }
            pb::edge_report::Report::Change(change) => {
                self.online.extend(change.online.into_iter().map(record).map(|record| (record.key(), record)));
                for key in change.gone {
                    self.online.remove(&ItemKey::try_from(key).unwrap());
                }
            }
            pb::edge_report::Report::Outcome(outcome) => self.outcomes.push(outcome),
        }
    }
}

#[tonic::async_trait]
impl ControlPlane for FakeControl {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::Update, Status>> + Send>>;
    type ReportStream = Pin<Box<dyn Stream<Item = Result<pb::EdgeCommand, Status>> + Send>>;

    async fn watch(&self, _request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut state = self.present()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        // In parts, as a large state comes.
        let resources: Vec<_> = state.resources.values().map(pb::Resource::from).collect();
        let parts = resources.into_iter().map(|resource| pb::SnapshotPart { resources: vec![resource], last: false });
        for part in parts.chain([pb::SnapshotPart { resources: Vec::new(), last: true }]) {
            let change = Some(pb::update::Change::Snapshot(part));
            sender.send(pb::Update { epoch: "e".to_owned(), version: state.version, change }).unwrap();
        }
        state.watchers.push(sender);
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver).map(Ok))))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateReply>, Status> {
        let digest = request.into_inner().digest;
        let state = self.present()?;
        let shown = state.resources.values().filter_map(|record| match record {
            ReplicaRecord::Credential(record) => Some(record),
            _ => None,
        });
        let found = shown.chain(&state.unseen).find(|record| record.digest[..] == digest[..]).cloned();
        let credential = found.map(|record| pb::Resource::from(&ReplicaRecord::Credential(record)));
        Ok(Response::new(pb::AuthenticateReply { credential }))
    }

    async fn claim(&self, request: Request<pb::ClaimRequest>) -> Result<Response<pb::ClaimReply>, Status> {
        let claim =
            Claim::try_from(request.into_inner()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut state = self.present()?;
        state.claims += 1;
        let lease = state.claim(claim)?;
        Ok(Response::new(pb::ClaimReply { lease: Some(lease.to_message()), lease_id: lease.id.to_string() }))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseReply>, Status> {
        let mut state = self.present()?;
        for released in request.into_inner().leases {
            if state.resources.remove(&released.lease_id).is_some() {
                state.releases.push(released.lease_id.parse().unwrap());
                state.tell(pb::Delta { changed: Vec::new(), removed: vec![released.lease_id] });
            }
        }
        Ok(Response::new(pb::ReleaseReply {}))
    }

    async fn report(
        &self,
        request: Request<Streaming<pb::EdgeReport>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.present()?.reported.commands = Some(sender);
        let (control, mut reports) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Some(Ok(report)) = reports.next().await {
                control.state().reported.take(report);
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver).map(Ok))))
    }
}

fn certificate(id: &str, names: &[&str], key: (Vec<u8>, Vec<u8>), connect: bool) -> ReplicaRecord {
    ReplicaRecord::Certificate(CertificateRecord {
        id: id.to_owned(),
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        chain: vec![key.0.into()],
        private_key: key.1.into(),
        connect,
        attached: false,
    })
}

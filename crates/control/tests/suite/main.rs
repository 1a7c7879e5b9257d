//! The control plane as its edges and operators see it: on a real data directory, through the in-memory link.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod administration;
mod certificates;
mod claims;
mod first_start;
mod following;
mod following_ip;
#[path = "../../../store/tests/postgres/mod.rs"]
mod postgres;
mod reports;
mod rest;
mod rest_admission;
mod rest_certificates;
mod rest_entry;
mod rest_events;
mod rest_ingresses;
mod rest_ip;
mod rest_names;
mod rest_owners;
mod rest_portway;
mod rest_roles;
mod rest_ssh;
mod rest_vaults;
mod server;

use std::collections::BTreeMap;
use std::path::Path;

use portway_control::{Control, ControlConfig, Online, OpenError, RestApi};
use portway_names::{AccountId, CredentialId, Ksuid};
use portway_proto::control::v1::resource::Body;
use portway_proto::control::v1::update::Change;
use portway_proto::control::v1::{ClaimRequest, Credential, Resource, Update, WatchRequest};
use portway_rpc::{ControlClient, in_memory};
use portway_store::{Account, Audit, Content, Digest, NewResource, Store, Timestamp};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

const BASE: &str = "portway.localhost";

fn config(data_dir: &Path) -> ControlConfig {
    let mut config = ControlConfig::new(data_dir, BASE.parse().unwrap());
    config.connect_ips = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    config
}

async fn open(data_dir: &Path) -> Result<Control, OpenError> {
    Control::open(config(data_dir)).await
}

/// A control plane that runs and is linked.
struct Running {
    dir: tempfile::TempDir,
    authtoken: String,
    api_key: String,
    rest: RestApi,
    online: Online,
    client: ControlClient,
    stop: CancellationToken,
    runner: JoinHandle<Control>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start() -> Running {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut ControlConfig)) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        let mut control = Control::open(config).await.unwrap();
        let bootstrap = control.bootstrap().unwrap();
        let authtoken = bootstrap.authtoken.expose_secret().to_owned();
        let api_key = bootstrap.api_key.expose_secret().to_owned();
        control.confirm_bootstrap_written().await.unwrap();
        Self::link(dir, (authtoken, api_key), control)
    }

    fn link(dir: tempfile::TempDir, (authtoken, api_key): (String, String), control: Control) -> Running {
        let rest = RestApi::new(&control.service(), None);
        let online = control.service().online().clone();
        let (client, server) = in_memory(control.service());
        let server = tokio::spawn(server);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let runner = tokio::spawn(async move {
            control.run(stopping).await;
            control
        });
        Running { dir, authtoken, api_key, rest, online, client, stop, runner, server }
    }

    /// Stops cleanly and starts again on the same directory.
    async fn restart(self) -> Running {
        let Running { dir, authtoken, api_key, rest: _, online: _, client, stop, runner, server } = self;
        stop.cancel();
        runner.await.unwrap().close().await;
        drop(client);
        server.abort();
        let control = open(dir.path()).await.unwrap();
        assert!(control.bootstrap().is_none());
        Self::link(dir, (authtoken, api_key), control)
    }

    /// A second handle on the database, as another process has.
    async fn store(&self) -> Store {
        Store::open_existing(&self.dir.path().join("portway.db")).await.unwrap()
    }

    async fn watch(&self, edge: &str, epoch: &str, version: u64) -> Streaming<Update> {
        let request = WatchRequest { edge_id: edge.to_owned(), epoch: epoch.to_owned(), version };
        self.client.watch(request).await.unwrap()
    }

    /// The first account's credential and its id.
    async fn credential(&self) -> (String, Credential) {
        let digest = sha256(&self.authtoken);
        let request = portway_proto::control::v1::AuthenticateRequest { digest: digest.as_bytes().to_vec().into() };
        let resource = self.client.authenticate(request).await.unwrap().credential.unwrap();
        let Some(Body::Credential(credential)) = resource.body else { panic!("not a credential") };
        (resource.id, credential)
    }

    /// A claim by the first account.
    async fn wish(&self, agent: u8, url: &str) -> ClaimRequest {
        let (credential_id, credential) = self.credential().await;
        ClaimRequest {
            edge_id: "edge".to_owned(),
            account_id: credential.account_id,
            credential_id,
            agent_id: vec![agent; 16].into(),
            url: url.to_owned(),
            holder_offline: false,
        }
    }
}

async fn add_account(store: &Store, name: &str) -> AccountId {
    let now = Timestamp::now();
    let id = AccountId::new(Ksuid::from_parts(now.unix_secs(), [7; 16]));
    let account = Account { id, name: name.to_owned(), description: String::new(), suspended: false, created: now };
    store.add_account(&account, &Audit::default()).await.unwrap();
    id
}

/// An authtoken without rules, put into the database.
async fn add_credential(store: &Store, account: AccountId, seed: u8, digest: &Digest) -> CredentialId {
    let now = Timestamp::now();
    let id = CredentialId::new(Ksuid::from_parts(now.unix_secs(), [seed; 16]));
    let body = serde_json::json!({
        "description": "", "metadata": "", "acl": [], "digest": digest.to_string(), "owner_id": null,
    });
    let content = Content { body: body.to_string(), keys: vec![digest.to_string()], ..Content::default() };
    let new = NewResource { id: id.to_string(), kind: "credential".to_owned(), account, followed: true, content };
    store.create_resource(&new, &Audit::default(), now).await.unwrap();
    id
}

/// What is kept of a token.
fn sha256(token: &str) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    Digest::try_from(digest.as_ref()).unwrap()
}

/// An edge's replica.
#[derive(Debug, Default)]
struct Replica {
    epoch: String,
    version: u64,
    resources: BTreeMap<String, Resource>,
    parts: Vec<Resource>,
    snapshots: usize,
}

impl Replica {
    /// Applies updates until `done`.
    async fn follow(
        &mut self,
        updates: &mut Streaming<Update>,
        mut done: impl FnMut(&Replica) -> bool,
    ) -> Result<(), Status> {
        while !done(self) {
            let update = updates.next().await.ok_or_else(|| Status::cancelled("the watch ended"))??;
            self.apply(update);
        }
        Ok(())
    }

    fn apply(&mut self, update: Update) {
        match update.change.unwrap() {
            Change::Snapshot(part) => {
                self.parts.extend(part.resources);
                if !part.last {
                    return;
                }
                self.snapshots += 1;
                self.resources = self.parts.drain(..).map(|resource| (resource.id.clone(), resource)).collect();
            }
            Change::Delta(delta) => {
                assert!(update.version >= self.version && update.epoch == self.epoch);
                self.resources.extend(delta.changed.into_iter().map(|resource| (resource.id.clone(), resource)));
                for id in delta.removed {
                    self.resources.remove(&id);
                }
            }
        }
        self.epoch = update.epoch;
        self.version = update.version;
    }

    fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.resources.values().filter_map(|resource| resource.body.as_ref())
    }
}

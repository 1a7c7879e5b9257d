//! The control plane as one value: opened on a data directory, served to edges, run, closed.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portway_bus::Topic;
use portway_store::{FORGOTTEN_AT_ONCE, Health, PAGE_MAX, Store, StoreError, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::certificates::{CertificateFault, Certificates};
use crate::desk::LeaseDesk;
use crate::directory::{CA_CERTIFICATE, DATABASE, DataDir};
use crate::issuance::{self, Issuer};
use crate::kept::read;
use crate::kept::settings::{AccountSettings, SETTINGS, settings_id};
use crate::online::Online;
use crate::policy::NamePolicy;
use crate::presence::Presence;
use crate::seal::MasterKey;
use crate::service::{Inner, new_epoch};
use crate::{Bootstrap, ControlConfig, ControlService, OpenError};

/// How often the feed is looked at for what another process wrote (`portway admin`). A revoked authtoken reaches the edges within this.
const TAIL_EVERY: Duration = Duration::from_millis(250);
/// How often certificates are looked at. Renewal has weeks; this is for the next attempt after a failure.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(60);
/// How often ended leases are removed. Others get a name when it has ended, removed or not; this keeps the table small.
const ENDED_EVERY: Duration = Duration::from_secs(10);
/// How often a database that does not take writes is tried again, and looked at whether it does.
const WRITES_EVERY: Duration = Duration::from_secs(1);
/// How often edges are forgotten that do not report any more.
const ABSENT_EVERY: Duration = Duration::from_secs(1);
/// How often old changes are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Changes remembered: an edge that was away for an hour of busy days continues without a snapshot. About 10 MB.
const CHANGES_KEPT: u64 = 100_000;
/// Entries of an account's audit log that are remembered: half a thousand changes each day of a year. About 400 MB at the very most that
/// usual resources make.
const AUDIT_KEPT: u64 = 200_000;

/// A control plane on its data directory.
#[derive(Debug)]
pub struct Control {
    service: ControlService,
    ca_pem: String,
    bootstrap: Option<Bootstrap>,
    clerk: JoinHandle<()>,
    issuer: Option<Arc<Issuer>>,
    /// Last: the directory is given free after everything else is gone.
    dir: DataDir,
}

impl Control {
    /// Opens or makes the data directory, and issues what is missing. A start that is killed at any point leaves a directory from which
    /// the next one goes on.
    ///
    /// Must be called on a Tokio runtime, which then writes leases until [`Control::close`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: ControlConfig) -> Result<Control, OpenError> {
        let dir = DataDir::hold(&config.data_dir)?;
        Self::open_on(dir, config).await
    }

    /// Like [`Self::open`], on a directory that this process holds already; it stands for the one of `config`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open_on(dir: DataDir, config: ControlConfig) -> Result<Control, OpenError> {
        let now = Timestamp::now();
        let store = match &config.database_url {
            Some(url) => Store::connect(url).await?,
            None => Store::open(&dir.file(DATABASE)).await?,
        };
        store.begin_feed(&new_epoch(now)).await?;
        let master = Arc::new(master_key(&dir, &store).await?);
        let authority = Authority::open(&store, &master, now).await;
        let authority = authority.map_err(|failed| failed.into_open_error(dir.master_key_path()))?;
        let ca_pem = authority.pem().to_owned();
        if fs::read(dir.file(CA_CERTIFICATE)).ok().as_deref() != Some(ca_pem.as_bytes()) {
            dir.write(CA_CERTIFICATE, ca_pem.as_bytes(), 0o644)?;
        }
        store.put_base_domain(config.base_domain.as_str(), now).await?;
        store.put_connect_names(&config.connect_hosts, now).await?;
        let names = Arc::new(NamePolicy {
            base_domain: config.base_domain.clone(),
            connect_hosts: config.connect_hosts,
            connect_port: config.connect_port,
            domains: config.domain_policy,
            region: config.region,
            tcp_host: config.tcp_host,
            tcp_ports: config.tcp_ports,
        });
        let certificates =
            Certificates::new(store.clone(), Arc::clone(&master), authority, Arc::clone(&names), &config.connect_ips);
        certificates.reconcile(now).await.map_err(unissued)?;
        // Nobody could be heard of while the control plane was away.
        store.edges_alive(now + config.lease_ttl).await?;
        let bootstrap = Bootstrap::make(&store, &config.base_domain, now).await?;

        if let Some(operator) = store.operator_account().await? {
            let wanted = config.acme.as_ref().is_some_and(|acme| acme.base_domain);
            issuance::own::keep(&store, &operator.id, &names.base_domain, wanted, now).await?;
        }
        if config.database_url.is_none() {
            // What a process that was killed held is nobody's: the directory is this process's alone.
            store.release_work().await?;
        }
        let issuer =
            config.acme.map(|acme| Arc::new(Issuer::new(store.clone(), Arc::clone(&master), Arc::clone(&names), acme)));
        let topic = Topic::new(store.feed().await?.version);
        let (desk, clerk) = LeaseDesk::open(store.clone(), topic.clone(), config.lease_ttl);
        let inner = Inner {
            store,
            master,
            topic,
            desk,
            presence: Presence::default(),
            online: Online::default(),
            certificates,
            names,
            lease_ttl: config.lease_ttl,
            orders_certificates: issuer.is_some(),
            data_dir: config.data_dir,
            members: tokio::sync::Mutex::default(),
            restrictions: tokio::sync::Mutex::default(),
            closing: CancellationToken::new(),
        };
        let service = ControlService { inner: Arc::new(inner) };
        Ok(Control { service, ca_pem, bootstrap, clerk: tokio::spawn(clerk.run()), issuer, dir })
    }

    /// The secrets of the first start, until [`Control::confirm_bootstrap_written`].
    pub fn bootstrap(&self) -> Option<&Bootstrap> {
        self.bootstrap.as_ref()
    }

    /// Says that the secrets of [`Control::bootstrap`] are safely on disk. A start that never says so leaves the next start to make new
    /// ones and revoke these.
    ///
    /// # Errors
    /// When the store cannot be written; the secrets stay unconfirmed.
    ///
    /// # Cancel safety
    /// It happens or it does not; confirming again changes nothing.
    pub async fn confirm_bootstrap_written(&mut self) -> Result<(), OpenError> {
        self.service.inner.store.confirm_bootstrap().await?;
        self.bootstrap = None;
        Ok(())
    }

    /// Whether the database takes writes. While it does not, names cannot be leased and tokens not revoked.
    pub fn health(&self) -> Health {
        self.service.inner.store.health().clone()
    }

    /// Writes a file of the data directory that only its owner may read: whole or not at all, also in a crash.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_private(&self, name: &str, content: &[u8]) -> Result<(), OpenError> {
        self.dir.write(name, content, 0o600)
    }

    /// What edges call. Cheap to clone.
    pub fn service(&self) -> ControlService {
        self.service.clone()
    }

    /// The certificate of the internal CA, PEM. The same text is in `ca.pem` of the data directory.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A secret of something outside the control plane, as [`Control::keep_secret`] got it; none when there is none of this name.
    ///
    /// # Errors
    /// When the store cannot be read, or the secret does not open.
    pub async fn secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
        let Inner { store, master, .. } = &*self.service.inner;
        let Some(sealed) = store.secret(&outside(name)).await? else { return Ok(None) };
        let opened = master.open(&outside_context(name), &sealed);
        opened.map(Some).map_err(|_| OpenError::MasterKeyWrong { path: self.dir.master_key_path() })
    }

    /// Keeps a secret of something outside the control plane, sealed; one of this name must not be there.
    ///
    /// # Errors
    /// When there is one, or the store cannot be written.
    ///
    /// # Cancel safety
    /// It is kept or it is not.
    pub async fn keep_secret(&self, name: &str, secret: &[u8]) -> Result<(), OpenError> {
        let Inner { store, master, .. } = &*self.service.inner;
        Ok(store.add_secret(&outside(name), &master.seal(&outside_context(name), secret)).await?)
    }

    /// A key for something outside the control plane that must be the same at every start, such as the one QUIC resets are made with after
    /// a kill. Made from the master key; keys of different purposes say nothing about each other.
    pub fn derive_key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.service.inner.master.derive(&format!("outside: {purpose}")))
    }

    /// Runs what the control plane does by itself, until `stop`: certificate renewal, the change feed's tail, the life and end of leases,
    /// another try when the database takes no writes. A round that fails is logged and tried again.
    ///
    /// # Cancel safety
    /// Every step is a transaction; run again to go on.
    pub async fn run(&self, stop: CancellationToken) {
        let kept = AtomicBool::new(true);
        let work = async {
            tokio::join!(
                self.follow_tail(),
                self.watch_writes(),
                self.renew_certificates(),
                self.order_certificates(),
                self.keep_leases(&kept),
                self.end_leases(&kept),
                self.forget_absent(),
                self.prune()
            )
        };
        Box::pin(stop.run_until_cancelled(work)).await;
    }

    /// Ends every watch, writes out what waits and gives the data directory free. Clones of the service that are still there answer with
    /// a status that says to try again.
    ///
    /// # Cancel safety
    /// Dropped half-way, the directory is free and everything acknowledged is on disk.
    pub async fn close(self) {
        let Control { service, clerk, dir: _held, .. } = self;
        service.inner.closing.cancel();
        let store = service.inner.store.clone();
        // Lets the clerk finish when this was the last clone; otherwise its next write fails, and says so to who waits.
        drop(service);
        store.close().await;
        clerk.abort();
        let _ = clerk.await;
    }

    async fn follow_tail(&self) {
        let Inner { store, topic, .. } = &*self.service.inner;
        let mut ticks = interval(TAIL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match store.feed().await {
                Ok(feed) => {
                    topic.publish(feed.version);
                    failing = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "the change feed cannot be read");
                    }
                }
            }
        }
    }

    /// Tries to write while writes fail, so that it is known when they work again although nobody else wants to write.
    async fn watch_writes(&self) {
        let store = &self.service.inner.store;
        let mut ticks = interval(WRITES_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            ticks.tick().await;
            let Some(fault) = store.health().fault() else { continue };
            match store.try_write(Timestamp::now()).await {
                Ok(()) => {
                    tracing::info!("the database takes writes again");
                    failing = false;
                }
                Err(_) if failing => {}
                Err(_) => {
                    tracing::error!(error = %fault, "the database does not take writes; not ready until it does");
                    failing = true;
                }
            }
        }
    }

    async fn order_certificates(&self) {
        match &self.issuer {
            Some(issuer) => issuer.run().await,
            None => std::future::pending().await,
        }
    }

    async fn renew_certificates(&self) {
        let mut ticks = interval(CERTIFICATES_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.service.inner.certificates.reconcile(Timestamp::now()).await {
                tracing::error!(%error, "certificates cannot be kept up to date");
            }
        }
    }

    /// Edges that watch stay alive, and their leases with them. `kept`: whether that could be written.
    async fn keep_leases(&self, kept: &AtomicBool) {
        let Inner { store, presence, lease_ttl, .. } = &*self.service.inner;
        let mut ticks = interval(*lease_ttl / 3);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut all = true;
            for edge in presence.edges() {
                if let Err(error) = store.edge_alive(&edge, Timestamp::now() + *lease_ttl).await {
                    tracing::error!(%error, %edge, "the leases of an edge cannot be kept");
                    all = false;
                }
            }
            kept.store(all, Ordering::Relaxed);
        }
    }

    /// Leases do not end because the database took no writes for a while: their edges would end the endpoints.
    async fn end_leases(&self, kept: &AtomicBool) {
        let store = &self.service.inner.store;
        let mut ticks = interval(ENDED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !kept.load(Ordering::Relaxed) {
                continue;
            }
            match store.remove_ended_leases(Timestamp::now()).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "ended leases removed"),
                Err(error) => tracing::error!(%error, "ended leases cannot be removed"),
            }
        }
    }

    /// What is online at edges that do not report any more is not known.
    async fn forget_absent(&self) {
        let mut ticks = interval(ABSENT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.service.inner.online.forget_absent();
        }
    }

    /// Forgets what is older in the audit logs than their accounts want, and what is more than any may have.
    async fn forget_audits(&self) -> Result<(), StoreError> {
        let store = &self.service.inner.store;
        let mut before = None;
        loop {
            let accounts = store.accounts_page(before.as_ref(), PAGE_MAX).await?;
            for account in &accounts {
                let settings = store.resource(&account.id, SETTINGS, &settings_id(&account.id)).await?;
                let settings: AccountSettings = settings.as_ref().and_then(|kept| read(kept).ok()).unwrap_or_default();
                let days = Duration::from_secs(u64::from(settings.audit_retention_days) * 24 * 60 * 60);
                let until = Timestamp::now() - days;
                while store.forget_audit(&account.id, until).await? == FORGOTTEN_AT_ONCE {}
                while store.prune_audit(&account.id, AUDIT_KEPT).await? == FORGOTTEN_AT_ONCE {}
            }
            match accounts.last() {
                Some(last) if accounts.len() == PAGE_MAX as usize => before = Some(last.id),
                _ => return Ok(()),
            }
        }
    }

    async fn prune(&self) {
        let mut ticks = interval_at(Instant::now() + PRUNE_EVERY, PRUNE_EVERY);
        loop {
            ticks.tick().await;
            if let Err(error) = self.forget_audits().await {
                tracing::error!(%error, "the audit logs of accounts cannot be shortened");
            }
            if let Err(error) = self.service.inner.store.prune_feed(CHANGES_KEPT).await {
                tracing::error!(%error, "old changes cannot be forgotten");
            }
        }
    }
}

/// Secrets from outside cannot be mistaken for the control plane's own.
fn outside(name: &str) -> String {
    format!("outside {name}")
}

fn outside_context(name: &str) -> String {
    format!("portway secret outside {name}")
}

/// The master key. A new one is made only for a store without secrets: a key that is lost cannot be replaced.
async fn master_key(dir: &DataDir, store: &Store) -> Result<MasterKey, OpenError> {
    match dir.master_key()? {
        Some(key) => Ok(key),
        None if store.has_secrets().await? => Err(OpenError::MasterKeyMissing { path: dir.master_key_path() }),
        None => dir.make_master_key(),
    }
}

fn unissued(fault: CertificateFault) -> OpenError {
    match fault {
        CertificateFault::Store(error) => error.into(),
        CertificateFault::Issue { names, source } => OpenError::Certificate { names, reason: source.to_string() },
    }
}

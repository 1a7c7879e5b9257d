//! Which certificates there should be, and making it so: issue, renew, remove.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portway_names::{AgentIngressId, EndpointUrl, HostName, HostPattern, Scheme, TlsCertificateId};
use portway_store::{Certificate, Store, StoreError, Timestamp};
use tokio::sync::Mutex;

use crate::authority::Authority;
use crate::kept::names::AgentIngress;
use crate::kept::{all, read};
use crate::policy::NamePolicy;
use crate::random;
use crate::rest::Kept;
use crate::seal::{MasterKey, NotOpened};

/// Part of a certificate's lifetime over which renewals are spread, so that what was issued together is not renewed together.
const JITTER_PART: u32 = 20;

/// Keeps the certificates as they should be.
#[derive(Debug)]
pub(crate) struct Certificates {
    store: Store,
    master: Arc<MasterKey>,
    authority: Authority,
    names: Arc<NamePolicy>,
    connect: Vec<String>,
    /// One at a time: two at once would issue twice.
    working: Mutex<()>,
}

/// Why a certificate could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot issue a certificate for {names}: {source}")]
    Issue { names: String, source: rcgen::Error },
}

impl Certificates {
    pub(crate) fn new(
        store: Store,
        master: Arc<MasterKey>,
        authority: Authority,
        names: Arc<NamePolicy>,
        connect_ips: &[IpAddr],
    ) -> Self {
        let hosts = names.connect_hosts.iter().flat_map(|host| connect_names(&names, host));
        let connect = hosts.chain(connect_ips.iter().map(IpAddr::to_string)).collect();
        Self { store, master, authority, names, connect, working: Mutex::new(()) }
    }

    /// Issues what is missing or due for renewal and removes what nobody needs. A failure leaves the rest for the next round.
    ///
    /// # Cancel safety
    /// Every certificate is one transaction; the next round goes on.
    pub(crate) async fn reconcile(&self, now: Timestamp) -> Result<(), CertificateFault> {
        let _working = self.working.lock().await;
        let wanted = self.wanted().await?;
        let present = self.store.certificates().await?;
        for (names, connect) in &wanted {
            let same = present.iter().find(|certificate| is_for(certificate, names, *connect));
            match same {
                Some(certificate) if now < renewal(certificate) && usable(certificate, now) => {}
                Some(certificate) => self.issue(certificate.id, names, *connect, now).await?,
                None => self.issue(TlsCertificateId::new(random::ksuid(now)), names, *connect, now).await?,
            }
        }
        // After the new ones are there: a name that moves from one certificate to another is never without.
        for certificate in present {
            if !wanted.iter().any(|(names, connect)| is_for(&certificate, names, *connect)) {
                self.store.remove_certificate(&certificate.id, now).await?;
            }
        }
        Ok(())
    }

    /// Sees to it that there is a certificate for a URL that was just leased; true when it was issued now.
    ///
    /// # Cancel safety
    /// It happens or it does not; the next round of [`Certificates::reconcile`] catches up.
    pub(crate) async fn ensure_for(&self, url: &EndpointUrl, now: Timestamp) -> Result<bool, CertificateFault> {
        match self.own_names(url) {
            Some(names) => self.ensure(&names, false, now).await,
            None => Ok(false),
        }
    }

    /// Sees to it that there is a certificate for a connect URL that was just made.
    ///
    /// # Cancel safety
    /// As [`Certificates::ensure_for`].
    pub(crate) async fn ensure_connect(&self, host: &HostName, now: Timestamp) -> Result<(), CertificateFault> {
        self.ensure(&connect_names(&self.names, host), true, now).await?;
        Ok(())
    }

    async fn ensure(&self, names: &[String], connect: bool, now: Timestamp) -> Result<bool, CertificateFault> {
        let _working = self.working.lock().await;
        let present = self.store.certificates().await?;
        if present.iter().any(|certificate| is_for(certificate, names, connect) && usable(certificate, now)) {
            return Ok(false);
        }
        self.issue(TlsCertificateId::new(random::ksuid(now)), names, connect, now).await?;
        Ok(true)
    }

    /// Every certificate there should be: names, and whether agents or visitors get it.
    async fn wanted(&self) -> Result<BTreeSet<(Vec<String>, bool)>, StoreError> {
        let base = &self.names.base_domain;
        let mut wanted = BTreeSet::from([(vec![base.to_string(), format!("*.{base}")], false)]);
        if !self.connect.is_empty() {
            wanted.insert((self.connect.clone(), true));
        }
        for ingress in all(&self.store, AgentIngress::KIND, AgentIngressId::PREFIX).await? {
            // What cannot be read has no certificate, and the watch of the edges says so.
            let host = read::<AgentIngress>(&ingress).ok().and_then(|ingress| ingress.domain.parse().ok());
            wanted.extend(host.map(|host| (connect_names(&self.names, &host), true)));
        }
        let leases = self.store.leases().await?;
        wanted.extend(leases.iter().filter_map(|lease| self.own_names(&lease.url)).map(|names| (names, false)));
        Ok(wanted)
    }

    /// The names of the certificate that a URL needs for itself: when it is served over TLS and the base domain's certificate, whose
    /// wildcard stands for one label (RFC 9525 section 6.3), does not cover it. Names outside are not for the internal CA, unless the operator
    /// says so.
    fn own_names(&self, url: &EndpointUrl) -> Option<Vec<String>> {
        let base_domain = &self.names.base_domain;
        let over_tls = matches!(url.scheme, Scheme::Https | Scheme::Tls);
        let covered = match &url.host {
            HostPattern::Exact(host) => host == base_domain || host.parent().as_ref() == Some(base_domain),
            HostPattern::Wildcard(base) => base == base_domain,
        };
        (over_tls && !covered && self.names.may_certify(&url.host)).then(|| vec![url.host.to_string()])
    }

    async fn issue(
        &self,
        id: TlsCertificateId,
        names: &[String],
        connect: bool,
        now: Timestamp,
    ) -> Result<(), CertificateFault> {
        let failed = |source| CertificateFault::Issue { names: names.join(", "), source };
        let issued = self.authority.issue(names, now).map_err(failed)?;
        // Agents that know the CA by its fingerprint alone find it behind the certificate.
        let authority = if connect { self.authority.pem() } else { "" };
        let certificate = Certificate {
            id,
            names: names.to_vec(),
            chain_pem: issued.chain_pem + authority,
            sealed_key: self.master.seal(&context(&id), &issued.key),
            connect,
            not_before: issued.not_before,
            not_after: issued.not_after,
        };
        self.store.put_certificate(&certificate, now).await?;
        tracing::info!(%id, names = names.join(", "), "certificate issued");
        Ok(())
    }
}

/// The names of the certificate of a connect URL.
fn connect_names(names: &NamePolicy, host: &HostName) -> Vec<String> {
    std::iter::once(host.clone()).chain(names.regional(host)).map(|name| name.to_string()).collect()
}

/// The private key of a certificate, PKCS#8 DER.
pub(crate) fn private_key(
    master: &MasterKey,
    certificate: &Certificate,
) -> Result<zeroize::Zeroizing<Vec<u8>>, NotOpened> {
    master.open(&context(&certificate.id), &certificate.sealed_key)
}

/// When a certificate is to be renewed: after two thirds of its lifetime, and a little that is its own.
pub(crate) fn renewal(certificate: &Certificate) -> Timestamp {
    let [.., own] = certificate.id.ksuid().as_bytes();
    renewal_of(certificate.not_before, certificate.not_after, f64::from(*own) / 256.0)
}

/// The same of any certificate; `share`, from 0 to 1, is its own.
pub(crate) fn renewal_of(not_before: Timestamp, not_after: Timestamp, share: f64) -> Timestamp {
    let lifetime = not_after.since(not_before);
    let jitter: Duration = (lifetime / JITTER_PART).mul_f64(share);
    not_before + lifetime * 2 / 3 + jitter
}

fn usable(certificate: &Certificate, now: Timestamp) -> bool {
    certificate.not_before <= now && now < certificate.not_after
}

fn is_for(certificate: &Certificate, names: &[String], connect: bool) -> bool {
    certificate.connect == connect && certificate.names == names
}

fn context(id: &TlsCertificateId) -> String {
    format!("portway certificate {id}")
}

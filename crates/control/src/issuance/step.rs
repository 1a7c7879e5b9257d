//! One step towards a certificate.

use std::time::{Duration, SystemTime};

use portway_acme::{Account, Fault, Order as Placed, Progress, SigningKey};
use portway_api::ManagedKeyType;
use portway_dns::Resolver;
use portway_names::{HostPattern, TlsCertificateId};
use portway_store::{Audit, NewResource, Timestamp, Work, WorkDone};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::account::NoAccount;
use super::check::Check;
use super::objection::Objection;
use super::subject::Subject;
use super::{Issuer, STEP_MAX, Unfinished};
use crate::certificates::renewal_of;
use crate::kept::certificates::TlsCertificate;
use crate::kept::issuance::{Issuance, Order};
use crate::kept::read;
use crate::random;
use crate::rest::{Kept, content};
use crate::x509::read_ordered;

/// How long edges have to get the proofs before the authority is told to look.
const SETTLE: Duration = Duration::from_secs(2);
/// The wait before the authority is asked how far it is; it grows with each time.
const POLL: Duration = Duration::from_secs(1);
/// Longest wait between two times.
const POLL_MAX: Duration = Duration::from_secs(30);
/// Times it is asked: about half an hour.
const POLLS_MAX: u32 = 70;
/// The time over which orders are counted.
const LIMIT_SPAN: Duration = Duration::from_secs(60 * 60);
/// The limit of all accounts together, in those of one.
const ALL_ACCOUNTS: u64 = 5;
/// How often an authority is asked when it wants a certificate renewed, at the least and at the most (RFC 9773 section 4.3.2).
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
/// Who certificates are written down by in the audit log.
const WHO: &str = "certificates";

/// What a step came to.
enum Outcome {
    /// There is more to do after a while.
    Goes(Duration),
    /// There is more to do, and it was begun to order a certificate.
    Begun,
    /// The certificate is there.
    Issued { chain: String, key: Zeroizing<Vec<u8>> },
    /// Nothing is to be done before this time.
    Rests { renews: Timestamp, due: Timestamp },
}

/// Why a step goes no further.
enum Stop {
    Objection(Objection),
    Unfinished(Unfinished),
}

impl Issuer {
    /// Does what is next for a resource, and writes down what came of it.
    pub(super) async fn step(&self, work: &Work) -> Result<(), Unfinished> {
        let subject = Subject::of(&work.resource)?;
        let Some((subject, mut issuance)) =
            subject.and_then(|of| of.issuance().cloned().map(|issuance| (of, issuance)))
        else {
            return Err(Unfinished::Unwanted);
        };
        let outcome = match timeout(STEP_MAX, Box::pin(self.advance(work, &subject, &mut issuance))).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(Stop::Objection(objection))) => Err(objection),
            Ok(Err(Stop::Unfinished(error))) => return Err(error),
            Err(_) => {
                let text = format!("The certificate authority has not answered for {} s.", STEP_MAX.as_secs());
                Err(Objection::passing(text))
            }
        };
        let now = Timestamp::now();
        let issued = match outcome {
            Ok(Outcome::Issued { chain, key }) => self.accept(work, &subject, &issuance, chain, &key, now).map(Some),
            Ok(outcome) => {
                let due = match &outcome {
                    Outcome::Goes(wait) => now + *wait,
                    Outcome::Rests { due, renews } => {
                        issuance.renews_ms = Some(renews.millis());
                        *due
                    }
                    Outcome::Begun | Outcome::Issued { .. } => now,
                };
                (issuance.due_ms, issuance.trouble) = (due.millis(), None);
                return self.write(work, issuance, None, matches!(outcome, Outcome::Begun), now).await;
            }
            Err(objection) => Err(objection),
        };
        match issued {
            Ok(issued) => {
                issuance.finish(now);
                self.write(work, issuance, issued, false, now).await
            }
            Err(objection) => {
                tracing::info!(id = %work.resource.id, ?objection, "a certificate cannot be ordered now");
                objection.note(&mut issuance, now);
                self.write(work, issuance, None, false, now).await
            }
        }
    }

    async fn advance(&self, work: &Work, subject: &Subject, issuance: &mut Issuance) -> Result<Outcome, Stop> {
        let Some(order) = issuance.order.clone() else {
            return match self.renewal(work, subject, issuance).await? {
                Some(rest) => Ok(rest),
                None => self.begin(work, subject, issuance).await,
            };
        };
        let (account, _) = self.account.get().await?;
        let done = match &order.url {
            None => self.place(&account, work, subject, issuance).await,
            Some(url) => self.proceed(&account, url, &order, work, subject, issuance).await,
        };
        if let Err(Failed::Authority(fault)) = &done {
            self.account.note(fault).await;
        }
        done.map_err(Stop::from)
    }

    /// When the present certificate is to be renewed; none when that is now, or there is none.
    async fn renewal(&self, work: &Work, subject: &Subject, issuance: &Issuance) -> Result<Option<Outcome>, Stop> {
        let (Some(_), Some(id)) = (issuance.renews_ms, subject.certificate()) else { return Ok(None) };
        let found =
            self.store.resource(&work.resource.account, TlsCertificate::KIND, id).await.map_err(Unfinished::from)?;
        let Some(certificate) = found else { return Ok(None) };
        let TlsCertificate { certificate_pem: chain, facts, .. } = read(&certificate).map_err(Unfinished::from)?;
        let (now, own) = (Timestamp::now(), share(id));
        let mut renews = renewal_of(seconds(facts.not_before), seconds(facts.not_after), own);
        let mut due = renews;
        // Without an answer it is renewed as if there were no wishes.
        if let Ok((account, _)) = self.account.get().await
            && let Ok(Some(wish)) = account.renewal(&chain).await
        {
            let window = wish.until.duration_since(wish.from).unwrap_or_default();
            renews = Timestamp::from(wish.from + window.mul_f64(own));
            due = renews.min(now + wish.ask_again.clamp(ASK_AGAIN.0, ASK_AGAIN.1));
        }
        Ok((renews > now).then_some(Outcome::Rests { renews, due: due.max(now) }))
    }

    /// Looks whether a certificate can be ordered, and makes its key.
    async fn begin(&self, work: &Work, subject: &Subject, issuance: &mut Issuance) -> Result<Outcome, Stop> {
        let (now, account) = (Timestamp::now(), &work.resource.account);
        let is_renewal = issuance.renews_ms.is_some();
        if is_renewal && issuance.failures == 0 {
            issuance.started_ms = now.millis();
        }
        let (_, identities) = self.account.get().await?;
        let resolver = match self.config.resolver {
            Some(address) => Resolver::at(address),
            None => Resolver::system(),
        };
        let resolver = resolver.map_err(|error| Objection::passing(error.to_string()))?;
        let check = Check { resolver: &resolver, policy: &self.names, identities: &identities };
        check.run(subject, &work.resource.id, account).await?;
        if !is_renewal {
            let (own, all) = self.store.orders_since(account, now - LIMIT_SPAN).await.map_err(Unfinished::from)?;
            let limit = u64::from(self.config.orders_per_hour.get());
            let limit = if own >= limit { Some((limit, "The account")) } else { None }
                .or_else(|| (all >= limit * ALL_ACCOUNTS).then_some((limit * ALL_ACCOUNTS, "The installation")));
            if let Some((limit, who)) = limit {
                let text = format!(
                    "{who} has ordered {limit} certificates in the last hour, which is the limit. This one is ordered when it can be."
                );
                return Err(Objection::too_many(text, LIMIT_SPAN / 12).into());
            }
        }
        let key = match subject.key_type() {
            ManagedKeyType::Ecdsa => SigningKey::ecdsa(),
            ManagedKeyType::Rsa => {
                let _one = self.rsa.acquire().await;
                let made = tokio::task::spawn_blocking(SigningKey::rsa).await;
                made.map_err(|error| Objection::passing(error.to_string()))?
            }
        };
        let key = Zeroizing::new(key.map_err(Objection::from)?.to_pkcs8());
        let key = self.master.seal(&issuance.key_context(&work.resource.id), &key);
        issuance.order = Some(Order { key, url: None, turn: issuance.failures, shown: false, polls: 0 });
        issuance.proofs.clear();
        Ok(Outcome::Begun)
    }

    async fn place(
        &self,
        account: &Account,
        work: &Work,
        subject: &Subject,
        issuance: &mut Issuance,
    ) -> Result<Outcome, Failed> {
        let mut replaced = None;
        if let (Some(_), Some(id)) = (issuance.renews_ms, subject.certificate()) {
            let found = self.store.resource(&work.resource.account, TlsCertificate::KIND, id).await;
            let found = found.map_err(Unfinished::from)?;
            let certificate = found.as_ref().map(read::<TlsCertificate>).transpose().map_err(Unfinished::from)?;
            replaced = certificate.filter(|found| found.issued_at.is_some()).map(|found| found.certificate_pem);
        }
        let placed = account.order(&subject.names(&self.names), replaced.as_deref()).await?;
        if let Some(order) = &mut issuance.order {
            order.url = Some(placed.url().to_owned());
        }
        Ok(Outcome::Goes(Duration::ZERO))
    }

    async fn proceed(
        &self,
        account: &Account,
        url: &str,
        order: &Order,
        work: &Work,
        subject: &Subject,
        issuance: &mut Issuance,
    ) -> Result<Outcome, Failed> {
        let mut placed = account.resume(url).await?;
        match placed.refresh().await? {
            Progress::Pending if issuance.proofs.is_empty() => {
                let wanted = placed.proofs(subject.ways(order.turn)).await?;
                let proofs = wanted.iter().map(|proof| subject.proof(&work.resource.id, proof, &self.names));
                issuance.proofs = proofs.collect::<Option<_>>().ok_or_else(|| {
                    Objection::useless("The base domain is too long for the names of challenges below it.")
                })?;
                Ok(Outcome::Goes(SETTLE))
            }
            Progress::Pending if !order.shown => {
                let wanted = placed.proofs(subject.ways(order.turn)).await?;
                placed.show(&wanted).await?;
                set(issuance, |order| order.shown = true);
                Ok(Outcome::Goes(POLL))
            }
            Progress::Proved => {
                let key = self.open_key(work, issuance, order)?;
                let names: Vec<HostPattern> = subject.names(&self.names);
                placed.request(&names, &SigningKey::from_pkcs8(&key)?).await?;
                Ok(Outcome::Goes(POLL))
            }
            Progress::Issued => self.fetch(&mut placed, work, order, issuance).await,
            Progress::Pending | Progress::Processing | Progress::Failed => poll(issuance, order),
        }
    }

    async fn fetch(
        &self,
        placed: &mut Placed,
        work: &Work,
        order: &Order,
        issuance: &mut Issuance,
    ) -> Result<Outcome, Failed> {
        match placed.certificate().await? {
            Some(chain) => Ok(Outcome::Issued { chain, key: self.open_key(work, issuance, order)? }),
            None => poll(issuance, order),
        }
    }

    fn open_key(&self, work: &Work, issuance: &Issuance, order: &Order) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let opened = self.master.open(&issuance.key_context(&work.resource.id), &order.key);
        opened.map_err(|error| Failed::Unfinished(error.into()))
    }

    /// Looks whether the certificate is the one that was ordered.
    fn accept(
        &self,
        work: &Work,
        subject: &Subject,
        issuance: &Issuance,
        chain: String,
        key: &[u8],
        now: Timestamp,
    ) -> Result<NewResource, Objection> {
        let (facts, key) = read_ordered(&chain, key).map_err(|error| {
            Objection::useless(format!(
                "The certificate authority issued a certificate that cannot be used. {}",
                error.text
            ))
        })?;
        let named = |name: &HostPattern| {
            facts.dns_names.iter().any(|found| found.parse().is_ok_and(|found: HostPattern| found == *name))
        };
        if let Some(missing) = subject.names(&self.names).iter().find(|name| !named(name)) {
            let text = format!("The certificate authority issued a certificate that does not name {missing}.");
            return Err(Objection::useless(text));
        }
        if now < seconds(facts.not_before) || seconds(facts.not_after) <= now {
            return Err(Objection::useless(format!(
                "The certificate is valid from {} to {}, and it is {} here. Set the server's clock.",
                shown(facts.not_before),
                shown(facts.not_after),
                shown(now.millis() / 1000),
            )));
        }
        let id = TlsCertificateId::new(random::ksuid(now)).to_string();
        let kept = TlsCertificate {
            description: format!("ordered for {}", work.resource.id),
            metadata: String::new(),
            certificate_pem: chain,
            private_key: self.master.seal(&TlsCertificate::key_context(&id), &key.pkcs8),
            private_key_type: key.kind,
            facts,
            issued_at: Some(now.millis() / 1000),
        };
        tracing::info!(id = %work.resource.id, certificate = id, job = issuance.id, "certificate issued");
        let account = work.resource.account;
        let content = content(&account, &kept);
        Ok(NewResource {
            id,
            kind: TlsCertificate::KIND.to_owned(),
            account,
            followed: TlsCertificate::FOLLOWED,
            content,
        })
    }

    /// Writes down what came of a step.
    async fn write(
        &self,
        work: &Work,
        issuance: Issuance,
        made: Option<NewResource>,
        ordered: bool,
        now: Timestamp,
    ) -> Result<(), Unfinished> {
        let account = work.resource.account;
        // Of two that were ordered only the newer one is needed.
        let before = Subject::of(&work.resource)?.and_then(|subject| subject.certificate().map(str::to_owned));
        let unneeded = match (&made, before) {
            (Some(_), Some(id)) => self.store.resource(&account, TlsCertificate::KIND, &id).await?,
            _ => None,
        };
        let was_ordered = unneeded.as_ref().map(read::<TlsCertificate>).transpose()?;
        let was_ordered = was_ordered.is_some_and(|certificate| certificate.issued_at.is_some());
        let unneeded = unneeded.filter(|_| was_ordered).map(|unneeded| (unneeded.id, audit("certificate replaced")));
        let finished = self.store.finish_work(work, now, |resource| {
            let mut subject = Subject::of(resource)?.ok_or(Unfinished::Unwanted)?;
            if subject.issuance().is_none_or(|present| present.id != issuance.id) {
                return Err(Unfinished::Unwanted);
            }
            subject.set_issuance(issuance);
            if let Some(made) = &made {
                subject.set_certificate(made.id.clone());
            }
            let made = made.map(|made| (made, audit("certificate issued")));
            Ok(WorkDone { content: subject.content(&account), made, unneeded, ordered })
        });
        finished.await
    }
}

impl Issuance {
    /// The certificate is there.
    fn finish(&mut self, now: Timestamp) {
        (self.order, self.trouble, self.failures) = (None, None, 0);
        self.proofs.clear();
        // When it is to be renewed is found out next.
        (self.renews_ms, self.due_ms) = (Some(now.millis()), now.millis());
    }
}

fn set(issuance: &mut Issuance, change: impl FnOnce(&mut Order)) {
    if let Some(order) = &mut issuance.order {
        change(order);
    }
}

/// Waits for the authority.
fn poll(issuance: &mut Issuance, order: &Order) -> Result<Outcome, Failed> {
    if order.polls >= POLLS_MAX {
        let text = "The certificate authority has not decided for half an hour. Another certificate is ordered.";
        return Err(Objection::useless(text).into());
    }
    set(issuance, |order| order.polls += 1);
    Ok(Outcome::Goes((POLL * (order.polls / 2 + 1)).min(POLL_MAX)))
}

/// Why something at the authority did not go.
enum Failed {
    Authority(Fault),
    Objection(Objection),
    Unfinished(Unfinished),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Failed::Authority(fault)
    }
}

impl From<Objection> for Failed {
    fn from(objection: Objection) -> Self {
        Failed::Objection(objection)
    }
}

impl From<Unfinished> for Failed {
    fn from(error: Unfinished) -> Self {
        Failed::Unfinished(error)
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Authority(fault) => Stop::Objection(fault.into()),
            Failed::Objection(objection) => Stop::Objection(objection),
            Failed::Unfinished(error) => Stop::Unfinished(error),
        }
    }
}

impl From<Objection> for Stop {
    fn from(objection: Objection) -> Self {
        Stop::Objection(objection)
    }
}

impl From<Unfinished> for Stop {
    fn from(error: Unfinished) -> Self {
        Stop::Unfinished(error)
    }
}

impl From<NoAccount> for Stop {
    fn from(none: NoAccount) -> Self {
        match none {
            NoAccount::Objection(objection) => Stop::Objection(objection),
            NoAccount::Unfinished(error) => Stop::Unfinished(error),
        }
    }
}

fn audit(action: &str) -> Audit {
    Audit { who: WHO.to_owned(), action: action.to_owned(), ..Audit::default() }
}

/// A part of one that is a certificate's own, so that what was issued together is not renewed together.
fn share(id: &str) -> f64 {
    let last = id.parse::<TlsCertificateId>().map_or(0, |id| id.ksuid().as_bytes().last().copied().unwrap_or(0));
    f64::from(last) / 256.0
}

fn seconds(unix: i64) -> Timestamp {
    Timestamp::from_millis(unix.saturating_mul(1000))
}

/// A time for people.
fn shown(unix: i64) -> String {
    time::OffsetDateTime::from(SystemTime::from(seconds(unix)))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

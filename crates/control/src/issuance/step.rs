//! One step towards a certificate.

use std::time::Duration;

use portway_acme::{Account, Progress, SigningKey};
use portway_api::ManagedKeyType;
use portway_dns::Resolver;
use portway_names::TlsCertificateId;
use portway_store::{Audit, NewResource, Timestamp, Work, WorkDone};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::accept::{Wanted, seconds};
use super::check::Check;
use super::objection::Objection;
use super::subject::Subject;
use super::{Issuer, STEP_MAX, Stop, Unfinished};
use crate::certificates::renewal_of;
use crate::kept::certificates::TlsCertificate;
use crate::kept::issuance::{Issuance, Order};
use crate::kept::read;

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
pub(super) const WHO: &str = "certificates";

/// What a step came to.
enum Outcome {
    /// There is more to do after a while.
    Goes(Duration),
    /// There is more to do, and it was begun to order a certificate: the first one, which counts against the limit, or another one.
    Begun { counts: bool },
    /// The certificate is there.
    Issued(NewResource),
    /// Nothing is to be done before this time.
    Rests { renews: Timestamp, due: Timestamp },
}

impl Issuer {
    /// Does what is next for a resource, and writes down what came of it.
    pub(super) async fn step(&self, work: &Work) -> Result<(), Unfinished> {
        let subject = Subject::of(&work.resource)?.ok_or(Unfinished::Unwanted)?;
        let mut issuance = subject.certified().issuance.clone().ok_or(Unfinished::Unwanted)?;
        let outcome = match timeout(STEP_MAX, Box::pin(self.advance(work, &subject, &mut issuance))).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let text = format!("The certificate authority has not answered for {} s.", STEP_MAX.as_secs());
                Err(Objection::passing(text).into())
            }
        };
        let now = Timestamp::now();
        let (mut made, mut ordered) = (None, false);
        match outcome {
            Ok(Outcome::Goes(wait)) => issuance.go_on(now + wait),
            Ok(Outcome::Begun { counts }) => {
                ordered = counts;
                issuance.go_on(now);
            }
            Ok(Outcome::Rests { renews, due }) => {
                issuance.renews_ms = Some(renews.millis());
                issuance.go_on(due);
            }
            Ok(Outcome::Issued(certificate)) => {
                made = Some(certificate);
                issuance.finish(now);
            }
            Err(Stop::Unfinished(error)) => return Err(error),
            Err(Stop::Authority(fault)) => {
                self.account.note(&fault).await;
                Objection::from(fault).note(&work.resource.id, &mut issuance, now);
            }
            Err(Stop::Objection(objection)) => objection.note(&work.resource.id, &mut issuance, now),
        }
        self.write(work, &subject, issuance, made, ordered, now).await
    }

    async fn advance(&self, work: &Work, subject: &Subject, issuance: &mut Issuance) -> Result<Outcome, Stop> {
        let Some(order) = issuance.order.clone() else {
            return match self.renewal(work, subject, issuance).await? {
                Some(rest) => Ok(rest),
                None => self.begin(work, subject, issuance).await,
            };
        };
        let (account, _) = self.account.get().await?;
        match &order.url {
            None => self.place(&account, work, subject, issuance).await,
            Some(url) => self.proceed(&account, url, &order, work, subject, issuance).await,
        }
    }

    /// When the present certificate is to be renewed; none when that is now, or there is none.
    async fn renewal(&self, work: &Work, subject: &Subject, issuance: &Issuance) -> Result<Option<Outcome>, Stop> {
        let Some((id, certificate)) = self.present(work, subject).await?.filter(|_| issuance.renews_ms.is_some())
        else {
            return Ok(None);
        };
        let (now, own, facts) = (Timestamp::now(), share(&id), &certificate.facts);
        let mut renews = renewal_of(seconds(facts.not_before), seconds(facts.not_after), own);
        let mut due = renews;
        // Without an answer it is renewed as if there were no wishes.
        if let Ok((account, _)) = self.account.get().await
            && let Ok(Some(wish)) = account.renewal(&certificate.certificate_pem).await
        {
            let window = wish.until.duration_since(wish.from).unwrap_or_default();
            renews = Timestamp::from(wish.from + window.mul_f64(own));
            due = renews.min(now + wish.ask_again.clamp(ASK_AGAIN.0, ASK_AGAIN.1));
        }
        Ok((renews > now).then_some(Outcome::Rests { renews, due: due.max(now) }))
    }

    /// Looks whether a certificate can be ordered, and makes its key.
    async fn begin(&self, work: &Work, subject: &Subject, issuance: &mut Issuance) -> Result<Outcome, Stop> {
        let now = Timestamp::now();
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
        check.run(subject, &work.resource.id, &work.resource.account).await?;
        if !is_renewal {
            self.check_limits(work, now).await?;
        }
        let key = match subject.certified().policy.map(|policy| policy.private_key_type) {
            Some(ManagedKeyType::Ecdsa) | None => SigningKey::ecdsa(),
            Some(ManagedKeyType::Rsa) => {
                let _one = self.rsa.acquire().await;
                let made = tokio::task::spawn_blocking(SigningKey::rsa).await;
                made.map_err(|error| Objection::passing(error.to_string()))?
            }
        };
        let key = self.master.seal(&issuance.key_context(&work.resource.id), &Zeroizing::new(key?.to_pkcs8()));
        issuance.order = Some(Order { key, url: None, turn: issuance.failures, shown: false, polls: 0 });
        issuance.proofs.clear();
        Ok(Outcome::Begun { counts: !is_renewal })
    }

    /// Whether the account, and all together, may order one more. Steps at the same moment may order as many more as there are.
    async fn check_limits(&self, work: &Work, now: Timestamp) -> Result<(), Stop> {
        let (own, all) = self.store.orders_since(&work.resource.account, now - LIMIT_SPAN).await?;
        let limit = u64::from(self.config.orders_per_hour.get());
        let limits = [("The account", own, limit), ("The installation", all, limit * ALL_ACCOUNTS)];
        match limits.into_iter().find(|(_, count, limit)| count >= limit) {
            None => Ok(()),
            Some((who, _, limit)) => {
                let text = format!(
                    "{who} has ordered {limit} certificates in the last hour, which is the limit. This one is ordered when it can be."
                );
                Err(Objection::too_many(text, LIMIT_SPAN / 12).into())
            }
        }
    }

    async fn place(
        &self,
        account: &Account,
        work: &Work,
        subject: &Subject,
        issuance: &mut Issuance,
    ) -> Result<Outcome, Stop> {
        let present = self.present(work, subject).await?.filter(|(_, certificate)| certificate.was_ordered());
        let replaced = present.as_ref().map(|(_, certificate)| certificate.certificate_pem.as_str());
        let placed = account.order(&subject.names(&self.names), replaced).await?;
        set(issuance, |order| order.url = Some(placed.url().to_owned()));
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
    ) -> Result<Outcome, Stop> {
        let (id, names, ways) = (&work.resource.id, subject.names(&self.names), subject.ways(order.turn));
        let open_key = || self.master.open(&issuance.key_context(id), &order.key);
        let mut placed = account.resume(url).await?;
        match placed.refresh().await? {
            Progress::Pending if issuance.proofs.is_empty() => {
                let wanted = placed.proofs(ways).await?;
                let proofs = wanted.iter().map(|proof| subject.proof(id, proof, &self.names));
                issuance.proofs = proofs.collect::<Option<_>>().ok_or_else(|| {
                    Objection::useless("The base domain is too long for the names of challenges below it.")
                })?;
                Ok(Outcome::Goes(SETTLE))
            }
            Progress::Pending if !order.shown => {
                let wanted = placed.proofs(ways).await?;
                placed.show(&wanted).await?;
                set(issuance, |order| order.shown = true);
                Ok(Outcome::Goes(POLL))
            }
            Progress::Proved => {
                placed.request(&names, &SigningKey::from_pkcs8(&open_key()?)?).await?;
                Ok(Outcome::Goes(POLL))
            }
            Progress::Issued => match placed.certificate().await? {
                Some(chain) => {
                    let wanted = Wanted { resource: &work.resource, names: &names, key: &open_key()? };
                    Ok(Outcome::Issued(wanted.accept(&self.master, chain, Timestamp::now())?))
                }
                None => poll(issuance, order),
            },
            Progress::Pending | Progress::Processing | Progress::Failed => poll(issuance, order),
        }
    }

    /// The certificate that is presented, with its id.
    async fn present(&self, work: &Work, subject: &Subject) -> Result<Option<(String, TlsCertificate)>, Unfinished> {
        let Some(id) = subject.certified().certificate_id.as_deref() else { return Ok(None) };
        let found = self.store.resource(&work.resource.account, TlsCertificate::KIND, id).await?;
        Ok(found.map(|found| read(&found)).transpose()?.map(|certificate| (id.to_owned(), certificate)))
    }

    /// Writes down what came of a step.
    async fn write(
        &self,
        work: &Work,
        before: &Subject,
        issuance: Issuance,
        made: Option<NewResource>,
        ordered: bool,
        now: Timestamp,
    ) -> Result<(), Unfinished> {
        // Of two that were ordered only the newer one is needed.
        let unneeded = match &made {
            Some(_) => self.present(work, before).await?.filter(|(_, certificate)| certificate.was_ordered()),
            None => None,
        };
        let unneeded = unneeded.map(|(id, _)| (id, audit("certificate replaced")));
        let finished = self.store.finish_work(work, now, |resource| {
            let mut subject = Subject::of(resource)?.ok_or(Unfinished::Unwanted)?;
            let certified = subject.certified_mut();
            if certified.issuance.as_ref().is_none_or(|present| present.id != issuance.id) {
                return Err(Unfinished::Unwanted);
            }
            certified.issuance = Some(issuance);
            if let Some(made) = &made {
                certified.certificate_id = Some(made.id.clone());
            }
            let made = made.map(|made| (made, audit("certificate issued")));
            Ok(WorkDone { content: subject.content(&resource.account), made, unneeded, ordered })
        });
        finished.await
    }
}

impl Issuance {
    /// Nothing is in the way; the next step is due then.
    fn go_on(&mut self, due: Timestamp) {
        (self.due_ms, self.trouble) = (due.millis(), None);
    }

    /// The certificate is there. When it is to be renewed is found out next.
    fn finish(&mut self, now: Timestamp) {
        self.go_on(now);
        (self.order, self.failures, self.renews_ms) = (None, 0, Some(now.millis()));
        self.proofs.clear();
    }
}

fn set(issuance: &mut Issuance, change: impl FnOnce(&mut Order)) {
    if let Some(order) = &mut issuance.order {
        change(order);
    }
}

/// Waits for the authority.
fn poll(issuance: &mut Issuance, order: &Order) -> Result<Outcome, Stop> {
    if order.polls >= POLLS_MAX {
        let text = "The certificate authority has not decided for half an hour. Another certificate is ordered.";
        return Err(Objection::useless(text).into());
    }
    set(issuance, |order| order.polls += 1);
    Ok(Outcome::Goes((POLL * (order.polls / 2 + 1)).min(POLL_MAX)))
}

fn audit(action: &str) -> Audit {
    Audit { who: WHO.to_owned(), action: action.to_owned(), ..Audit::default() }
}

/// A part of one that is a certificate's own, so that what was issued together is not renewed together.
fn share(id: &str) -> f64 {
    let last = id.parse::<TlsCertificateId>().map_or(0, |id| id.ksuid().as_bytes().last().copied().unwrap_or(0));
    f64::from(last) / 256.0
}

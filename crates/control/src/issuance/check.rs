//! What is looked at before a certificate is ordered: whether DNS leads here, and lets the authority issue.

use portway_codes::Code;
use portway_dns::{Kind, LookupError, Resolver};
use portway_names::{AccountId, HostName, HostPattern};

use super::objection::Objection;
use super::subject::Subject;
use crate::kept::names::{OwnName, ReservedDomain, acme_challenge_target, cname_target, cname_zone};
use crate::policy::NamePolicy;

/// CNAME records that are followed.
const CNAMES_MAX: usize = 8;

/// Asks DNS.
pub(super) struct Check<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) policy: &'a NamePolicy,
    /// By which domains CAA records name the authority.
    pub(super) identities: &'a [String],
}

/// Which record leads where, and what is said when it does not.
struct Alias<'a> {
    name: &'a str,
    target: HostName,
    /// None; addresses instead; another target.
    codes: [Code; 3],
}

impl Check<'_> {
    /// Whether everything is as it has to be. `id` is the resource's.
    pub(super) async fn run(&self, subject: &Subject, id: &str, account: &AccountId) -> Result<(), Objection> {
        match subject {
            Subject::Domain(ReservedDomain { domain, .. }) => {
                let base = &self.policy.base_domain;
                let codes = [Code::ERR_NGROK_425, Code::ERR_NGROK_426, Code::ERR_NGROK_427];
                if let Some(target) = cname_target(id, account, base) {
                    self.alias(Alias { name: &domain.to_string(), target, codes }).await?;
                }
                if let (HostPattern::Wildcard(above), Some(target)) = (domain, acme_challenge_target(id, base)) {
                    let codes = [Code::ERR_NGROK_442, Code::ERR_NGROK_443, Code::ERR_NGROK_444];
                    self.alias(Alias { name: &format!("_acme-challenge.{above}"), target, codes }).await?;
                }
                self.permission(domain).await
            }
            Subject::Connect { host, .. } => {
                self.delegation(host).await?;
                self.permission(&HostPattern::Exact(host.clone())).await
            }
            Subject::Own(OwnName { domain, .. }) => {
                self.delegation(domain.name()).await?;
                self.permission(domain).await
            }
        }
    }

    /// Whether the name is an alias of the target. One that leads to the target of somebody else is not, however many lie between.
    async fn alias(
        &self,
        Alias { name, target, codes: [missing, address, elsewhere] }: Alias<'_>,
    ) -> Result<(), Objection> {
        let wanted = format!("Make a CNAME record for {name} with the value {target}.");
        let mut at = name.to_owned();
        for _ in 0..CNAMES_MAX {
            let next = self.records(&at, Kind::Cname).await?;
            let Some(next) = next.into_iter().next() else { break };
            if next == target.as_str() {
                return Ok(());
            }
            at = next;
            // Somebody else's target has no further record.
            let ours = cname_zone(&self.policy.base_domain);
            if at.parse::<HostName>().is_ok_and(|at| ours.is_some_and(|ours| at.is_below(&ours))) {
                break;
            }
        }
        if at != name {
            let text = format!("The CNAME record of {name} leads to {at}. {wanted}");
            return Err(Objection::dns(elsewhere, text));
        }
        for kind in [Kind::A, Kind::Aaaa] {
            if let Some(found) = self.records(name, kind).await?.first() {
                let text = format!("{name} has an {} record, {found}, and no CNAME record. {wanted}", kind.as_str());
                return Err(Objection::dns(address, text));
            }
        }
        Err(Objection::dns(missing, format!("{name} has no CNAME record. {wanted}")))
    }

    /// Whether the name is a zone of its own that is answered for here.
    async fn delegation(&self, host: &HostName) -> Result<(), Objection> {
        let mut wanted: Vec<String> = self.policy.connect_hosts.iter().map(HostName::to_string).collect();
        wanted.sort_unstable();
        let found = self.records(host.as_str(), Kind::Ns).await?;
        let advice = format!("Make NS records for {host} with the values {}.", wanted.join(", "));
        match found.as_slice() {
            [] => Err(Objection::dns(Code::ERR_NGROK_6702, format!("{host} has no NS records. {advice}"))),
            found if found == wanted => Ok(()),
            found => {
                let text = format!("{host} has NS records for {}. {advice}", found.join(", "));
                Err(Objection::dns(Code::ERR_NGROK_6703, text))
            }
        }
    }

    /// Whether the authority may issue for the name: what the nearest name at or above it says that says anything (RFC 8659 section 3).
    async fn permission(&self, domain: &HostPattern) -> Result<(), Objection> {
        // An authority that does not say its name cannot be looked for.
        if self.identities.is_empty() {
            return Ok(());
        }
        let mut above = Some(domain.name().clone());
        while let Some(name) = above {
            let records = self.records(name.as_str(), Kind::Caa).await?;
            if !records.is_empty() {
                return permits(&records, domain.is_wildcard(), self.identities).then_some(()).ok_or_else(|| {
                    Objection::forbidden(format!(
                        "The CAA records of {name} ({}) do not let the certificate authority issue for {domain}. Add one: 0 issue \"{}\".",
                        records.join("; "),
                        self.identities.first().map_or("", String::as_str)
                    ))
                });
            }
            above = name.parent();
        }
        Ok(())
    }

    async fn records(&self, name: &str, kind: Kind) -> Result<Vec<String>, Objection> {
        self.resolver.records(name, kind).await.map_err(|error: LookupError| {
            Objection::passing(format!(
                "DNS cannot be asked for the {} records: {error} ({})",
                kind.as_str(),
                Code::ERR_NGROK_445
            ))
        })
    }
}

/// Whether CAA records, written `issue ca.example; parameter=value`, permit one of the authorities (RFC 8659 sections 4.2 and 4.3).
fn permits(records: &[String], wildcard: bool, identities: &[String]) -> bool {
    let values = |tag: &str| -> Vec<&str> {
        records
            .iter()
            .filter_map(|record| record.split_once(' ').filter(|(found, _)| *found == tag))
            .map(|(_, value)| value)
            .collect()
    };
    let mut relevant = if wildcard { values("issuewild") } else { Vec::new() };
    if relevant.is_empty() {
        relevant = values("issue");
    }
    let names = |value: &str| {
        let domain = value.split(';').next().unwrap_or_default().trim();
        identities.iter().any(|identity| identity == domain)
    };
    relevant.is_empty() || relevant.into_iter().any(names)
}

#[cfg(test)]
mod tests {
    //! CAA records permit what they say.

    use super::permits;

    #[test]
    fn caa_permits_what_it_names() {
        let identities = ["ca.example".to_owned(), "ca.example.net".to_owned()];
        let issue = |value: &str| format!("issue {value}");
        let wild = |value: &str| format!("issuewild {value}");
        for (records, wildcard, permitted) in [
            (vec![issue("ca.example")], false, true),
            (vec![issue("other.example"), issue("ca.example.net; account=1")], false, true),
            (vec![issue("other.example")], false, false),
            (vec![issue(";")], false, false),
            (vec!["iodef mailto:a@b".to_owned()], false, true),
            (vec![issue("ca.example")], true, true),
            (vec![issue("ca.example"), wild(";")], true, false),
            (vec![issue(";"), wild("ca.example")], true, true),
            (vec![issue(";"), wild("ca.example")], false, false),
            (vec![wild(";")], false, true),
            (vec![issue("evilca.example"), issue("ca.example.evil")], false, false),
        ] {
            assert_eq!(permits(&records, wildcard, &identities), permitted, "{records:?} {wildcard}");
        }
    }
}

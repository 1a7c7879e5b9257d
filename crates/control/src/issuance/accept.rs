//! Whether a certificate is the one that was ordered, and what is kept of it.

use std::time::SystemTime;

use portway_names::{HostPattern, TlsCertificateId};
use portway_store::{NewResource, Resource, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::objection::Objection;
use crate::kept::certificates::TlsCertificate;
use crate::random;
use crate::rest::{Kept, content};
use crate::seal::MasterKey;
use crate::x509::read_ordered;

/// What was ordered.
pub(super) struct Wanted<'a> {
    /// What it is for.
    pub(super) resource: &'a Resource,
    pub(super) names: &'a [HostPattern],
    /// PKCS#8, DER.
    pub(super) key: &'a [u8],
}

impl Wanted<'_> {
    /// The certificate as a resource of the account, when it names what it has to, belongs to the key and is valid now.
    pub(super) fn accept(self, master: &MasterKey, chain: String, now: Timestamp) -> Result<NewResource, Objection> {
        let Wanted { resource, names, key } = self;
        let (facts, key) = read_ordered(&chain, key).map_err(|error| {
            let text = "The certificate authority issued a certificate that cannot be used.";
            Objection::useless(format!("{text} {}", error.text))
        })?;
        let found: Vec<HostPattern> = facts.dns_names.iter().filter_map(|name| name.parse().ok()).collect();
        if let Some(missing) = names.iter().find(|name| !found.contains(name)) {
            let text = format!("The certificate authority issued a certificate that does not name {missing}.");
            return Err(Objection::useless(text));
        }
        if now < seconds(facts.not_before) || seconds(facts.not_after) <= now {
            return Err(Objection::useless(format!(
                "The certificate is valid from {} to {}, and it is {} here. Set the server's clock.",
                shown(seconds(facts.not_before)),
                shown(seconds(facts.not_after)),
                shown(now),
            )));
        }
        let id = TlsCertificateId::new(random::ksuid(now)).to_string();
        let kept = TlsCertificate {
            description: format!("ordered for {}", resource.id),
            metadata: String::new(),
            certificate_pem: chain,
            private_key: master.seal(&TlsCertificate::key_context(&id), &key.pkcs8),
            private_key_type: key.kind,
            facts,
            issued_at: Some(now.millis() / 1000),
        };
        tracing::info!(id = %resource.id, certificate = id, "certificate issued");
        let account = resource.account;
        let content = content(&account, &kept);
        let kind = TlsCertificate::KIND.to_owned();
        Ok(NewResource { id, kind, account, followed: TlsCertificate::FOLLOWED, content })
    }
}

/// A point in time as certificates say it.
pub(super) fn seconds(unix: i64) -> Timestamp {
    Timestamp::from_millis(unix.saturating_mul(1000))
}

/// A time for people, in whole seconds.
fn shown(time: Timestamp) -> String {
    let time = OffsetDateTime::from(SystemTime::from(seconds(time.millis() / 1000)));
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! What is not the certificate that was ordered is refused.

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// 2027-01-15.
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn accept(named: &str, wanted: &str, own_key: bool, now: Timestamp) -> Result<NewResource, String> {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(vec![named.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2027, 1, 1), date_time_ymd(2027, 4, 1));
        let chain = params.self_signed(&key).unwrap().pem();
        let resource = Resource {
            id: "rd_1".to_owned(),
            kind: "reserved_domain".to_owned(),
            account: portway_names::AccountId::new(portway_names::Ksuid::from_parts(0, [1; 16])),
            version: 1,
            body: String::new(),
            followed: true,
            created: NOW,
            updated: NOW,
        };
        let key = if own_key { key } else { other }.serialize_der();
        let wanted = Wanted { resource: &resource, names: &[wanted.parse().unwrap()], key: &key };
        wanted.accept(&MasterKey::new(&[7; 32]), chain, now).map_err(|objection| objection.text().to_owned())
    }

    #[test]
    fn only_what_was_ordered_is_accepted() {
        let made = accept("*.a.com", "*.a.com", true, NOW).unwrap();
        assert!(made.id.starts_with("cert_") && made.content.body.contains("ordered for rd_1"));
        for (named, wanted, own_key, now, why) in [
            ("*.a.com", "a.com", true, NOW, "does not name a.com"),
            ("a.com", "*.a.com", true, NOW, "does not name *.a.com"),
            ("evila.com", "a.com", true, NOW, "does not name a.com"),
            ("a.com", "a.com", false, NOW, "cannot be used"),
            (
                "a.com",
                "a.com",
                true,
                Timestamp::from_millis(0),
                "it is 1970-01-01T00:00:00Z here. Set the server's clock.",
            ),
            ("a.com", "a.com", true, seconds(1_900_000_000), "Set the server's clock."),
        ] {
            let refused = accept(named, wanted, own_key, now).unwrap_err();
            assert!(refused.contains(why), "{named} for {wanted}: {refused}");
        }
    }
}

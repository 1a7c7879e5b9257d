//! What snapshots and deltas do to the tables, and what sessions hear of it.

use portway_names::Ksuid;
use portway_proto::control::v1::Resource;
use portway_proto::{AgentId, ConnectNameRecord, ReservedDomainRecord, SettingsRecord};

use super::*;
use crate::testing::ip::{policy, policy_id, restriction, rule};
use crate::testing::{FakeControl, account, digest_of, pki};

fn settings(base: &str) -> Resource {
    let base_domain = base.parse().unwrap();
    (&ReplicaRecord::Settings(SettingsRecord { id: "settings".into(), base_domain })).into()
}

fn credential(token: &str, acl: &[&str]) -> Resource {
    (&ReplicaRecord::Credential(FakeControl::credential(token, 1, acl))).into()
}

fn certificate(id: &str, names: &[&str], connect: bool) -> Resource {
    let (chain, key) = pki().agents.clone();
    (&ReplicaRecord::Certificate(CertificateRecord {
        id: id.into(),
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        chain: vec![chain.into()],
        private_key: key.into(),
        connect,
        attached: false,
    }))
        .into()
}

fn lease(serial: u8, fence: u64) -> LeaseRecord {
    LeaseRecord {
        id: portway_names::LeaseId::new(Ksuid::from_parts(1_700_000_000, [serial; 16])),
        url: "https://app.portway.test".parse().unwrap(),
        account: AccountId::new(Ksuid::from_parts(1_700_000_000, [1; 16])),
        agent: AgentId::new([1; 16]),
        edge: "edge".parse().unwrap(),
        fence,
        expires_at_ms: None,
    }
}

fn changed(resources: Vec<Resource>) -> pb::Delta {
    pb::Delta { changed: resources, removed: Vec::new() }
}

fn removed(id: &str) -> pb::Delta {
    pb::Delta { changed: Vec::new(), removed: vec![id.to_owned()] }
}

#[test]
fn a_snapshot_replaces_everything_and_leaves_out_what_is_broken() {
    let replica = Replica::new();
    assert!(!replica.is_synced() && replica.base_domain().is_none());
    let broken = Resource { id: "x".into(), body: Some(pb::resource::Body::Settings(pb::Settings::default())) };
    let faults = replica.replace(vec![settings("a.test"), credential("one", &[]), broken]);
    assert_eq!(faults.len(), 1);
    assert_eq!(replica.base_domain().unwrap().as_str(), "a.test");
    assert!(replica.credential(&digest_of("one")).is_some());
    assert!(replica.replace(vec![settings("b.test"), credential("two", &[])]).is_empty());
    assert_eq!(replica.base_domain().unwrap().as_str(), "b.test");
    assert!(replica.credential(&digest_of("one")).is_none() && replica.credential(&digest_of("two")).is_some());
}

#[test]
fn deltas_tell_what_sessions_must_know_and_twice_is_once() {
    let replica = Replica::new();
    replica.replace(vec![credential("one", &[])]);
    let (changes, _) = replica.change(changed(vec![credential("one", &[])]));
    assert_eq!(changes, []);
    let (changes, _) = replica.change(changed(vec![credential("one", &["bind:a.test"])]));
    assert!(matches!(&changes[..], [Change::CredentialChanged(_)]));
    let id = FakeControl::credential("one", 1, &[]).id;
    assert!(replica.has_credential(id));
    let (changes, _) = replica.change(removed(&id.to_string()));
    assert_eq!(changes, [Change::CredentialRevoked(id)]);
    assert_eq!(replica.change(removed(&id.to_string())).0, []);
    assert!(!replica.has_credential(id));
}

#[test]
fn an_old_lease_that_goes_does_not_take_the_new_one_with_it() {
    let replica = Replica::new();
    let (old, new) = (lease(1, 1), lease(2, 2));
    replica.change(changed(vec![(&ReplicaRecord::Lease(old.clone())).into()]));
    replica.change(changed(vec![(&ReplicaRecord::Lease(new.clone())).into()]));
    replica.change(removed(&old.id.to_string()));
    assert_eq!(replica.lease(&new.url).unwrap().fence, 2);
    replica.change(removed(&new.id.to_string()));
    assert!(replica.lease(&new.url).is_none());
}

#[test]
fn connect_names_and_certificates_come_and_go() {
    let replica = Replica::new();
    let host: HostName = "connect.portway.test".parse().unwrap();
    let name = ReplicaRecord::ConnectName(ConnectNameRecord {
        id: "c".into(),
        host: host.clone(),
        account: None,
        regional: Vec::new(),
        certificate: None,
        public_certificates: false,
        proofs: Vec::new(),
    });
    replica.replace(vec![(&name).into(), certificate("k", &["connect.portway.test", "127.0.0.1"], true)]);
    assert_eq!(replica.connect_name(&host), Some(None));
    assert!(replica.connect_certs.resolve(&host).is_some() && replica.visitor_certs.is_empty());
    replica.change(changed(vec![certificate("v", &["*.portway.test"], false)]));
    assert!(replica.visitor_certs.resolve(&host).is_some());
    replica.change(pb::Delta { changed: Vec::new(), removed: vec!["c".into(), "k".into(), "v".into()] });
    assert_eq!(replica.connect_name(&host), None);
    assert!(replica.connect_certs.is_empty() && replica.visitor_certs.is_empty());
}

/// A user's certificate that covers these names, and what it is recognized by.
fn uploaded(id: &str, names: &[&str]) -> (Resource, Vec<u8>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names.clone()).unwrap();
    let der = made.cert.der().to_vec();
    let record = CertificateRecord {
        id: id.into(),
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        chain: vec![der.clone().into()],
        private_key: made.signing_key.serialize_der().into(),
        connect: false,
        attached: true,
    };
    ((&ReplicaRecord::Certificate(record)).into(), der)
}

fn domain(id: &str, name: &str, certificate: Option<&str>) -> Resource {
    let (id, certificate) = (id.to_owned(), certificate.map(str::to_owned));
    let domain = name.parse().unwrap();
    let proofs = Vec::new();
    let record = ReservedDomainRecord { id, account: account(1), domain, certificate, cname_target: None, proofs };
    (&ReplicaRecord::ReservedDomain(record)).into()
}

#[test]
fn uploaded_certificates_are_presented_for_the_domains_that_refer_to_them() {
    let replica = Replica::new();
    let served = |name: &str| {
        let found = replica.visitor_certs.resolve(&name.parse().unwrap());
        found.map(|key| key.end_entity_der().to_vec())
    };
    let (own, own_der) = uploaded("own", &["*.example.com"]);
    let (other, other_der) = uploaded("other", &["app.example.com"]);
    let common = certificate("common", &["app.example.com", "b.example.com", "elsewhere.test"], false);
    let common_der = pki().agents.0.clone();
    // A domain may come before its certificate; names that the certificate does not cover are not its own.
    replica.replace(vec![common.clone(), domain("one", "app.example.com", Some("own"))]);
    assert_eq!(served("app.example.com"), Some(common_der.clone()));
    replica.change(changed(vec![own.clone(), domain("two", "elsewhere.test", Some("own"))]));
    assert_eq!(served("app.example.com"), Some(own_der.clone()));
    assert_eq!(served("b.example.com"), Some(common_der.clone()));
    assert_eq!(served("elsewhere.test"), Some(common_der.clone()));
    // Whatever the installation issues later for the name, the user's stays.
    replica.change(changed(vec![common.clone(), other.clone()]));
    assert_eq!(served("app.example.com"), Some(own_der.clone()));
    replica.change(changed(vec![domain("one", "app.example.com", Some("other"))]));
    assert_eq!(served("app.example.com"), Some(other_der.clone()));
    replica.change(changed(vec![domain("one", "app.example.com", None)]));
    assert_eq!(served("app.example.com"), Some(common_der.clone()));
    // A wildcard is covered by a wildcard of its own only.
    let wildcards = [domain("all", "*.example.com", Some("own")), domain("deep", "*.deep.example.com", Some("own"))];
    replica.change(changed(wildcards.to_vec()));
    assert_eq!(served("c.example.com"), Some(own_der.clone()));
    let snapshot = [vec![common, own, other, domain("one", "app.example.com", Some("other"))], wildcards.to_vec()];
    assert!(replica.replace(snapshot.concat()).is_empty());
    assert_eq!(served("app.example.com"), Some(other_der));
    assert_eq!(served("c.example.com"), Some(own_der));
    replica.change(removed("all"));
    assert_eq!(served("c.example.com"), None);
    replica.change(removed("other"));
    assert_eq!(served("app.example.com"), Some(common_der.clone()));
    replica.replace(vec![certificate("common", &["app.example.com"], false)]);
    assert_eq!((served("app.example.com"), replica.visitor_certs.len()), (Some(common_der), 1));
}

#[test]
fn ip_policies_hold_in_whatever_order_they_come() {
    let account = AccountId::new(Ksuid::from_parts(1_700_000_000, [1; 16]));
    let other = AccountId::new(Ksuid::from_parts(1_700_000_000, [2; 16]));
    let (ip, kind) = ("192.0.2.7".parse().unwrap(), RestrictionType::Agent);
    let restricts = |policies| ReplicaRecord::IpRestriction(restriction(account, kind, true, policies));
    let allows = |policy, number| rule(account, policy, number, "192.0.2.0/24", IpAction::Allow);
    let replica = Replica::new();
    let decide = || replica.admission(account, kind, ip);
    let put = |records: &[ReplicaRecord]| replica.change(changed(records.iter().map(Into::into).collect())).0;

    assert_eq!(put(&[allows(1, 1)]), []);
    assert_eq!((decide(), replica.ip_verdict(account, &policy_id(1), ip)), (Admission::Admitted, None));
    assert_eq!(put(&[restricts(&[1, 9])]), [Change::AgentsRestricted(account)]);
    assert_eq!(decide(), Admission::Refused, "a rule without its policy counts for nothing");
    put(&[policy(account, 1)]);
    assert_eq!((decide(), replica.has_ip_policy(other, &policy_id(1))), (Admission::Admitted, false));
    // A rule that is somewhere else now has left where it was.
    put(&[policy(account, 2), allows(2, 1)]);
    assert_eq!(decide(), Admission::Refused);
    put(&[restricts(&[2])]);
    assert_eq!(decide(), Admission::Admitted);
    put(&[rule(account, 2, 2, "192.0.2.7/32", IpAction::Deny)]);
    assert_eq!(decide(), Admission::Refused);

    // Another account's changes concern nobody's sessions: it restricts nothing.
    assert_eq!(put(&[policy(other, 3), rule(other, 3, 3, "0.0.0.0/0", IpAction::Allow)]), []);
    replica.change(removed(&restriction(account, kind, true, &[]).id.to_string()));
    assert_eq!(decide(), Admission::Admitted);

    let all = [restricts(&[1]), allows(1, 1), policy(account, 1)];
    assert!(replica.replace(all.iter().map(Into::into).collect()).is_empty());
    assert_eq!((decide(), replica.has_ip_policy(account, &policy_id(2))), (Admission::Admitted, false));
    replica.change(removed(&policy_id(1).to_string()));
    assert_eq!(decide(), Admission::Refused);
}

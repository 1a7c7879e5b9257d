//! Certificates: issued, valid for their names, renewed in time, replaced when names change.

use std::time::Duration;

use portway_control::DomainPolicy;
use portway_proto::ReplicaRecord;
use portway_store::Timestamp;
use x509_parser::prelude::*;

use crate::{Replica, Running, config};

async fn replica(running: &Running) -> Replica {
    let mut replica = Replica::default();
    let mut updates = running.watch("watcher", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();
    replica
}

fn certificates(replica: &Replica) -> Vec<portway_proto::CertificateRecord> {
    let records = replica.resources.values().map(|resource| ReplicaRecord::try_from(resource.clone()).unwrap());
    let certificate = |record| match record {
        ReplicaRecord::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    records.filter_map(certificate).collect()
}

#[tokio::test]
async fn they_verify_against_the_ca_for_their_names() {
    let running = Running::start().await;
    let replica = replica(&running).await;
    let ca = std::fs::read(running.dir.path().join("ca.pem")).unwrap();
    let (_, ca) = parse_x509_pem(&ca).unwrap();
    let ca = ca.parse_x509().unwrap();
    assert!(ca.is_ca() && ca.validity().is_valid());
    assert!(ca.validity().not_after.timestamp() - Timestamp::now().millis() / 1000 > 9 * 365 * 86_400);
    for certificate in certificates(&replica) {
        let (_, leaf) = X509Certificate::from_der(&certificate.chain[0]).unwrap();
        leaf.verify_signature(Some(ca.public_key())).unwrap();
        assert!(leaf.validity().is_valid() && !leaf.is_ca());
        let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.iter();
        let names: Vec<String> = names
            .map(|name| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                GeneralName::IPAddress(bytes) if bytes.len() == 4 => {
                    std::net::Ipv4Addr::from(<[u8; 4]>::try_from(*bytes).unwrap()).to_string()
                }
                GeneralName::IPAddress(bytes) => {
                    std::net::Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).unwrap()).to_string()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: &[&str] = match certificate.connect {
            true => &["connect.portway.localhost", "local.connect.portway.localhost", "127.0.0.1", "::1"],
            false => &["portway.localhost", "*.portway.localhost"],
        };
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn a_restart_keeps_them_and_other_names_replace_them() {
    let running = Running::start().await;
    let before = running.store().await.certificates().await.unwrap();
    let running = running.restart().await;
    assert_eq!(running.store().await.certificates().await.unwrap(), before);

    let Running { dir, stop, runner, .. } = running;
    stop.cancel();
    runner.await.unwrap().close().await;
    let mut config = config(dir.path());
    config.connect_ips.clear();
    let control = portway_control::Control::open(config).await.unwrap();
    let store = portway_store::Store::open_existing(&dir.path().join("portway.db")).await.unwrap();
    let after = store.certificates().await.unwrap();
    assert_eq!(after.len(), 2);
    let connect = after.iter().find(|certificate| certificate.connect).unwrap();
    assert_eq!(connect.names, ["connect.portway.localhost", "local.connect.portway.localhost"]);
    assert!(before.iter().any(|old| !old.connect && after.contains(old)), "the visitors' one stays");
    control.close().await;
}

/// An old certificate in the store stands for time that passed.
#[tokio::test]
async fn they_are_renewed_under_their_id_after_two_thirds_of_their_lifetime() {
    for (age_days, renewed) in [(50, false), (70, true), (100, true)] {
        let running = Running::start().await;
        let store = running.store().await;
        let mut old = store.certificates().await.unwrap().into_iter().find(|certificate| certificate.connect).unwrap();
        let age = Duration::from_secs(age_days * 86_400);
        (old.not_before, old.not_after) = (old.not_before - age, old.not_after - age);
        store.put_certificate(&old, Timestamp::now()).await.unwrap();
        store.close().await;
        let running = running.restart().await;
        let present = running.store().await.certificates().await.unwrap();
        let present = present.into_iter().find(|certificate| certificate.id == old.id).unwrap();
        assert_eq!(present != old, renewed, "{age_days} days old");
    }
}

#[tokio::test]
async fn a_leased_name_that_the_wildcard_does_not_cover_has_its_own() {
    let running = Running::start_with(|config| config.domain_policy = DomainPolicy::AnyDomain).await;
    for url in ["https://app.portway.localhost", "http://plain.example.com", "tcp://portway.localhost:20001"] {
        running.client.claim(running.wish(1, url).await).await.unwrap();
    }
    assert_eq!(certificates(&replica(&running).await).len(), 2, "none of these needs one");
    for (agent, url) in
        [(1, "https://deep.app.portway.localhost"), (2, "https://shop.example.com"), (3, "tls://*.example.org")]
    {
        running.client.claim(running.wish(agent, url).await).await.unwrap();
        running.client.claim(running.wish(agent, url).await).await.unwrap();
    }
    let own: Vec<String> = certificates(&replica(&running).await)
        .iter()
        .filter(|certificate| certificate.names.len() == 1)
        .map(|certificate| certificate.names[0].to_string())
        .collect();
    assert_eq!(own.len(), 3, "{own:?}");
    for name in ["deep.app.portway.localhost", "shop.example.com", "*.example.org"] {
        assert!(own.iter().any(|own| own == name), "{own:?}");
    }
    // When the lease is gone, so is the certificate.
    let store = running.store().await;
    let leases = store.leases().await.unwrap();
    let shop = leases.iter().find(|lease| lease.url.to_string() == "https://shop.example.com").unwrap();
    let now = Timestamp::now();
    store.release(&[portway_store::Release { id: shop.id, fence: shop.fence }], now, now).await.unwrap();
    store.remove_ended_leases(now).await.unwrap();
    let running = running.restart().await;
    let names = certificates(&replica(&running).await);
    assert!(!names.iter().any(|one| one.names[0].to_string() == "shop.example.com"));
}

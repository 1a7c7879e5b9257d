//! An address of the edge that is a connect URL's own.

use std::net::IpAddr;
use std::sync::Arc;

use portway_mux::{Carrier, Dialer};
use portway_names::ConnectUrl;
use portway_proto::agent::v1::Refusal;
use portway_proto::{ConnectNameRecord, ReplicaRecord};
use portway_ssh::{Front, HostKeys, Limits};

use super::ssh::{line_with, ssh};
use crate::testing::{BASE, FakeControl, TOKEN, TestAgent, TestEdge, eventually, soon};

const OTHER_TOKEN: &str = "2bbbbbbbbbbbbbbbbbbbbbbbbbb_0123456789abcdefghijkl";

/// All of this edge's addresses belong to a connect URL of the first account. There is a second account.
async fn edge() -> TestEdge {
    let keys = HostKeys::generate().unwrap();
    let edge = TestEdge::start_with(|config| {
        config.ssh = Some(Arc::new(Front::new(&keys, Limits::default())));
        let here: IpAddr = [127, 0, 0, 1].into();
        config.dedicated = [(here, "connect.acme.test".parse().unwrap())].into_iter().collect();
    })
    .await;
    edge.control.put(ReplicaRecord::ConnectName(ConnectNameRecord {
        id: "agin_1".into(),
        host: "connect.acme.test".parse().unwrap(),
        account: Some(crate::testing::account(1)),
        regional: Vec::new(),
        certificate: None,
        public_certificates: false,
        proofs: Vec::new(),
    }));
    edge.control.put(ReplicaRecord::Credential(FakeControl::credential(OTHER_TOKEN, 2, &[])));
    edge
}

/// An agent that dialled `host`.
async fn dial(edge: &TestEdge, host: &str, carrier: Carrier, token: &str) -> Result<TestAgent, Refusal> {
    let target: ConnectUrl = format!("{host}:{}", edge.https.port()).parse().unwrap();
    let dialer = Dialer::new(target, &edge.roots()).unwrap().addresses(vec![edge.https]);
    let session = soon(dialer.dial_carrier(carrier)).await.unwrap();
    soon(TestAgent::over(session, token, [1; 16], 1)).await
}

#[tokio::test]
async fn agents_are_there_for_its_connect_url_whatever_they_dialled() {
    let edge = edge().await;
    eventually("the connect URL is known", || {
        edge.edge().known_names().is_connect_name(&"connect.acme.test".parse().unwrap())
    })
    .await;
    for carrier in [Carrier::Tcp, Carrier::Quic] {
        let refusal = dial(&edge, &format!("connect.{BASE}"), carrier, TOKEN).await.err().unwrap();
        assert_eq!(refusal.code, "ERR_NGROK_127", "{}", refusal.text);
        dial(&edge, "127.0.0.1", carrier, TOKEN).await.unwrap();
        let refusal = dial(&edge, "127.0.0.1", carrier, OTHER_TOKEN).await.err().unwrap();
        assert_eq!(refusal.code, "ERR_NGROK_122", "{}", refusal.text);
    }
}

#[tokio::test]
async fn ssh_clients_are_held_to_it_too_and_end_with_it() {
    let edge = edge().await;
    eventually("the connect URL is known", || {
        edge.edge().known_names().is_connect_name(&"connect.acme.test".parse().unwrap())
    })
    .await;
    let forward = ["-R", "shop.portway.test:80:127.0.0.1:9"];
    let Some((mut stranger, _)) = ssh(&edge, &format!("v2+{OTHER_TOKEN}"), &forward, &["http"]) else { return };
    assert!(!soon(stranger.wait()).await.unwrap().success());
    assert_eq!(edge.edge().status().sessions, 0);
    let Some((_owner, mut lines)) = ssh(&edge, &format!("v2+{TOKEN}"), &forward, &["http"]) else { return };
    line_with(&mut lines, "Forwarding").await;
    edge.control.remove("agin_1");
    assert_eq!(line_with(&mut lines, "ERR_NGROK").await, "ERR_NGROK_118");
}

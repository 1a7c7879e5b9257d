//! IP restrictions of accounts, request by request. All visitors come from 127.0.0.1.

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portway_access::{IpAction, RestrictionType};
use portway_names::AccountId;
use portway_proto::ReplicaRecord;
use portway_proto::control::v1::Delta;
use portway_traffic::Phase::{HttpRequest, TcpConnect};
use serde_json::json;

use super::fixture::{Site, acting, field, mirror, status};
use crate::testing::ip::{policy, policy_id, restriction, rule};

const GET: &str = "GET / HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";

impl Site {
    fn account(&self, url: &str) -> AccountId {
        self.edge.routes.same_name(&url.parse().unwrap()).unwrap().account
    }

    /// What the control plane says; it holds for the next request.
    fn change(&self, changed: &[ReplicaRecord], removed: &[String]) {
        let changed = changed.iter().map(Into::into).collect();
        let (_, faults) = self.edge.replica.change(Delta { changed, removed: removed.to_vec() });
        assert!(faults.is_empty());
    }
}

/// A restriction of the account's endpoints to one network.
fn only(account: AccountId, network: &str) -> Vec<ReplicaRecord> {
    let restriction = restriction(account, RestrictionType::Endpoints, true, &[1]);
    let rule = rule(account, 1, 1, network, IpAction::Allow);
    vec![ReplicaRecord::IpRestriction(restriction), rule, policy(account, 1)]
}

#[tokio::test]
async fn a_connection_that_is_kept_is_refused_with_its_next_request() {
    let site = Site::new();
    let upstream = site.endpoint("http://app.example.com", mirror);
    site.endpoint("http://other.example.com", mirror);
    let account = site.account("http://app.example.com");
    let mut visitor = site.visit().await;
    let mut ask = async |request: &str| {
        visitor.send(request).await;
        let (head, _) = visitor.response().await;
        (status(&head), field(&head, "ngrok-error-code").map(str::to_owned))
    };
    assert_eq!(ask(GET).await, (200, None));
    site.change(&only(account, "192.0.2.0/24"), &[]);
    let refused = (403, Some("ERR_NGROK_3205".to_owned()));
    assert_eq!(ask(GET).await, refused);
    assert_eq!(ask(&GET.replace("app", "other")).await, (200, None), "of another account");
    site.change(&[rule(account, 1, 2, "127.0.0.0/8", IpAction::Allow)], &[]);
    assert_eq!(ask(GET).await, (200, None));
    site.change(&[], &[policy_id(1).to_string()]);
    assert_eq!(ask(GET).await, refused, "a policy that is gone admits nobody");
    site.change(&[], &[restriction(account, RestrictionType::Endpoints, true, &[]).id.to_string()]);
    assert_eq!(ask(GET).await, (200, None));
    assert_eq!(upstream.streams(), 1);
}

#[tokio::test]
async fn requests_of_an_http2_connection_are_refused_one_by_one() {
    let site = Site::new();
    site.endpoint("https://app.example.com", mirror);
    let account = site.account("https://app.example.com");
    let io = TokioIo::new(site.visit_tls("app.example.com", true).await.into_io());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("handshake");
    tokio::spawn(connection);
    let mut ask = async || {
        let request = Request::get("https://app.example.com/").body(Empty::<Bytes>::new()).unwrap();
        sender.send_request(request).await.expect("a response").status()
    };
    assert_eq!(ask().await, StatusCode::OK);
    site.change(&only(account, "::/0"), &[]);
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
    site.change(&only(account, "127.0.0.1/32"), &[]);
    assert_eq!(ask().await, StatusCode::OK);
}

#[tokio::test]
async fn the_actions_of_an_endpoint_come_behind_the_restriction() {
    let site = Site::new();
    let policies = json!({"ip_policies": [policy_id(1).to_string()]});
    let login = json!({"credentials": ["user:password"]});
    let options = acting(&[(TcpConnect, "restrict-ips", policies), (HttpRequest, "basic-auth", login)]);
    site.endpoint_with("http://app.example.com", options, mirror);
    let account = site.account("http://app.example.com");
    let mut visitor = site.visit().await;
    let mut ask = async || {
        visitor.send(GET).await;
        status(&visitor.response().await.0)
    };
    assert_eq!(ask().await, 403, "a policy that is not there admits nobody");
    site.change(&[policy(account, 1), rule(account, 1, 1, "127.0.0.0/8", IpAction::Allow)], &[]);
    assert_eq!(ask().await, 401);
    site.change(&only(account, "192.0.2.0/24"), &[]);
    assert_eq!(ask().await, 403);
}

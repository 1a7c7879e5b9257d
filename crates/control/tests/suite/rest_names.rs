//! Reserved domains and addresses through the REST interface.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn a_domain_outside_gets_targets_and_one_below_the_base_none() {
    let running = Running::start().await;
    let domain = running.done("POST", "/reserved_domains", json!({"domain": "App.Example.com", "region": "us"})).await;
    assert_eq!((domain["domain"].as_str(), domain["region"].as_str()), (Some("app.example.com"), Some("us")));
    let target = domain["cname_target"].as_str().unwrap().split('.').collect::<Vec<_>>();
    assert_eq!((target[0].len(), target[1].len(), &target[2..]), (17, 8, &["cname", "portway", "localhost"][..]));
    assert_eq!(
        domain["certificate_management_policy"],
        json!({"authority": "letsencrypt", "private_key_type": "ecdsa"})
    );
    assert_eq!(domain["acme_challenge_cname_target"], Value::Null);
    let wildcard = running.done("POST", "/reserved_domains", json!({"name": "*.wild.example.com"})).await;
    assert!(wildcard["acme_challenge_cname_target"].as_str().unwrap().ends_with(".acme-challenge.portway.localhost"));
    let ours = running.done("POST", "/reserved_domains", json!({"domain": "shop.portway.localhost"})).await;
    for null in ["cname_target", "certificate_management_policy", "certificate_management_status", "certificate"] {
        assert_eq!(ours[null], Value::Null, "{null}");
    }
}

#[tokio::test]
async fn names_that_cannot_be_reserved_have_their_codes() {
    let running = Running::start().await;
    let policy = json!({"authority": "letsencrypt"});
    for (body, wanted) in [
        (json!({"domain": "a_b.example.com"}), (400, "ERR_NGROK_438")),
        (json!({"domain": "x.*.example.com"}), (400, "ERR_NGROK_402")),
        (json!({"domain": "example"}), (400, "ERR_NGROK_448")),
        (json!({"domain": "*.com"}), (400, "ERR_NGROK_416")),
        (json!({"domain": "*.portway.localhost"}), (400, "ERR_NGROK_416")),
        (json!({"domain": "api.portway.localhost"}), (403, "ERR_NGROK_450")),
        (json!({"domain": "x.connect.portway.localhost"}), (403, "ERR_NGROK_450")),
        (json!({"domain": "a.example.com", "name": "b.example.com"}), (400, "ERR_NGROK_449")),
        (json!({"domain": "a.example.com", "region": "moon"}), (400, "ERR_NGROK_400")),
        (json!({"domain": "a.example.com", "resolves_to": [{"value": "203.0.113.9:443"}]}), (400, "ERR_NGROK_400")),
        (json!({"domain": "a.portway.localhost", "certificate_management_policy": policy}), (400, "ERR_NGROK_439")),
        (
            json!({"domain": "a.example.com", "certificate_id": format!("cert_{}", "0".repeat(27))}),
            (400, "ERR_NGROK_215"),
        ),
    ] {
        assert_eq!(
            running.refused("POST", "/reserved_domains", body.clone()).await,
            (wanted.0, wanted.1.to_owned()),
            "{body}"
        );
    }
    running.done("POST", "/reserved_domains", json!({"domain": "a.example.com"})).await;
    let again = json!({"domain": "A.example.com."});
    assert_eq!(running.refused("POST", "/reserved_domains", again).await, (409, "ERR_NGROK_413".to_owned()));
}

#[tokio::test]
async fn a_domain_changes_and_its_policy_is_detached() {
    let running = Running::start().await;
    let domain = running.done("POST", "/reserved_domains", json!({"domain": "a.example.com"})).await;
    let path = format!("/reserved_domains/{}", domain["id"].as_str().unwrap());
    assert_eq!(running.refused("PATCH", &path, json!({"region": "eu"})).await, (400, "ERR_NGROK_451".to_owned()));
    // As the Python client sends a change.
    let change = json!({"description": "shop", "resolves_to": [], "certificate_id": "", "region": ""});
    let changed = running.done("PATCH", &path, change).await;
    assert_eq!((changed["description"].as_str(), &changed["resolves_to"]), (Some("shop"), &Value::Null));
    let pinned = running.done("PATCH", &path, json!({"resolves_to": [{"value": "local"}]})).await;
    assert_eq!(pinned["resolves_to"], json!([{"value": "local"}]));
    let everywhere = running.done("PATCH", &path, json!({"resolves_to": [{"value": "global"}]})).await;
    assert_eq!(everywhere["resolves_to"], Value::Null);
    let certificate = format!("{path}/certificate");
    assert_eq!(running.refused("DELETE", &certificate, Value::Null).await, (400, "ERR_NGROK_436".to_owned()));
    running.done("DELETE", &format!("{path}/certificate_management_policy"), Value::Null).await;
    running.done("DELETE", &certificate, Value::Null).await;
    assert_eq!(running.done("GET", &path, Value::Null).await["certificate_management_policy"], Value::Null);
}

#[tokio::test]
async fn addresses_are_given_out_until_there_is_none() {
    let running = Running::start_with(|config| config.tcp_ports = 20_000..=20_002).await;
    let mut addrs = Vec::new();
    for _ in 0..3 {
        let addr = running.done("POST", "/reserved_addrs", json!({"description": "db"})).await;
        assert_eq!(addr["region"], "local");
        addrs.push(addr["addr"].as_str().unwrap().to_owned());
    }
    addrs.sort_unstable();
    assert_eq!(addrs, [20_000, 20_001, 20_002].map(|port| format!("portway.localhost:{port}")));
    assert_eq!(running.refused("POST", "/reserved_addrs", json!({})).await, (503, "ERR_NGROK_503".to_owned()));
    assert_eq!(
        running.refused("POST", "/reserved_addrs", json!({"region": "moon"})).await,
        (400, "ERR_NGROK_500".to_owned())
    );
    let list = running.done("GET", "/reserved_addrs", Value::Null).await;
    let path = format!("/reserved_addrs/{}", list["reserved_addrs"][0]["id"].as_str().unwrap());
    assert_eq!(running.refused("PATCH", &path, json!({})).await, (400, "ERR_NGROK_506".to_owned()));
    running.done("PATCH", &path, json!({"metadata": "x"})).await;
    running.done("DELETE", &path, Value::Null).await;
    running.done("POST", "/reserved_addrs", json!({})).await;
}

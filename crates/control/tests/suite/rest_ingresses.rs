//! Connect URLs through the REST interface.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn a_connect_url_says_which_records_it_needs() {
    let running = Running::start().await;
    let body = json!({"domain": "Connect.Acme.Example", "description": "d"});
    let made = running.done("POST", "/agent_ingresses", body).await;
    let path = format!("/agent_ingresses/{}", made["id"].as_str().unwrap());
    assert_eq!(made["uri"], format!("https://api.example.com{path}"));
    assert_eq!((made["domain"].as_str(), made["description"].as_str()), (Some("connect.acme.example"), Some("d")));
    assert_eq!(made["ns_targets"], json!(["connect.portway.localhost."]));
    assert_eq!(made["region_domains"], json!(["local.connect.acme.example"]));
    assert_eq!(
        (&made["certificate_management_policy"], &made["certificate_management_status"]),
        (&Value::Null, &Value::Null)
    );
    let policy = json!({"private_key_type": "rsa"});
    let changed = running.done("PATCH", &path, json!({"id": "x", "certificate_management_policy": policy})).await;
    let policy = json!({"authority": "letsencrypt", "private_key_type": "rsa"});
    assert_eq!((&changed["certificate_management_policy"], changed["description"].as_str()), (&policy, Some("d")));
    let found =
        running.done("GET", "/agent_ingresses?filter=obj.domain+==+%22connect.acme.example%22", Value::Null).await;
    assert_eq!(found["ingresses"], json!([changed]));
    assert_eq!(running.call("DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(running.refused("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn domains_of_connect_urls_have_their_rules() {
    let running = Running::start().await;
    running.done("POST", "/agent_ingresses", json!({"domain": "connect.acme.example"})).await;
    let long = format!("{}.acme.example", ["a".repeat(60), "a".repeat(60), "a".repeat(60), "a".repeat(55)].join("."));
    for (domain, status, code) in [
        ("localhost", 400, "ERR_NGROK_6704"),
        ("*.acme.example", 400, "ERR_NGROK_6704"),
        ("", 400, "ERR_NGROK_6704"),
        (&long, 400, "ERR_NGROK_6704"),
        ("portway.localhost", 400, "ERR_NGROK_6705"),
        ("x.connect.portway.localhost", 400, "ERR_NGROK_6705"),
        ("CONNECT.acme.example.", 409, "ERR_NGROK_6706"),
    ] {
        let refused = running.refused("POST", "/agent_ingresses", json!({"domain": domain})).await;
        assert_eq!(refused, (status, code.to_owned()), "{domain}");
    }
}

#[tokio::test]
async fn nobody_has_agents_dial_what_is_somebody_elses() {
    let running = Running::start().await;
    let other = running.done("POST", "/portway/v1/accounts", json!({"name": "acme"})).await;
    let key = other["token"].as_str().unwrap();
    let theirs = async |target: &str, domain: &str| {
        let response = running.call_as(key, "POST", target, json!({"domain": domain})).await;
        let reply: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status().as_u16(), reply["error_code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(theirs("/reserved_domains", "acme.example").await.0, 201);
    assert_eq!(theirs("/agent_ingresses", "connect.other.example").await.0, 201);
    for (target, domain, code) in [
        // Below their domain, at it, and around their connect URL.
        ("/agent_ingresses", "connect.acme.example", "ERR_NGROK_414"),
        ("/agent_ingresses", "acme.example", "ERR_NGROK_414"),
        ("/agent_ingresses", "connect.other.example", "ERR_NGROK_6706"),
        ("/reserved_domains", "x.connect.other.example", "ERR_NGROK_414"),
        ("/reserved_domains", "*.other.example", "ERR_NGROK_417"),
    ] {
        let refused = running.refused("POST", target, json!({"domain": domain})).await;
        assert_eq!(refused, (409, code.to_owned()), "{target} {domain}");
    }
    // Their own names are theirs to dial.
    assert_eq!(theirs("/agent_ingresses", "connect.acme.example").await.0, 201);
}

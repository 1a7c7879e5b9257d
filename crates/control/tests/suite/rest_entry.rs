//! The entry to the REST interface, reports of abuse, and visitors, of whom there are none.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn the_root_names_every_collection() {
    let running = Running::start().await;
    let root = running.done("GET", "/", Value::Null).await;
    assert_eq!(root["uri"], "https://api.example.com/");
    let collections = root["subresource_uris"].as_object().unwrap();
    for (name, path) in [
        ("ip_policies", "/ip_policies"),
        ("api_keys", "/api_keys"),
        ("application_users", "/app/users"),
        ("secrets", "/vault_secrets"),
        ("accounts", "/portway/v1/accounts"),
    ] {
        assert_eq!(collections[name], format!("https://api.example.com{path}"));
    }
    assert!(collections.values().all(|uri| !uri.as_str().unwrap().contains('{')), "{root}");
}

#[tokio::test]
async fn callers_learn_who_they_are_and_no_secret() {
    let running = Running::start().await;
    let caller = running.done("GET", "/self", Value::Null).await;
    let store = running.store().await;
    let account = store.accounts().await.unwrap()[0].clone();
    assert_eq!(
        (&caller["account"]["id"], caller["account"]["name"].as_str()),
        (&account.id.to_string().into(), Some("default"))
    );
    let user = store.resource_by_key("user", "admin@portway.localhost").await.unwrap().unwrap();
    assert_eq!(
        (&caller["user"]["id"], caller["user"]["email"].as_str()),
        (&user.id.into(), Some("admin@portway.localhost"))
    );
    assert_eq!((&caller["api_key"]["owner_id"], &caller["api_key"]["token"]), (&caller["user"]["id"], &Value::Null));
    assert!(caller["api_key"]["id"].as_str().unwrap().starts_with("ak_"), "{caller}");
    let text = caller.to_string();
    assert!(!text.contains(&running.api_key) && !text.contains("argon2"), "{text}");
}

#[tokio::test]
async fn reports_of_abuse_are_kept() {
    let running = Running::start().await;
    let urls = json!(["https://Bad.Example.com/login?x", "tcp://bad.example.com:20000", "http://[2001:db8::1]/"]);
    let report = running.done("POST", "/abuse_reports", json!({"urls": urls, "metadata": "m"})).await;
    let path = format!("/abuse_reports/{}", report["id"].as_str().unwrap());
    assert_eq!((&report["urls"], report["metadata"].as_str()), (&urls, Some("m")));
    let host = |name: &str| json!({"hostname": name, "status": "PENDING"});
    assert_eq!(report["hostnames"], json!([host("bad.example.com"), host("[2001:db8::1]")]));
    assert_eq!(
        (report["status"].as_str(), &report["uri"]),
        (Some("PENDING"), &format!("https://api.example.com{path}").into())
    );
    assert_eq!(running.done("GET", &path, Value::Null).await, report);
    for urls in [json!([]), json!(["bad.example.com"]), json!(["/x"]), json!(["https://a.example", "https:///x"])] {
        assert_eq!(running.refused("POST", "/abuse_reports", json!({"urls": urls})).await.1, "ERR_NGROK_215", "{urls}");
    }
    for (method, path) in [("GET", "/abuse_reports"), ("PATCH", path.as_str()), ("DELETE", path.as_str())] {
        assert_eq!(running.refused(method, path, Value::Null).await, (405, "ERR_PORTWAY_40501".to_owned()));
    }
}

#[tokio::test]
async fn nobody_visits_and_calls_are_checked_all_the_same() {
    let running = Running::start().await;
    for (path, key, prefix) in
        [("/app/users", "application_users", "appusr"), ("/app/sessions", "application_sessions", "appses")]
    {
        let list = running.done("GET", path, Value::Null).await;
        assert_eq!(list, json!({key: [], "uri": format!("https://api.example.com{path}"), "next_page_uri": null}));
        let id = format!("{prefix}_{}", "0".repeat(27));
        running.done("GET", &format!("{path}?limit=1&before_id={id}"), Value::Null).await;
        assert_eq!(running.refused("GET", &format!("{path}?limit=0"), Value::Null).await.1, "ERR_NGROK_233");
        assert_eq!(running.refused("GET", &format!("{path}?before_id=usr_x"), Value::Null).await.1, "ERR_NGROK_227");
        for method in ["GET", "DELETE"] {
            let refused = running.refused(method, &format!("{path}/{id}"), Value::Null).await;
            assert_eq!(refused, (404, "ERR_PORTWAY_40401".to_owned()));
            assert_eq!(running.refused(method, &format!("{path}/x"), Value::Null).await.1, "ERR_NGROK_227");
        }
    }
}

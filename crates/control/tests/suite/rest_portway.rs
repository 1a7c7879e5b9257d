//! Accounts, users, memberships, the audit log, settings, edges and backups.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn accounts_are_made_changed_suspended_and_deleted() {
    let running = Running::start().await;
    let own = running.done("GET", "/self", Value::Null).await["account"]["id"].clone();
    let id = running.done("POST", "/portway/v1/accounts", json!({"name": "acme"})).await["id"].clone();
    let id = id.as_str().unwrap();
    let path = format!("/portway/v1/accounts/{id}");
    let changed = running.done("PATCH", &path, json!({"description": "a tenant", "suspended": true})).await;
    assert_eq!((changed["name"].as_str(), changed["suspended"].as_bool()), (Some("acme"), Some(true)));
    assert_eq!(running.done("GET", &path, Value::Null).await, changed);
    let page = running.done("GET", "/portway/v1/accounts?limit=1", Value::Null).await;
    let rest = page["next_page_uri"].as_str().unwrap().strip_prefix("https://api.example.com").unwrap();
    let rest = running.done("GET", rest, Value::Null).await;
    let mut listed = [page["accounts"][0]["id"].clone(), rest["accounts"][0]["id"].clone()];
    listed.sort_by_key(Value::to_string);
    let mut wanted = [own.clone(), id.into()];
    wanted.sort_by_key(Value::to_string);
    assert_eq!((listed, &rest["next_page_uri"]), (wanted, &Value::Null));
    let first = format!("/portway/v1/accounts/{}", own.as_str().unwrap());
    let kept = (409, "ERR_PORTWAY_40904".to_owned());
    assert_eq!(running.refused("DELETE", &first, Value::Null).await, kept);
    assert_eq!(running.refused("PATCH", &first, json!({"suspended": true})).await, kept);
    running.done("DELETE", &path, Value::Null).await;
    assert_eq!(running.refused("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn an_account_keeps_an_administrator() {
    let running = Running::start().await;
    let user = running.done("GET", "/self", Value::Null).await["user"]["id"].as_str().unwrap().to_owned();
    let membership = running.done("GET", "/portway/v1/memberships", Value::Null).await["memberships"][0]["id"].clone();
    let membership = format!("/portway/v1/memberships/{}", membership.as_str().unwrap());
    let last = (409, "ERR_NGROK_6602".to_owned());
    let person = format!("/portway/v1/users/{user}");
    assert_eq!(running.refused("DELETE", &membership, Value::Null).await, last);
    assert_eq!(running.refused("PATCH", &membership, json!({"administrator": false})).await, last);
    assert_eq!(running.refused("PATCH", &person, json!({"active": false})).await, last);
    assert_eq!(running.refused("DELETE", &person, Value::Null).await, last);
    let body = json!({"email": "B@Example.com", "name": "B", "password": "correct horse"});
    let other = running.done("POST", "/portway/v1/users", body.clone()).await;
    assert_eq!(other["email"], "b@example.com");
    assert_eq!(running.refused("POST", "/portway/v1/users", body).await, (409, "ERR_PORTWAY_40902".to_owned()));
    let body = json!({"user_id": other["id"], "administrator": true});
    running.done("POST", "/portway/v1/memberships", body).await;
    let key = running.done("POST", "/api_keys", json!({"owner_id": other["id"]})).await["token"].clone();
    let key = key.as_str().unwrap();
    // They do not leave by mistake: the key that they call with would be gone.
    let locked_out = (409, "ERR_PORTWAY_40905".to_owned());
    assert_eq!(running.refused("DELETE", &membership, Value::Null).await, locked_out);
    assert_eq!(running.refused("DELETE", &person, Value::Null).await, locked_out);
    assert_eq!(running.refused("PATCH", &person, json!({"active": false})).await, locked_out);
    // The other one may do without the first.
    let deleted = running.call_as(key, "DELETE", &membership, Value::Null).await;
    assert_eq!(deleted.status(), 204);
    // What the first one owned in the account is gone with the membership.
    assert_eq!(running.refused("GET", "/self", Value::Null).await.1, "ERR_NGROK_203");
    let active = running.call_as(key, "GET", "/self", Value::Null).await;
    assert_eq!(active.status(), 200);
}

#[tokio::test]
async fn the_log_says_who_changed_what() {
    let running = Running::start().await;
    let me = running.done("GET", "/self", Value::Null).await;
    let policy = running.done("POST", "/ip_policies", json!({"description": "before"})).await;
    let path = format!("/ip_policies/{}", policy["id"].as_str().unwrap());
    let changed = running.done("PATCH", &path, json!({"description": "after"})).await;
    running.done("DELETE", &path, Value::Null).await;
    let log = running.done("GET", "/portway/v1/audit_log?limit=3", Value::Null).await;
    let [deleted, updated, created] = &log["audit_log"].as_array().unwrap()[..] else { panic!("{log}") };
    for (entry, operation, before, after) in [
        (created, "ip-policies create", &Value::Null, &policy),
        (updated, "ip-policies update", &policy, &changed),
        (deleted, "ip-policies delete", &changed, &Value::Null),
    ] {
        assert_eq!((entry["operation"].as_str(), &entry["before"], &entry["after"]), (Some(operation), before, after));
        assert_eq!((&entry["principal"]["id"], &entry["credential"]["id"]), (&me["user"]["id"], &me["api_key"]["id"]));
        assert_eq!((entry["ip"].as_str(), &entry["object"]["uri"]), (Some("203.0.113.7"), &policy["uri"]));
        assert!(entry["operation_id"].as_str().unwrap().starts_with("op_"), "{entry}");
        let path = format!("/portway/v1/audit_log/{}", entry["id"].as_str().unwrap());
        assert_eq!(&running.done("GET", &path, Value::Null).await, entry);
    }
    let found =
        format!("/portway/v1/audit_log?filter=obj.object.id+==+{}", policy["id"].to_string().replace('"', "%22"));
    assert_eq!(running.done("GET", &found, Value::Null).await["audit_log"].as_array().unwrap().len(), 3);
    let rest = running
        .done("GET", log["next_page_uri"].as_str().unwrap().trim_start_matches("https://api.example.com"), Value::Null)
        .await;
    assert_eq!(rest["audit_log"][0]["operation"], "first start", "{rest}");
}

#[tokio::test]
async fn tokens_and_passwords_are_not_in_the_log() {
    let running = Running::start().await;
    let token = running.done("POST", "/credentials", json!({})).await["token"].as_str().unwrap().to_owned();
    let body = json!({"email": "c@example.com", "name": "C", "password": "battery staple"});
    running.done("POST", "/portway/v1/users", body).await;
    let log = running.done("GET", "/portway/v1/audit_log", Value::Null).await.to_string();
    assert!(!log.contains(&token) && !log.contains("battery staple") && !log.contains("argon2"), "{log}");
}

#[tokio::test]
async fn settings_are_kept_and_what_is_not_served_is_refused() {
    let running = Running::start().await;
    let path = "/portway/v1/settings";
    assert_eq!(running.done("GET", path, Value::Null).await["audit_retention_days"], 365);
    running.done("PATCH", path, json!({"audit_retention_days": 30, "enforce_sso": false})).await;
    running.done("PATCH", path, json!({"audit_retention_days": 31})).await;
    assert_eq!(running.done("GET", path, Value::Null).await["audit_retention_days"], 31);
    assert_eq!(running.refused("PATCH", path, json!({"audit_retention_days": 0})).await.1, "ERR_NGROK_215");
    assert_eq!(running.refused("PATCH", path, json!({"enforce_sso": true})).await, (400, "ERR_NGROK_215".to_owned()));
}

#[tokio::test]
async fn a_backup_is_a_file_that_others_cannot_read() {
    use std::os::unix::fs::PermissionsExt;
    let running = Running::start().await;
    let made = running.done("POST", "/portway/v1/backups", Value::Null).await;
    let path = std::path::Path::new(made["path"].as_str().unwrap());
    let content = std::fs::read(path).unwrap();
    assert_eq!((made["size"].as_u64(), &content[..6]), (Some(content.len() as u64), &b"SQLite"[..]));
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(made["sha256"].as_str().unwrap().len(), 64);
    let listed = running.done("GET", "/portway/v1/backups", Value::Null).await;
    assert_eq!(listed["backups"], json!([made]));
    running.done("DELETE", &format!("/portway/v1/backups/{}", made["id"].as_str().unwrap()), Value::Null).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn regions_are_there_before_an_edge_is() {
    let running = Running::start().await;
    let regions = running.done("GET", "/portway/v1/regions", Value::Null).await;
    assert_eq!(
        (regions["regions"][0]["id"].as_str(), regions["regions"][0]["edges"].as_u64()),
        (Some("local"), Some(0))
    );
    assert_eq!(regions["regions"][0]["connect_url"], "connect.portway.localhost:443");
    assert_eq!(running.done("GET", "/portway/v1/edges", Value::Null).await["edges"], json!([]));
}

#[tokio::test]
async fn an_account_has_an_administrator_from_the_start_who_sees_it_alone() {
    let running = Running::start().await;
    let made = running.done("POST", "/portway/v1/accounts", json!({"name": "acme"})).await;
    let key = made["token"].as_str().unwrap();
    let call = async |method: &str, target: &str, body: Value| {
        let response = running.call_as(key, method, target, body).await;
        let reply: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status().as_u16(), reply)
    };
    let (_, me) = call("GET", "/self", Value::Null).await;
    assert_eq!((&me["account"]["id"], me["account"]["token"].is_null()), (&made["id"], true));
    let (_, accounts) = call("GET", "/portway/v1/accounts", Value::Null).await;
    assert_eq!((accounts["accounts"].as_array().unwrap().len(), &accounts["accounts"][0]["id"]), (1, &made["id"]));
    let (_, members) = call("GET", "/portway/v1/memberships", Value::Null).await;
    assert_eq!(members["memberships"][0]["administrator"], true);
    for (method, target, body) in [
        ("POST", "/portway/v1/accounts", json!({"name": "more"})),
        ("POST", "/portway/v1/users", json!({"email": "c@example.com", "name": "C"})),
        ("POST", "/portway/v1/backups", Value::Null),
        ("GET", "/portway/v1/edges", Value::Null),
    ] {
        let (status, error) = call(method, target, body).await;
        assert_eq!((status, error["error_code"].as_str()), (403, Some("ERR_NGROK_1220")), "{method} {target}");
    }
    assert_eq!(call("GET", "/portway/v1/users", Value::Null).await.1["users"], json!([]));
    let log = running.done("GET", "/portway/v1/audit_log", Value::Null).await.to_string();
    assert!(log.contains("accounts create") && !log.contains(key), "{log}");
}

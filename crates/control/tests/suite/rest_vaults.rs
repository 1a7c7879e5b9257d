//! Vaults and secrets through the REST interface.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn secrets_go_into_vaults_and_never_come_out() {
    let running = Running::start().await;
    let vault = running.done("POST", "/vaults", json!({"name": "prod/web", "description": "production"})).await;
    let who = vault["created_by"].as_str().unwrap();
    assert!(who.starts_with("usr_") && vault["last_updated_by"] == who, "{vault}");
    assert_eq!(vault["updated_at"], vault["created_at"]);
    let value = "correct horse battery staple";
    let body = json!({"name": "token", "value": value, "vault_id": vault["id"]});
    let first = running.done("POST", "/vault_secrets", body).await;
    assert_eq!((&first["vault"]["id"], &first["vault_name"]), (&vault["id"], &json!("prod/web")));
    assert_eq!((&first["created_by"]["id"], &first["last_updated_by"]["id"]), (&json!(who), &json!(who)));
    let body = json!({"name": "other", "value": value, "vault_name": "prod/web"});
    let second = running.done("POST", "/vault_secrets", body).await;
    let path = format!("/vault_secrets/{}", first["id"].as_str().unwrap());
    let changed = running.done("PATCH", &path, json!({"value": "another value", "metadata": "{}"})).await;
    assert_eq!((&changed["metadata"], &changed["name"]), (&json!("{}"), &json!("token")));
    for reply in [&first, &second, &changed, &running.done("GET", &path, Value::Null).await] {
        assert!(reply.get("value").is_none() && !reply.to_string().contains("value"), "{reply}");
    }
    for entry in running.store().await.audit_log(&account(&running).await, None, 100).await.unwrap() {
        assert!(!format!("{entry:?}").contains("battery"), "{entry:?}");
    }
    for file in std::fs::read_dir(running.dir.path()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!content.windows(value.len()).any(|window| window == value.as_bytes()));
    }
}

async fn account(running: &Running) -> portway_names::AccountId {
    running.credential().await.1.account_id.parse().unwrap()
}

#[tokio::test]
async fn a_vault_lists_its_secrets_by_its_name_of_now() {
    let running = Running::start().await;
    let mut vaults = Vec::new();
    for name in ["one", "two"] {
        let vault = running.done("POST", "/vaults", json!({"name": name})).await["id"].as_str().unwrap().to_owned();
        for secret in ["a", "b", "c"] {
            let body = json!({"name": secret, "value": name, "vault_id": vault});
            running.done("POST", "/vault_secrets", body).await;
        }
        vaults.push(vault);
    }
    running.done("PATCH", &format!("/vaults/{}", vaults[0]), json!({"name": "first"})).await;
    let list = format!("/vaults/{}/secrets", vaults[0]);
    let page = running.done("GET", &format!("{list}?limit=2"), Value::Null).await;
    let next = page["next_page_uri"].as_str().unwrap().strip_prefix("https://api.example.com").unwrap().to_owned();
    assert!(next.starts_with(&list), "{next}");
    let rest = running.done("GET", &next, Value::Null).await;
    let both = [&page, &rest].map(|page| page["secrets"].as_array().unwrap().clone()).concat();
    assert_eq!((both.len(), &rest["next_page_uri"]), (3, &Value::Null));
    for secret in &both {
        assert_eq!((&secret["vault"]["id"], &secret["vault_name"]), (&json!(vaults[0]), &json!("first")));
    }
    let all = running.done("GET", "/vault_secrets?filter=obj.name+==+%22a%22", Value::Null).await;
    let names: Vec<&Value> = all["secrets"].as_array().unwrap().iter().map(|secret| &secret["vault_name"]).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&&json!("first")) && names.contains(&&json!("two")), "{names:?}");
    let nowhere = format!("/vaults/vault_{}/secrets", "0".repeat(27));
    assert_eq!(running.refused("GET", &nowhere, Value::Null).await.0, 404);
}

#[tokio::test]
async fn names_are_unique_and_vaults_with_secrets_stay() {
    let running = Running::start().await;
    let vault = running.done("POST", "/vaults", json!({"name": "prod"})).await["id"].clone();
    let secret = json!({"name": "token", "value": "x", "vault_id": vault});
    let made = running.done("POST", "/vault_secrets", secret.clone()).await;
    let nowhere = format!("vault_{}", "0".repeat(27));
    for (path, body, refused) in [
        ("/vaults", json!({"name": "prod"}), (409, 23_004)),
        ("/vaults", json!({"name": "a b"}), (400, 23_000)),
        ("/vaults", json!({}), (400, 23_001)),
        ("/vault_secrets", secret, (409, 24_005)),
        ("/vault_secrets", json!({"name": "t", "value": "x"}), (400, 24_008)),
        ("/vault_secrets", json!({"name": "t", "value": "x", "vault_id": nowhere}), (404, 24_006)),
        ("/vault_secrets", json!({"name": "t", "value": "x", "vault_name": "nowhere"}), (404, 24_009)),
        ("/vault_secrets", json!({"name": "t", "vault_name": "prod"}), (400, 24_003)),
        ("/vault_secrets", json!({"value": "x", "vault_name": "prod"}), (400, 24_001)),
    ] {
        let (status, code) = running.refused("POST", path, body).await;
        assert_eq!((status, code), (refused.0, format!("ERR_NGROK_{}", refused.1)));
    }
    let path = format!("/vaults/{}", vault.as_str().unwrap());
    assert_eq!(running.refused("DELETE", &path, Value::Null).await, (409, "ERR_NGROK_23003".to_owned()));
    running.done("DELETE", &format!("/vault_secrets/{}", made["id"].as_str().unwrap()), Value::Null).await;
    running.done("DELETE", &path, Value::Null).await;
    running.done("POST", "/vaults", json!({"name": "prod"})).await;
}

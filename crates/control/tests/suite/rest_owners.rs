//! Owners of keys, under the names that they are called by.

use serde_json::{Value, json};

use super::Running;

#[tokio::test]
async fn an_owner_keeps_the_name_that_was_used() {
    let running = Running::start().await;
    let bot = running.done("POST", "/bot_users", json!({"name": "ci"})).await["id"].as_str().unwrap().to_owned();
    let service = bot.replace("bot_", "service_");
    let key = running.done("POST", "/api_keys", json!({"owner_id": bot})).await;
    let authtoken = running.done("POST", "/credentials", json!({"owner_id": service})).await;
    for (collection, made, owner) in [("api_keys", &key, &bot), ("credentials", &authtoken, &service)] {
        let path = format!("/{collection}/{}", made["id"].as_str().unwrap());
        let read = running.done("GET", &path, Value::Null).await;
        assert_eq!((&made["owner_id"], &read["owner_id"]), (&json!(owner), &json!(owner)));
    }

    // It is one owner all the same: the key is good while they are active, and goes with them.
    let status =
        async || running.call_as(key["token"].as_str().unwrap(), "GET", "/api_keys", Value::Null).await.status();
    assert_eq!(status().await, 200);
    running.done("PATCH", &format!("/service_users/{service}"), json!({"active": false})).await;
    assert_eq!(status().await, 401);
    running.done("PATCH", &format!("/service_users/{service}"), json!({"active": true})).await;
    assert_eq!(status().await, 200);
    running.done("DELETE", &format!("/service_users/{service}"), Value::Null).await;
    assert_eq!(status().await, 401);
    let path = format!("/api_keys/{}", key["id"].as_str().unwrap());
    assert_eq!(running.refused("GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn who_has_an_address_is_told_to_nobody() {
    let running = Running::start().await;
    let program = running.done("POST", "/service_users", json!({"name": "ci"})).await["id"].clone();
    let key = running.done("POST", "/api_keys", json!({"owner_id": program})).await["token"].clone();
    let user = json!({"email": "outsider@example.com", "name": "O"});
    let user = running.done("POST", "/portway/v1/users", user).await["id"].clone();
    for email in ["outsider@example.com", "nobody@example.com"] {
        let body = json!({"owner_email": email});
        let response = running.call_as(key.as_str().unwrap(), "POST", "/api_keys", body.clone()).await;
        let error: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(error["error_code"], "ERR_NGROK_630", "{email}");
        // A member of the installation who is none of the account is the same as nobody.
        let (status, error) = running.call("POST", "/api_keys", body).await;
        assert_eq!((status, error["error_code"].as_str()), (400, Some("ERR_NGROK_634")), "{email}");
        assert!(!error.to_string().contains(user.as_str().unwrap()), "{error}");
    }
}

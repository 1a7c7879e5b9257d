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

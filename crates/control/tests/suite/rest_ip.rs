//! IP policies, rules and restrictions through the REST interface.

use serde_json::{Value, json};

use crate::Running;

#[tokio::test]
async fn policies_are_made_found_changed_and_deleted() {
    let running = Running::start().await;
    let policy = running.done("POST", "/ip_policies", json!({"description": "office"})).await;
    let id = policy["id"].as_str().unwrap();
    assert_eq!(policy["uri"], format!("https://api.example.com/ip_policies/{id}"));
    assert_eq!((policy["description"].as_str(), policy["metadata"].as_str()), (Some("office"), Some("")));
    let path = format!("/ip_policies/{id}");
    assert_eq!(running.done("GET", &path, Value::Null).await, policy);
    let changed = running.done("PATCH", &path, json!({"id": id, "metadata": "{}"})).await;
    assert_eq!((changed["description"].as_str(), changed["metadata"].as_str()), (Some("office"), Some("{}")));
    assert_eq!(running.refused("PATCH", &path, json!({})).await, (400, "ERR_NGROK_1400".to_owned()));
    assert_eq!(running.call("DELETE", &path, Value::Null).await, (204, Value::Null));
    for method in ["GET", "DELETE"] {
        assert_eq!(running.refused(method, &path, Value::Null).await, (404, "ERR_PORTWAY_40401".to_owned()));
    }
    assert_eq!(running.refused("GET", "/ip_policies/ipr_x", Value::Null).await.1, "ERR_NGROK_227");
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let running = Running::start().await;
    let mut made = Vec::new();
    for n in 0..7 {
        let policy = running.done("POST", "/ip_policies", json!({"description": format!("{}", n % 2)})).await;
        made.push(policy["id"].as_str().unwrap().to_owned());
    }
    made.sort_unstable_by(|a, b| b.cmp(a));
    for (target, wanted) in [("/ip_policies?limit=3", 7), ("/ip_policies?limit=2&filter=obj.description+==+%221%22", 3)]
    {
        let (mut next, mut found) = (Some(target.to_owned()), Vec::new());
        while let Some(target) = next {
            let page = running.done("GET", &target, Value::Null).await;
            found.extend(
                page["ip_policies"].as_array().unwrap().iter().map(|policy| policy["id"].as_str().unwrap().to_owned()),
            );
            next = page["next_page_uri"]
                .as_str()
                .map(|uri| uri.strip_prefix("https://api.example.com").unwrap().to_owned());
        }
        assert_eq!(found.len(), wanted);
        assert!(found.is_sorted_by(|a, b| a > b) && found.iter().all(|id| made.contains(id)), "{found:?}");
    }
}

#[tokio::test]
async fn rules_and_restrictions_keep_their_rules() {
    let running = Running::start().await;
    let policy = running.done("POST", "/ip_policies", json!({})).await["id"].clone();
    let rule = json!({"ip_policy_id": policy, "cidr": "203.0.113.0/24", "action": "allow"});
    let made = running.done("POST", "/ip_policy_rules", rule.clone()).await;
    assert_eq!((&made["ip_policy"]["id"], made["action"].as_str()), (&policy, Some("allow")));
    assert_eq!(running.refused("POST", "/ip_policy_rules", rule).await, (409, "ERR_NGROK_1408".to_owned()));
    let nowhere = json!({"ip_policy_id": format!("ipp_{}", "0".repeat(27)), "cidr": "10.0.0.0/8", "action": "deny"});
    assert_eq!(running.refused("POST", "/ip_policy_rules", nowhere).await, (404, "ERR_NGROK_1402".to_owned()));
    let restriction = json!({"type": "agent", "ip_policy_ids": [policy]});
    let made = running.done("POST", "/ip_restrictions", restriction.clone()).await;
    assert_eq!((made["enforced"].as_bool(), &made["ip_policies"][0]["id"]), (Some(false), &policy));
    assert_eq!(running.refused("POST", "/ip_restrictions", restriction).await, (409, "ERR_NGROK_1802".to_owned()));
    // As the Python client changes it.
    let path = format!("/ip_restrictions/{}", made["id"].as_str().unwrap());
    let changed = running.done("PATCH", &path, json!({"enforced": true, "ip_policy_ids": []})).await;
    assert_eq!((changed["enforced"].as_bool(), &changed["ip_policies"][0]["id"]), (Some(true), &policy));
    let path = format!("/ip_policies/{}", policy.as_str().unwrap());
    assert_eq!(running.refused("DELETE", &path, Value::Null).await, (409, "ERR_NGROK_1420".to_owned()));
}

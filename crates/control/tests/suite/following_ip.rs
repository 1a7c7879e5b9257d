//! IP policies on their way from the REST interface to edges.

use portway_proto::ReplicaRecord;
use serde_json::{Value, json};

use crate::{Replica, Running};

#[tokio::test]
async fn edges_follow_policies_rules_and_the_restrictions_that_they_hold() {
    let running = Running::start().await;
    let mut replica = Replica::default();
    let mut updates = running.watch("edge", "", 0).await;
    replica.follow(&mut updates, |replica| replica.snapshots == 1).await.unwrap();

    let policy = running.done("POST", "/ip_policies", json!({})).await["id"].as_str().unwrap().to_owned();
    let rule = json!({"ip_policy_id": policy, "cidr": "203.0.113.0/24", "action": "deny"});
    let rule = running.done("POST", "/ip_policy_rules", rule).await["id"].as_str().unwrap().to_owned();
    let mut made = Vec::new();
    for kind in ["dashboard", "api", "agent", "endpoints"] {
        let body = json!({"type": kind, "ip_policy_ids": [policy], "enforced": kind == "agent"});
        made.push(running.done("POST", "/ip_restrictions", body).await["id"].as_str().unwrap().to_owned());
    }
    let last = &made[3];
    replica.follow(&mut updates, |replica| replica.resources.contains_key(last)).await.unwrap();
    let held = |id: &String| replica.resources.contains_key(id);
    assert_eq!(made.iter().map(held).collect::<Vec<_>>(), [false, false, true, true]);
    let record = |id: &str| ReplicaRecord::try_from(replica.resources[id].clone()).unwrap();
    let ReplicaRecord::IpPolicy(kept) = record(&policy) else { panic!("not a policy") };
    let ReplicaRecord::IpPolicyRule(found) = record(&rule) else { panic!("not a rule") };
    assert_eq!((found.policy, found.account), (kept.id, kept.account));
    assert_eq!((found.network.to_string().as_str(), found.action), ("203.0.113.0/24", portway_access::IpAction::Deny));
    for (id, enforced) in [(&made[2], true), (last, false)] {
        let ReplicaRecord::IpRestriction(found) = record(id) else { panic!("not a restriction") };
        assert_eq!((found.account, found.enforced, found.policies), (kept.account, enforced, vec![kept.id]));
    }

    running.done("PATCH", &format!("/ip_policy_rules/{rule}"), json!({"cidr": "2001:db8::/32"})).await;
    running.done("DELETE", &format!("/ip_restrictions/{last}"), Value::Null).await;
    replica.follow(&mut updates, |replica| !replica.resources.contains_key(last)).await.unwrap();
    let found = ReplicaRecord::try_from(replica.resources[&rule].clone()).unwrap();
    assert!(matches!(found, ReplicaRecord::IpPolicyRule(rule) if rule.network.to_string() == "2001:db8::/32"));
}

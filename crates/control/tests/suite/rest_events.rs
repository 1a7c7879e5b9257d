//! Event destinations, event subscriptions and their sources through the REST interface.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Running;

const HTTP: &str = "http_request_complete.v0";

impl Running {
    /// The id of a new destination with this target.
    async fn destination(&self, target: Value) -> String {
        let made = self.done("POST", "/event_destinations", json!({"format": "json", "target": target})).await;
        made["id"].as_str().unwrap().to_owned()
    }

    /// What the store has of the destination.
    async fn kept(&self, id: &str) -> Value {
        let store = self.store().await;
        let account = store.accounts().await.unwrap()[0].id;
        let row = store.resource(&account, "event_destination", id).await.unwrap().unwrap();
        serde_json::from_str(&row.body).unwrap()
    }
}

fn kinesis(auth: Value) -> Value {
    json!({"kinesis": {"auth": auth, "stream_arn": "arn:aws:kinesis:eu-central-1:123456789012:stream/events"}})
}

fn keys(secret: &str) -> Value {
    json!({"creds": {"aws_access_key_id": "AKIA", "aws_secret_access_key": secret}})
}

#[tokio::test]
async fn a_target_comes_back_whole_but_for_its_secret() {
    let running = Running::start().await;
    let azure = json!({"tenant_id": "t", "client_id": "c", "client_secret": "s3cret", "logs_ingestion_uri": "https://a",
        "data_collection_rule_id": "r", "data_collection_stream_name": "s"});
    for (target, secret) in [
        (kinesis(keys("s3cret")), "/kinesis/auth/creds/aws_secret_access_key"),
        (json!({"datadog": {"api_key": "s3cret"}}), "/datadog/api_key"),
        (json!({"azure_logs_ingestion": azure}), "/azure_logs_ingestion/client_secret"),
    ] {
        let id = running.destination(target.clone()).await;
        let read = running.done("GET", &format!("/event_destinations/{id}"), Value::Null).await;
        assert_eq!((read["format"].as_str(), read["target"].as_object().unwrap().len()), (Some("json"), 7));
        assert_eq!(read["target"].pointer(secret).unwrap(), "", "{read}");
        assert_eq!(read["uri"], format!("https://api.example.com/event_destinations/{id}"));
        let kept = running.kept(&id).await;
        assert!(kept["secret"].is_string() && !kept.to_string().contains("s3cret"), "{kept}");
    }
    let store = running.store().await;
    let account = store.accounts().await.unwrap()[0].id;
    let log = store.audit_log(&account, None, 10).await.unwrap();
    assert!(log.len() == 7 && !format!("{log:?}").contains("s3cret"), "{log:?}");
    let listed = running.done("GET", "/event_destinations", Value::Null).await;
    assert_eq!(listed["event_destinations"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_change_keeps_the_secret_unless_it_has_another_or_needs_none() {
    let running = Running::start().await;
    let id = running.destination(kinesis(keys("one"))).await;
    let path = format!("/event_destinations/{id}");
    let sealed = running.kept(&id).await["secret"].clone();
    let absent = json!({"creds": {"aws_access_key_id": "AKIB"}});
    for (body, key) in [
        (json!({"description": "d"}), "AKIA"),
        (json!({"target": kinesis(keys(""))}), "AKIA"),
        (json!({"target": kinesis(absent.clone())}), "AKIB"),
    ] {
        let changed = running.done("PATCH", &path, body).await;
        assert_eq!(changed["target"].pointer("/kinesis/auth/creds/aws_access_key_id").unwrap(), key);
        assert_eq!(running.kept(&id).await["secret"], sealed);
    }
    running.done("PATCH", &path, json!({"target": kinesis(keys("two"))})).await;
    let resealed = running.kept(&id).await["secret"].clone();
    assert!(resealed.is_string() && resealed != sealed);

    let role = json!({"role": {"role_arn": "arn:aws:iam::123456789012:role/events"}});
    running.done("PATCH", &path, json!({"target": kinesis(role)})).await;
    assert_eq!(running.kept(&id).await["secret"], Value::Null);
    // What was kept for the keys is gone with them.
    let refused = running.refused("PATCH", &path, json!({"target": kinesis(absent)})).await;
    assert_eq!(refused, (400, "ERR_NGROK_240".to_owned()));
    let other = json!({"target": {"datadog": {"api_key": "x"}}});
    assert_eq!(running.refused("PATCH", &path, other).await, (400, "ERR_NGROK_5108".to_owned()));
    let test = json!({"verify_with_test_event": true});
    assert_eq!(running.refused("PATCH", &path, test).await, (400, "ERR_NGROK_215".to_owned()));
}

#[tokio::test]
async fn a_secret_does_not_follow_its_target_elsewhere() {
    let running = Running::start().await;
    let id = running.destination(json!({"datadog": {"api_key": "s3cret", "ddsite": "datadoghq.eu"}})).await;
    let path = format!("/event_destinations/{id}");
    running.done("PATCH", &path, json!({"target": {"datadog": {"ddsite": "datadoghq.eu", "service": "edge"}}})).await;
    let elsewhere = json!({"target": {"datadog": {"ddsite": "attacker.example"}}});
    assert_eq!(running.refused("PATCH", &path, elsewhere).await.0, 400);
    let with_another = json!({"target": {"datadog": {"ddsite": "us3.datadoghq.com", "api_key": "other"}}});
    running.done("PATCH", &path, with_another).await;
}

#[tokio::test]
async fn a_destination_in_use_stays() {
    let running = Running::start().await;
    let id = running.destination(json!({"debug": {"log": true}})).await;
    let path = format!("/event_destinations/{id}");
    let body = json!({"destination_ids": [id, id], "sources": [{"type": "vault_created.v0"}]});
    let subscription = running.done("POST", "/event_subscriptions", body).await;
    let reference = json!({"id": id, "uri": format!("https://api.example.com{path}")});
    assert_eq!(subscription["destinations"], json!([reference]));
    let (status, refused) = running.call("DELETE", &path, Value::Null).await;
    assert_eq!((status, refused["error_code"].as_str()), (409, Some("ERR_NGROK_5112")));
    let name = subscription["id"].as_str().unwrap();
    assert!(refused["msg"].as_str().unwrap().contains(name), "{refused}");
    assert_eq!(running.call("DELETE", &format!("/event_subscriptions/{name}"), Value::Null).await.0, 204);
    assert_eq!(running.call("DELETE", &path, Value::Null).await.0, 204);
    let refused = running.refused("POST", "/event_subscriptions", json!({"destination_ids": [id]})).await;
    assert_eq!(refused, (404, "ERR_NGROK_5103".to_owned()));
}

#[tokio::test]
async fn sources_are_part_of_their_subscription() {
    let running = Running::start().await;
    let body = json!({"sources": [{"type": "vault_created.v0"}], "metadata": "m"});
    let subscription = running.done("POST", "/event_subscriptions", body).await;
    let path = format!("/event_subscriptions/{}", subscription["id"].as_str().unwrap());
    let sources = format!("{path}/sources");
    let filter = "ev.conn.server_port == 443";
    let made =
        running.done("POST", &sources, json!({"type": HTTP, "fields": ["conn.client_ip"], "filter": filter})).await;
    let uri = format!("https://api.example.com{sources}/{HTTP}");
    assert_eq!(made, json!({"type": HTTP, "uri": uri, "fields": ["conn.client_ip"], "filter": filter}));
    let one = format!("{sources}/{HTTP}");
    assert_eq!(running.done("GET", &one, Value::Null).await, made);

    let changed = running.done("PATCH", &one, json!({"type": HTTP, "fields": ["http.request.method"]})).await;
    assert_eq!((&changed["fields"], changed["filter"].as_str()), (&json!(["http.request.method"]), Some(filter)));
    for (body, code) in [
        (json!({"fields": ["conn.bytes_in"]}), "ERR_NGROK_5403"),
        (json!({"filter": "=="}), "ERR_NGROK_5404"),
        (json!({"filter": "ev.x == 1"}), "ERR_NGROK_5405"),
        (json!({"filter": "ev.tls.version == 'x'"}), "ERR_NGROK_5406"),
    ] {
        assert_eq!(running.refused("PATCH", &one, body).await, (400, code.to_owned()));
    }
    let vault = format!("{sources}/vault_created.v0");
    for (body, code) in
        [(json!({"fields": ["conn.client_ip"]}), "ERR_NGROK_5401"), (json!({"filter": "true"}), "ERR_NGROK_5402")]
    {
        assert_eq!(running.refused("PATCH", &vault, body).await, (400, code.to_owned()));
    }
    for (body, code) in
        [(json!({"type": HTTP}), "ERR_NGROK_5400"), (json!({"type": "vault_created.v0"}), "ERR_NGROK_5127")]
    {
        assert_eq!(running.refused("POST", &sources, body).await, (400, code.to_owned()));
    }

    let list = running.done("GET", &sources, Value::Null).await;
    assert_eq!(list["uri"], format!("https://api.example.com{sources}"));
    assert_eq!((list["sources"].as_array().unwrap().len(), list.get("next_page_uri")), (2, None));
    assert_eq!(list["sources"], running.done("GET", &path, Value::Null).await["sources"]);
    // Nothing is said about sources by an empty list: one client sends it with every change.
    let kept = running.done("PATCH", &path, json!({"sources": [], "description": "d"})).await;
    assert_eq!((&kept["sources"], kept["metadata"].as_str()), (&list["sources"], Some("m")));

    assert_eq!(running.call("DELETE", &one, Value::Null).await, (204, Value::Null));
    for (method, body) in [("GET", Value::Null), ("PATCH", json!({"filter": "true"})), ("DELETE", Value::Null)] {
        assert_eq!(running.refused(method, &one, body).await, (404, "ERR_NGROK_5125".to_owned()));
    }
    let strange = format!("{sources}/vault_opened.v0");
    assert_eq!(running.refused("GET", &strange, Value::Null).await, (400, "ERR_NGROK_238".to_owned()));
    assert_eq!(running.refused("GET", &format!("{sources}?limit=1"), Value::Null).await.1, "ERR_NGROK_231");
}

#[tokio::test]
async fn changes_at_the_same_time_do_not_undo_one_another() {
    let running = Running::start().await;
    let subscription = running.done("POST", "/event_subscriptions", json!({})).await;
    let path = format!("/event_subscriptions/{}", subscription["id"].as_str().unwrap());
    let sources = &format!("{path}/sources");
    let types: Vec<String> = portway_api::EventType::all().into_iter().filter(|name| name.contains("ed.v0")).collect();
    let types = types.iter().map(String::as_str).filter(|name| !name.starts_with("tcp_conn"));
    // No more than an account may have under way.
    let types: Vec<&str> = types.take(30).collect();
    let added = join_all(types.iter().map(|kind| running.call("POST", sources, json!({"type": kind})))).await;
    assert!(added.iter().all(|(status, _)| *status == 201), "{added:?}");
    let (gone, there) = types.split_at(types.len() / 2);
    let removals = gone.iter().map(|kind| {
        let running = &running;
        async move { running.call("DELETE", &format!("{sources}/{kind}"), Value::Null).await.0 }
    });
    let renamed = async { vec![running.call("PATCH", &path, json!({"description": "d"})).await.0] };
    let (removed, renamed) = futures_util::join!(join_all(removals), renamed);
    assert!(removed.iter().all(|status| *status == 204) && renamed == [200], "{removed:?} {renamed:?}");
    let left = running.done("GET", &path, Value::Null).await;
    let mut left_types: Vec<&str> =
        left["sources"].as_array().unwrap().iter().map(|source| source["type"].as_str().unwrap()).collect();
    left_types.sort_unstable();
    assert_eq!((left_types.as_slice(), left["description"].as_str()), (there, Some("d")));
}

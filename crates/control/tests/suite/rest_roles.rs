//! Every operation of the REST interface: whether it is served, who may call it, and that it shows nothing of other accounts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use portway_api::{Answer, Body, Operation, Spec};
use portway_names::{AccountId, Ksuid};
use portway_store::{Account, Audit, Content, NewResource, Resource, Store, Timestamp};
use serde_json::{Value, json};

use crate::Running;

/// Groups of operations that are described and not served. Whoever serves one takes it out of here.
const NOT_SERVED: &[&str] = &[];

/// Groups of which no object can be made by a call, or that are not about objects of an account.
const NOTHING_TO_MAKE: &[&str] = &[
    "accounts",
    "application-sessions",
    "application-users",
    "audit-log",
    "backups",
    "edges",
    "endpoints",
    "event-sources",
    "regions",
    "root",
    "self",
    "settings",
    "tunnel-sessions",
    "tunnels",
    "users",
];

/// An object of every other group that is served. `$group` stands for the id of the object of an earlier one.
const OBJECTS: &[(&str, &str)] = &[
    ("reserved-domains", r#"{"domain": "app.acme.example"}"#),
    ("reserved-addrs", "{}"),
    ("agent-ingresses", r#"{"domain": "connect.acme.example"}"#),
    ("ip-policies", "{}"),
    ("ip-policy-rules", r#"{"ip_policy_id": "$ip-policies", "cidr": "10.0.0.0/8", "action": "allow"}"#),
    ("ip-restrictions", r#"{"ip_policy_ids": ["$ip-policies"], "type": "agent"}"#),
    ("event-destinations", r#"{"format": "json", "target": {"datadog": {"api_key": "x"}}}"#),
    (
        "event-subscriptions",
        r#"{"destination_ids": ["$event-destinations"], "sources": [{"type": "vault_created.v0"}]}"#,
    ),
    ("tls-certificates", include_str!("certificate.json")),
    ("certificate-authorities", include_str!("authority.json")),
    ("ssh-certificate-authorities", "{}"),
    (
        "ssh-host-certificates",
        r#"{"ssh_certificate_authority_id": "$ssh-certificate-authorities",
            "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}"#,
    ),
    (
        "ssh-user-certificates",
        r#"{"ssh_certificate_authority_id": "$ssh-certificate-authorities",
            "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}"#,
    ),
    ("vaults", r#"{"name": "prod"}"#),
    ("secrets", r#"{"name": "token", "value": "x", "vault_id": "$vaults"}"#),
    ("service-users", r#"{"name": "ci"}"#),
    ("bot-users", r#"{"name": "ci"}"#),
    ("credentials", r#"{"owner_id": "$service-users"}"#),
    ("api-keys", r#"{"owner_id": "$service-users"}"#),
    (
        "ssh-credentials",
        r#"{"owner_id": "$service-users", "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"}"#,
    ),
    ("memberships", r#"{"user_id": "$user"}"#),
    ("abuse-reports", r#"{"urls": ["https://bad.example.com"]}"#),
];

/// What the ids of a group begin with; nothing when they are names.
fn prefix(group: &str) -> Option<&'static str> {
    Some(match group {
        "abuse-reports" => "abrp",
        "accounts" => "ac",
        "agent-ingresses" => "agin",
        "api-keys" => "ak",
        "application-sessions" => "appses",
        "application-users" => "appusr",
        "audit-log" => "aud",
        "backups" => "bak",
        "bot-users" => "bot",
        "certificate-authorities" => "ca",
        "credentials" => "cr",
        "endpoints" => "ep",
        "event-destinations" => "ed",
        "event-sources" | "event-subscriptions" => "esb",
        "ip-policies" => "ipp",
        "ip-policy-rules" => "ipr",
        "ip-restrictions" => "ipx",
        "memberships" => "mbr",
        "reserved-addrs" => "ra",
        "reserved-domains" => "rd",
        "secrets" => "secret",
        "service-users" => "service",
        "ssh-certificate-authorities" => "sshca",
        "ssh-credentials" => "sshcr",
        "ssh-host-certificates" => "shcrt",
        "ssh-user-certificates" => "sucrt",
        "tls-certificates" => "cert",
        "tunnel-sessions" => "ts",
        "tunnels" => "tn",
        "users" => "usr",
        "vaults" => "vault",
        _ => return None,
    })
}

/// A well-formed id that nothing has.
fn missing(group: &str) -> String {
    prefix(group).map_or_else(|| "nobody".to_owned(), |prefix| format!("{prefix}_{}", "0".repeat(27)))
}

/// Where an operation is found for the object of this id.
fn target(spec: &Spec, id: &str) -> String {
    let path = spec.path.replace("{type}", "vault_created.v0");
    path.replace("{id}", id).replace("{subscription_id}", id)
}

/// A body with which the operation comes as far as looking for its object.
fn body(spec: &Spec) -> Value {
    match spec.body {
        Body::Json(_) if spec.operation == Operation::EventSourcesCreate => json!({"type": "vault_created.v0"}),
        Body::Json(_) | Body::Empty => json!({}),
        Body::None => Value::Null,
    }
}

impl Running {
    /// Status and code of an operation on the object of this id.
    async fn perform(&self, spec: &Spec, id: &str) -> (u16, String) {
        let (status, reply) = self.call(spec.method.as_str(), &target(spec, id), body(spec)).await;
        (status, reply["error_code"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn every_operation_is_served_or_listed_as_not_served() {
    let running = Running::start().await;
    let not_found = (404, "ERR_PORTWAY_40401".to_owned());
    for spec in Operation::all() {
        let (name, group) = (spec.name, spec.group());
        let found = running.perform(spec, &missing(group)).await;
        let malformed = match prefix(group) {
            Some(_) if spec.parameters().count() > 0 => Some(running.perform(spec, "x").await.1),
            _ => None,
        };
        if NOT_SERVED.contains(&group) {
            let served = found != not_found || malformed.is_some_and(|code| code != not_found.1);
            assert!(!served, "{group} is served: take it out of NOT_SERVED");
            continue;
        }
        match &spec.answer {
            _ if spec.parameters().count() > 0 => assert_eq!(found, not_found, "{name}"),
            Answer::Page(_) | Answer::All(_) => assert_eq!(found.0, 200, "{name}"),
            _ => assert!(found.0 != 404 && found.0 < 500, "{name}: {found:?}"),
        }
        assert!(malformed.as_ref().is_none_or(|code| code == "ERR_NGROK_227"), "{name}: {malformed:?}");
    }
}

/// What those are told who may not call an operation, whatever it is about.
const REFUSALS: [&str; 3] = ["ERR_NGROK_207", "ERR_NGROK_1219", "ERR_NGROK_1220"];

/// Everybody whose verdict is written down, with the key they call with.
async fn callers(running: &Running) -> Vec<(&'static str, String)> {
    let mut callers = vec![("authtoken", running.authtoken.clone()), ("administrator", running.api_key.clone())];
    for (name, role) in [("developer", "read-write"), ("reader", "read-only")] {
        let person = json!({"email": format!("{name}@example.com"), "name": name});
        let user = running.done("POST", "/portway/v1/users", person).await["id"].clone();
        running.done("POST", "/portway/v1/memberships", json!({"user_id": user, "developer": role})).await;
        callers.push((name, key_of(running, &user).await));
    }
    let program = running.done("POST", "/service_users", json!({"name": "ci"})).await["id"].clone();
    callers.push(("service user", key_of(running, &program).await));
    callers
}

/// An API key that somebody owns.
async fn key_of(running: &Running, owner: &Value) -> String {
    running.done("POST", "/api_keys", json!({"owner_id": owner})).await["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn operations_are_open_to_those_who_are_written_down() {
    let running = Running::start().await;
    let (callers, mut fresh) = (callers(&running).await, String::new());
    for spec in Operation::all() {
        let mut verdicts = Vec::new();
        for (caller, key) in &callers {
            let target = target(spec, &missing(spec.group()));
            let response = running.call_as(key, spec.method.as_str(), &target, body(spec)).await;
            let reply: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let refusal = reply["error_code"].as_str().filter(|code| REFUSALS.contains(code));
            let verdict = refusal.unwrap_or("may");
            verdicts.push(format!("{caller} {verdict}"));
        }
        fresh.push_str(&format!("{}: {}\n", spec.name, verdicts.join(", ")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operations_roles.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let changed = fresh.lines().find(|line| !written.lines().any(|other| other == *line));
    assert!(
        written == fresh,
        "who may do what changed, as in {changed:?}; if that is wanted: UPDATE=1 cargo test -p portway-control rest_roles"
    );
}

/// An object of each group, made by a call, by the group's name.
async fn objects(running: &Running) -> BTreeMap<&'static str, String> {
    let user = running.done("POST", "/portway/v1/users", json!({"email": "b@example.com", "name": "B"})).await;
    let mut made = BTreeMap::from([("user", user["id"].as_str().unwrap().to_owned())]);
    for (group, text) in OBJECTS {
        let reply = running.done("POST", collection(group), filled(text, &made)).await;
        made.insert(*group, reply["id"].as_str().unwrap().to_owned());
    }
    made.remove("user");
    made
}

fn collection(group: &str) -> &'static str {
    Operation::all().iter().find(|spec| spec.name == format!("{group} create")).unwrap().path
}

fn filled(text: &str, ids: &BTreeMap<&'static str, String>) -> Value {
    let text =
        ids.iter().fold(text.to_owned(), |text, (group, id)| text.replace(&format!("${group}\""), &format!("{id}\"")));
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn every_kind_of_object_is_kept_on_both_engines() {
    kept(&Running::start().await).await;
    let Some(database) = crate::postgres::Database::make().await else { return };
    let url = portway_control::DatabaseUrl::new(database.url());
    kept(&Running::start_with(|config| config.database_url = Some(url)).await).await;
}

/// Each object is given back, is on a page of its list, and is gone after it was deleted; those that need others first.
async fn kept(running: &Running) {
    let made = objects(running).await;
    for (group, _) in OBJECTS.iter().rev() {
        let path = format!("{}/{}", collection(group), made[group]);
        let object = running.done("GET", &path, Value::Null).await;
        assert_eq!(object["id"], made[group].as_str(), "{path}");
        let verbs: Vec<&str> = Operation::all().iter().filter(|spec| spec.group() == *group).map(Spec::verb).collect();
        if verbs.contains(&"list") {
            let (mut next, mut found) = (Some(format!("{}?limit=1", collection(group))), false);
            while let Some(target) = next {
                let page = running.done("GET", &target, Value::Null).await;
                found |= page.to_string().contains(&made[group]);
                let uri = page["next_page_uri"].as_str();
                next = uri.map(|uri| uri.strip_prefix("https://api.example.com").unwrap().to_owned());
            }
            assert!(found, "{group}");
        }
        if verbs.contains(&"delete") {
            running.done("DELETE", &path, Value::Null).await;
            assert_eq!(running.refused("GET", &path, Value::Null).await.0, 404, "{path}");
        }
    }
}

/// Copies of the objects that belong to another account.
async fn copies(
    store: &Store,
    objects: &BTreeMap<&'static str, String>,
) -> (BTreeMap<&'static str, String>, Vec<Resource>) {
    let now = Timestamp::now();
    let own = store.accounts().await.unwrap()[0].id;
    let audit = Audit { who: "test".to_owned(), action: "copy".to_owned(), ..Audit::default() };
    let other = AccountId::new(Ksuid::from_parts(now.unix_secs(), [7; 16]));
    let (name, description) = ("other".to_owned(), String::new());
    let account = Account { id: other, name, description, suspended: false, created: now };
    store.add_account(&account, &audit).await.unwrap();
    let log = store.audit_log(&own, None, 1000).await.unwrap();
    let (mut ids, mut rows) = (BTreeMap::new(), Vec::new());
    for (group, id) in objects {
        let stored = id.replace("bot_", "service_");
        let kind = log.iter().find(|entry| entry.id == stored).unwrap().kind.clone();
        let body = store.resource(&own, &kind, &stored).await.unwrap().unwrap().body;
        let copy = |id: &str| format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
        ids.insert(*group, copy(id));
        let copied = copy(&stored);
        let content = Content { body, keys: vec![format!("key of {copied}")], ..Content::default() };
        let new = NewResource { id: copied, kind, account: other, followed: false, content };
        rows.push(store.create_resource(&new, &audit, now).await.unwrap());
    }
    (ids, rows)
}

/// An answer without what differs from call to call.
async fn answer(running: &Running, method: &str, target: &str, body: Value, id: &str) -> (u16, String) {
    let (status, mut reply) = running.call(method, target, body).await;
    if let Some(details) = reply.get_mut("details") {
        *details = Value::Null;
    }
    (status, reply.to_string().replace(id, "$id"))
}

#[tokio::test]
async fn what_another_account_has_is_not_there() {
    let running = Running::start().await;
    let own = objects(&running).await;
    let store = running.store().await;
    let (foreign, rows) = copies(&store, &own).await;
    for spec in Operation::all() {
        let group = spec.group();
        if NOT_SERVED.contains(&group) {
            continue;
        }
        let object = if group == "event-sources" { "event-subscriptions" } else { group };
        let Some(id) = foreign.get(object) else {
            assert!(NOTHING_TO_MAKE.contains(&group), "{group} needs a line in OBJECTS");
            continue;
        };
        let (method, absent) = (spec.method.as_str(), missing(group));
        if spec.parameters().count() > 0 {
            let found = answer(&running, method, &target(spec, id), body(spec), id).await;
            let nothing = answer(&running, method, &target(spec, &absent), body(spec), &absent).await;
            assert_eq!((found.0, &found), (404, &nothing), "{}", spec.name);
        } else if let Answer::Page(list) = &spec.answer {
            let filter = format!("filter=obj.id+==+%22{id}%22");
            let page = running.done("GET", spec.path, Value::Null).await.to_string();
            assert!(page.contains(&own[group]) && !page.contains(id.as_str()), "{}: {page}", spec.name);
            if !list.filter.is_empty() {
                let page = running.done("GET", &format!("{}?{filter}", spec.path), Value::Null).await;
                assert_eq!(page[list.key], json!([]), "{} {filter}", spec.name);
            }
            let page = running.done("GET", &format!("{}?before_id={id}", spec.path), Value::Null).await;
            assert!(!page.to_string().contains(id.as_str()), "{page}");
        }
    }
    references(&running, &own, &foreign).await;
    for row in rows {
        assert_eq!(store.resource(&row.account, &row.kind, &row.id).await.unwrap(), Some(row));
    }
}

/// Nothing can be made that needs another account's object, and nothing changed so that it does.
async fn references(running: &Running, own: &BTreeMap<&'static str, String>, foreign: &BTreeMap<&'static str, String>) {
    for (group, text) in OBJECTS {
        let Some((needed, id)) = foreign.iter().find(|(needed, _)| text.contains(&format!("${needed}\""))) else {
            continue;
        };
        let absent = missing(needed);
        let object = format!("{}/{}", collection(group), own[group]);
        for (method, path) in [("POST", collection(group)), ("PATCH", &object)] {
            let call = async |id: &str| {
                let body = filled(text, &BTreeMap::from([(*needed, id.to_owned())]));
                answer(running, method, path, body, id).await
            };
            let found = call(id).await;
            assert!(found.0 >= 400 && found == call(&absent).await, "{method} {path}: {found:?}");
        }
    }
}

#[tokio::test]
async fn who_has_a_name_is_told_to_its_account_only() {
    let running = Running::start().await;
    let own = objects(&running).await;
    let store = running.store().await;
    let (foreign, rows) = copies(&store, &BTreeMap::from([("agent-ingresses", own["agent-ingresses"].clone())])).await;
    let audit = Audit { who: "test".to_owned(), action: "name".to_owned(), ..Audit::default() };
    let content = Content { body: rows[0].body.clone(), keys: vec!["taken.example".to_owned()], ..Content::default() };
    let (kind, account) = (rows[0].kind.as_str(), rows[0].account);
    let changed = store.update_resource(&account, kind, &rows[0].id, 1, &content, &audit, Timestamp::now());
    changed.await.unwrap();
    for (domain, told) in [("taken.example", false), ("connect.acme.example", true)] {
        let (status, reply) = running.call("POST", "/agent_ingresses", json!({"domain": domain})).await;
        assert_eq!((status, reply["error_code"].as_str()), (409, Some("ERR_NGROK_6706")));
        let text = reply.to_string();
        assert_eq!(text.contains(&own["agent-ingresses"]), told, "{text}");
        assert!(!text.contains(&foreign["agent-ingresses"]), "{text}");
    }
}

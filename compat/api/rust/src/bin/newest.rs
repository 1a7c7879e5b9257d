//! The ngrok API client for Rust against the resources of a table (compat/README.md describes both).

use std::collections::BTreeMap;
use std::env;
use std::fs;

use futures::TryStreamExt;
use ngrok_api::types::*;
use ngrok_api::{Client, ClientBuilder, Error};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::{json, Value};

/// What a check needs to know; a failure is said in words.
type Checked<T = ()> = Result<T, String>;

/// One operation of a resource. The client reads every reply strictly: what it lacks is an error here.
enum Verb {
    Create(Value),
    Get(Value),
    Update(Value),
    List,
    Delete(Value),
    /// What is called, and of which.
    Call(String, Value),
}

/// A request of the client: what `body` gives, and the defaults of everything else.
fn request<T: Default + Serialize + DeserializeOwned>(body: Value) -> T {
    let mut whole = serde_json::to_value(T::default()).expect("a request is JSON");
    for (key, value) in body.as_object().into_iter().flatten() {
        assert!(whole.get(key).is_some(), "the client has no field {key}");
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("the body is as the client wants it")
}

fn reply(reply: impl Serialize) -> Value {
    serde_json::to_value(reply).expect("a reply is JSON")
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

/// Every item of every page, `limit` of which have one item at most.
macro_rules! listed {
    ($list:expr) => {{
        let pages: Vec<Value> = $list.pages().await.map_ok(reply).try_collect().await?;
        let items =
            |page: &Value| page.as_object().into_iter().flatten().find_map(|(_, each)| each.as_array().cloned());
        let items: Vec<Value> = pages.iter().flat_map(|page| items(page).unwrap_or_default()).collect();
        assert!(pages.len() >= items.len(), "a page holds more than its limit");
        Value::Array(items)
    }};
}

/// The resources with all verbs, each with the calls of its own after that.
macro_rules! resources {
    ($client:ident, $name:ident, $verb:ident: $($resource:ident $create:ident $update:ident ($($call:ident)*))*) => {
        match $name {
            $(stringify!($resource) => {
                let it = $client.$resource();
                match $verb {
                    Verb::Create(body) => reply(it.create(&request::<$create>(body)).await?),
                    Verb::Get(key) => reply(it.get(id(&key)).await?),
                    Verb::Update(body) => reply(it.update(&request::<$update>(body)).await?),
                    Verb::List => listed!(it.list(request(json!({"limit": "1"})))),
                    Verb::Delete(key) => reply(it.delete(id(&key)).await?),
                    $(Verb::Call(call, key) if call == stringify!($call) => reply(it.$call(id(&key)).await?),)*
                    Verb::Call(call, _) => panic!("no call {call}"),
                }
            })*
            name => panic!("no resource {name}"),
        }
    };
}

/// Performs an operation with the client.
async fn perform(client: &Client, name: &str, verb: Verb) -> Result<Value, Error> {
    macro_rules! online {
        ($resource:ident ($($call:ident)*)) => {{
            let it = client.$resource();
            match verb {
                Verb::Get(key) => reply(it.get(id(&key)).await?),
                Verb::List => listed!(it.list(request(json!({"limit": "1"})))),
                $(Verb::Call(call, key) if call == stringify!($call) => reply(it.$call(id(&key)).await?),)*
                _ => panic!("{name} is only read"),
            }
        }};
    }
    Ok(match name {
        "tunnels" => online!(tunnels()),
        // The client cannot write the query of its own list of endpoints, so those of the tunnels are taken.
        "endpoints" if matches!(verb, Verb::List) => {
            let tunnels = listed!(client.tunnels().list(request(json!({"limit": "1"}))));
            tunnels.as_array().into_iter().flatten().map(|tunnel| tunnel["endpoint"].clone()).collect()
        }
        "endpoints" => online!(endpoints()),
        "tunnel_sessions" => online!(tunnel_sessions (stop restart update)),
        "application_users" => online!(application_users()),
        "application_sessions" => online!(application_sessions()),
        "abuse_reports" => match verb {
            Verb::Create(body) => reply(client.abuse_reports().create(&request(body)).await?),
            Verb::Get(key) => reply(client.abuse_reports().get(id(&key)).await?),
            _ => panic!("abuse reports are made and read"),
        },
        "secrets" => match verb {
            Verb::Call(call, key) if call == "get_secrets_by_vault" => {
                listed!(client.vaults().get_secrets_by_vault(request(merged(&key, &json!({"limit": "1"})))))
            }
            verb => stored(client, name, verb).await?,
        },
        "event_sources" => match verb {
            Verb::Create(body) => reply(client.event_sources().create(&request(body)).await?),
            Verb::Get(key) => reply(client.event_sources().get(&request(key)).await?),
            Verb::Update(body) => reply(client.event_sources().update(&request(body)).await?),
            Verb::Delete(key) => reply(client.event_sources().delete(&request(key)).await?),
            _ => panic!("event sources are not paged"),
        },
        _ => stored(client, name, verb).await?,
    })
}

/// Performs an operation on a resource that can be made, changed and deleted.
async fn stored(client: &Client, name: &str, verb: Verb) -> Result<Value, Error> {
    Ok(resources! { client, name, verb:
        ip_policies IPPolicyCreate IPPolicyUpdate ()
        ip_policy_rules IPPolicyRuleCreate IPPolicyRuleUpdate ()
        ip_restrictions IPRestrictionCreate IPRestrictionUpdate ()
        tls_certificates TLSCertificateCreate TLSCertificateUpdate ()
        certificate_authorities CertificateAuthorityCreate CertificateAuthorityUpdate ()
        reserved_domains ReservedDomainCreate ReservedDomainUpdate (delete_certificate delete_certificate_management_policy)
        reserved_addrs ReservedAddrCreate ReservedAddrUpdate ()
        agent_ingresses AgentIngressCreate AgentIngressUpdate ()
        service_users ServiceUserCreate ServiceUserUpdate ()
        bot_users BotUserCreate BotUserUpdate ()
        api_keys APIKeyCreate APIKeyUpdate ()
        credentials CredentialCreate CredentialUpdate ()
        ssh_credentials SSHCredentialCreate SSHCredentialUpdate ()
        ssh_certificate_authorities SSHCertificateAuthorityCreate SSHCertificateAuthorityUpdate ()
        ssh_host_certificates SSHHostCertificateCreate SSHHostCertificateUpdate ()
        ssh_user_certificates SSHUserCertificateCreate SSHUserCertificateUpdate ()
        event_destinations EventDestinationCreate EventDestinationUpdate ()
        event_subscriptions EventSubscriptionCreate EventSubscriptionUpdate ()
        vaults VaultCreate VaultUpdate ()
        secrets SecretCreate SecretUpdate ()
    })
}

/// A row of the table.
struct Row<'a> {
    client: &'a Client,
    row: &'a Value,
    name: &'a str,
    /// The path that it is below, when it has no id of its own.
    below: Value,
    ids: Vec<String>,
}

impl Row<'_> {
    async fn perform(&self, verb: Verb) -> Checked<Value> {
        perform(self.client, self.name, verb).await.map_err(|error| format!("{error:?}"))
    }

    /// Performs an operation that the server must refuse.
    async fn refused(&self, verb: Verb, code: &str) -> Checked {
        match perform(self.client, self.name, verb).await {
            Err(Error::Ngrok(error)) if error.error_code == code => Ok(()),
            outcome => Err(format!("{outcome:?} instead of {code}")),
        }
    }

    fn name_of<'v>(&self, value: &'v Value) -> &'v str {
        value[if self.below.is_null() { "id" } else { "type" }].as_str().unwrap_or_default()
    }

    fn key(&self, index: usize) -> Value {
        match &self.below {
            Value::Null => json!({"id": self.ids[index]}),
            below => merged(below, &json!({"type": self.ids[index]})),
        }
    }

    async fn check(&mut self, what: &str, first: &mut BTreeMap<String, String>) -> Checked {
        if what == "create" {
            for body in self.row["create"].as_array().into_iter().flatten() {
                let body = filled(body, first);
                let made = self.perform(Verb::Create(merged(&self.below, &body))).await?;
                self.ids.push(self.name_of(&made).to_owned());
                expect(&made, &body)?;
            }
            first.insert(self.name.to_owned(), self.ids[0].clone());
            return Ok(());
        }
        match what {
            "list" => self.list(first).await,
            "refused" => {
                let body = merged(&self.below, &filled(&self.row["refused"], first));
                self.refused(Verb::Create(body), text(&self.row["code"])).await
            }
            "missing" => {
                let key = json!({"id": self.row["missing"]});
                self.refused(Verb::Get(key), text(&self.row["gone"])).await
            }
            _ if self.ids.is_empty() => Err("there is none".to_owned()),
            "get" => match self.perform(Verb::Get(self.key(0))).await? {
                found if self.name_of(&found) == self.ids[0] => Ok(()),
                found => Err(format!("{found} instead of {}", self.ids[0])),
            },
            "update" => {
                let change = &self.row["update"];
                expect(&self.perform(Verb::Update(merged(&self.key(0), change))).await?, change)?;
                expect(&self.perform(Verb::Get(self.key(0))).await?, change)
            }
            "calls" => {
                for (call, code) in self.row["refused_calls"].as_object().into_iter().flatten() {
                    self.refused(Verb::Call(call.clone(), self.key(0)), text(code)).await?;
                }
                for (index, call) in self.row["calls"].as_array().into_iter().flatten().enumerate() {
                    let call = text(call).to_owned();
                    self.perform(Verb::Call(call, self.key(index))).await?;
                }
                Ok(())
            }
            "delete" => {
                for index in (0..self.ids.len()).rev() {
                    self.perform(Verb::Delete(self.key(index))).await?;
                    self.refused(Verb::Get(self.key(index)), text(&self.row["gone"])).await?;
                }
                Ok(())
            }
            _ => panic!("no check {what}"),
        }
    }

    async fn list(&mut self, first: &BTreeMap<String, String>) -> Checked {
        if !self.below.is_null() {
            let subscription = text(&self.below["subscription_id"]);
            let listed = self.client.event_sources().list(subscription).await.map_err(|error| format!("{error:?}"))?;
            let missing = self.ids.iter().find(|id| !listed.sources.iter().any(|source| &source.r#type == *id));
            return missing.map_or(Ok(()), |id| Err(format!("{id} is not in the list")));
        }
        let listed = self.listed(Verb::List).await?;
        if let Some(online) = self.row["online"].as_u64() {
            if listed.len() as u64 != online {
                return Err(format!("{listed:?} instead of {online}"));
            }
            self.ids = listed;
            return Ok(());
        }
        let mut wanted = self.ids.clone();
        wanted.sort_by(|one, other| other.cmp(one));
        let found: Vec<&String> = listed.iter().filter(|id| wanted.contains(id)).collect();
        if found != wanted.iter().collect::<Vec<_>>() {
            return Err(format!("{wanted:?} are not in this order in {listed:?}"));
        }
        if let Some(within) = self.row.get("within") {
            let key = json!({"id": first[text(&within["resource"])]});
            let listed = self.listed(Verb::Call(text(&within["call"]).to_owned(), key)).await?;
            if listed != wanted {
                return Err(format!("{listed:?} instead of {wanted:?}"));
            }
        }
        Ok(())
    }

    /// The ids of everything, in pages of one.
    async fn listed(&self, verb: Verb) -> Checked<Vec<String>> {
        let listed = self.perform(verb).await?;
        Ok(listed.as_array().into_iter().flatten().map(|item| id(item).to_owned()).collect())
    }
}

/// References to the first of a resource become its id.
fn filled(value: &Value, first: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(key, each)| (key.clone(), filled(each, first))).collect(),
        Value::Array(array) => array.iter().map(|each| filled(each, first)).collect(),
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) => first.get(name).cloned().unwrap_or_default().into(),
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

fn merged(one: &Value, other: &Value) -> Value {
    let members = [one, other].into_iter().filter_map(Value::as_object).flatten();
    members.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What was asked for is there; an empty text asks for the server's default.
fn expect(thing: &Value, wanted: &Value) -> Checked {
    for (key, value) in wanted.as_object().into_iter().flatten() {
        let known = thing.get(key).filter(|_| value.is_boolean() || !text(value).is_empty());
        if known.is_some_and(|is| is != value) {
            return Err(format!("{key} is {} instead of {value}", thing[key]));
        }
    }
    Ok(())
}

async fn check(row: &mut Row<'_>, what: &str, first: &mut BTreeMap<String, String>) -> bool {
    let mut line = json!({"resource": row.name, "check": what});
    if let Err(why) = row.check(what, first).await {
        line["failed"] = why.into();
    }
    println!("{line}");
    line["failed"].is_null()
}

fn setting(name: &str) -> String {
    env::var(format!("COMPAT_{name}")).expect("a setting")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut client = ClientBuilder::new(setting("API_KEY"));
    client.api_url(setting("API_URL").parse().expect("an address"));
    let client = client.build();
    let table: Vec<Value> =
        serde_json::from_slice(&fs::read(setting("RESOURCES")).expect("the table")).expect("the table is JSON");
    let (mut rows, mut first) = (Vec::new(), BTreeMap::new());
    for entry in &table {
        let (name, below) = (entry["resource"].as_str().expect("a name"), filled(&entry["below"], &first));
        let mut row = Row { client: &client, row: entry, name, below, ids: Vec::new() };
        for what in entry["checks"].as_array().into_iter().flatten() {
            let what = text(what);
            if !check(&mut row, what, &mut first).await && what == "create" {
                break;
            }
        }
        rows.push(row);
    }
    for row in rows.iter_mut().rev().filter(|row| row.row["delete"] == true) {
        check(row, "delete", &mut first).await;
    }
}

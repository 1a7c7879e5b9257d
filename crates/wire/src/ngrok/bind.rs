//! `Bind`, `StartTunnelWithLabel`, `Unbind` and `PatchTunnelState`: endpoints of a session.

use std::collections::BTreeMap;

use portway_names::Scheme;
use portway_proto::{MAX_DESCRIPTION_LEN, MAX_FORWARDS_TO_LEN, MAX_LABEL_LEN, MAX_METADATA_LEN};
use serde_json::{Map, Value};

use super::fields::{Fields, MessageError};

/// Longest id of an endpoint or resume data of one, in bytes: what this server gives out has under 600.
const MAX_ID_LEN: usize = 1024;
/// Longest name in a URL field, in bytes.
const MAX_NAME_LEN: usize = 512;
/// Labels of one endpoint.
const MAX_LABELS: usize = 32;

/// A checked `Bind`. What its options mean for an endpoint is not.
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    /// What an earlier answer gave; empty for a new endpoint.
    pub id: String,
    /// What an earlier answer gave; empty for a new endpoint.
    pub token: String,
    /// What the endpoint speaks.
    pub scheme: Scheme,
    /// What the agent forwards to, for display only.
    pub forwards_to: String,
    /// The agent expects HTTP/2 with prior knowledge inside of streams.
    pub http2: bool,
    /// The options of the protocol.
    pub opts: Opts,
    /// Opaque text of the user, at most [`MAX_METADATA_LEN`] bytes.
    pub metadata: String,
    /// Text of the user, at most [`MAX_DESCRIPTION_LEN`] bytes.
    pub description: String,
    /// Name of the endpoint, for display.
    pub name: String,
    /// Who can reach the endpoint; none where the agent leaves it open.
    pub binding: Option<Binding>,
    /// Other agents may serve the same URL.
    pub pooling: bool,
    /// A policy for addresses that the endpoint is to have; empty for none.
    pub ip_policy: String,
}

/// Who can reach an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Everybody.
    Public,
    /// Other endpoints of the account.
    Internal,
    /// Kubernetes clusters of the account.
    Kubernetes,
}

/// The options of a `Bind`, as they came: they go back with the answer, amended, and come again with a rebind.
#[derive(Debug, Clone, PartialEq)]
pub struct Opts(Map<String, Value>);

/// The name that an endpoint is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedName {
    /// Any.
    Any,
    /// This URL, with or without scheme, or this host.
    Url(String),
    /// This label below the base domain.
    Label(String),
}

/// A checked `StartTunnelWithLabel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindLabels {
    /// Keys and values; at least one.
    pub labels: BTreeMap<String, String>,
    /// What the agent forwards to, for display only.
    pub forwards_to: String,
    /// The agent expects HTTP/2 with prior knowledge inside of streams.
    pub http2: bool,
    /// Opaque text of the user.
    pub metadata: String,
}

/// A checked `Unbind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbind {
    /// The endpoint.
    pub id: String,
}

/// A checked `PatchTunnelState`: what is none stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchEndpoint {
    /// The endpoint, by the id of `TunnelID` in the answer to its bind.
    pub endpoint: String,
    /// Name of the endpoint.
    pub name: Option<String>,
    /// Text of the user.
    pub description: Option<String>,
    /// Opaque text of the user.
    pub metadata: Option<String>,
    /// Other agents may serve the same URL.
    pub pooling: Option<bool>,
    /// A Traffic Policy document.
    pub traffic_policy: Option<String>,
}

impl Bind {
    /// Reads a `Bind`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(message: &Map<String, Value>) -> Result<Self, MessageError> {
        let top = Fields::new(message);
        let extra = top.object("Extra", "Extra")?;
        let proto = top.text("Proto", MAX_LABEL_LEN)?;
        let scheme = proto.parse().map_err(|_| top.error("Proto", "must be http, https, tcp or tls"))?;
        Ok(Self {
            id: top.text("Id", MAX_ID_LEN)?,
            token: extra.text("Token", MAX_ID_LEN)?,
            scheme,
            forwards_to: shortened(top.text("ForwardsTo", usize::MAX)?, MAX_FORWARDS_TO_LEN),
            http2: http2(top)?,
            opts: Opts(top.map("Opts")?.cloned().unwrap_or_default()),
            metadata: extra.text("Metadata", MAX_METADATA_LEN)?,
            description: extra.text("Description", MAX_DESCRIPTION_LEN)?,
            name: extra.text("Name", MAX_LABEL_LEN)?,
            binding: binding(extra)?,
            pooling: extra.flag("PoolingEnabled")? || extra.flag("AllowsPooling")?,
            ip_policy: extra.text("IPPolicyRef", MAX_ID_LEN)?,
        })
    }
}

impl Opts {
    /// The name to bind: the first field of `URL`, `Domain`, `Hostname`, `Subdomain` that says one; `URL` and `Addr` for tcp.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn wanted_name(&self, scheme: Scheme) -> Result<WantedName, MessageError> {
        let keys: &[&str] = if scheme == Scheme::Tcp { &["URL", "Addr"] } else { &["URL", "Domain", "Hostname"] };
        for key in keys {
            let name = self.fields().text(key, MAX_NAME_LEN)?;
            if !name.is_empty() {
                return Ok(WantedName::Url(name));
            }
        }
        let label =
            if scheme == Scheme::Tcp { String::new() } else { self.fields().text("Subdomain", MAX_NAME_LEN)? };
        Ok(if label.is_empty() { WantedName::Any } else { WantedName::Label(label) })
    }

    /// Adds what one family's older versions (up to 0.13 of the Rust crate) demand of an answer although they leave it out of the question.
    pub fn complete(&mut self) {
        if let Some(Value::Object(termination)) = self.0.get_mut("TLSTermination") {
            for key in ["cert", "sealed_key"] {
                termination.entry(key).or_insert_with(|| "".into());
            }
        }
    }

    /// Writes the name that was assigned where the agent sends it again with a rebind. A URL without a name (`tcp://`, of v2 of the Go
    /// family) would ask for any name again, so it gets the name as well.
    pub fn assign(&mut self, scheme: Scheme, name: &str) {
        let key = if scheme == Scheme::Tcp { "Addr" } else { "Hostname" };
        self.0.insert(key.to_owned(), name.into());
        let url = self.0.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case("URL"));
        if let Some((_, Value::String(url))) = url
            && url.split_once("://").is_some_and(|(_, name)| name.is_empty() || scheme == Scheme::Tcp)
        {
            *url = format!("{scheme}://{name}");
        }
    }

    /// A text, empty when there is none; at most `max` bytes.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn text(&self, key: &str, max: usize) -> Result<String, MessageError> {
        self.fields().text(key, max)
    }

    /// A truth value, false when there is none.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn flag(&self, key: &str) -> Result<bool, MessageError> {
        self.fields().flag(key)
    }

    /// A whole number, 0 when there is none.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn number(&self, key: &str) -> Result<i64, MessageError> {
        self.fields().number(key)
    }

    /// An object, for options that have fields of their own. Present and empty says something else than absent.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>, MessageError> {
        self.fields().map(key)
    }

    /// Whether the option is there and says something: not null, empty text, or `false`.
    #[must_use]
    pub fn says(&self, key: &str) -> bool {
        self.fields().get(key).is_some_and(says_something)
    }

    /// The keys of the options that say something, as [`Opts::says`] means it.
    pub fn said(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| says_something(value)).map(|(key, _)| key.as_str())
    }

    /// The whole, for the answer.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    fn fields(&self) -> Fields<'_> {
        Fields::named(&self.0, "Opts")
    }
}

impl BindLabels {
    /// Reads a `StartTunnelWithLabel`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(message: &Map<String, Value>) -> Result<Self, MessageError> {
        let top = Fields::new(message);
        let mut labels = BTreeMap::new();
        for (key, value) in top.map("Labels")?.into_iter().flatten() {
            match value {
                Value::String(value) if key.len() <= MAX_LABEL_LEN && value.len() <= MAX_LABEL_LEN => {
                    labels.insert(key.clone(), value.clone());
                }
                Value::String(_) => return Err(top.error("Labels", "a label is longer than 255 bytes")),
                _ => return Err(top.error("Labels", "must be an object of strings")),
            }
        }
        if labels.is_empty() || labels.len() > MAX_LABELS {
            return Err(top.error("Labels", format!("must hold between 1 and {MAX_LABELS} labels")));
        }
        Ok(Self {
            labels,
            forwards_to: shortened(top.text("ForwardsTo", usize::MAX)?, MAX_FORWARDS_TO_LEN),
            http2: http2(top)?,
            metadata: top.text("Metadata", MAX_METADATA_LEN)?,
        })
    }
}

impl Unbind {
    /// Reads an `Unbind`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(message: &Map<String, Value>) -> Result<Self, MessageError> {
        Ok(Self { id: Fields::new(message).text("Id", MAX_ID_LEN)? })
    }
}

impl PatchEndpoint {
    /// Reads a `PatchTunnelState`.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(message: &Map<String, Value>) -> Result<Self, MessageError> {
        let top = Fields::new(message);
        Ok(Self {
            endpoint: top.text("TunnelId", MAX_ID_LEN)?,
            name: top.optional_text("Name", MAX_LABEL_LEN)?,
            description: top.optional_text("Description", MAX_DESCRIPTION_LEN)?,
            metadata: top.optional_text("Metadata", MAX_METADATA_LEN)?,
            pooling: top.optional_flag("PoolingEnabled")?,
            traffic_policy: top.optional_text("TrafficPolicy", usize::MAX)?,
        })
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    }
}

fn http2(fields: Fields<'_>) -> Result<bool, MessageError> {
    match fields.text("ForwardsProto", MAX_LABEL_LEN)?.as_str() {
        "" | "http1" => Ok(false),
        "http2" => Ok(true),
        _ => Err(fields.error("ForwardsProto", "must be http1 or http2")),
    }
}

fn binding(extra: Fields<'_>) -> Result<Option<Binding>, MessageError> {
    let names = extra.texts("Bindings", 16, MAX_LABEL_LEN)?;
    match names.as_slice() {
        [] => Ok(None),
        [one] => match one.to_ascii_lowercase().as_str() {
            "public" => Ok(Some(Binding::Public)),
            "internal" => Ok(Some(Binding::Internal)),
            "kubernetes" => Ok(Some(Binding::Kubernetes)),
            _ => Err(extra.error("Bindings", "must be public, internal or kubernetes")),
        },
        _ => Err(extra.error("Bindings", "an endpoint has one binding at most")),
    }
}

/// What is for display only is cut, not refused: SDKs put the whole command line of the program there.
fn shortened(mut text: String, max: usize) -> String {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("no object") };
        object
    }

    fn bind(proto: &str, opts: Value) -> Bind {
        Bind::read(&map(json!({ "Proto": proto, "Opts": opts }))).unwrap()
    }

    #[test]
    fn names_are_looked_for_in_order() {
        let name = |proto, opts| {
            let bind = bind(proto, opts);
            bind.opts.wanted_name(bind.scheme).unwrap()
        };
        let url = |text: &str| WantedName::Url(text.to_owned());
        let all = json!({ "URL": "https://u", "Domain": "d", "Hostname": "h", "Subdomain": "s" });
        assert_eq!(name("https", all), url("https://u"));
        assert_eq!(name("https", json!({ "URL": "", "Domain": "d", "Hostname": "h" })), url("d"));
        assert_eq!(name("tls", json!({ "Domain": "", "Hostname": "h" })), url("h"));
        assert_eq!(name("http", json!({ "Subdomain": "s" })), WantedName::Label("s".to_owned()));
        assert_eq!(name("tcp", json!({ "Addr": "1.tcp.example.com:20000" })), url("1.tcp.example.com:20000"));
        assert_eq!(name("tcp", json!({ "Addr": "", "Hostname": "h" })), WantedName::Any);
        assert_eq!(name("https", Value::Null), WantedName::Any);
    }

    #[test]
    fn the_assigned_name_comes_back_with_everything_else() {
        let mut bind = bind("https", json!({ "Domain": "", "Hostname": "", "ProxyProto": 0, "Compression": {} }));
        bind.opts.assign(Scheme::Https, "app.example.com");
        let back = json!({ "Domain": "", "Hostname": "app.example.com", "ProxyProto": 0, "Compression": {} });
        assert_eq!(bind.opts.as_map(), &map(back));
        assert!(bind.opts.says("Compression") && !bind.opts.says("Domain"));
        assert_eq!(bind.opts.said().collect::<Vec<_>>(), ["Compression", "Hostname", "ProxyProto"]);
        let mut tcp = self::bind("tcp", json!({ "URL": "tcp://", "ProxyProto": 0 }));
        tcp.opts.assign(Scheme::Tcp, "example.com:20001");
        let back = json!({ "URL": "tcp://example.com:20001", "Addr": "example.com:20001", "ProxyProto": 0 });
        assert_eq!(tcp.opts.as_map(), &map(back));
        let mut tls = self::bind("tls", json!({ "TLSTermination": { "cert": "c", "key": "k" } }));
        tls.opts.complete();
        assert_eq!(tls.opts.as_map()["TLSTermination"], json!({ "cert": "c", "key": "k", "sealed_key": "" }));
    }

    #[test]
    fn bindings_and_protocols_are_checked() {
        let read = |extra: Value| Bind::read(&map(json!({ "Proto": "https", "Extra": extra })));
        assert_eq!(read(json!({ "Bindings": null })).unwrap().binding, None);
        assert_eq!(read(json!({ "Bindings": ["internal"] })).unwrap().binding, Some(Binding::Internal));
        assert_eq!(read(json!({ "Bindings": ["public", "internal"] })).unwrap_err().field, "Extra.Bindings");
        assert_eq!(read(json!({ "Bindings": ["moon"] })).unwrap_err().field, "Extra.Bindings");
        assert!(read(json!({ "AllowsPooling": true })).unwrap().pooling);
        for proto in ["ssh", "udp", ""] {
            assert_eq!(Bind::read(&map(json!({ "Proto": proto }))).unwrap_err().field, "Proto");
        }
        assert_eq!(Bind::read(&map(json!({ "Proto": "https", "Opts": 3 }))).unwrap_err().field, "Opts");
    }

    #[test]
    fn labels_are_strings_and_there_is_at_least_one() {
        let read = |labels: Value| BindLabels::read(&map(json!({ "Labels": labels })));
        assert_eq!(read(json!({ "edge": "e1" })).unwrap().labels["edge"], "e1");
        for wrong in [json!({}), json!({ "a": 1 }), json!([]), json!(null)] {
            assert_eq!(read(wrong).unwrap_err().field, "Labels");
        }
    }

    #[test]
    fn a_long_text_for_display_is_cut_at_a_character() {
        assert_eq!(shortened("a\u{e9}b".to_owned(), 2), "a");
        let bind = Bind::read(&map(json!({ "Proto": "tcp", "ForwardsTo": "x".repeat(5000) }))).unwrap();
        assert_eq!(bind.forwards_to.len(), MAX_FORWARDS_TO_LEN);
    }
}

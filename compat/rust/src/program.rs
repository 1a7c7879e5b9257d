//! The ngrok crate as a program of the compat suite (compat/README.md describes the protocol). Each version is a program
//! that includes this file, with the macro `set!` and the module `version` for what differs.

use std::{env, fs, io};

use serde_json::{json, Value};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::ngrok::config::{OauthOptions, OidcOptions, ProxyProto, Scheme};
use super::ngrok::Session;
use super::version::{self, Failure};

/// A bound endpoint: what is printed about it, and its id.
pub struct Bound {
    pub id: String,
    pub url: Option<String>,
    pub metadata: String,
    pub forwards_to: String,
}

pub fn say(event: &str, fields: Value) {
    let mut line = json!({ "event": event });
    for (key, value) in fields.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    println!("{line}");
}

pub fn setting(name: &str) -> String {
    env::var(format!("COMPAT_{name}")).unwrap_or_default()
}

pub fn read(name: &str) -> Vec<u8> {
    fs::read(setting(name)).expect("the file that a setting names")
}

async fn http(session: &Session, scenario: &str) -> Result<Option<Bound>, Failure> {
    let mut builder = session.http_endpoint();
    if scenario != "http-random" {
        set!(builder.domain(setting("NAME")));
    }
    match scenario {
        "http-random" | "http-named" => {}
        "http-plain" => set!(builder.scheme(Scheme::HTTP)),
        "metadata" => {
            set!(builder.metadata("compat-endpoint"));
            set!(builder.forwards_to("compat-upstream"));
        }
        "basic-auth" => set!(builder.basic_auth("compat", "correct-horse")),
        "compression" => set!(builder.compression()),
        "headers" => {
            set!(builder.request_header("X-Compat-Added", "yes"));
            set!(builder.remove_request_header("X-Compat-Secret"));
            set!(builder.response_header("X-Compat-Answer", "yes"));
            set!(builder.remove_response_header("X-Upstream"));
        }
        "ip-allow" => set!(builder.allow_cidr("127.0.0.0/8")),
        "ip-deny" => set!(builder.deny_cidr("127.0.0.0/8")),
        "circuit-breaker" => set!(builder.circuit_breaker(0.1)),
        "webhook" => set!(builder.webhook_verification("github", "compat-secret")),
        "websocket-tcp" => set!(builder.websocket_tcp_conversion()),
        "mutual-tls" => set!(builder.mutual_tlsca(read("CLIENT_CA").into())),
        "oauth" => set!(builder.oauth(OauthOptions::new("google"))),
        "oidc" => set!(builder.oidc(OidcOptions::new("https://issuer.example", "id", "secret"))),
        _ => match version::newer(builder, scenario) {
            Some(with) => builder = with,
            None => return Ok(None),
        },
    }
    version::forward_http(builder, scenario, &setting("UPSTREAM_PORT")).await.map(Some)
}

/// Binds the endpoints of the scenario; nothing when this version has nothing for it.
async fn run(session: &Session, scenario: &str) -> Result<Vec<Bound>, Failure> {
    match scenario {
        "two-endpoints" => {
            let mut second = session.http_endpoint();
            set!(second.domain(setting("NAME_2")));
            let first = http(session, "http-named").await?;
            let second = version::forward_http(second, scenario, &setting("UPSTREAM_PORT")).await?;
            Ok(first.into_iter().chain([second]).collect())
        }
        "tcp" | "proxy-proto-1" | "proxy-proto-2" => {
            let mut builder = session.tcp_endpoint();
            match scenario {
                "proxy-proto-1" => set!(builder.proxy_proto(ProxyProto::V1)),
                "proxy-proto-2" => set!(builder.proxy_proto(ProxyProto::V2)),
                _ => {}
            }
            Ok(vec![version::forward_tcp(builder, &setting("TCP_PORT")).await?])
        }
        "tls" | "tls-edge" => {
            let mut builder = session.tls_endpoint();
            set!(builder.domain(setting("NAME")));
            if scenario == "tls" {
                return Ok(vec![version::forward_tls(builder, &setting("TLS_PORT")).await?]);
            }
            set!(builder.termination(read("CERT").into(), read("KEY").into()));
            Ok(vec![version::forward_tls(builder, &setting("UPSTREAM_PORT")).await?])
        }
        "labels" => {
            let mut builder = session.labeled_tunnel();
            set!(builder.label("edge", "compat"));
            Ok(vec![version::forward_labels(builder, &setting("UPSTREAM_PORT")).await?])
        }
        _ => Ok(http(session, scenario).await?.into_iter().collect()),
    }
}

/// Sessions that do nothing, beside the first.
async fn idle() -> Result<Vec<Session>, Failure> {
    let mut sessions = Vec::new();
    for _ in 1..env::var("COMPAT_SESSIONS").map_or(1, |count| count.parse().expect("a number")) {
        sessions.push(version::connect().await?);
    }
    Ok(sessions)
}

fn report(failure: &Failure) {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    say("error", json!({ "code": version::code(failure), "text": text }));
}

pub async fn main() -> io::Result<()> {
    let scenario = env::args().nth(1).unwrap_or_default();
    let connected = async { Ok::<_, Failure>((version::connect().await?, idle().await?)) };
    let (mut session, mut sessions) = match connected.await {
        Ok(sessions) => sessions,
        Err(failure) => {
            report(&failure);
            return Ok(());
        }
    };
    say("connected", json!({ "sessions": 1 + sessions.len() }));
    let bound = match run(&session, &scenario).await {
        Ok(bound) if bound.is_empty() => {
            say("unsupported", json!({ "text": scenario }));
            return Ok(());
        }
        Ok(bound) => bound,
        Err(failure) => {
            report(&failure);
            return Ok(());
        }
    };
    for Bound { id, url, metadata, forwards_to } in &bound {
        say("bound", json!({ "url": url, "id": id, "metadata": metadata, "forwards_to": forwards_to }));
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line.trim() == "close" {
            let closed = session.close_tunnel(&bound[0].id).await;
            say("closed", json!({ "what": "endpoint", "text": closed.err().map(|error| error.to_string()) }));
        }
    }
    for Bound { id, .. } in &bound {
        // One that is closed already is what we want.
        let _ = session.close_tunnel(id).await;
    }
    for each in std::iter::once(&mut session).chain(&mut sessions) {
        let _ = each.close().await;
    }
    say("closed", json!({ "what": "session" }));
    // The thread that reads standard input may still wait for it.
    std::process::exit(0);
}

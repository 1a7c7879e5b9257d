//! `portway api` as a user calls it, against a server that says what it is told to and records what it is asked.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

const KEY: &str = "0ujtsYcgvSTl8PAuAdqWYSMnLOv_2abcdefghijklmnopqrstu";

/// What the server was asked.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: http::HeaderMap,
    body: Bytes,
}

/// A server with replies in order. It ends with its runtime.
struct Script {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    async fn start(replies: impl IntoIterator<Item = (u16, Value)>) -> Result<Self> {
        let texts = replies.into_iter().map(|(status, value)| match value {
            Value::Null => (status, String::new()),
            Value::String(text) => (status, text),
            value => (status, value.to_string()),
        });
        let replies = Arc::new(Mutex::new(texts.collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&asked);
        let answer = move |request: Request| {
            let (replies, record) = (Arc::clone(&replies), Arc::clone(&record));
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("a body");
                let line = format!("{} {}", head.method, head.uri);
                record.lock().expect("no panic").push(Asked { line, headers: head.headers, body });
                let (status, text) = replies.lock().expect("no panic").pop_front().expect("a reply is left");
                (StatusCode::from_u16(status).expect("a status"), text).into_response()
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Ok(Self { url, asked })
    }

    fn run(&self, words: &[&str]) -> Result<Output> {
        portway(words, [("PORTWAY_API_URL", self.url.as_str()), ("PORTWAY_API_KEY", KEY)], "")
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

/// `portway api` in a clean environment.
fn portway<V: AsRef<OsStr>>(
    words: &[&str],
    variables: impl IntoIterator<Item = (&'static str, V)>,
    stdin: &str,
) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portway"))
        .arg("api")
        .args(words)
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("stdin")?.write_all(stdin.as_bytes())?;
    Ok(child.wait_with_output()?)
}

#[track_caller]
fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(errors, "", "on a pipe nothing but the reply is said");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn failed(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
    errors
}

#[track_caller]
fn golden(name: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, fresh).expect("the file can be written");
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let remedy = "if the change is wanted: UPDATE=1 cargo test -p portway --test api_command";
    assert_eq!(written, fresh, "{name} is not what is printed; {remedy}");
}

fn domain(id: &str, name: &str, description: &str) -> Value {
    json!({
        "id": id, "uri": format!("https://api.example.com/reserved_domains/{id}"), "created_at": "2026-11-26T05:00:00Z",
        "description": description, "metadata": "{}", "domain": name, "region": "", "cname_target": null,
        "certificate": {"id": "cert_1", "uri": "https://api.example.com/tls_certificates/cert_1"},
        "certificate_management_policy": {"authority": "letsencrypt", "private_key_type": "ecdsa"},
        "certificate_management_status": null, "acme_challenge_cname_target": null, "resolves_to": [{"value": "eu"}],
        "http_endpoint_configuration": null, "https_endpoint_configuration": null, "error_redirect_url": null, "is_dev": false,
    })
}

fn page(domains: Vec<Value>, next: Option<&str>) -> Value {
    json!({"reserved_domains": domains, "uri": "https://api.example.com/reserved_domains", "next_page_uri": next})
}

fn refusal(status: u16, code: &str, text: &str) -> Value {
    json!({"error_code": code, "status_code": status, "msg": text, "details": {"operation_id": "op_2ab"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_sent_and_its_reply_printed() -> Result<()> {
    let reply = domain("rd_1", "app.example.com", "for the shop");
    let server = Script::start([(201, reply.clone()), (201, reply.clone()), (201, reply), (204, Value::Null)]).await?;
    let create = ["reserved-domains", "create", "--domain", "app.example.com", "--description", "for the shop"];
    let text = printed(&server.run(&create)?);
    assert_eq!(serde_json::from_str::<Value>(&text)?, domain("rd_1", "app.example.com", "for the shop"));
    assert!(text.starts_with("{\n  \""), "{text}");
    golden("api-object.txt", &printed(&server.run(&[&create[..], &["--output", "table"]].concat())?));
    assert_eq!(printed(&server.run(&[&create[..], &["-q"]].concat())?), "rd_1\n");
    assert_eq!(printed(&server.run(&["reserved-domains", "delete", "rd_1"])?), "");

    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /reserved_domains");
    let body: Value = serde_json::from_slice(&asked[0].body)?;
    assert_eq!(body, json!({"domain": "app.example.com", "description": "for the shop"}));
    for (name, value) in [
        ("authorization", format!("Bearer {KEY}")),
        ("ngrok-version", "2".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("host", server.url.trim_start_matches("http://").to_owned()),
    ] {
        assert_eq!(asked[0].headers.get_all(name).iter().collect::<Vec<_>>(), [value.as_str()], "{name}");
    }
    assert_eq!((asked[3].line.as_str(), asked[3].body.len()), ("DELETE /reserved_domains/rd_1", 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_tables_or_json_and_all_pages_are_fetched() -> Result<()> {
    let first = || {
        vec![domain("rd_3", "three.example.com", ""), domain("rd_2", "*.two.example.com", "a\u{1b}]0;owned\u{7}\nb")]
    };
    let next = Some("https://elsewhere.example/reserved_domains?before_id=rd_2&limit=2");
    let second = || vec![domain("rd_1", "one.example.com", &"long ".repeat(20))];
    let pages = || [(200, page(first(), next)), (200, page(second(), None))];
    let replies =
        [pages(), pages(), pages()].concat().into_iter().chain([(200, page(first(), next)), (200, page(vec![], None))]);
    let server = Script::start(replies).await?;

    let all = ["reserved-domains", "list", "--all", "--limit", "2", "--filter", "obj.region == \"\""];
    let text = printed(&server.run(&all)?);
    assert_eq!(serde_json::from_str::<Value>(&text)?, page([first(), second()].concat(), None));
    let filter = "filter=obj.region%20%3D%3D%20%22%22";
    assert_eq!(
        server.lines(),
        [
            format!("GET /reserved_domains?limit=2&{filter}"),
            format!("GET /reserved_domains?limit=2&{filter}&before_id=rd_2"),
        ]
    );
    let table = printed(&server.run(&[&all[..], &["-o", "table"]].concat())?);
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table:?}");
    golden("api-table.txt", &table);
    assert_eq!(printed(&server.run(&[&all[..], &["--quiet"]].concat())?), "rd_3\nrd_2\nrd_1\n");

    let list = ["reserved-domains", "list", "--output"];
    let yaml = printed(&server.run(&[&list[..], &["yaml"]].concat())?);
    assert!(yaml.contains("domain: three.example.com") && !yaml.contains('\u{1b}'), "{yaml}");
    let none = server.run(&[&list[..], &["table"]].concat())?;
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there are none"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_what_to_do_and_their_code_last() -> Result<()> {
    let text = "It is \u{1b}[31mred\u{1b}[0m.\nNext line.";
    let server = Script::start([
        (401, refusal(401, "ERR_NGROK_203", "The API key is not known.")),
        (404, refusal(404, "ERR_PORTWAY_40401", "Resource not found")),
        (400, refusal(400, "ERR_NGROK_215", text)),
        (500, refusal(500, "ERR_PORTWAY_50001", "It failed.")),
        (502, "<html>bad gateway</html>".into()),
        (200, "{".into()),
        (200, json!({"uri": "x"})),
    ])
    .await?;
    let said = failed(&server.run(&["self", "get"])?, 1);
    assert!(
        said.starts_with("portway api: The API key is not known.\n\nCheck --api-key (or PORTWAY_API_KEY"),
        "{said}"
    );
    assert!(said.ends_with("\n\nThe id of the call is op_2ab.\n\nERR_NGROK_203\n"), "{said}");
    let said = failed(&server.run(&["vaults", "get", "vault_1"])?, 1);
    assert!(said.contains("`portway api vaults list` shows what there is."), "{said}");
    let said = failed(&server.run(&["vaults", "create", "--name", "a"])?, 1);
    assert!(
        said.contains("It is \\u{1b}[31mred\\u{1b}[0m.\nNext line.") && said.contains("vaults create --help"),
        "{said}"
    );
    assert!(failed(&server.run(&["self", "get"])?, 1).contains("The server's log says more"));
    for words in [["self", "get"], ["self", "get"], ["vaults", "list"]] {
        assert!(failed(&server.run(&words)?, 1).contains("cannot be understood"), "{words:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sent_and_never_said() -> Result<()> {
    let secret = "s3cret-that-nobody-may-see";
    let server = Script::start([
        (400, refusal(400, "ERR_NGROK_24004", "The value is too short.")),
        (201, json!({"id": "secret_1"})),
    ])
    .await?;
    let variables = || [("PORTWAY_API_URL", server.url.as_str()), ("PORTWAY_API_KEY", KEY)];
    let create = ["secrets", "create", "--name", "n", "--vault-id", "vault_1", "--value"];
    let refused = portway(&[&create[..], &[secret]].concat(), variables(), "")?;
    let taken = portway(&[&create[..], &["-"]].concat(), variables(), &format!("{secret}\n"))?;
    assert_eq!((refused.status.code(), taken.status.code()), (Some(1), Some(0)));
    for asked in server.asked() {
        assert_eq!(serde_json::from_slice::<Value>(&asked.body)?["value"], secret);
    }
    let wrong = portway(&["self", "get", "--api-key", "wr\u{1}ng"], variables(), "")?;
    let help = portway(&["self", "get", "--help"], variables(), "")?;
    assert_eq!((failed(&wrong, 2).contains("characters that no key has"), help.status.code()), (true, Some(0)));
    for output in [refused, taken, wrong, help] {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for secret in [secret, KEY, "wr\u{1}ng"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    Ok(())
}

#[test]
fn what_is_missing_or_wrong_is_2() -> Result<()> {
    let dir = TempDir::new()?;
    let none: [(&str, &str); 0] = [];
    let said = failed(&portway(&["self", "get"], none, "")?, 2);
    for way in ["--api-key KEY", "PORTWAY_API_KEY", "api_key below `agent`", "--data-dir DIR"] {
        assert!(said.contains(way), "{said}");
    }
    let file = dir.path().join("empty.json");
    std::fs::write(dir.path().join("bootstrap.json"), "{}")?;
    std::fs::write(&file, "[]")?;
    let (here, file) = (dir.path().to_str().context("text")?, format!("@{}", file.display()));
    for (words, expected) in [
        (&["self", "get", "--api-url", "api.example.com"][..], "\"api.example.com\", from --api-url, cannot be used"),
        (&["self", "get", "--api-url", "http://api.example.com"], "the key would cross the network"),
        (&["self", "get", "--data-dir", "/nonexistent"], "/nonexistent/bootstrap.json cannot be read"),
        (&["self", "get", "--data-dir", here], "is not what a server's first start writes"),
        (&["self", "get", "--ca", "/nonexistent.pem"], "--ca cannot be read from /nonexistent.pem"),
        (&["vaults", "create", "--body", &file], "--body is JSON, but not an object"),
        (&["vaults", "create"], "--name <NAME>"),
        (&["vault", "list"], "'vaults'"),
        (&["vaults"], "Changes a vault"),
        (&["vaults", "list", "--key", "x"], "unexpected argument '--key'"),
        (&["vaults", "list", "-q", "-o", "json"], "cannot be used with"),
        (&[], "reserved-domains"),
    ] {
        let said = failed(&portway(words, [("PORTWAY_API_KEY", KEY)], "")?, 2);
        assert!(said.contains(expected) && !said.contains(KEY), "{words:?} says {said}");
    }
    Ok(())
}

#[test]
fn what_cannot_be_reached_is_1() -> Result<()> {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = closed.local_addr()?.to_string();
    drop(closed);
    for (url, expected) in [
        (format!("http://{address}"), format!("{address} cannot be reached: ")),
        (format!("https://{address}"), "Check that the server runs and that --api-url names".to_owned()),
        ("https://nothing.invalid".to_owned(), "Check the spelling of --api-url".to_owned()),
    ] {
        let words = ["self", "get", "--ca", "trusted", "--api-url", &url];
        let said = failed(&portway(&words, [("PORTWAY_API_KEY", KEY)], "")?, 1);
        assert!(said.contains(&expected), "{url} says {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_cannot_fill_the_memory() -> Result<()> {
    let many = vec![json!({"id": "rd_1"}); 60_000];
    let endless = page(many, Some("https://a.example/reserved_domains?before_id=rd_1"));
    let huge = " ".repeat(portway_api::MAX_PAGE * portway_api::MAX_BODY_LEN + 1);
    let server = Script::start([(200, endless.clone()), (200, endless), (200, huge.into())]).await?;
    let said = failed(&server.run(&["reserved-domains", "list", "--all"])?, 1);
    assert!(said.contains("the list has more than 100000 objects"), "{said}");
    let said = failed(&server.run(&["self", "get"])?, 1);
    assert!(said.contains("was cut off: length limit exceeded"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked() -> Result<()> {
    let dir = TempDir::new()?;
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["api.localhost".to_owned()])?;
    std::fs::write(dir.path().join("ca.pem"), cert.pem())?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(portway_tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())?;
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await?);
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|len| len > 0) {}
            let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"id\": \"me\"}";
            drop(stream.write_all(reply).await);
        }
    });
    let call = |host: &str, ca: &[&str]| {
        let url = format!("https://{host}:{port}");
        let words = [&["self", "get", "-q", "--api-url", &url][..], ca].concat();
        let ours = dir.path().join("ca.pem");
        portway(&words, [("PORTWAY_API_KEY", OsStr::new(KEY)), ("PORTWAY_CA", ours.as_os_str())], "")
    };
    assert_eq!(printed(&call("api.localhost", &[])?), "me\n");
    let said = failed(&call("api.localhost", &["--ca", "trusted"])?, 1);
    assert!(
        said.contains("not issued by an authority trusted here") && said.contains("give its CA file: --ca PATH"),
        "{said}"
    );
    let said = failed(&call("127.0.0.1", &[])?, 1);
    assert!(said.contains("its name must be one that the server has a certificate for"), "{said}");
    Ok(())
}

#[test]
fn help_and_completion_know_every_operation() -> Result<()> {
    let none: [(&str, &str); 0] = [];
    let help = |words: &[&str]| portway(words, none, "").map(|output| printed(&output));
    golden("api-reserved-domains-create-help.txt", &help(&["reserved-domains", "create", "--help"])?);
    golden("api-ip-policy-rules-list-help.txt", &help(&["ip-policy-rules", "list", "-h"])?);
    let (whole, portway) = (help(&["--help"])?, env!("CARGO_BIN_EXE_portway"));
    assert!(whole.contains("Examples:\n  portway api reserved-domains create"), "{whole}");
    let bash = Command::new(portway).args(["completion", "bash"]).output()?;
    let bash = String::from_utf8(bash.stdout)?;
    for spec in portway_api::Operation::all() {
        assert!(whole.contains(&format!("\n  {} ", spec.group())), "{}", spec.name);
        let group = format!("portway__subcmd__api,{})", spec.group());
        assert!(bash.contains(&group) && bash.contains(&format!(",{})", spec.verb())), "{}", spec.name);
    }
    assert!(bash.contains("--certificate-management-policy.authority"));
    Ok(())
}

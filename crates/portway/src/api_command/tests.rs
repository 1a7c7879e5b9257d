//! Command lines and the requests that they become.

use clap::{CommandFactory as _, Parser as _};
use portway_api::{Operation, Route, check_content, route};
use serde_json::json;

use super::*;
use crate::cli::{self, Cli};

fn parse(words: &[&str]) -> Result<Args, clap::Error> {
    let words = ["portway", "api"].iter().chain(words);
    match Cli::try_parse_from(words)?.command {
        cli::Command::Api(args) => Ok(*args),
        other => panic!("{other:?} is not `portway api`"),
    }
}

fn request(words: &[&str]) -> Result<Request, Failure> {
    let args = parse(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let (spec, matches) = commands::chosen(&args.matches).unwrap();
    Request::read(spec, matches)
}

#[track_caller]
fn body(words: &[&str]) -> Value {
    request(words).unwrap_or_else(|failure| panic!("{words:?}: {failure}")).body.unwrap()
}

#[track_caller]
fn refused(words: &[&str], why: &str) {
    let text = match parse(words) {
        Ok(_) => request(words).err().unwrap_or_else(|| panic!("{words:?} is taken")).to_string(),
        Err(error) => error.to_string(),
    };
    assert!(text.contains(why), "{words:?} says {text}");
}

#[test]
fn commands_do_not_contradict_each_other() {
    Cli::command().debug_assert();
}

#[test]
fn the_example_of_every_operation_makes_its_request() {
    let (base, key) = ("https://api.example.com".parse().unwrap(), "key".into());
    for spec in Operation::all() {
        let example = commands::example(spec);
        let words = shlex::split(&example).unwrap();
        assert_eq!(words[..4].join(" "), format!("portway api {}", spec.name));
        // What is read from files is put in their place.
        let words: Vec<&str> =
            words[2..].iter().map(|word| if word.starts_with('@') { "-----BEGIN X" } else { word }).collect();
        let request = request(&words).unwrap_or_else(|failure| panic!("{example}: {failure}"));
        let sent = request.to_http(&base, &key, None).unwrap();
        let Route::Found(operation, parameters) = route(sent.method(), sent.uri().path()) else {
            panic!("{example}");
        };
        assert_eq!(operation, spec.operation, "{example}");
        let found: Vec<String> = spec.parameters().map(|name| parameters.get(name).to_owned()).collect();
        assert_eq!(found, spec.parameters().map(str::to_ascii_uppercase).collect::<Vec<_>>(), "{example}");
        check_content(sent.headers(), operation, sent.body()).unwrap();
    }
}

#[test]
fn force_is_asked_for_in_so_many_words() {
    let words = ["ip-restrictions", "update", "ipx_1", "--enforced"];
    assert!(!parse(&words).unwrap().common.force);
    assert!(parse(&[&words[..], &["--force"]].concat()).unwrap().common.force);
    let sent = |force| {
        let request = Request { force, ..request(&words).unwrap() };
        let sent = request.to_http(&"https://api.example.com".parse().unwrap(), &"key".into(), None).unwrap();
        portway_api::is_forced(sent.headers())
    };
    assert_eq!((sent(false), sent(true)), (false, true));
}

#[test]
fn fields_become_a_body() {
    let domain = ["reserved-domains", "create", "--domain", "app.example.com"];
    let with = |more: &[&str]| body(&[&domain[..], more].concat());
    assert_eq!(with(&[]), json!({"domain": "app.example.com"}));
    assert_eq!(with(&["--description", ""]), json!({"domain": "app.example.com", "description": ""}));
    let policy = json!({"domain": "app.example.com", "certificate_management_policy": {"authority": "letsencrypt"}});
    for flags in [
        &["--certificate-management-policy", r#"{"authority":"letsencrypt"}"#][..],
        &["--certificate_management_policy.authority", "letsencrypt"],
        &["--certificate-management-policy.authority=letsencrypt"],
        &["--certificate-management-policy", "{}", "--certificate-management-policy.authority", "letsencrypt"],
    ] {
        assert_eq!(with(flags), policy, "{flags:?}");
    }
    let places = with(&["--resolves-to", r#"{"value":"eu"}"#, "--resolves-to", r#"[{"value":"us"}]"#]);
    assert_eq!(places["resolves_to"], json!([{"value": "eu"}, {"value": "us"}]));
    let acl = |flags: &[&str]| body(&[&["credentials", "update", "cr_1"], flags].concat())["acl"].take();
    assert_eq!(acl(&["--acl", "bind:a", "--acl", "bind:b"]), json!(["bind:a", "bind:b"]));
    assert_eq!(acl(&["--acl", "[]"]), json!([]));
    let enforced = |flags: &[&str]| body(&[&["ip-restrictions", "update", "ipx_1"], flags].concat());
    assert_eq!(enforced(&["--enforced"]), json!({"enforced": true}));
    assert_eq!(enforced(&["--enforced=false"]), json!({"enforced": false}));
    assert_eq!(enforced(&[]), json!({}));
    assert_eq!(body(&["settings", "update", "--audit-retention-days", "30"]), json!({"audit_retention_days": 30}));
    let version = body(&["tunnel-sessions", "update", "ts_1", "--version", "3"]);
    assert_eq!(version, json!({"version": "3"}));
    let certificate =
        ["ssh-user-certificates", "create", "--ssh-certificate-authority-id", "sshca_1", "--public-key", "k"];
    let certificate = body(&[&certificate[..], &["--extensions", "permit-pty=", "--extensions", "a=b=c"]].concat());
    assert_eq!(certificate["extensions"], json!({"permit-pty": "", "a": "b=c"}));
}

#[test]
fn whole_bodies_and_long_values_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("@{}", path.display())
    };
    let whole = file("body.json", r#"{"domain": "a.example.com", "description": "old"}"#);
    let domain = ["reserved-domains", "create", "--body", &whole];
    assert_eq!(body(&domain), json!({"domain": "a.example.com", "description": "old"}));
    let changed = body(
        &[&domain[..], &["--description", "new", "--certificate-management-policy.authority", "letsencrypt"]].concat(),
    );
    assert_eq!(changed["description"], "new");
    assert_eq!(changed["certificate_management_policy"]["authority"], "letsencrypt");
    let (cert, key) = (file("cert.pem", "CERT\n"), file("key.pem", "KEY\r\n"));
    let certificate = body(&["tls-certificates", "create", "--certificate-pem", &cert, "--private-key-pem", &key]);
    assert_eq!(certificate, json!({"certificate_pem": "CERT", "private_key_pem": "KEY"}));
    // An at sign is nothing special in a short text.
    assert_eq!(body(&["vaults", "create", "--name", "a", "--description", "@home"])["description"], "@home");
    let long = file("long", &"x".repeat(portway_api::MAX_BODY_LEN + 1));
    refused(&["vaults", "update", "vault_1", "--body", &long], "more than 262144 bytes");
    let secret = ["secrets", "create", "--name", "n", "--vault-name", "v", "--value"];
    refused(&[&secret[..], &["@/nonexistent/secret"]].concat(), "--value is to come from /nonexistent/secret");
}

#[test]
fn stdin_is_taken_once() {
    let args = parse(&["tls-certificates", "create", "--certificate-pem", "-", "--private-key-pem", "-"]).unwrap();
    let (spec, matches) = commands::chosen(&args.matches).unwrap();
    let Body::Json(kind) = spec.body else { panic!("it has a body") };
    let twice = Sources::new(&b"PEM\n"[..]).body(&fields::fields(kind), matches).unwrap_err();
    assert!(twice.to_string().contains("another flag takes that already"), "{twice}");
    let args = parse(&["secrets", "update", "secret_1", "--value", "-"]).unwrap();
    let (spec, matches) = commands::chosen(&args.matches).unwrap();
    let Body::Json(kind) = spec.body else { panic!("it has a body") };
    let body = Sources::new(&b"s3cret\n"[..]).body(&fields::fields(kind), matches).unwrap();
    assert_eq!(body, json!({"value": "s3cret"}));
}

#[test]
fn wrong_usage_is_named() {
    refused(&["reserved-domain", "list"], "'reserved-domains'");
    refused(&["reserved-domains", "lst"], "'list'");
    refused(&["reserved-domains", "create"], "--domain <DOMAIN>");
    refused(&["reserved-domains", "create", "--domian", "a"], "'--domain'");
    refused(&["reserved-domains", "get"], "<ID>");
    refused(&["reserved-domains", "get", ""], "a value is required");
    refused(&["reserved-domains", "list", "--limit", "101"], "101 is not in 1..=100");
    refused(&["tunnels", "list", "--filter", "x"], "unexpected argument '--filter'");
    refused(&["reserved-domains", "create", "--body", "{", "--domain", "a"], "--body is not JSON");
    refused(&["reserved-domains", "create", "--body", "[]"], "not an object");
    refused(&["ip-policy-rules", "update", "ipr_1", "--cidr", "a", "--cidr", "b"], "cannot be used multiple times");
    refused(&["ip-restrictions", "update", "ipx_1", "--enforced=maybe"], "[possible values: true, false]");
    refused(&["settings", "update", "--audit-retention-days", "soon"], "takes a whole number");
    let certificate = ["ssh-user-certificates", "create", "--ssh-certificate-authority-id", "a", "--public-key", "k"];
    refused(&[&certificate[..], &["--extensions", "permit-pty"]].concat(), "the `=` is missing");
    let secret = "s3cret-that-nobody-may-see";
    let wrong = parse(&["secrets", "create", "--name", "n", "--value", secret, "--valu", "x"]).unwrap_err();
    assert!(!wrong.to_string().contains(secret), "{wrong}");
}

#[test]
fn pages_are_followed_by_what_they_begin_after() {
    let next = |uri: &str| next_page(&json!({"next_page_uri": uri}));
    assert_eq!(next("https://other/x?limit=7&before_id=rd_1%2D2&filter=a"), Some("rd_1-2".to_owned()));
    assert_eq!(next("https://other/x?limit=7"), None);
    assert_eq!(next_page(&json!({"next_page_uri": null})), None);
    let list =
        request(&["endpoints", "list", "--limit", "2", "--url", "a", "--url", "b", "--before-id", "ep_9"]).unwrap();
    let (base, key) = ("http://127.0.0.1:1".parse().unwrap(), "k".into());
    let target = |before| list.to_http(&base, &key, before).unwrap().uri().path_and_query().unwrap().to_string();
    assert_eq!(target(None), "/endpoints?before_id=ep_9&limit=2&url=a&url=b");
    assert_eq!(target(Some("ep_1")), "/endpoints?limit=2&url=a&url=b&before_id=ep_1");
}

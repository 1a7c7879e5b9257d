//! The program as a user calls it: help, exit codes, error texts. Nothing here needs a server.

use std::process::{Command, Output};

fn portway(args: &[&str]) -> Output {
    // A clean environment: what the machine's user has configured must not matter.
    Command::new(env!("CARGO_BIN_EXE_portway"))
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .output()
        .expect("the program runs")
}

#[track_caller]
fn refused(args: &[&str], code: i32, expected: &str) {
    let output = portway(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(errors.contains(expected), "{args:?} says {errors:?}");
    assert!(output.stdout.is_empty(), "{args:?} prints {:?}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn help_of_every_agent_command_has_examples() {
    for command in ["http", "https", "tcp", "tls", "start", "completion"] {
        let output = portway(&[command, "--help"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}");
        assert!(
            text.contains("Examples:") && text.contains(&format!("portway {}", command.replace("https", "http"))),
            "{command}: {text}"
        );
    }
    let output = portway(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for command in
        ["quickstart", "http", "tcp", "tls", "start", "config", "server", "admin", "api", "completion", "version"]
    {
        assert!(text.contains(&format!("\n  {command} ")), "{command} is not in {text}");
    }
}

#[test]
fn version_and_completion_print() {
    assert_eq!(
        String::from_utf8_lossy(&portway(&["version"]).stdout),
        format!("portway {}\n", env!("CARGO_PKG_VERSION"))
    );
    for shell in ["bash", "zsh", "fish"] {
        let output = portway(&["completion", shell]);
        assert!(output.status.success() && output.stdout.len() > 1000, "{shell}");
    }
}

#[test]
fn wrong_usage_is_2_and_says_what_to_do() {
    refused(&[], 2, "Usage: portway");
    refused(&["http"], 2, "<ADDR>");
    refused(&["htp", "80"], 2, "http");
    refused(&["http", "80"], 2, "no authtoken is known: give --authtoken TOKEN");
    refused(&["http", "80", "--authtoken", "t"], 2, "no connect URL is known: give --connect-url HOST:PORT");
    refused(&["http", "80", "--authtoken", "t", "--connect-url", "http://x"], 2, "agents connect with TLS only");
    refused(
        &["http", "80", "--authtoken", "t", "--connect-url", "x", "--ca", "/nonexistent/ca.pem"],
        2,
        "a Portway server writes its own to DATA_DIR/ca.pem",
    );
    refused(&["http", "localhost:80/app"], 2, "\"/app\" is after the address");
    refused(&["tcp", "db.internal"], 2, "the port is missing; write host:port");
    refused(&["tcp", "22", "--url", "https://x.example.com"], 2, "its scheme does not fit a tcp endpoint; use tcp://");
    refused(&["http", "80", "--carrier", "pigeon"], 2, "[possible values: auto, quic, tcp]");
    refused(&["start"], 2, "portway start [OPTIONS] --all");
    refused(&["http", "80", "--oauth", "google"], 2, "--oauth is not built in this version");
    refused(&["http", "80", "--basic-auth=me:secret"], 2, "--basic-auth is not built in this version");
    refused(&["tcp", "22", "--url", "31501"], 2, "write tcp://:31501");
    refused(
        &["http", "80", "--upstream-ca", "/nonexistent.pem"],
        2,
        "--upstream-ca cannot be read from /nonexistent.pem",
    );
    let reached = ["http", "80", "--authtoken", "t", "--connect-url", "x"];
    refused(&[&reached[..], &["--proxy-url", "foo"]].concat(), 2, "the proxy URL \"foo\" cannot be used");
    refused(&[&reached[..], &["--ca", "Cargo.toml"]].concat(), 2, "--ca names Cargo.toml, which holds no certificate");
    refused(&["quickstart", "99999"], 2, "ports are 1 to 65535");
    refused(&["quickstart", "0"], 2, "ports are 1 to 65535");
    refused(&["quickstart", "--name", "bad name"], 2, "--name \"bad name\" cannot be a name below portway.localhost");
    refused(&["server", "--drain-grace", "abc"], 2, "`abc` is not a duration such as 30s or 2m");
    refused(&["admin", "authtokens", "list", "--data-dir", "/nonexistent"], 2, "is not the data directory");
    refused(&["start", "--all", "--authtoken", "t", "--connect-url", "x"], 2, "no configuration file was found");
}

#[test]
fn failures_at_run_time_are_1_and_say_what_to_do() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let common = ["http", "80", "--authtoken", "t", "--ca", "trusted", "--carrier", "tcp", "--connect-url"];
    let at = |address: &str| portway(&[&common[..], &[address]].concat());
    for (address, expected) in [
        (address.as_str(), format!("Nothing listens at {address}. Check that the server runs")),
        ("nothing.invalid:443", "Check the spelling of --connect-url (nothing.invalid:443)".to_owned()),
    ] {
        let output = at(address);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{address}: {errors}");
        assert!(errors.contains(&expected), "{address} says {errors:?}");
    }
}

#[test]
fn config_check_names_the_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("portway.yml");
    let path = file.to_str().expect("plain text");

    std::fs::write(&file, "version: 3\nendpoints:\n  - name: web\n    upstream:\n      url: 8080\n").expect("written");
    let output = portway(&["config", "check", "--config", path]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("Valid configuration file at {path}\n  web: https:// (any name) -> 8080\n")
    );
    refused(&["start", "wbe", "--config", path, "--authtoken", "t", "--connect-url", "x"], 2, "did you mean \"web\"?");

    std::fs::write(&file, "version: 3\nendpoint: []\n").expect("written");
    refused(
        &["config", "check", "--config", path],
        2,
        &format!("{path}:2:1: unknown key `endpoint`; did you mean `endpoints`?"),
    );
    std::fs::write(&file, "version: 3\nagent: {connect_cas: no.pem}\n").expect("written");
    refused(
        &["config", "check", "--config", path],
        2,
        &format!(
            "`connect_cas` in {path} (relative paths begin in its folder) cannot be read from {}",
            folder.path().join("no.pem").display()
        ),
    );
    std::fs::write(&file, "").expect("written");
    let output = portway(&["config", "check", "--config", path]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("it defines no endpoint"));
    refused(&["config", "check", "--config", "/nonexistent.yml"], 2, "/nonexistent.yml: it cannot be read");
    refused(
        &["config", "check"],
        2,
        "looked for /nonexistent/.config/portway/portway.yml, /nonexistent/.config/ngrok/ngrok.yml",
    );
}

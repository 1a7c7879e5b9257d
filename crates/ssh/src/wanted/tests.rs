//! Forwards and commands together.

use super::*;
use crate::command::{Parsed, parse};

fn ask(line: &str, address: &str, port: u32) -> Result<String, u32> {
    let Parsed::Run(command) = parse(line.as_bytes()).map_err(|error| error.code.number())? else { return Err(0) };
    let url = wanted(&command, address, port, false).map_err(|error| error.code.number())?;
    assert!(command.kind.serves(url.scheme));
    Ok(url.to_string())
}

#[test]
fn what_a_forward_and_a_command_ask_for() {
    let cases = [
        ("http", "localhost", 443, "https://"),
        ("http", "localhost", 80, "http://"),
        ("http", "", 0, "https://"),
        ("http", "App.example.com", 443, "https://app.example.com"),
        ("http", "*.example.com", 443, "https://*.example.com"),
        ("http", "app.example.com", 80, "http://app.example.com"),
        ("http", "app", 0, "https://app"),
        ("http --domain a.b", "localhost", 80, "http://a.b"),
        ("http -subdomain=app", "localhost", 443, "https://app"),
        ("http --url https://a.b", "localhost", 0, "https://a.b"),
        ("http --url http://a.b", "localhost", 0, "http://a.b"),
        ("http --url a.b", "localhost", 80, "http://a.b"),
        ("http --url a.b", "localhost", 443, "https://a.b"),
        ("http --url http://a.b", "localhost", 80, "http://a.b"),
        ("tls", "localhost", 443, "tls://"),
        ("tls", "a.b", 0, "tls://a.b"),
        ("tls -hostname a.b", "*", 443, "tls://a.b"),
        ("tcp", "localhost", 0, "tcp://"),
        ("tcp", "1.tcp.example.com", 20001, "tcp://1.tcp.example.com:20001"),
        ("tcp --remote-addr 1.tcp.example.com:20001", "localhost", 0, "tcp://1.tcp.example.com:20001"),
        ("tcp --url tcp://:20001", "localhost", 0, "tcp://:20001"),
    ];
    for (line, address, port, url) in cases {
        assert_eq!(ask(line, address, port), Ok(url.to_owned()), "{line} {address}:{port}");
    }
}

#[test]
fn what_does_not_go_together() {
    let cases = [
        ("http", "localhost", 8080, 1113),
        ("http", "a.b", 8443, 1113),
        ("http", "a.b", 70_000, 1113),
        ("http --url http://a.b", "localhost", 443, 1113),
        ("tls", "localhost", 80, 1113),
        ("tcp", "localhost", 22, 1116),
        ("tcp", "a.b", 0, 1117),
        ("tcp", "*.b", 5, 329),
        ("tcp --remote-addr a.b:5", "a.b", 0, 1114),
        ("tcp --remote-addr a.b:5", "localhost", 5, 1115),
        ("tcp --remote-addr a.b", "localhost", 0, 1117),
        ("http --domain a.b", "a.b", 443, 1118),
        ("http --subdomain a", "a.b", 443, 1119),
        ("http --subdomain a --domain a.b", "localhost", 443, 1120),
        ("http --url tcp://a.b:5", "localhost", 443, 1113),
        ("http", "10.0.0.1", 443, 330),
        ("http", "a b", 443, 327),
        ("http", "a..b", 443, 331),
        ("http", "-a.b", 443, 355),
        ("http", "a.*", 443, 329),
    ];
    for (line, address, port, code) in cases {
        assert_eq!(ask(line, address, port), Err(code), "{line} {address}:{port}");
    }
    assert_eq!(ask("http", &"a".repeat(300), 443), Err(328));
    let Ok(Parsed::Run(command)) = parse(b"http --domain a.b") else { panic!() };
    assert_eq!(wanted(&command, "localhost", 443, true).unwrap_err().code, Code::ERR_NGROK_1105);
}

//! Command lines that are read and refused.

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::printable::is_unsafe;
use crate::wanted::wanted;

fn run(line: &str) -> Command {
    match parse(line.as_bytes()) {
        Ok(Parsed::Run(command)) => *command,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn flags_in_all_their_forms() {
    let command = run("http --basic-auth 'me:pass word' -basic-auth=you:password:2 \
         --request-header-add \"X-One: a b\" --request-header-remove Cookie \
         --response-header-add=x-two:2 --response-header-remove server \
         --proxy-proto 2 --metadata '{\"a\": 1}' --description 'my app'");
    let options = command.options;
    let pairs: Vec<_> =
        options.basic_auth.iter().map(|one| (one.user.as_str(), one.password.expose_secret())).collect();
    assert_eq!(pairs, [("me", "pass word"), ("you", "password:2")]);
    let field = |name: &str, value: &str| HeaderField { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(options.request_header_add, [field("x-one", "a b")]);
    assert_eq!(options.request_header_remove, ["cookie"]);
    assert_eq!(options.response_header_add, [field("x-two", "2")]);
    assert_eq!(options.response_header_remove, ["server"]);
    assert_eq!(options.proxy_protocol, Some(ProxyVersion::V2));
    assert_eq!((options.metadata.as_str(), options.description.as_str()), ("{\"a\": 1}", "my app"));
    assert_eq!(run("tcp").kind, Kind::Tcp);
    assert!(!format!("{:?}", run("http --basic-auth me:topsecret")).contains("topsecret"));
}

#[test]
fn lines_that_are_refused() {
    let cases = [
        ("", 1107),
        ("   ", 1107),
        ("ssh", 1108),
        ("HTTP", 1108),
        ("bash -c id", 1108),
        ("http 'a", 1110),
        ("http 8080", 1110),
        ("http --domain", 1110),
        ("http --traffic-policy-url=https://x", 1109),
        ("http --oauth=google", 1109),
        ("http --nonsense", 1109),
        ("tls --basic-auth a:12345678", 1109),
        ("tcp --domain a.b", 1109),
        ("http --remote-addr a.b:1", 1109),
        ("tcp --proxy-proto 3", 1123),
        ("http --basic-auth me", 40_004),
        ("http --basic-auth me:short", 360),
        ("http --request-header-add nothing", 40_004),
        ("http --request-header-add 'a b: c'", 40_004),
        ("http --request-header-remove ''", 40_004),
        ("http --url ftp://a", 332),
        ("http --url https://10.0.0.1", 330),
        ("http --subdomain a.b", 326),
        ("http --domain 'a b'", 327),
    ];
    for (line, code) in cases {
        let error = parse(line.as_bytes()).unwrap_err();
        assert_eq!(error.code.number(), code, "{line}: {error}");
    }
    let cases: [&[u8]; 4] = [b"http \xff", b"http \0", &[b'a'; MAX_COMMAND_LEN + 1], &b"http ".repeat(MAX_WORDS + 1)];
    for line in cases {
        assert_eq!(parse(line).unwrap_err().code, Code::ERR_NGROK_1110);
    }
    let many = format!("http {}", "--basic-auth a:12345678 ".repeat(MAX_REPEATS + 1));
    assert_eq!(parse(many.as_bytes()).unwrap_err().code, Code::ERR_PORTWAY_40004);
    let long = format!("http --description {}", "a".repeat(256));
    assert_eq!(parse(long.as_bytes()).unwrap_err().code, Code::ERR_PORTWAY_40004);
    for flag in ["request-header-add", "response-header-add", "request-header-remove", "response-header-remove"] {
        let error = parse(format!("http --{flag} 'not a field'").as_bytes()).unwrap_err();
        assert!(error.text.contains(&format!("The flag --{flag} ")), "{error}");
    }
    assert!(parse(b"http --oauth=google").unwrap_err().text.contains("--oauth"));
}

#[test]
fn help_lists_the_flags_of_its_command() {
    for line in ["--help", "help", "http --help", "tcp -h", "tls --domain a.b -help"] {
        let Ok(Parsed::Help(text)) = parse(line.as_bytes()) else { panic!("{line}") };
        assert!(text.starts_with("Usage: ssh -R") && text.ends_with('\n'));
        assert!(text.lines().all(|line| line.len() <= 100));
        assert!(
            text.lines().all(|line| !line.trim_start().starts_with("--") || line.starts_with("      --")),
            "{text}"
        );
    }
    assert!(help(Some(Kind::Http)).contains("--basic-auth") && !help(Some(Kind::Tcp)).contains("--basic-auth"));
}

proptest! {
    #[test]
    fn any_bytes_give_a_command_or_a_text_that_terminals_can_show(line in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&line);
    }

    #[test]
    fn so_do_words_that_almost_fit(words in prop::collection::vec(
        prop_oneof![
            Just("http".to_owned()), Just("tcp".to_owned()), Just("--url".to_owned()), Just("--domain=".to_owned()),
            Just("--remote-addr".to_owned()), Just("'".to_owned()), Just("--basic-auth".to_owned()), ".{0,20}",
        ], 0..8), address in ".{0,20}", port in any::<u32>())
    {
        let line = words.join(" ");
        check(line.as_bytes());
        if let Ok(Parsed::Run(command)) = parse(line.as_bytes()) {
            match wanted(&command, &address, port, false) {
                Ok(url) => prop_assert!(command.kind.serves(url.scheme)),
                Err(error) => prop_assert!(!error.text.chars().any(is_unsafe)),
            }
        }
    }
}

fn check(line: &[u8]) {
    match parse(line) {
        Ok(Parsed::Run(command)) => assert!(command.options.basic_auth.len() <= MAX_REPEATS),
        Ok(Parsed::Help(_)) => {}
        Err(error) => {
            assert!(!error.text.chars().any(is_unsafe), "{error}");
            assert!(error.text.len() < 1500, "{error}");
        }
    }
}

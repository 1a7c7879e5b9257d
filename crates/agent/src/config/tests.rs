//! Files that are understood, and files that are refused with a text that helps.

use secrecy::ExposeSecret as _;

use super::*;

fn parse(text: &str) -> Config {
    Config::parse(Path::new("portway.yml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    Config::parse(Path::new("portway.yml"), text).expect_err("refused").to_string()
}

#[test]
fn a_version_2_file_is_understood() {
    let config = parse(
        r#"
version: "2"
authtoken: 4nq9771bPxe8ctg7LKr_2ClH7Y15Zqe4bWLWF9p
server_addr: connect.example.com:8443
root_cas: ca.pem
connect_timeout: 1m30s
log: stdout
log_format: logfmt
web_addr: 127.0.0.1:4041
tunnels:
  ssh:
    proto: tcp
    addr: 22
    remote_addr: 1.tcp.example.com:20001
    proxy_proto: 2
  web:
    proto: http
    addr: "8080"
    domain: app.example.com
    schemes: [http, https]
    host_header: rewrite
    inspect: false
  secure:
    proto: tls
    addr: localhost:8443
    hostname: "*.tls.example.com"
    terminate_at: edge
"#,
    );
    let settings = &config.settings;
    assert_eq!(settings.connect_url.as_deref(), Some("connect.example.com:8443"));
    assert_eq!(settings.connect_cas, Some(ConnectCas::File(PathBuf::from("ca.pem"))));
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(90)));
    assert_eq!(settings.log.as_deref(), Some("stdout"));
    assert!(settings.authtoken.is_some());
    let shown: Vec<String> = config
        .endpoints
        .iter()
        .map(|endpoint| {
            format!("{} {} {} <- {}", endpoint.name, endpoint.kind, endpoint.options.url, endpoint.upstream)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "secure tls tls://*.tls.example.com <- localhost:8443",
            "ssh tcp tcp://1.tcp.example.com:20001 <- 22",
            "web http https://app.example.com <- 8080",
            "web (http) http http://app.example.com <- 8080",
        ]
    );
    assert!(config.endpoints[0].options.tls_edge);
    assert_eq!(config.endpoints[1].options.proxy_protocol, Some(crate::ProxyProtocol::V2));
    assert_eq!(config.endpoints[2].options.host_header, crate::HostHeader::Rewrite);
    assert_eq!(config.warnings, ["portway.yml:9:1: `web_addr` has no effect yet"]);
}

#[test]
fn a_version_3_file_is_understood() {
    let config = parse(
        r"
version: 3
agent:
  authtoken: abc_def
  connect_url: connect.example.com
  connect_cas: trusted
  carrier: quic
  console_ui: false
  remote_management: false
  api_key: 2Xw
  api_url: https://api.example.com
endpoints:
  - name: web
    url: https://app.example.com
    description: the shop
    bindings: [public]
    upstream:
      url: 8080
      protocol: http2
  - name: any
    upstream:
      url: http://localhost:3000
      proxy_protocol: 1
  - name: db
    url: tcp://
    upstream:
      url: unix:/run/postgresql/.s.PGSQL.5432
",
    );
    assert_eq!(config.settings.carrier, Some(CarrierChoice::Quic));
    assert_eq!(config.settings.connect_cas, Some(ConnectCas::Trusted));
    assert_eq!((config.settings.console_ui, config.settings.remote_management), (Some(false), Some(false)));
    assert_eq!(config.settings.api_key.as_ref().map(|key| key.expose_secret()), Some("2Xw"));
    assert_eq!(config.settings.api_url.as_deref(), Some("https://api.example.com"));
    assert_eq!(config.endpoints.len(), 3);
    assert!(config.endpoints[0].options.upstream_http2);
    assert_eq!(config.endpoints[0].options.description, "the shop");
    assert_eq!((config.endpoints[1].kind, config.endpoints[1].options.url.as_str()), (Scheme::Http, ""));
    assert_eq!(config.endpoints[2].kind, Scheme::Tcp);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn an_empty_file_says_nothing() {
    assert!(parse("").endpoints.is_empty());
    assert!(parse("# only a comment\n\n").endpoints.is_empty());
}

#[test]
fn what_cannot_be_used_is_refused_with_place_and_remedy() {
    for (text, expected) in [
        (
            "authtoken: x\n",
            "portway.yml: the version is missing; add the line `version: 3` (or 2, for a file with `tunnels`)",
        ),
        ("version: 4\n", "portway.yml:1:10: version \"4\" is not understood; versions 2 and 3 are"),
        ("version: 2\nauthtokn: x\n", "portway.yml:2:1: unknown key `authtokn`; did you mean `authtoken`?"),
        (
            "version: 2\nendpoints: []\n",
            "portway.yml:2:1: `endpoints` belongs to files of version 3; this one says version 2",
        ),
        (
            "version: 3\nendpoints:\n  - name: a\n    upstrem: {url: 80}\n",
            "portway.yml:4:5: unknown key `upstrem`; did you mean `upstream`?",
        ),
        (
            "version: 3\nendpoints:\n  - name: a\n    traffic_policy:\n      on_http_request: []\n    upstream: {url: 80}\n",
            "portway.yml:4:5: `traffic_policy` is not supported by this version: what the policy allows or denies would not be held; remove it to go on",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: http\n    addr: 80\n    oauth: {provider: google}\n",
            "portway.yml:6:5: `oauth` is not supported by this version: the endpoint would be open to everybody without it; remove it to go on",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: http\n    addr: 80\n    basic_auth: ['me:secret']\n",
            "portway.yml:6:5: `basic_auth` is not supported by this version: the endpoint would be open to everybody without it; remove it to go on",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    addr: 80\n",
            "portway.yml:4:5: tunnel \"web\" has no `proto`; add one, for example `proto: http`",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: udp\n    addr: 80\n",
            "portway.yml:4:12: \"udp\" is not a proto; use http, tcp or tls",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: http\n    addr: 80/x\n",
            "portway.yml:5:11: the address \"80/x\" cannot be forwarded to: \"/x\" is after the address; only scheme, host and port can be given",
        ),
        (
            "version: 2\ntunnels:\n  db:\n    proto: tcp\n    addr: 80\n    domain: x.example.com\n",
            "portway.yml:6:5: `domain` has no meaning for a tcp tunnel; remove it",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: http\n    addr: 80\n    domain: a.test\n    hostname: b.test\n",
            "portway.yml:7:5: `hostname` means the same as `domain`, which is given too; remove one of them",
        ),
        (
            "version: 2\ntunnels:\n  web:\n    proto: http\n    addr: 80\n    domain: a.test\n    subdomain: b\n",
            "portway.yml:7:5: `subdomain` and `domain` ask for two names; remove one of them",
        ),
        (
            "version: 2\nserver_addr: a.test\nconnect_url: a.test\n",
            "portway.yml:2:1: `server_addr` means the same as `connect_url`, which is given too; remove one of them",
        ),
        (
            "version: 3\nendpoints:\n  - name: web\n    upstream: {url: 80}\n    oauth:\n      provider: google\n",
            "portway.yml:5:5: `oauth` is not supported by this version: the endpoint would be open to everybody without it; remove it to go on",
        ),
        (
            "version: 3\nendpoints:\n  - {name: web, upstream: {url: 80}, basic_auth: [a]}\n",
            "portway.yml:3:38: `basic_auth` is not supported by this version: the endpoint would be open to everybody without it; remove it to go on",
        ),
        (
            "version: 3\nendpoints:\n  - upstream: {url: 80}\n",
            "portway.yml:3:5: the endpoint has no `name`; add one, `portway start` takes it",
        ),
        (
            "version: 3\nagent:\n  connect_timeout: soon\n",
            "portway.yml:3:20: \"soon\" is not a duration; write for example 10s, 1m30s or 500ms",
        ),
        (
            "version: 3\nagent:\n  connect_url: http://connect.example.com\n",
            "portway.yml:3:16: the connect URL has a scheme other than https:// and tls://; agents connect with TLS only",
        ),
        (
            "version: 3\nagent:\n  dns_resolver_ips: [1.1.1.1]\n",
            "portway.yml:3:3: `dns_resolver_ips` is not supported by this version: the agent would connect another way than you ask; remove it to go on",
        ),
        (
            "version: 3\nagent:\n  log_level: verbose\n",
            "portway.yml:3:14: \"verbose\" is not one of debug, info, warn, error, crit",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn secrets_of_a_broken_file_are_not_shown() {
    let text = error("version: 3\nagent:\n  authtoken: [secret_token_text\n");
    assert!(!text.contains("secret_token_text"), "{text}");
    assert!(text.starts_with("portway.yml:"), "{text}");
}

#[test]
fn duplicate_keys_are_refused() {
    let text = error("version: 2\nlog: stdout\nlog: stderr\n");
    assert!(text.starts_with("portway.yml:3:1: "), "{text}");
}

#[test]
fn later_files_win() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let first = write(
        "a.yml",
        "version: 2\nlog: stdout\nmetadata: first\nroot_cas: ca.pem\ntunnels: {a: {proto: tcp, addr: 1}, b: {proto: tcp, addr: 2}}\n",
    );
    let second = write("b.yml", "version: 2\nmetadata: second\ntunnels: {b: {proto: tcp, addr: 3}}\n");
    let third = write("c.yml", "version: 3\nendpoints:\n  - {name: c, upstream: {url: 4}}\n");
    let config = Config::load(&[first, second, third]).expect("valid");
    assert_eq!(config.settings.log.as_deref(), Some("stdout"));
    assert_eq!(config.settings.metadata.as_deref(), Some("second"));
    assert_eq!(config.settings.connect_cas, Some(ConnectCas::File(dir.path().join("ca.pem"))));
    let shown: Vec<_> =
        config.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), endpoint.upstream.as_str())).collect();
    assert_eq!(shown, [("a", "1"), ("b", "3"), ("c", "4")]);
    assert_eq!(config.endpoint("d").expect_err("unknown"), "no endpoint has the name \"d\"; those defined are a, b, c");

    let clash = write("d.yml", "version: 2\ntunnels: {c: {proto: tcp, addr: 9}}\n");
    let clash = Config::load(&[dir.path().join("c.yml"), clash]).expect_err("two c");
    assert!(clash.to_string().ends_with("two endpoints have the name \"c\"; give each its own"), "{clash}");
    let missing = Config::load(&[dir.path().join("none.yml")]).expect_err("missing");
    assert!(missing.to_string().contains("none.yml: it cannot be read: "), "{missing}");
}

#[test]
fn a_wrong_name_is_met_with_the_nearest() {
    let config = parse("version: 3\nendpoints:\n  - {name: webshop, upstream: {url: 4}}\n");
    assert_eq!(
        config.endpoint("webshpo").expect_err("unknown"),
        "no endpoint has the name \"webshpo\"; did you mean \"webshop\"?"
    );
}

#[test]
fn our_place_comes_before_ngroks() {
    let paths = search_path(|name| (name == "HOME").then(|| "/home/me".to_owned()));
    assert_eq!(paths[0], Path::new("/home/me/.config/portway/portway.yml"));
    assert!(paths.contains(&PathBuf::from("/home/me/.config/ngrok/ngrok.yml")));
    let paths = search_path(|name| (name == "XDG_CONFIG_HOME").then(|| "/etc/me".to_owned()));
    assert_eq!(paths, ["/etc/me/portway/portway.yml", "/etc/me/ngrok/ngrok.yml"].map(PathBuf::from));
}

//! What `--help` prints.

use super::Kind;

// No line continuation in these: it would eat the columns in front of the first flag.

const COMMON: &str = "      --url URL                  the endpoint's URL, for example {url}
      --metadata TEXT            text for you, kept with the endpoint
      --description TEXT         text for people, kept with the endpoint
      --proxy-proto 1|2          PROXY protocol header in front of each connection
";

const NAMES: &str = "      --domain NAME              the endpoint's name; also --hostname
      --subdomain LABEL          a name below the server's domain
";

const HTTP: &str = "      --basic-auth USER:PASS     visitors need this user and password (repeatable)
      --request-header-add 'NAME: VALUE'
      --request-header-remove NAME
      --response-header-add 'NAME: VALUE'
      --response-header-remove NAME
";

const TCP: &str = "      --remote-addr HOST:PORT    the server's TCP host and a free port of its range\n";

/// The help text of a command, or of all; lines end with a line feed.
pub fn help(kind: Option<Kind>) -> String {
    match kind {
        None => "\
Usage: ssh -R [NAME:]PORT:localhost:LOCALPORT HOST <http|tls|tcp> [flags]

  http   a web service:  ssh -R 443:localhost:8080 HOST http
         with a name:    ssh -R app.example.com:443:localhost:8080 HOST http
  tls    TLS that ends at your service:  ssh -R name.example.com:443:localhost:8443 HOST tls
  tcp    anything:       ssh -R 0:localhost:22 HOST tcp

Each command lists its flags: ssh HOST http --help
"
        .to_owned(),
        Some(Kind::Http) => flags("http", "443", "https://app.example.com", &[NAMES, HTTP]),
        Some(Kind::Tls) => flags("tls", "443", "tls://name.example.com", &[NAMES]),
        Some(Kind::Tcp) => flags("tcp", "0", "tcp://tcp.example.com:20001", &[TCP]),
    }
}

fn flags(kind: &str, port: &str, url: &str, lists: &[&str]) -> String {
    let own = lists.concat();
    let common = COMMON.replace("{url}", url);
    format!("Usage: ssh -R [NAME:]{port}:localhost:LOCALPORT HOST {kind} [flags]\n\nFlags:\n{own}{common}")
}

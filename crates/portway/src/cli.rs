//! The commands and flags of the program, as clap sees them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

/// Flags of ngrok's agent that protect an endpoint or change what passes it, and are not built: refused by name, as their keys in files are.
pub(crate) const NOT_BUILT: [&str; 29] = [
    "--basic-auth",
    "--cidr-allow",
    "--cidr-deny",
    "--circuit-breaker",
    "--compression",
    "--crt",
    "--key",
    "--mutual-tls-cas",
    "--oauth",
    "--oauth-allow-domain",
    "--oauth-allow-email",
    "--oauth-client-id",
    "--oauth-client-secret",
    "--oauth-scope",
    "--oidc",
    "--oidc-client-id",
    "--oidc-client-secret",
    "--policy-file",
    "--pooling-enabled",
    "--request-header-add",
    "--request-header-remove",
    "--response-header-add",
    "--response-header-remove",
    "--traffic-policy-file",
    "--traffic-policy-url",
    "--ua-filter-allow",
    "--ua-filter-deny",
    "--verify-webhook",
    "--websocket-tcp-converter",
];

/// Portway: publish local services through your own edge.
#[derive(Debug, Parser)]
#[command(name = "portway", version, about, long_about = None, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  portway quickstart                               try everything on this machine
  portway http 8080 --url https://app.example.com  publish localhost:8080
  portway tcp 22                                   publish ssh on a free port
  portway start --all                              everything in the configuration file
  portway server --domain example.com              run your own edge
  portway api reserved-domains list                work with a server's REST API

`portway COMMAND --help` says more. Exit codes: 0 done, 1 failed at run time, 2 wrong usage or configuration.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can be told to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything on this machine: server, agent and a sample service
    Quickstart(Box<crate::quickstart::Args>),
    /// Publish a local HTTP service
    Http(Box<HttpArgs>),
    /// Publish a local HTTP service (the same as http)
    Https(Box<HttpArgs>),
    /// Publish a local TCP service
    Tcp(Box<TcpArgs>),
    /// Publish a local TLS service
    Tls(Box<TlsArgs>),
    /// Start endpoints named in the configuration file
    Start(Box<StartArgs>),
    /// Look at the configuration file
    Config(ConfigArgs),
    /// Run the server: control plane and edge
    Server(Box<crate::server_command::Args>),
    /// Work on a server's data directory
    Admin(Box<crate::admin_command::Args>),
    /// Work with a server's REST API: domains, certificates, authtokens, IP policies and the rest
    Api(Box<crate::api_command::Args>),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version
    Version,
}

/// Which configuration files are read.
#[derive(Debug, Args)]
pub(crate) struct ConfigFiles {
    /// Configuration file; may be given several times, later ones win
    /// [default: ~/.config/portway/portway.yml, else ~/.config/ngrok/ngrok.yml]
    #[arg(long = "config", value_name = "FILE", value_delimiter = ',', env = "PORTWAY_CONFIG", help_heading = "Agent")]
    pub(crate) files: Vec<PathBuf>,
}

/// Flags that every agent command takes. What is given here wins over PORTWAY_* variables, those over NGROK_AUTHTOKEN, and all over files.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFiles,
    /// Credential of your account
    #[arg(long, value_name = "TOKEN", env = "PORTWAY_AUTHTOKEN", hide_env_values = true, help_heading = "Agent")]
    pub(crate) authtoken: Option<SecretString>,
    /// The edge to connect to
    #[arg(long, value_name = "HOST:PORT", alias = "server-addr", env = "PORTWAY_CONNECT_URL", help_heading = "Agent")]
    pub(crate) connect_url: Option<String>,
    /// Certificates of the edge to trust: a PEM file (a Portway server writes its own to DATA_DIR/ca.pem), `host` for this machine's list,
    /// or `trusted` for the built-in list of public authorities [default: host]
    #[arg(long, value_name = "FILE", env = "PORTWAY_CA", help_heading = "Agent")]
    pub(crate) ca: Option<String>,
    /// What carries the session [default: auto]
    #[arg(long, value_enum, env = "PORTWAY_CARRIER", help_heading = "Agent")]
    pub(crate) carrier: Option<CarrierArg>,
    /// Use the edges of this region only, by its name below the connect URL [default: auto, the fastest region]
    #[arg(long, value_name = "REGION", env = "PORTWAY_REGION", help_heading = "Agent")]
    pub(crate) region: Option<String>,
    /// Connect through a proxy: http://host:port or socks5://host:port [default: HTTPS_PROXY or ALL_PROXY, unless NO_PROXY names
    /// the edge]
    #[arg(long, value_name = "URL", env = "PORTWAY_PROXY_URL", hide_env_values = true, help_heading = "Agent")]
    pub(crate) proxy_url: Option<String>,
    /// Where to log: stdout, stderr, false or a file [default: false beside the live view, else stdout]
    #[arg(long, value_name = "TO", help_heading = "Agent")]
    pub(crate) log: Option<String>,
    /// How a log line looks; term is coloured on a terminal, else logfmt [default: term]
    #[arg(long, value_enum, help_heading = "Agent")]
    pub(crate) log_format: Option<LogFormat>,
    /// Least level that is logged [default: info]
    #[arg(long, value_enum, help_heading = "Agent")]
    pub(crate) log_level: Option<LogLevel>,
}

/// Flags of every kind of endpoint.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Public URL; without it the edge chooses one
    #[arg(long, value_name = "URL", alias = "domain", alias = "hostname", alias = "subdomain", alias = "remote-addr")]
    pub(crate) url: Option<String>,
    /// Name, for display
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Description, for people
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Opaque text, kept with the endpoint
    #[arg(long)]
    pub(crate) metadata: Option<String>,
    /// Put a PROXY protocol header in front of each connection
    #[arg(long, value_name = "1|2", alias = "upstream-proxy-protocol", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) proxy_proto: Option<u8>,
    /// Check the certificate of an https or tls upstream against this machine's list
    #[arg(long, alias = "upstream-tls-verify")]
    pub(crate) verify_upstream: bool,
    /// Check it against the CA certificates in this PEM file instead; implies --verify-upstream
    #[arg(long, value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// `portway http`.
#[derive(Debug, Args)]
#[command(override_usage = "portway http [OPTIONS] <ADDR>")]
#[command(after_help = "Examples:
  portway http 8080                      a URL that the edge chooses
  portway http 8080 --url https://app.example.com
  portway http localhost:3000 --url app  app below the edge's base domain
  portway http https://localhost:8443 --host-header rewrite
  portway http unix:/run/app.sock --url http://app.example.com
  portway http 8080 --connect-url 127.0.0.1:8443 --ca .portway/ca.pem --authtoken TOKEN")]
pub(crate) struct HttpArgs {
    /// What to publish: 8080, host:port, http://…, https://… or unix:/path
    #[arg(value_name = "ADDR")]
    pub(crate) addr: String,
    /// Host header the service sees: rewrite (to its own), preserve, or a value [default: preserve]
    #[arg(long, value_name = "HOST")]
    pub(crate) host_header: Option<String>,
    /// HTTP version the service speaks [default: http1]
    #[arg(long, value_enum, alias = "app-protocol")]
    pub(crate) upstream_protocol: Option<UpstreamProtocol>,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `portway tcp`.
#[derive(Debug, Args)]
#[command(override_usage = "portway tcp [OPTIONS] <ADDR>")]
#[command(after_help = "Examples:
  portway tcp 22                      a port that the edge chooses
  portway tcp localhost:5432 --url tcp://:20001
  portway tcp tls://db.internal:5433  encrypted on the last leg too
  portway tcp unix:/run/postgresql/.s.PGSQL.5432 --proxy-proto 2")]
pub(crate) struct TcpArgs {
    /// What to publish: a port, host:port, tls://host:port or unix:/path
    #[arg(value_name = "ADDR")]
    pub(crate) addr: String,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `portway tls`.
#[derive(Debug, Args)]
#[command(override_usage = "portway tls [OPTIONS] <ADDR>")]
#[command(after_help = "Examples:
  portway tls 8443 --url tls://app.example.com                      your service ends TLS
  portway tls 8080 --url tls://app.example.com --terminate-at edge  the edge does")]
pub(crate) struct TlsArgs {
    /// What to publish: a port, host:port, tls://host:port or unix:/path
    #[arg(value_name = "ADDR")]
    pub(crate) addr: String,
    /// Who ends the visitor's TLS [default: upstream]
    #[arg(long, value_enum)]
    pub(crate) terminate_at: Option<TerminateAt>,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// `portway start`.
#[derive(Debug, Args)]
#[command(override_usage = "portway start [OPTIONS] <NAME>...\n       portway start [OPTIONS] --all")]
#[command(after_help = "Examples:
  portway start web db
  portway start --all --config portway.yml --config secrets.yml

A configuration file of version 3:
  version: 3
  agent:
    connect_url: connect.example.com:443
    authtoken: TOKEN
  endpoints:
    - name: web
      url: https://app.example.com
      upstream:
        url: 8080

It keeps trying when the edge cannot be reached at first, so that it may be started before the network is up.")]
pub(crate) struct StartArgs {
    /// Names of the endpoints to start
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) names: Vec<String>,
    /// Start every endpoint of the configuration
    #[arg(long)]
    pub(crate) all: bool,
    /// Opaque text, kept with the session
    #[arg(long)]
    pub(crate) metadata: Option<String>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// `portway config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  portway config check\n  portway config check --config portway.yml")]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What `portway config` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say which files are read and whether they are valid
    #[command(after_help = "Examples:\n  portway config check\n  portway config check --config portway.yml")]
    Check(ConfigFiles),
    /// Write down which server to dial, and whom to trust for it
    #[command(
        name = "add-connect-url",
        alias = "add-server-addr",
        after_help = "Examples:\n  portway config add-connect-url connect.example.com:443 --ca ca.pem\n  portway config add-connect-url connect.example.com:443 --pin 5F:3A:...\n  portway config add-connect-url connect.customer.example:443 --ca trusted\n\nThe fingerprint of a server's CA, on its host:\n  openssl x509 -in DATA_DIR/ca.pem -noout -fingerprint -sha256"
    )]
    AddConnectUrl(AddConnectUrlArgs),
}

/// `portway config add-connect-url`.
#[derive(Debug, Args)]
pub(crate) struct AddConnectUrlArgs {
    /// The server, HOST:PORT
    #[arg(value_name = "HOST:PORT")]
    pub(crate) connect_url: String,
    /// Certificates to trust: a PEM file, `host` for those of the system, `trusted` for the public ones
    #[arg(long, value_name = "FILE|host|trusted", conflicts_with = "pin")]
    pub(crate) ca: Option<String>,
    /// SHA-256 of the CA's certificate in hexadecimal: it is fetched from the server now, and kept beside the file
    #[arg(long, value_name = "SHA256")]
    pub(crate) pin: Option<String>,
    #[command(flatten)]
    pub(crate) files: ConfigFiles,
}

/// `portway completion`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  portway completion bash > /etc/bash_completion.d/portway\n  source <(portway completion zsh)"
)]
pub(crate) struct CompletionArgs {
    /// The shell [default: what SHELL says]
    #[arg(value_enum)]
    pub(crate) shell: Option<clap_complete::Shell>,
}

/// What carries the session.
#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum CarrierArg {
    /// The better of both for the path
    Auto,
    /// QUIC over UDP
    Quic,
    /// TLS over TCP
    Tcp,
}

/// HTTP version towards the service.
#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, without upgrade
    Http2,
}

/// Who ends the visitor's TLS.
#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum TerminateAt {
    /// The edge, with its certificate for the name
    Edge,
    /// The service; the visitor's bytes pass untouched
    Upstream,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Term,
    /// key=value
    Logfmt,
    /// One JSON object a line
    Json,
}

/// Least level that is logged.
#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Everything
    Debug,
    /// What happens
    Info,
    /// What should not happen
    Warn,
    /// What fails
    Error,
    /// What ends the program
    Crit,
}

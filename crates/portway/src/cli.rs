//! The commands and flags of the program, as clap sees them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Portway: publish local services through your own edge.
#[derive(Debug, Parser)]
#[command(name = "portway", version, about, long_about = None, propagate_version = true, arg_required_else_help = true)]
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
    Http(Box<EndpointArgs>),
    /// Publish a local HTTP service on an https URL (same as http)
    Https(Box<EndpointArgs>),
    /// Publish a local TCP service
    Tcp(Box<EndpointArgs>),
    /// Publish a local TLS service
    Tls(Box<EndpointArgs>),
    /// Start endpoints named in the configuration file
    Start(Box<StartArgs>),
    /// Look at the configuration file
    Config(ConfigArgs),
    /// Run the server: control plane and edge
    Server(Box<crate::server_command::Args>),
    /// Work on a server's data directory
    Admin(Box<crate::admin_command::Args>),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Print the version
    Version,
}

/// Flags that every agent command takes.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Configuration file; may be given several times, later ones win
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) config: Vec<PathBuf>,
}

/// `portway http|https|tcp|tls`.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// What to forward to: 8080, host:port, a URL, or unix:/path
    #[arg(value_name = "ADDR")]
    pub(crate) addr: String,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// `portway start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Names of the endpoints to start
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) names: Vec<String>,
    /// Start every endpoint of the configuration
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// `portway config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What `portway config` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say which files are read and whether they are valid
    Check(AgentArgs),
}

/// `portway completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
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

//! `portway http|https|tcp|tls` and `portway start`: runs the agent until it is told to stop.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use portway_agent::config::{Config, EndpointConfig};
use portway_agent::{
    Agent, BindError, ConnectError, Endpoint, EndpointOptions, HostHeader, ProxyProtocol, Scheme, Upstream,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent_settings::{AgentSettings, SettingsError};
use crate::cli::{AgentArgs, EndpointArgs, HttpArgs, StartArgs, TcpArgs, TerminateAt, TlsArgs, UpstreamProtocol};
use crate::{explain, view};

/// How long connections may take to finish after the first signal.
const GRACE: Duration = Duration::from_secs(10);
/// Longest wait between first attempts of `portway start`.
const START_RETRY_CEILING: Duration = Duration::from_secs(30);

/// `portway http` and `portway https`.
pub(crate) async fn http(args: HttpArgs) -> ExitCode {
    let mut options = options(&args.endpoint);
    options.host_header = args.host_header.as_deref().map_or(HostHeader::Preserve, HostHeader::from);
    options.upstream_http2 = args.upstream_protocol == Some(UpstreamProtocol::Http2);
    one(EndpointConfig::new(Scheme::Http, args.addr, options), &args.endpoint.agent).await
}

/// `portway tcp`.
pub(crate) async fn tcp(args: TcpArgs) -> ExitCode {
    one(EndpointConfig::new(Scheme::Tcp, args.addr, options(&args.endpoint)), &args.endpoint.agent).await
}

/// `portway tls`.
pub(crate) async fn tls(args: TlsArgs) -> ExitCode {
    let mut options = options(&args.endpoint);
    options.tls_edge = args.terminate_at == Some(TerminateAt::Edge);
    one(EndpointConfig::new(Scheme::Tls, args.addr, options), &args.endpoint.agent).await
}

/// `portway start`.
pub(crate) async fn start(args: StartArgs) -> ExitCode {
    let mut settings = match AgentSettings::load(&args.agent, std::io::stdout().is_terminal()) {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    if args.metadata.is_some() {
        settings.config.settings.metadata = args.metadata;
    }
    match wanted(&settings.config, &args.names) {
        Ok(endpoints) => Run { endpoints, settings, keep_trying: true }.run().await,
        Err(problem) => {
            eprintln!("portway: {problem}");
            ExitCode::from(2)
        }
    }
}

fn options(args: &EndpointArgs) -> EndpointOptions {
    EndpointOptions {
        name: args.name.clone().unwrap_or_else(|| "command_line".to_owned()),
        url: args.url.clone().unwrap_or_default(),
        description: args.description.clone().unwrap_or_default(),
        metadata: args.metadata.clone().unwrap_or_default(),
        proxy_protocol: match args.proxy_proto {
            None => None,
            Some(1) => Some(ProxyProtocol::V1),
            Some(_) => Some(ProxyProtocol::V2),
        },
        verify_upstream_tls: args.verify_upstream,
        ..EndpointOptions::default()
    }
}

async fn one(endpoint: EndpointConfig, args: &AgentArgs) -> ExitCode {
    // What is wrong with the address is said before what is missing around it.
    if let Err(error) = endpoint.check() {
        return wrong_usage(&error);
    }
    match AgentSettings::load(args, std::io::stdout().is_terminal()) {
        Ok(settings) => Run { endpoints: vec![endpoint], settings, keep_trying: false }.run().await,
        Err(error) => SettingsError::report(&error),
    }
}

/// The endpoints of the names, or all when no name is given.
fn wanted(config: &Config, names: &[String]) -> Result<Vec<EndpointConfig>, String> {
    if !names.is_empty() {
        return names.iter().map(|name| config.endpoint(name).cloned()).collect();
    }
    if config.endpoints.is_empty() {
        return Err(match config.files.first() {
            None => "no configuration file was found; give one with --config FILE".to_owned(),
            Some(file) => format!("{} defines no endpoints; add some below `endpoints`", file.display()),
        });
    }
    Ok(config.endpoints.clone())
}

fn wrong_usage(error: &BindError) -> ExitCode {
    eprintln!("portway: {error}");
    ExitCode::from(2)
}

fn failed(text: &str) -> ExitCode {
    eprintln!("portway: {text}");
    ExitCode::FAILURE
}

/// An agent with its endpoints, before it runs.
struct Run {
    endpoints: Vec<EndpointConfig>,
    settings: AgentSettings,
    /// An edge that cannot be reached at first is waited for.
    keep_trying: bool,
}

impl Run {
    async fn run(self) -> ExitCode {
        let mut upstreams = Vec::new();
        for endpoint in &self.endpoints {
            match endpoint.check() {
                Ok(upstream) => upstreams.push(upstream),
                Err(error) => return wrong_usage(&error),
            }
        }
        let log = match portway_telemetry::install(&self.settings.log) {
            Ok(log) => log,
            Err(error) => {
                eprintln!("portway: {error}");
                return ExitCode::from(2);
            }
        };
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return failed(&format!("signals cannot be received: {error}")),
        };
        for warning in &self.settings.config.warnings {
            tracing::warn!("{warning}");
        }
        let code = tokio::select! {
            result = self.connect() => match result {
                Ok((agent, endpoints)) => Some((agent, endpoints)),
                Err(text) => {
                    log.flush();
                    return failed(&text);
                }
            },
            () = signals.next() => None,
        };
        let Some((agent, endpoints)) = code else { return ExitCode::SUCCESS };
        self.serve(&agent, &upstreams, &mut signals).await;
        tokio::select! {
            () = agent.close_within(GRACE) => {}
            () = signals.next() => {}
        }
        drop(endpoints);
        log.flush();
        ExitCode::SUCCESS
    }

    /// Connects and opens every endpoint; the text says what failed.
    async fn connect(&self) -> Result<(Agent, Vec<Endpoint>), String> {
        let mut wait = Duration::from_millis(500);
        let agent = loop {
            match self.settings.builder().connect().await {
                Ok(agent) => break agent,
                Err(error) if self.keep_trying && error.is_transient() => {
                    self.not_yet(&error, wait);
                    tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                    wait = (wait * 2).min(START_RETRY_CEILING);
                }
                Err(error) => return Err(explain::connect_error(&error, self.settings.ca.as_deref())),
            }
        };
        let mut endpoints = Vec::new();
        for endpoint in &self.endpoints {
            match endpoint.open(&agent).await {
                Ok(open) => endpoints.push(open),
                Err(error) => {
                    agent.close_within(Duration::ZERO).await;
                    let what = if endpoint.name.is_empty() { &endpoint.upstream } else { &endpoint.name };
                    return Err(format!("the endpoint {what:?} cannot be opened: {}", explain::bind_error(&error)));
                }
            }
        }
        Ok((agent, endpoints))
    }

    fn not_yet(&self, error: &ConnectError, wait: Duration) {
        if self.settings.view {
            eprintln!("portway: {error}; trying again within {} s", wait.as_secs().max(1));
        }
        tracing::warn!(obj = "tunnels.session", err = %error, "failed to reconnect session");
    }

    /// Runs until somebody stops it.
    async fn serve(&self, agent: &Agent, upstreams: &[Upstream], signals: &mut Signals) {
        let mut notices = self.settings.config.warnings.clone();
        for upstream in upstreams {
            if let Err(problem) = upstream.probe().await {
                tracing::warn!("{problem}; visitors are told so until it is there");
                notices.push(format!("{problem}; visitors are told so until it is there"));
            }
        }
        if self.settings.view {
            let events = agent.events();
            let source = || view::Snapshot::of(agent, &notices);
            match view::run(source, events, signals.next()).await {
                Ok(()) => {
                    for endpoint in agent.endpoints() {
                        println!("{} was forwarded to {}", endpoint.url.unwrap_or_default(), endpoint.forwards_to);
                    }
                    println!("Stopping: connections may finish within {} s; Ctrl-C stops at once.", GRACE.as_secs());
                    return;
                }
                Err(error) => eprintln!("portway: the live view cannot be shown ({error}); going on without it"),
            }
            for endpoint in agent.endpoints() {
                println!("{} -> {}", endpoint.url.unwrap_or_default(), endpoint.forwards_to);
            }
        }
        signals.next().await;
        tracing::info!("stopping: connections may finish");
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

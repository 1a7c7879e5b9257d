//! `portway http|https|tcp|tls` and `portway start`: runs the agent until it is told to stop.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::time::Duration;

use portway_agent::config::{Config, EndpointConfig};
use portway_agent::{
    Agent, AgentBuilder, BindError, ConnectError, Endpoint, EndpointOptions, EndpointStatus, HostHeader, ProxyProtocol,
    Scheme, Upstream,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::agent_settings::{AgentSettings, SettingsError};
use crate::cli::{AgentArgs, EndpointArgs, HttpArgs, StartArgs, TcpArgs, TerminateAt, TlsArgs, UpstreamProtocol};
use crate::{explain, view};

/// How long connections may take to finish after the first signal.
const GRACE: Duration = Duration::from_secs(10);
/// Longest wait between first attempts of `portway start`.
const START_RETRY_CEILING: Duration = Duration::from_secs(30);

/// `portway http` and `portway https`.
pub(crate) async fn http(args: HttpArgs) -> ExitCode {
    let mut options = match options(&args.endpoint) {
        Ok(options) => options,
        Err(problem) => return wrong_usage(&problem),
    };
    options.host_header = args.host_header.as_deref().map_or(HostHeader::Preserve, HostHeader::from);
    options.upstream_http2 = args.upstream_protocol == Some(UpstreamProtocol::Http2);
    one(EndpointConfig::new(Scheme::Http, args.addr, options), &args.endpoint.agent).await
}

/// `portway tcp`.
pub(crate) async fn tcp(args: TcpArgs) -> ExitCode {
    match options(&args.endpoint) {
        Ok(options) => one(EndpointConfig::new(Scheme::Tcp, args.addr, options), &args.endpoint.agent).await,
        Err(problem) => wrong_usage(&problem),
    }
}

/// `portway tls`.
pub(crate) async fn tls(args: TlsArgs) -> ExitCode {
    let mut options = match options(&args.endpoint) {
        Ok(options) => options,
        Err(problem) => return wrong_usage(&problem),
    };
    options.tls_edge = args.terminate_at == Some(TerminateAt::Edge);
    one(EndpointConfig::new(Scheme::Tls, args.addr, options), &args.endpoint.agent).await
}

/// `portway start`.
pub(crate) async fn start(args: StartArgs) -> ExitCode {
    let mut settings = match AgentSettings::load(&args.agent, stdout().is_terminal()) {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    if args.metadata.is_some() {
        settings.config.settings.metadata = args.metadata;
    }
    match wanted(&settings.config, &args.names) {
        Ok(endpoints) => Run { endpoints, settings, keep_trying: true }.run().await,
        Err(problem) => wrong_usage(&problem),
    }
}

fn options(args: &EndpointArgs) -> Result<EndpointOptions, String> {
    let upstream_ca = match &args.upstream_ca {
        None => None,
        Some(path) => {
            let cannot =
                |error| format!("the certificates of --upstream-ca cannot be read from {}: {error}", path.display());
            Some(std::fs::read(path).map_err(cannot)?)
        }
    };
    Ok(EndpointOptions {
        name: args.name.clone().unwrap_or_else(|| "command_line".to_owned()),
        url: args.url.clone().unwrap_or_default(),
        description: args.description.clone().unwrap_or_default(),
        metadata: args.metadata.clone().unwrap_or_default(),
        proxy_protocol: match args.proxy_proto {
            None => None,
            Some(1) => Some(ProxyProtocol::V1),
            Some(_) => Some(ProxyProtocol::V2),
        },
        verify_upstream_tls: args.verify_upstream || upstream_ca.is_some(),
        upstream_ca,
        ..EndpointOptions::default()
    })
}

async fn one(endpoint: EndpointConfig, args: &AgentArgs) -> ExitCode {
    // What is wrong with the address is said before what is missing around it.
    if let Err(error) = endpoint.check() {
        return wrong_usage(&error);
    }
    match AgentSettings::load(args, stdout().is_terminal()) {
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

fn wrong_usage(error: &dyn Display) -> ExitCode {
    let _ = writeln!(stderr(), "portway: {error}");
    ExitCode::from(2)
}

fn failed(text: &str) -> ExitCode {
    let _ = writeln!(stderr(), "portway: {text}");
    ExitCode::FAILURE
}

/// What the owner of the account had this agent do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
    Restart,
}

/// Lets the owner of the account stop and restart this agent. It does not update itself: that is for the package that it came in.
fn obey(builder: AgentBuilder, told: &watch::Sender<Told>) -> AgentBuilder {
    let (stop, restart) = (told.clone(), told.clone());
    let tell = |told: &watch::Sender<Told>, what| {
        told.send_replace(what);
        Ok(())
    };
    builder.on_stop(move || tell(&stop, Told::Stop)).on_restart(move || tell(&restart, Told::Restart))
}

/// Runs this program again in the place of this process, with the same arguments; returns when that cannot be done.
fn run_again() -> ExitCode {
    let mut args = std::env::args_os();
    // By the name that was called: an update may have replaced the file.
    let Some(program) = args.next() else { return failed("the agent cannot restart: its program has no name") };
    let error = std::process::Command::new(&program).args(args).exec();
    failed(&format!("the agent cannot restart: {} cannot be run: {error}", program.display()))
}

/// Why the agent did not get as far as serving.
enum Failure {
    /// The settings cannot be used; nothing was tried.
    Settings(String),
    /// It was tried.
    RunTime(String),
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
            Err(error) => return wrong_usage(&error),
        };
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return failed(&format!("signals cannot be received: {error}")),
        };
        for warning in &self.settings.config.warnings {
            tracing::warn!("{warning}");
        }
        let (told, mut hears) = watch::channel(Told::Nothing);
        let code = tokio::select! {
            result = self.connect(&told) => match result {
                Ok((agent, endpoints)) => Some((agent, endpoints)),
                Err(failure) => {
                    log.flush();
                    return match failure {
                        Failure::Settings(text) => wrong_usage(&text),
                        Failure::RunTime(text) => failed(&text),
                    };
                }
            },
            () = signals.next() => None,
        };
        let Some((agent, endpoints)) = code else { return ExitCode::SUCCESS };
        let ended = async {
            tokio::select! {
                () = signals.next() => {}
                // The sender lives as long as the agent.
                _ = hears.wait_for(|told| *told != Told::Nothing) => {}
            }
        };
        self.serve(&agent, &upstreams, ended).await;
        tokio::select! {
            () = agent.close_within(GRACE) => {}
            () = signals.next() => {}
        }
        drop(endpoints);
        log.flush();
        let told = *told.borrow();
        if told == Told::Restart { run_again() } else { ExitCode::SUCCESS }
    }

    /// Connects and opens the endpoints.
    async fn connect(&self, told: &watch::Sender<Told>) -> Result<(Agent, Vec<Endpoint>), Failure> {
        let mut wait = Duration::from_millis(500);
        let agent = loop {
            let builder = self.settings.builder();
            let builder = if self.settings.remote_management() { obey(builder, told) } else { builder };
            match builder.connect().await {
                Ok(agent) => break agent,
                Err(error) if self.keep_trying && error.is_transient() => {
                    self.not_yet(&error, wait);
                    tokio::time::sleep(wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
                    wait = (wait * 2).min(START_RETRY_CEILING);
                }
                Err(error) => {
                    let text = explain::connect_error(&error, self.settings.ca.as_deref());
                    let unusable = matches!(
                        error,
                        ConnectError::ConnectUrl { .. }
                            | ConnectError::ProxyUrl { .. }
                            | ConnectError::Roots(_)
                            | ConnectError::MetadataTooLong { .. }
                    );
                    return Err(if unusable { Failure::Settings(text) } else { Failure::RunTime(text) });
                }
            }
        };
        match self.open(&agent).await {
            Ok(endpoints) => Ok((agent, endpoints)),
            Err(text) => {
                agent.close_within(Duration::ZERO).await;
                Err(Failure::RunTime(text))
            }
        }
    }

    /// Opens the endpoints. `portway start` serves those that it gets and asks again for the others; only when every one is refused for a
    /// reason that will not pass, there is nothing to stay for.
    async fn open(&self, agent: &Agent) -> Result<Vec<Endpoint>, String> {
        let mut endpoints = Vec::new();
        let mut hopeless = Vec::new();
        for config in &self.endpoints {
            let cannot = |error: &BindError| match self.keep_trying {
                true => format!("the endpoint {:?} cannot be opened: {}", config.name, explain::bind_error(error)),
                false => format!("{} cannot be published: {}", config.upstream, explain::bind_error(error)),
            };
            if !self.keep_trying {
                endpoints.push(config.open(agent).await.map_err(|error| cannot(&error))?);
                continue;
            }
            let (endpoint, refusal) = config.keep_open(agent).await.map_err(|error| cannot(&error))?;
            endpoints.push(endpoint);
            let Some(refusal) = refusal else { continue };
            let text = cannot(&refusal);
            if self.settings.view {
                let _ = writeln!(stderr(), "portway: {text}");
            }
            if matches!(refusal, BindError::Refused { retryable: false, .. }) {
                hopeless.push(text);
            }
        }
        if hopeless.is_empty() || hopeless.len() < self.endpoints.len() {
            Ok(endpoints)
        } else {
            Err(hopeless.join("\n"))
        }
    }

    fn not_yet(&self, error: &ConnectError, wait: Duration) {
        if self.settings.view {
            let _ = writeln!(stderr(), "portway: {error}; trying again within {} s", wait.as_secs().max(1));
        }
        tracing::warn!(obj = "tunnels.session", err = %error, "failed to reconnect session");
    }

    /// Runs until somebody stops it.
    async fn serve(&self, agent: &Agent, upstreams: &[Upstream], ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
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
            match view::run(source, events, ended.as_mut()).await {
                Ok(()) => {
                    for endpoint in agent.endpoints() {
                        if let Some(url) = endpoint.url {
                            let _ = writeln!(stdout(), "{url} was forwarded to {}", endpoint.forwards_to);
                        }
                    }
                    let grace = GRACE.as_secs();
                    let _ =
                        writeln!(stdout(), "Stopping: connections may finish within {grace} s; Ctrl-C stops at once.");
                    return;
                }
                Err(error) => {
                    let _ = writeln!(stderr(), "portway: the live view cannot be shown ({error}); going on without it");
                }
            }
            for EndpointStatus { url, forwards_to, .. } in agent.endpoints() {
                let url = url.unwrap_or_else(|| "(no URL yet)".to_owned());
                let _ = writeln!(stdout(), "{url} -> {forwards_to}");
            }
        }
        ended.await;
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

//! `portway quickstart`: server, agent and a sample service in one process on loopback.

use std::io::{IsTerminal, Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use portway_agent::{Agent, Endpoint, Event, Roots, Scheme, Upstream};
use portway_control::admin::Admin;
use portway_names::HostName;
use portway_server::{Order, Ready, Server, ServerConfig, Settings};
use portway_telemetry::{LogConfig, LogFormat, LogOutput};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::sample_service;

/// How long connections may take to finish after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Flags of `portway quickstart`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  portway quickstart             publish a sample service
  portway quickstart 3000        publish localhost:3000
  portway quickstart 3000 --https-addr 127.0.0.1:9443 --http-addr 127.0.0.1:9080

Everything listens on loopback; data is kept in ./.portway, so a second run has the same CA and the same URL. Ctrl-C ends it.")]
pub(crate) struct Args {
    /// What to publish: a port, host:port or URL [default: a sample service]
    #[arg(value_name = "PORT")]
    upstream: Option<String>,
    /// Name of the public URL, below the base domain
    #[arg(long, value_name = "NAME", default_value = "hello")]
    name: String,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the quickstart until it is told to stop.
pub(crate) async fn run(args: Args) -> ExitCode {
    let (plan, logs) = match Plan::of(args) {
        Ok(plan) => plan,
        Err(problem) => {
            let _ = writeln!(stderr(), "portway quickstart: {problem}");
            return ExitCode::from(2);
        }
    };
    let _log = match portway_telemetry::install(&logs) {
        Ok(log) => log,
        Err(error) => {
            let _ = writeln!(stderr(), "portway quickstart: {error}");
            return ExitCode::from(2);
        }
    };
    match quickstart(plan).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(stderr(), "portway quickstart: {}", said_once(&error));
            ExitCode::FAILURE
        }
    }
}

/// What to do, checked as far as it can be before anything is started.
struct Plan {
    config: ServerConfig,
    /// What to publish; none for the sample service.
    upstream: Option<String>,
    url: String,
    name: String,
}

impl Plan {
    fn of(args: Args) -> Result<(Self, LogConfig), String> {
        // An upstream that is down is said below the greeting, once.
        let level = args.settings.log_level.clone().unwrap_or_else(|| "warn,portway_agent::forward=error".to_owned());
        let logs = LogConfig { output: LogOutput::Stderr, format: LogFormat::Term, level };
        let config = ServerConfig::resolve(args.settings).map_err(|error| error.to_string())?;
        let host: HostName = format!("{}.{}", args.name, config.domain)
            .parse()
            .map_err(|error| format!("--name {:?} cannot be a name below {}: {error}", args.name, config.domain))?;
        if let Some(upstream) = &args.upstream {
            Upstream::parse(upstream, Scheme::Http).map_err(|error| error.to_string())?;
        }
        let url = format!("https://{host}");
        Ok((Self { config, upstream: args.upstream, url, name: args.name }, logs))
    }
}

/// The error and its causes; a cause whose words stand there already is left out.
fn said_once(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

async fn quickstart(plan: Plan) -> Result<()> {
    let mut stop = Stop::new().context("signals cannot be received")?;
    let Plan { config, upstream, url, name } = plan;
    let data_dir = config.data_dir.clone();

    let mut tasks = JoinSet::new();
    let (stop_sample, sample_stops) = watch::channel(false);
    let sample = upstream.is_none();
    let upstream = match upstream {
        Some(upstream) => upstream,
        None => {
            let listener = TcpListener::bind("127.0.0.1:0").await.context("starting the sample service")?;
            let address = listener.local_addr()?;
            tasks.spawn(async move { drop(sample_service::serve(listener, sample_stops).await) });
            format!("http://{address}")
        }
    };
    let server = Server::start(config).await?;
    let ready = server.ready().clone();
    let (stop_server, orders) = mpsc::channel(1);
    let serving = tokio::spawn(server.run(orders));

    let published = publish(&ready, &data_dir, &url, &name, &upstream).await;
    let (agent, endpoint) = match published {
        Ok(published) => published,
        Err(error) => {
            end(None, stop_server, serving).await;
            return Err(error);
        }
    };
    let ca = shortest(Path::new(&ready.ca_cert));
    let text = greeting(&endpoint.url(), endpoint.forwards_to(), &ca, &ready.http_addr.to_string(), sample);
    let _ = writeln!(stdout(), "{text}");
    tasks.spawn(print_events(agent.events()));
    stop.heard().await;
    // Its event streams would never end by themselves.
    stop_sample.send_replace(true);
    let _ = writeln!(
        stdout(),
        "\nStopping: connections may finish within {} s (Ctrl-C again stops at once).",
        GRACE.as_secs()
    );
    tokio::select! {
        () = end(Some(agent), stop_server, serving) => {}
        () = stop.heard() => {}
    }
    Ok(())
}

/// Starts an agent that publishes `upstream` at `url`.
async fn publish(ready: &Ready, data_dir: &Path, url: &str, name: &str, upstream: &str) -> Result<(Agent, Endpoint)> {
    let agent = Agent::builder()
        .connect_url(ready.connect_addr.to_string())
        .authtoken(authtoken(data_dir).await?)
        .roots(Roots::Pem(std::fs::read(&ready.ca_cert).with_context(|| format!("reading {}", ready.ca_cert))?))
        .client_type("portway-quickstart")
        .watch_requests(true)
        .connect()
        .await
        .context("starting the agent")?;
    let endpoint = agent.http().url(url).name(name).forward_to(upstream).await?;
    Ok((agent, endpoint))
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn end(agent: Option<Agent>, stop_server: mpsc::Sender<Order>, serving: tokio::task::JoinHandle<()>) {
    if let Some(agent) = agent {
        agent.close_within(GRACE).await;
    }
    drop(stop_server.send(Order::Stop).await);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the server ended badly");
    }
}

/// The first account's authtoken; a new one when its file was removed.
async fn authtoken(data_dir: &Path) -> Result<SecretString> {
    #[derive(serde::Deserialize)]
    struct Bootstrap {
        authtoken: SecretString,
    }
    let file = data_dir.join("bootstrap.json");
    match std::fs::read(&file) {
        Ok(text) => {
            let bootstrap: Bootstrap =
                serde_json::from_slice(&text).with_context(|| format!("{} is damaged; remove it", file.display()))?;
            Ok(bootstrap.authtoken)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Admin::open(data_dir).await?.create_authtoken("quickstart", &[]).await?.1)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// The path as a person would type it here.
fn shortest(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

fn greeting(url: &str, upstream: &str, ca: &Path, http: &str, sample: bool) -> String {
    let (bold, plain) = if stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let ca = ca.display();
    let mut text = format!(
        "\n  {bold}{url}{plain}\n  -> {upstream}\n\n  Try it:     curl --cacert {ca} {url}/\n  CA file:    {ca}\n              (add it to a browser, or to curl with --cacert)\n  Plain HTTP: http://{http} sends visitors on to https\n"
    );
    if sample {
        text.push_str(&format!(
            "  Also:       curl --cacert {ca} -d hi {url}/echo\n              curl --cacert {ca} -N {url}/events\n"
        ));
    }
    text.push_str("\n  Connections appear below. Ctrl-C stops.\n");
    text
}

/// One line for each request, as it is answered.
async fn print_events(mut events: broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Request { method, path, status, duration, .. }) => {
                let _ = writeln!(
                    stdout(),
                    "  {status}  {:>7.1} ms  {} {}",
                    duration.as_secs_f64() * 1e3,
                    portway_telemetry::printable(&method),
                    portway_telemetry::printable(&path)
                );
            }
            Ok(Event::UpstreamFailed { error, .. }) => {
                let _ = writeln!(stdout(), "  ---             {}", portway_telemetry::printable(&error));
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                let _ = writeln!(stdout(), "  ... {missed} more");
            }
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
}

//! `portway quickstart`: server, agent and a sample service in one process on loopback.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use portway_agent::{Agent, Event, Roots};
use portway_control::admin::Admin;
use portway_server::{Order, Server, ServerConfig, Settings};
use portway_telemetry::{LogConfig, LogFormat, LogOutput};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use crate::sample_service;

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
    match quickstart(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portway quickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn quickstart(args: Args) -> Result<()> {
    let level = args.settings.log_level.clone().unwrap_or_else(|| "warn".to_owned());
    let _log = portway_telemetry::install(&LogConfig { output: LogOutput::Stderr, format: LogFormat::Term, level })?;
    let mut stop = Stop::new().context("signals cannot be received")?;
    let config = ServerConfig::resolve(args.settings)?;
    let data_dir = config.data_dir.clone();

    let mut tasks = JoinSet::new();
    let upstream = match &args.upstream {
        Some(upstream) => upstream.clone(),
        None => {
            let listener = TcpListener::bind("127.0.0.1:0").await.context("starting the sample service")?;
            let address = listener.local_addr()?;
            tasks.spawn(async move { drop(sample_service::serve(listener).await) });
            format!("http://{address}")
        }
    };
    let server = Server::start(config).await?;
    let ready = server.ready().clone();
    let (stop_server, orders) = mpsc::channel(1);
    let serving = tokio::spawn(server.run(orders));

    let agent = Agent::builder()
        .connect_url(ready.connect_addr.to_string())
        .authtoken(authtoken(&data_dir).await?)
        .roots(Roots::Pem(std::fs::read(&ready.ca_cert).with_context(|| format!("reading {}", ready.ca_cert))?))
        .client_type("portway-quickstart")
        .watch_requests(true)
        .connect()
        .await
        .context("starting the agent")?;
    let events = agent.events();
    let wanted = format!("https://{}.{}", args.name, ready.base_domain);
    let endpoint = agent.http().url(&wanted).name(&args.name).forward_to(&upstream).await?;

    let ca = shortest(Path::new(&ready.ca_cert));
    println!("{}", greeting(&endpoint.url(), &upstream, &ca, &ready.http_addr.to_string(), args.upstream.is_none()));
    tasks.spawn(print_events(events));
    stop.heard().await;
    println!("\nStopping: connections may finish (Ctrl-C again stops at once).");
    tokio::select! {
        () = end(agent, stop_server, serving) => {}
        () = stop.heard() => {}
    }
    Ok(())
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

async fn end(agent: Agent, stop_server: mpsc::Sender<Order>, serving: tokio::task::JoinHandle<()>) {
    agent.close().await;
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
    let (bold, plain) = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let ca = ca.display();
    let mut text = format!(
        "\n  {bold}{url}{plain}  ->  {upstream}\n\n  Try it:     curl --cacert {ca} {url}/\n  CA file:    {ca}  (add it to a browser, or to curl with --cacert)\n  Plain HTTP: http://{http} sends visitors on to https\n"
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
                println!(
                    "  {status}  {:>7.1} ms  {} {}",
                    duration.as_secs_f64() * 1e3,
                    portway_telemetry::printable(&method),
                    portway_telemetry::printable(&path)
                );
            }
            Ok(Event::UpstreamFailed { error, .. }) => {
                println!("  ---             {}", portway_telemetry::printable(&error));
            }
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => println!("  ... {missed} more"),
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
}

//! `portway server`: control plane and edge in one process.

use std::io::{Write as _, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portway_server::{LogFormat, Order, Server, ServerConfig, Settings};
use portway_telemetry::{LogConfig, LogOutput};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// The configuration file that is read when none is named and it exists.
const DEFAULT_FILE: &str = "portway-server.toml";

/// Flags of `portway server`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  portway server                                        on loopback, data in ./.portway
  portway server --config /etc/portway-server.toml      everything from a file
  portway server --domain example.com --https-addr 0.0.0.0:443 --http-addr 0.0.0.0:80
  portway server --config FILE --upgrade                take over from the running server, refusing nobody

When it serves, it prints one line of JSON to stdout: {\"event\":\"ready\", ...}. Logs go to stderr.
SIGTERM and Ctrl-C drain and exit 0; SIGHUP reads the configuration file again.")]
pub(crate) struct Args {
    /// Configuration file (TOML) [default: portway-server.toml, when it exists]
    #[arg(long, value_name = "FILE", env = "PORTWAY_SERVER_CONFIG")]
    config: Option<PathBuf>,
    /// Take over the sockets of the server that runs on the same data directory
    #[arg(long)]
    upgrade: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the server until it is told to stop.
pub(crate) async fn run(args: Args) -> ExitCode {
    let file = args.config.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    let (config, logs) = match read(file.as_deref(), args.settings.clone()) {
        Ok(read) => read,
        Err(error) => {
            let _ = writeln!(stderr(), "portway server: {error}");
            return ExitCode::from(2);
        }
    };
    let log = match portway_telemetry::install(&logs) {
        Ok(log) => log,
        Err(error) => {
            let _ = writeln!(stderr(), "portway server: {error}");
            return ExitCode::from(2);
        }
    };
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            let _ = writeln!(stderr(), "portway server: signals cannot be received: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = async { if args.upgrade { Server::upgrade(config).await } else { Server::start(config).await } };
    let started = tokio::select! {
        started = start => started,
        // Nobody is served yet: there is nothing to drain.
        () = signals.told_to_stop() => {
            tracing::info!("stopped while starting");
            return ExitCode::SUCCESS;
        }
    };
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            let _ = writeln!(stderr(), "portway server: {error}");
            return ExitCode::FAILURE;
        }
    };
    // A closed stdout is no reason not to serve.
    let _ = writeln!(stdout(), "{}", server.ready().to_line());
    let (orders, told) = mpsc::channel(1);
    let listening = tokio::spawn(listen(signals, orders, file, args.settings, log));
    server.run(told).await;
    listening.abort();
    ExitCode::SUCCESS
}

/// The configuration of `file` with flags over it, and how to log.
fn read(
    file: Option<&Path>,
    flags: Settings,
) -> Result<(ServerConfig, LogConfig), Box<dyn std::error::Error + Send + Sync>> {
    let settings = match file {
        Some(file) => flags.or(Settings::load(file)?),
        None => flags,
    };
    let logs = LogConfig {
        output: LogOutput::Stderr,
        format: match settings.log_format {
            Some(LogFormat::Json) => portway_telemetry::LogFormat::Json,
            Some(LogFormat::Human) | None => portway_telemetry::LogFormat::Term,
        },
        level: settings.log_level.clone().unwrap_or_else(|| "info".to_owned()),
    };
    Ok((ServerConfig::resolve(settings)?, logs))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Turns signals into orders.
async fn listen(
    mut signals: Signals,
    orders: mpsc::Sender<Order>,
    file: Option<PathBuf>,
    flags: Settings,
    log: portway_telemetry::LogHandle,
) {
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
            _ = signals.hangup.recv() => {
                reload(file.as_deref(), flags.clone(), &log, &orders).await;
                continue;
            }
        }
        if stopping {
            // A second signal: the operator does not want to wait for the drain.
            std::process::exit(1);
        }
        stopping = true;
        drop(orders.send(Order::Stop).await);
    }
}

async fn reload(
    file: Option<&Path>,
    flags: Settings,
    log: &portway_telemetry::LogHandle,
    orders: &mpsc::Sender<Order>,
) {
    match read(file, flags) {
        Ok((config, logs)) => {
            if let Err(error) = log.set_level(&logs.level) {
                tracing::error!(%error, "the new log level is not taken");
            }
            drop(orders.send(Order::Reload(Box::new(config))).await);
        }
        Err(error) => tracing::error!(%error, "the configuration file is not taken; the old configuration stays"),
    }
}

//! One set of settings from flags, environment and files, in this order.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use portway_agent::config::{Config, ConfigError, ConnectCas, Settings, search_path};
use portway_agent::{Agent, AgentBuilder, CarrierChoice, ConnectUrl, Roots, proxy_from_env};
use portway_telemetry::{LogConfig, LogOutput};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::{AgentArgs, CarrierArg, ConfigFiles, LogFormat, LogLevel};

/// Why the settings cannot be used. All of them are wrong usage or configuration: exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "no connect URL is known: give --connect-url HOST:PORT, set PORTWAY_CONNECT_URL, or write connect_url into the configuration file"
    )]
    NoConnectUrl,
    #[error("the connect URL {url:?} cannot be used: {reason}")]
    ConnectUrl { url: String, reason: String },
    #[error(
        "no authtoken is known: give --authtoken TOKEN, set PORTWAY_AUTHTOKEN, or write authtoken into the configuration file; the server writes the first one to DATA_DIR/bootstrap.json, and `portway admin` makes more"
    )]
    NoAuthtoken,
    #[error("the certificates of {named_by} cannot be read from {}: {error}; a Portway server writes its own to DATA_DIR/ca.pem", path.display())]
    Ca { named_by: CaSource, path: PathBuf, error: std::io::Error },
    #[error("{named_by} names {}, which holds no certificate in PEM form; a Portway server writes its own to DATA_DIR/ca.pem", path.display())]
    NoCertificate { named_by: CaSource, path: PathBuf },
}

/// Who named the CA file.
#[derive(Debug)]
pub(crate) enum CaSource {
    /// The flag or its variable.
    Flag,
    /// A configuration file; with several, the last.
    File(PathBuf),
}

impl fmt::Display for CaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("--ca"),
            Self::File(file) => write!(f, "`connect_cas` in {} (relative paths begin in its folder)", file.display()),
        }
    }
}

impl SettingsError {
    /// Prints the error and gives the exit code of wrong usage.
    pub(crate) fn report(&self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "portway: {self}");
        ExitCode::from(2)
    }
}

/// Everything an agent command needs to start.
#[derive(Debug)]
pub(crate) struct AgentSettings {
    pub(crate) config: Config,
    pub(crate) connect_url: ConnectUrl,
    /// The CA file in use, for error texts.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) log: LogConfig,
    /// The live view is wanted, if stdout is a terminal.
    pub(crate) view: bool,
    authtoken: SecretString,
    roots: Roots,
    carrier: CarrierChoice,
    region: String,
    proxy_url: Option<String>,
    connect_timeout: Option<Duration>,
}

impl AgentSettings {
    /// Reads the files and puts flags and environment over them. `terminal` tells whether stdout is one.
    pub(crate) fn load(args: &AgentArgs, terminal: bool) -> Result<Self, SettingsError> {
        let config = read_config(&args.config)?;
        let file = &config.settings;
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let authtoken = args.authtoken.clone().filter(|token| !token.expose_secret().is_empty());
        let authtoken = authtoken.or_else(|| env("NGROK_AUTHTOKEN").map(SecretString::from));
        let authtoken = authtoken.or_else(|| file.authtoken.clone()).ok_or(SettingsError::NoAuthtoken)?;
        let url = args.connect_url.clone().filter(|url| !url.is_empty());
        let url = url.or_else(|| file.connect_url.clone()).ok_or(SettingsError::NoConnectUrl)?;
        let connect_url: ConnectUrl =
            url.parse().map_err(|error| SettingsError::ConnectUrl { url, reason: format!("{error}") })?;
        let (roots, ca) = match args.ca.as_deref().filter(|ca| !ca.is_empty()) {
            Some(ca) => flag_roots(ca)?,
            None => file_roots(&config)?,
        };
        let proxy_url = args.proxy_url.clone().or_else(|| file.proxy_url.clone());
        let proxy_url = proxy_url.filter(|url| !url.is_empty()).or_else(|| proxy_from_env(&connect_url, env));
        let carrier = match args.carrier {
            None => file.carrier.unwrap_or(CarrierChoice::Auto),
            Some(CarrierArg::Auto) => CarrierChoice::Auto,
            Some(CarrierArg::Quic) => CarrierChoice::Quic,
            Some(CarrierArg::Tcp) => CarrierChoice::Tcp,
        };
        let region = args.region.clone().or_else(|| file.region.clone()).unwrap_or_default();
        let (log, view) = logging(args, file, terminal);
        let connect_timeout = file.connect_timeout;
        Ok(Self { connect_url, ca, log, view, authtoken, roots, carrier, region, proxy_url, connect_timeout, config })
    }

    /// Whether the owner of the account may stop and restart the agent from afar.
    pub(crate) fn remote_management(&self) -> bool {
        self.config.settings.remote_management != Some(false)
    }

    /// The agent, described.
    pub(crate) fn builder(&self) -> AgentBuilder {
        let mut builder = Agent::builder()
            .connect_url(self.connect_url.to_string())
            .authtoken(self.authtoken.clone())
            .roots(self.roots.clone())
            .carrier(self.carrier)
            .region(&self.region)
            .client_type("portway-cli")
            .metadata(self.config.settings.metadata.clone().unwrap_or_default())
            .watch_requests(self.view);
        if let Some(proxy_url) = &self.proxy_url {
            builder = builder.proxy_url(proxy_url);
        }
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        builder
    }
}

/// The files that were named, or the first of the search path that exists, or nothing.
pub(crate) fn read_config(files: &ConfigFiles) -> Result<Config, ConfigError> {
    if files.files.is_empty() {
        let found = search_path(|name| std::env::var(name).ok()).into_iter().find(|path| path.exists());
        return Config::load(found.as_slice());
    }
    Config::load(&files.files)
}

/// What `--ca` says to trust.
pub(crate) fn flag_roots(ca: &str) -> Result<(Roots, Option<PathBuf>), SettingsError> {
    let cas = match ca {
        "host" => ConnectCas::Host,
        "trusted" => ConnectCas::Trusted,
        path => ConnectCas::File(PathBuf::from(path)),
    };
    roots(Some(&cas), CaSource::Flag)
}

/// What the configuration files say to trust.
pub(crate) fn file_roots(config: &Config) -> Result<(Roots, Option<PathBuf>), SettingsError> {
    let file = config.files.last().cloned().unwrap_or_default();
    roots(config.settings.connect_cas.as_ref(), CaSource::File(file))
}

fn roots(cas: Option<&ConnectCas>, named_by: CaSource) -> Result<(Roots, Option<PathBuf>), SettingsError> {
    match cas {
        Some(ConnectCas::Trusted) => Ok((Roots::Webpki, None)),
        Some(ConnectCas::File(path)) => {
            let path = path.clone();
            match std::fs::read(&path) {
                Ok(pem) if holds_certificate(&pem) => Ok((Roots::Pem(pem), Some(path))),
                Ok(_) => Err(SettingsError::NoCertificate { named_by, path }),
                Err(error) => Err(SettingsError::Ca { named_by, path, error }),
            }
        }
        _ => Ok((Roots::Host, None)),
    }
}

/// Whether the text holds a certificate at all; whether it can be used is seen when it is.
fn holds_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// How to log, and whether the live view is shown: on a terminal, unless the log goes there or the user said no.
fn logging(args: &AgentArgs, file: &Settings, terminal: bool) -> (LogConfig, bool) {
    let wanted = args.log.clone().or_else(|| file.log.clone());
    let to_terminal = matches!(wanted.as_deref(), Some("stdout" | "stderr"));
    let view = terminal && !to_terminal && file.console_ui != Some(false);
    let output = match wanted.as_deref() {
        Some("stdout") => LogOutput::Stdout,
        Some("stderr") => LogOutput::Stderr,
        Some("false") => LogOutput::Off,
        Some(path) => LogOutput::File(PathBuf::from(path)),
        None if view => LogOutput::Off,
        None => LogOutput::Stdout,
    };
    let format = match args.log_format {
        Some(LogFormat::Term) => portway_telemetry::LogFormat::Term,
        Some(LogFormat::Logfmt) => portway_telemetry::LogFormat::Logfmt,
        Some(LogFormat::Json) => portway_telemetry::LogFormat::Json,
        None => match file.log_format.as_deref() {
            Some("logfmt") => portway_telemetry::LogFormat::Logfmt,
            Some("json") => portway_telemetry::LogFormat::Json,
            _ => portway_telemetry::LogFormat::Term,
        },
    };
    let level = match args.log_level {
        Some(LogLevel::Debug) => "debug",
        Some(LogLevel::Info) => "info",
        Some(LogLevel::Warn) => "warn",
        Some(LogLevel::Error | LogLevel::Crit) => "error",
        None => file.log_level.as_deref().unwrap_or("info"),
    };
    (LogConfig { output, format, level: level.to_owned() }, view)
}

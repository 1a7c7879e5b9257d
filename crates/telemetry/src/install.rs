//! Choosing and installing the log.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::layer::{LineLayer, lost_line};
use crate::line::Look;
use crate::sink::Sink;

/// Environment variable with a filter that wins over the configured level, in the syntax of `tracing_subscriber::EnvFilter`, for example
/// `info,portway_edge=debug`.
pub const FILTER_VARIABLE: &str = "PORTWAY_LOG";

/// What to log, how and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where to.
    pub output: LogOutput,
    /// How a line looks.
    pub format: LogFormat,
    /// `trace`, `debug`, `info`, `warn`, `error`, `crit` (the same as error) or `off`: for Portway's own crates; others log warnings and
    /// errors only. Or a filter as in [`FILTER_VARIABLE`].
    pub level: String,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// The end of this file, which is created when needed.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: coloured, when the output is a terminal and neither `NO_COLOR` nor `TERM=dumb` forbids it. Where the output is no
    /// terminal, the same as [`LogFormat::Logfmt`].
    Term,
    /// `t=… lvl=info msg="…" obj=… key=value`, with the names and levels that ngrok's agent uses.
    Logfmt,
    /// One JSON object a line, with the same names.
    Json,
}

/// Why the log could not be installed or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Neither a level nor a filter.
    #[error("log level {0:?} is unknown; use trace, debug, info, warn, error or off")]
    Level(String),
    /// [`FILTER_VARIABLE`] holds no filter.
    #[error("the environment variable PORTWAY_LOG holds no log filter: {0}")]
    Variable(String),
    /// The log file cannot be opened.
    #[error("the log file {} cannot be opened: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(io::Error),
    /// There is a log already.
    #[error("a log is installed already; a program installs one once")]
    Installed,
}

/// Other libraries' targets that say less than the rest. What the platform's verifier says is in the error that it returns, which is reported once, in
/// words of ours. What h2 and russh warn of is what a peer does, once for each time that it does it, and russh names users, who may have an
/// authtoken in their name.
const QUIET: &str = "rustls_platform_verifier=off,h2=error,russh=error";

/// Holds the installed log. Dropping it waits, for 3 seconds at most, until the lines so far are written; later lines are written too.
#[derive(Debug)]
#[must_use = "dropping the handle at once gives the last lines of the program no time to be written"]
pub struct LogHandle {
    installed: Option<(Sink, reload::Handle<EnvFilter, Registry>)>,
}

/// Installs the log of this process. Lines of the `log` crate are taken too.
///
/// # Errors
///
/// When the level is unknown, the file cannot be opened, or a log is installed already.
pub fn install(config: &LogConfig) -> Result<LogHandle, LogError> {
    let variable = std::env::var(FILTER_VARIABLE).ok();
    let filter = filter(variable.as_deref(), &config.level)?;
    let (output, terminal): (Box<dyn Write + Send>, bool) = match &config.output {
        LogOutput::Off => return Ok(LogHandle { installed: None }),
        LogOutput::Stderr => (Box::new(io::stderr()), io::stderr().is_terminal()),
        LogOutput::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
        LogOutput::File(path) => {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            (Box::new(opened.map_err(|source| LogError::File { path: path.clone(), source })?), false)
        }
    };
    let look = look(config.format, terminal, |name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()));
    let sink = Sink::start(output, Box::new(move |count| lost_line(look, count))).map_err(LogError::Thread)?;
    let (filter, handle) = reload::Layer::new(filter);
    let layer = LineLayer { look, sink: sink.clone() };
    tracing_subscriber::registry().with(filter).with(layer).try_init().map_err(|_| LogError::Installed)?;
    Ok(LogHandle { installed: Some((sink, handle)) })
}

impl LogHandle {
    /// Changes the level from now on. [`FILTER_VARIABLE`] still wins.
    ///
    /// # Errors
    ///
    /// When the level is unknown.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let variable = std::env::var(FILTER_VARIABLE).ok();
        let filter = filter(variable.as_deref(), level)?;
        match &self.installed {
            // It fails only when the subscriber is gone, and then nothing is logged any more.
            Some((_, handle)) => handle.reload(filter).map_err(|_| LogError::Installed),
            None => Ok(()),
        }
    }

    /// Waits until the lines so far are written, for 3 seconds at most. Before `std::process::exit`, which drops nothing.
    pub fn flush(&self) {
        if let Some((sink, _)) = &self.installed {
            sink.flush();
        }
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

fn filter(variable: Option<&str>, level: &str) -> Result<EnvFilter, LogError> {
    if let Some(variable) = variable.filter(|text| !text.is_empty()) {
        return EnvFilter::try_new(variable).map_err(|error| LogError::Variable(error.to_string()));
    }
    let directives = match level.to_ascii_lowercase().as_str() {
        "off" => "off".to_owned(),
        "crit" | "error" | "eror" => format!("error,{QUIET}"),
        // Others' details help nobody who did not ask for them by name.
        own @ ("trace" | "debug" | "info" | "warn") => format!("warn,{QUIET},portway={own}"),
        _ if level.contains('=') => level.to_owned(),
        _ => return Err(LogError::Level(level.to_owned())),
    };
    EnvFilter::try_new(directives).map_err(|_| LogError::Level(level.to_owned()))
}

fn look(format: LogFormat, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Look {
    let forbidden = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
        || variable("TERM").is_some_and(|value| value == "dumb");
    match format {
        LogFormat::Term if terminal => Look { format, colour: !forbidden },
        LogFormat::Term | LogFormat::Logfmt => Look { format: LogFormat::Logfmt, colour: false },
        LogFormat::Json => Look { format, colour: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_for_our_own_crates() {
        assert_eq!(
            filter(None, "debug").unwrap().to_string(),
            "rustls_platform_verifier=off,portway=debug,russh=error,h2=error,warn"
        );
        assert_eq!(
            filter(None, "INFO").unwrap().to_string(),
            "rustls_platform_verifier=off,portway=info,russh=error,h2=error,warn"
        );
        assert_eq!(
            filter(None, "crit").unwrap().to_string(),
            "rustls_platform_verifier=off,russh=error,h2=error,error"
        );
        assert_eq!(filter(None, "off").unwrap().to_string(), "off");
        assert_eq!(filter(None, "info,hyper=trace").unwrap().to_string(), "hyper=trace,info");
        assert!(matches!(filter(None, "loud"), Err(LogError::Level(level)) if level == "loud"));
        assert!(matches!(filter(None, ""), Err(LogError::Level(_))));
    }

    #[test]
    fn the_variable_wins() {
        assert_eq!(filter(Some("trace"), "info").unwrap().to_string(), "trace");
        assert_eq!(
            filter(Some(""), "warn").unwrap().to_string(),
            "rustls_platform_verifier=off,portway=warn,russh=error,h2=error,warn"
        );
        assert!(matches!(filter(Some("a=b=c"), "info"), Err(LogError::Variable(_))));
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        let none = |_: &str| None;
        assert_eq!(look(LogFormat::Term, true, none), Look { format: LogFormat::Term, colour: true });
        assert_eq!(look(LogFormat::Term, false, none), Look { format: LogFormat::Logfmt, colour: false });
        assert_eq!(look(LogFormat::Json, true, none), Look { format: LogFormat::Json, colour: false });
        let no_colour = |name: &str| (name == "NO_COLOR").then(|| "1".to_owned());
        assert_eq!(look(LogFormat::Term, true, no_colour), Look { format: LogFormat::Term, colour: false });
        let empty = |name: &str| (name == "NO_COLOR").then(String::new);
        assert!(look(LogFormat::Term, true, empty).colour);
        let dumb = |name: &str| (name == "TERM").then(|| "dumb".to_owned());
        assert!(!look(LogFormat::Term, true, dumb).colour);
    }
}

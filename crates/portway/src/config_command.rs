//! `portway config`: looks at the configuration file, and writes into it.

mod connect_url;
mod edit;

use std::io::{Write as _, stderr, stdout};
use std::process::ExitCode;

use portway_agent::config::search_path;

use crate::agent_settings::{file_roots, read_config};
use crate::cli::{ConfigArgs, ConfigCommand, ConfigFiles};

/// Runs one of the commands.
pub(crate) fn run(args: ConfigArgs) -> ExitCode {
    match args.command {
        ConfigCommand::Check(files) => check(&files),
        ConfigCommand::AddConnectUrl(args) => match connect_url::add(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(stderr(), "portway: {error:#}");
                ExitCode::from(2)
            }
        },
    }
}

fn check(files: &ConfigFiles) -> ExitCode {
    let config = match read_config(files) {
        Ok(config) => config,
        Err(error) => {
            let _ = writeln!(stderr(), "portway: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = file_roots(&config) {
        return error.report();
    }
    if config.files.is_empty() {
        let places: Vec<String> =
            search_path(|name| std::env::var(name).ok()).iter().map(|path| path.display().to_string()).collect();
        let _ = writeln!(stderr(), "portway: no configuration file was found; looked for {}", places.join(", "));
        return ExitCode::from(2);
    }
    for warning in &config.warnings {
        let _ = writeln!(stderr(), "warning: {warning}");
    }
    for file in &config.files {
        let _ = writeln!(stdout(), "Valid configuration file at {}", file.display());
    }
    for endpoint in &config.endpoints {
        let _ = writeln!(stdout(), "  {}: {} -> {}", endpoint.name, shown(&endpoint.options.url), endpoint.upstream);
    }
    if config.endpoints.is_empty() {
        let _ = writeln!(stdout(), "  it defines no endpoint; `portway start` needs some below `endpoints`");
    }
    ExitCode::SUCCESS
}

fn shown(url: &str) -> &str {
    if url.is_empty() { "https:// (any name)" } else { url }
}

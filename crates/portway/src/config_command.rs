//! `portway config`: looks at the configuration file.

use std::process::ExitCode;

use portway_agent::config::search_path;

use crate::agent_settings::read_config;
use crate::cli::{ConfigArgs, ConfigCommand, ConfigFiles};

/// Runs one of the commands.
pub(crate) fn run(args: ConfigArgs) -> ExitCode {
    match args.command {
        ConfigCommand::Check(files) => check(&files),
    }
}

fn check(files: &ConfigFiles) -> ExitCode {
    let config = match read_config(files) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("portway: {error}");
            return ExitCode::from(2);
        }
    };
    if config.files.is_empty() {
        let places: Vec<String> =
            search_path(|name| std::env::var(name).ok()).iter().map(|path| path.display().to_string()).collect();
        eprintln!("portway: no configuration file was found; looked for {}", places.join(", "));
        return ExitCode::from(2);
    }
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    for file in &config.files {
        println!("Valid configuration file at {}", file.display());
    }
    for endpoint in &config.endpoints {
        println!("  {}: {} -> {}", endpoint.name, shown(&endpoint.options.url), endpoint.upstream);
    }
    ExitCode::SUCCESS
}

fn shown(url: &str) -> &str {
    if url.is_empty() { "https:// (any name)" } else { url }
}

//! The log as a program installs it: one per process, so one test.

use std::io;

use portway_telemetry::{LogConfig, LogError, LogFormat, LogOutput, install};

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] io::Error);

#[test]
fn a_program_logs_to_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agent.log");
    let config = LogConfig { output: LogOutput::File(path.clone()), format: LogFormat::Json, level: "info".to_owned() };
    let log = install(&config).expect("the first log is installed");
    assert!(matches!(install(&config), Err(LogError::Installed)));

    let span =
        tracing::info_span!(target: "portway_edge::session", "session", id = "ts_1", rtt = tracing::field::Empty);
    span.in_scope(|| {
        span.record("rtt", 3);
        let error = Outer(io::Error::other("inner"));
        tracing::warn!(target: "portway_edge::http", error = &error as &dyn std::error::Error, "first \x1b[31m");
    });
    tracing::debug!(target: "portway_edge::http", "too detailed");
    tracing::info!(target: "hyper::proto", "of others");
    tracing::info!(target: "portway_agent", obj = "web", addr = %"127.0.0.1:4040", "starting web service");
    log.set_level("debug").expect("debug is a level");
    tracing::debug!(target: "portway_edge::http", "now wanted");
    assert!(matches!(log.set_level("loud"), Err(LogError::Level(_))));
    drop(log);

    let text = std::fs::read_to_string(&path).expect("the log file");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["msg"].as_str().expect("a message")).collect();
    assert_eq!(messages, ["first \x1b[31m", "starting web service", "now wanted"]);
    assert!(!text.contains('\x1b'));
    assert_eq!(lines[0]["obj"], "edge");
    assert_eq!(lines[0]["id"], "ts_1");
    assert_eq!(lines[0]["rtt"], 3);
    assert_eq!(lines[0]["error"], "outer: inner");
    assert_eq!(lines[1]["obj"], "web");
    assert_eq!(lines[1]["lvl"], "info");
    assert_eq!(lines[2]["lvl"], "dbug");
}

#[test]
fn what_cannot_be_installed_says_why() {
    let config = |output, level: &str| LogConfig { output, format: LogFormat::Term, level: level.to_owned() };
    let missing = LogOutput::File("/nonexistent/folder/agent.log".into());
    let error = install(&config(missing, "info")).expect_err("the folder does not exist").to_string();
    assert!(error.contains("/nonexistent/folder/agent.log"), "{error}");
    let error = install(&config(LogOutput::Stderr, "loud")).expect_err("no such level").to_string();
    assert!(error.contains("loud"), "{error}");
    install(&config(LogOutput::Off, "info")).expect("nothing to install").flush();
}

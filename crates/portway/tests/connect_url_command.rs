//! `portway config add-connect-url` against a real server: an agent that has nothing but the file connects.

mod server;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use server::{Server, portway};

impl Server {
    fn run(&self, args: &[&str]) -> Result<Output> {
        Ok(portway(self.dir.path()).args(args).output()?)
    }

    fn connect_addr(&self) -> String {
        self.ready["connect_addr"].as_str().unwrap_or_default().to_owned()
    }
}

/// SHA-256 of the CA's certificate, as another program sees it.
fn fingerprint(server: &Server) -> Result<String> {
    let pem = std::fs::read_to_string(server.dir.path().join("data/ca.pem"))?;
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = server.dir.path().join("ca.der");
    std::fs::write(&der, STANDARD.decode(text)?)?;
    let output = Command::new("sha256sum").arg(der).output()?;
    Ok(String::from_utf8(output.stdout)?.split_whitespace().next().context("a sum")?.to_owned())
}

/// Starts an agent with what the file says, and returns with its first words about an endpoint.
fn publishes(server: &Server) -> Result<String> {
    let bootstrap: Value = serde_json::from_slice(&std::fs::read(server.dir.path().join("data/bootstrap.json"))?)?;
    let mut agent = portway(server.dir.path())
        .args(["http", "1", "--log", "stdout", "--log-format", "logfmt"])
        .env("PORTWAY_AUTHTOKEN", bootstrap["authtoken"].as_str().context("a token")?)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let lines = BufReader::new(agent.stdout.take().context("stdout")?).lines();
    let found = lines.map_while(Result::ok).find(|line| line.contains("https://") || line.contains("eror"));
    drop(agent.kill());
    drop(agent.wait());
    found.context("the agent says nothing")
}

#[test]
fn an_agent_connects_with_what_was_written() -> Result<()> {
    let server = Server::start_with(&[])?;
    let at = server.connect_addr();
    let pin = fingerprint(&server)?;
    for trust in [["--pin", pin.as_str()], ["--ca", "data/ca.pem"]] {
        let written = server.run(&["config", "add-connect-url", &at, trust[0], trust[1]])?;
        ensure!(written.status.success(), "{written:?}");
        let said = String::from_utf8(written.stdout)?;
        assert!(said.contains(&at) && said.contains(".pem"), "{said}");
        let line = publishes(&server)?;
        assert!(line.contains("portway.localhost"), "{trust:?}: {line}");
    }
    let text = std::fs::read_to_string(server.dir.path().join(".config/portway/portway.yml"))?;
    assert_eq!(text.matches("connect_url").count(), 1, "{text}");
    Ok(())
}

#[test]
fn what_cannot_be_trusted_is_refused_and_nothing_is_written() -> Result<()> {
    let server = Server::start_with(&[])?;
    let at = server.connect_addr();
    let wrong = "00".repeat(32);
    for (args, part) in [
        (vec![at.as_str(), "--pin", wrong.as_str()], "shows no CA with the fingerprint"),
        (vec![at.as_str(), "--pin", "abc"], "64 hexadecimal digits"),
        (vec![at.as_str(), "--ca", "nowhere.pem"], "nowhere.pem"),
        (vec!["127.0.0.1:1", "--pin", wrong.as_str()], "127.0.0.1:1"),
        (vec!["http://x"], "cannot be dialled"),
    ] {
        let refused = server.run(&[vec!["config", "add-connect-url"], args.clone()].concat())?;
        let said = String::from_utf8(refused.stderr)?;
        assert!(refused.status.code() == Some(2) && said.contains(part), "{args:?}: {said}");
    }
    let folder = server.dir.path().join(".config/portway");
    assert_eq!(std::fs::read_dir(folder).map_or(0, Iterator::count), 0, "nothing is left behind");
    Ok(())
}

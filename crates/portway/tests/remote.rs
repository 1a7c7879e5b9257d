//! What the owner of the account has a running agent do from afar.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portway_control::AgentCommand;
use portway_control::admin::Admin;
use portway_names::{AccountId, SessionId};
use portway_testkit::{Cluster, HttpUpstream};
use secrecy::ExposeSecret;
use tokio::time::{sleep, timeout};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent's process; killed when the test is over.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn agent(cluster: &Cluster, upstream: &str, config: &str) -> Result<Process> {
    let file = cluster.data_dir().join("agent.yml");
    fs::write(&file, format!("version: 3\nagent:\n  connect_cas: ca.pem\n{config}"))?;
    let child = Command::new(env!("CARGO_BIN_EXE_portway"))
        .env_clear()
        .args(["http", upstream, "--url", "https://app.portway.localhost", "--log", "false", "--config"])
        .arg(&file)
        .args(["--connect-url", &cluster.ready().connect_addr.to_string()])
        .env("PORTWAY_AUTHTOKEN", cluster.authtoken().expose_secret())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Process(child))
}

/// The session that serves the endpoint, once there is one that is not `before`.
async fn session(cluster: &Cluster, account: AccountId, before: Option<SessionId>) -> Result<SessionId> {
    let looking = async {
        loop {
            let newest = cluster.online().endpoints(account, None, 1);
            match newest.first().map(|endpoint| endpoint.record.session) {
                Some(session) if Some(session) != before => return session,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(PATIENCE, looking).await.context("the agent never comes")
}

#[tokio::test]
async fn an_agent_restarts_in_place_and_stops() -> Result<()> {
    let (cluster, web) = (Cluster::start().await?, HttpUpstream::start().await?);
    let account = Admin::open(&cluster.data_dir()).await?.accounts().await?.first().context("an account")?.id;
    let mut process = agent(&cluster, &web.url(), "")?;
    let first = session(&cluster, account, None).await?;
    assert_eq!(refusal(&cluster, account, first, AgentCommand::Restart).await, None);
    let second = session(&cluster, account, Some(first)).await?;
    assert!(process.0.try_wait()?.is_none(), "it is the same process, with the program run again");
    let update = AgentCommand::Update { version: String::new(), permit_major: false };
    assert_eq!(refusal(&cluster, account, second, update).await, Some("ERR_NGROK_806"));
    assert_eq!(refusal(&cluster, account, second, AgentCommand::Stop).await, None);
    let ended = async {
        loop {
            match process.0.try_wait()? {
                Some(status) => return anyhow::Ok(status),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let status = timeout(PATIENCE, ended).await??;
    if !status.success() {
        bail!("{status}");
    }
    cluster.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_without_remote_management_is_left_alone() -> Result<()> {
    let (cluster, web) = (Cluster::start().await?, HttpUpstream::start().await?);
    let account = Admin::open(&cluster.data_dir()).await?.accounts().await?.first().context("an account")?.id;
    let mut process = agent(&cluster, &web.url(), "  remote_management: false\n")?;
    let session = session(&cluster, account, None).await?;
    for (command, code) in [(AgentCommand::Stop, "ERR_NGROK_804"), (AgentCommand::Restart, "ERR_NGROK_805")] {
        assert_eq!(refusal(&cluster, account, session, command).await, Some(code));
    }
    assert!(process.0.try_wait()?.is_none());
    cluster.stop().await?;
    Ok(())
}

/// The code of the refusal of a command; none when the agent obeys.
async fn refusal(
    cluster: &Cluster,
    account: AccountId,
    session: SessionId,
    command: AgentCommand,
) -> Option<&'static str> {
    cluster.online().command(account, session, &command).await.err().map(|error| error.code.name())
}

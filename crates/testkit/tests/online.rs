//! What the control plane of a whole server knows of agents and endpoints, and its commands to agents.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use portway_agent::{Agent, Status};
use portway_control::admin::Admin;
use portway_control::{AgentCommand, LiveEndpoint, LiveSession};
use portway_names::AccountId;
use portway_testkit::{Cluster, HttpUpstream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(20);

async fn account(cluster: &Cluster) -> Result<AccountId> {
    let accounts = Admin::open(&cluster.data_dir()).await?.accounts().await?;
    Ok(accounts.first().context("an installation has an account")?.id)
}

/// Sessions and endpoints of the account, once there are this many.
async fn listed(
    cluster: &Cluster,
    account: AccountId,
    count: (usize, usize),
) -> Result<(Vec<Arc<LiveSession>>, Vec<Arc<LiveEndpoint>>)> {
    let looking = async {
        loop {
            let online = cluster.online();
            let (sessions, endpoints) = (online.sessions(account, None, 10), online.endpoints(account, None, 10));
            if (sessions.len(), endpoints.len()) == count {
                return (sessions, endpoints);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.with_context(|| format!("there are never {count:?} sessions and endpoints"))
}

async fn session_id(agent: &Agent) -> Result<String> {
    match &*timeout(PATIENCE, agent.status().wait_for(|status| matches!(status, Status::Online(_)))).await?? {
        Status::Online(online) => Ok(online.session_id.clone()),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_and_its_endpoint_are_known_from_one_server_to_the_next() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let web = HttpUpstream::start().await?;
    let owner = account(&cluster).await?;
    let agent = cluster.agent().metadata("the shop").connect().await?;
    let url = cluster.url("https", "app");
    let _endpoint = agent.http().url(&url).name("web").forward_to(&web.url()).await?;
    let (sessions, endpoints) = listed(&cluster, owner, (1, 1)).await?;
    assert_eq!(sessions[0].record.id.to_string(), session_id(&agent).await?);
    assert_eq!((sessions[0].record.metadata.as_str(), sessions[0].transport()), ("the shop", "ngrok/v2"));
    assert_eq!((endpoints[0].record.name.as_str(), endpoints[0].record.session), ("web", sessions[0].record.id));
    let port = cluster.ready().https_addr.port();
    assert_eq!((endpoints[0].public_url(), endpoints[0].port()), (format!("{url}:{port}"), port));

    // The agent moves to the new server: it is the same one at another edge process.
    let predecessor = cluster.upgrade().await?;
    let (moved, _) = listed(&cluster, owner, (1, 1)).await?;
    assert_ne!(moved[0].record.id, sessions[0].record.id);
    timeout(PATIENCE, predecessor.ended()).await??;

    // A restart: nothing is known, and everything is again when the agent is back.
    let settings = cluster.same_addresses();
    let data_dir = cluster.stop().await?;
    let cluster = Cluster::restart(data_dir, settings).await?;
    listed(&cluster, owner, (1, 1)).await?;
    agent.close().await;
    listed(&cluster, owner, (0, 0)).await?;
    assert_eq!((cluster.online().edges().len(), cluster.online().edges()[0].sessions), (1, 0));
    cluster.stop().await?;
    Ok(())
}

#[tokio::test]
async fn commands_reach_an_agent_that_obeys_them() -> Result<()> {
    let cluster = Cluster::start().await?;
    let owner = account(&cluster).await?;
    let (told, mut hears) = watch::channel("");
    let (stop, restart) = (told.clone(), told.clone());
    let agent = cluster
        .agent()
        .on_stop(move || {
            stop.send_replace("stop");
            Ok(())
        })
        .on_restart(move || {
            restart.send_replace("restart");
            Ok(())
        })
        .on_update(|version, _| Err(format!("version {version} is not there")))
        .connect()
        .await?;
    let (sessions, _) = listed(&cluster, owner, (1, 0)).await?;
    let (online, id) = (cluster.online(), sessions[0].record.id);
    for (command, heard) in [(AgentCommand::Restart, "restart"), (AgentCommand::Stop, "stop")] {
        assert_eq!(online.command(owner, id, &command).await, Ok(()));
        timeout(PATIENCE, hears.wait_for(|told| *told == heard)).await??;
    }
    let update = AgentCommand::Update { version: "9.9".to_owned(), permit_major: false };
    let refused = online.command(owner, id, &update).await.expect_err("the program refused");
    assert!(refused.text.contains("version 9.9 is not there"), "{refused}");

    // One that said nothing of commands is not told.
    let deaf = cluster.agent().connect().await?;
    listed(&cluster, owner, (2, 0)).await?;
    let id = session_id(&deaf).await?.parse()?;
    let refused = online.command(owner, id, &AgentCommand::Stop).await.expect_err("nobody obeys");
    assert_eq!(refused.code.name(), "ERR_NGROK_804");
    agent.close().await;
    deaf.close().await;
    let refused = online.command(owner, sessions[0].record.id, &AgentCommand::Stop).await;
    assert!(refused.is_err(), "the session is over");
    cluster.stop().await?;
    Ok(())
}

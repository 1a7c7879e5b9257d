//! An SSH key that was registered by the REST interface: OpenSSH serves with it what it permits, for as long as it is there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portway_testkit::{Cluster, HttpUpstream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Longest wait for something that must happen. No test asserts how fast.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, a service behind it, and a user with a key.
struct World {
    cluster: Cluster,
    upstream: HttpUpstream,
    home: TempDir,
}

impl World {
    /// None where OpenSSH is missing.
    async fn start() -> Result<Option<World>> {
        if !Path::new("/usr/bin/ssh").exists() || !Path::new("/usr/bin/ssh-keygen").exists() {
            println!("skipped: needs ssh; install it with apt-get install openssh-client");
            return Ok(None);
        }
        let home = TempDir::new()?;
        let kind = ["-q", "-t", "ed25519", "-N", "", "-C", "laptop", "-f"];
        let made = Command::new("/usr/bin/ssh-keygen").args(kind).arg(home.path().join("key")).status().await?;
        ensure!(made.success(), "ssh-keygen: {made}");
        Ok(Some(World { cluster: Cluster::start().await?, upstream: HttpUpstream::start().await?, home }))
    }

    /// Registers the key; its path.
    async fn register(&self, acl: &[String]) -> Result<String> {
        let public = std::fs::read_to_string(self.home.path().join("key.pub"))?;
        let body = json!({"public_key": public.trim(), "acl": acl, "description": "laptop"});
        let made = self.cluster.done("POST", "/ssh_credentials", body).await?;
        Ok(format!("/ssh_credentials/{}", made["id"].as_str().context("an id")?))
    }

    /// `ssh -R`, serving the upstream at this host name.
    fn ssh(&self, host: &str) -> Result<Child> {
        let port = self.upstream.url().rsplit(':').next().unwrap_or_default().to_owned();
        let quiet = ["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"];
        let hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
        let mut command = Command::new("/usr/bin/ssh");
        command.args(quiet).args(hosts).arg("-i").arg(self.home.path().join("key"));
        command.args(["-p", &self.cluster.ready().ssh_addr.port().to_string()]);
        command.args(["-R", &format!("{host}:443:127.0.0.1:{port}"), "v2@127.0.0.1", "http"]);
        command.env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    async fn until(&self, url: &str, status: u16) -> Result<()> {
        let client = self.cluster.client();
        let asking = async {
            while client.get(url).await.map(|answer| answer.status).ok() != Some(status) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.with_context(|| format!("{url} never answered {status}"))
    }
}

/// Whether it ended well, and what it printed.
async fn ended(ssh: Child) -> Result<(bool, String)> {
    let output = tokio::time::timeout(PATIENCE, ssh.wait_with_output()).await.context("ssh did not end")??;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&printed).into_owned()))
}

#[tokio::test]
async fn a_registered_key_serves_what_it_permits_until_it_is_deleted() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let (mine, others) = (world.cluster.url("https", "app"), world.cluster.url("https", "other"));
    let host = |url: &str| url.trim_start_matches("https://").to_owned();

    let (served, said) = ended(world.ssh(&host(&mine))?).await?;
    assert!(!served && said.contains("Permission denied"), "a key that nobody registered: {said}");

    let key = world.register(&[format!("bind:{}", host(&mine))]).await?;
    let (served, said) = ended(world.ssh(&host(&others))?).await?;
    assert!(!served && said.contains("ERR_NGROK_"), "a name that the key does not permit: {said}");

    let ssh = world.ssh(&host(&mine))?;
    world.until(&mine, 200).await?;
    let sessions = world.cluster.done("GET", "/tunnel_sessions", Value::Null).await?;
    assert_eq!(sessions["tunnel_sessions"].as_array().map(Vec::len), Some(1), "{sessions}");

    world.cluster.done("DELETE", &key, Value::Null).await?;
    world.until(&mine, 404).await?;
    let (served, said) = ended(ssh).await?;
    assert!(!served, "the session of a deleted key: {said}");
    let (served, said) = ended(world.ssh(&host(&mine))?).await?;
    assert!(!served && said.contains("Permission denied"), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_acl_that_becomes_narrower_takes_what_is_served_offline() -> Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let url = world.cluster.url("https", "app");
    let key = world.register(&[]).await?;
    let mut ssh = world.ssh(url.trim_start_matches("https://"))?;
    world.until(&url, 200).await?;
    world.cluster.done("PATCH", &key, json!({"acl": ["bind:elsewhere.example.com"]})).await?;
    world.until(&url, 404).await?;
    // The connection stays: it may have other endpoints.
    ssh.start_kill()?;
    let (_, said) = ended(ssh).await?;
    assert!(said.contains("ERR_NGROK_"), "{said}");
    Ok(())
}

//! A server in process, on loopback and port 0, with a data directory of its own.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use portway_agent::{Agent, AgentBuilder, Roots};
use portway_server::{Online, Order, Ready, Server, ServerConfig, Settings};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::Client;

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    data_dir: TempDir,
    ready: Ready,
    online: Online,
    authtoken: SecretString,
    api_key: SecretString,
    ca: Vec<u8>,
    settings: Settings,
    orders: mpsc::Sender<Order>,
    serving: JoinHandle<()>,
}

/// A server that has been replaced by an upgrade and drains.
#[derive(Debug)]
pub struct Predecessor {
    _orders: mpsc::Sender<Order>,
    serving: JoinHandle<()>,
}

impl Predecessor {
    /// Whether it still runs.
    pub fn is_draining(&self) -> bool {
        !self.serving.is_finished()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the server's task failed.
    pub async fn ended(self) -> Result<()> {
        Ok(self.serving.await?)
    }
}

impl Cluster {
    /// Starts a server with defaults.
    ///
    /// # Errors
    /// Whatever keeps the server from starting.
    pub async fn start() -> Result<Self> {
        Self::with(Settings::default()).await
    }

    /// Starts a server with `settings`; addresses and the data directory that are not given are free ones.
    ///
    /// # Errors
    /// Whatever keeps the server from starting.
    pub async fn with(settings: Settings) -> Result<Self> {
        Self::on(TempDir::new()?, settings).await
    }

    async fn on(data_dir: TempDir, settings: Settings) -> Result<Self> {
        let any: SocketAddr = "127.0.0.1:0".parse()?;
        let settings = settings.or(Settings {
            data_dir: Some(data_dir.path().join("data")),
            https_addr: Some(any),
            http_addr: Some(any),
            api_addr: Some(any),
            admin_addr: Some(any),
            dns_addr: Some(any),
            ssh_addr: Some(any),
            ..Settings::default()
        });
        let server = Server::start(ServerConfig::resolve(settings.clone())?).await?;
        let ready = server.ready().clone();
        let online = server.online().context("a server that started has a control plane")?;
        let bootstrap: serde_json::Value =
            serde_json::from_slice(&std::fs::read(data_dir.path().join("data/bootstrap.json"))?)?;
        let authtoken = bootstrap["authtoken"].as_str().context("bootstrap.json has an authtoken")?.into();
        let api_key = bootstrap["api_key"].as_str().context("bootstrap.json has an API key")?.into();
        let ca = std::fs::read(&ready.ca_cert)?;
        let (orders, told) = mpsc::channel(1);
        let serving = tokio::spawn(server.run(told));
        Ok(Self { data_dir, ready, online, authtoken, api_key, ca, settings, orders, serving })
    }

    /// Where the server is reached.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What is online, as the server's control plane knows it.
    pub fn online(&self) -> &Online {
        &self.online
    }

    /// The server's data directory.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.data_dir.path().join("data")
    }

    /// The first account's authtoken.
    pub fn authtoken(&self) -> SecretString {
        self.authtoken.clone()
    }

    /// The CA certificate, PEM.
    pub fn ca(&self) -> &[u8] {
        &self.ca
    }

    /// An agent for the first account, not yet connected.
    pub fn agent(&self) -> AgentBuilder {
        self.agent_via(self.ready.connect_addr)
    }

    /// The same, dialling another address: a [`Link`](crate::Link) in front of the server.
    pub fn agent_via(&self, address: SocketAddr) -> AgentBuilder {
        Agent::builder()
            .connect_url(address.to_string())
            .authtoken(self.authtoken())
            .roots(Roots::Pem(self.ca.clone()))
            .client_type("portway-testkit")
    }

    /// A client of public URLs.
    pub fn client(&self) -> Client {
        Client::new(&self.ca, self.ready.https_addr, self.ready.http_addr)
    }

    /// A URL below the base domain: `https://<name>.<base>`.
    pub fn url(&self, scheme: &str, name: &str) -> String {
        format!("{scheme}://{name}.{}", self.ready.base_domain)
    }

    /// Calls the REST interface with the first account's key: the status, and what came back; null for nothing.
    ///
    /// # Errors
    /// When the address does not answer, or answers with what is no JSON.
    pub async fn api(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.api_at(&self.ready.api_url, method, path, body).await
    }

    /// The same, at another address of the interface, such as `https://api.<base>`.
    ///
    /// # Errors
    /// When the address does not answer, or answers with what is no JSON.
    pub async fn api_at(&self, base: &str, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.call(self.api_key.expose_secret(), base, method, path, body).await
    }

    /// The same, with the key of somebody else.
    ///
    /// # Errors
    /// When the address does not answer, or answers with what is no JSON.
    pub async fn api_as(&self, key: &str, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.call(key, &self.ready.api_url, method, path, body).await
    }

    async fn call(&self, key: &str, base: &str, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        let at: SocketAddr = self.ready.api_url.trim_start_matches("http://").parse()?;
        let client = Client::new(&self.ca, self.ready.https_addr, at);
        client.call_api(key, &format!("{base}{path}"), method, body).await
    }

    /// A call of the REST interface that must succeed, and what came back.
    ///
    /// # Errors
    /// When it does not.
    pub async fn done(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let (status, reply) = self.api(method, path, body).await?;
        anyhow::ensure!((200..300).contains(&status), "{method} {path}: {status} {reply}");
        Ok(reply)
    }

    /// Text of a path of the admin address.
    ///
    /// # Errors
    /// When the address does not answer.
    pub async fn admin(&self, path: &str) -> Result<(u16, String)> {
        let response = Client::plain(self.ready.admin_addr).get(&format!("http://admin{path}")).await?;
        Ok((response.status, String::from_utf8_lossy(&response.body).into_owned()))
    }

    /// Drains the server, waits for its end, and gives the data directory for another start.
    ///
    /// # Errors
    /// When the server's task failed.
    pub async fn stop(self) -> Result<TempDir> {
        drop(self.orders.send(Order::Stop).await);
        self.serving.await?;
        Ok(self.data_dir)
    }

    /// Starts again on what [`Self::stop`] left, with the same ports where `settings` give them.
    ///
    /// # Errors
    /// Whatever keeps the server from starting.
    pub async fn restart(data_dir: TempDir, settings: Settings) -> Result<Self> {
        Self::on(data_dir, settings).await
    }

    /// Starts a second server that takes over from the running one, as `portway server --upgrade` does.
    ///
    /// # Errors
    /// Whatever keeps the second server from starting.
    pub async fn upgrade(&mut self) -> Result<Predecessor> {
        let server = Server::upgrade(ServerConfig::resolve(self.settings.clone())?).await?;
        self.ready = server.ready().clone();
        self.online = server.online().context("a server that started has a control plane")?;
        let (orders, told) = mpsc::channel(1);
        let serving = std::mem::replace(&mut self.serving, tokio::spawn(server.run(told)));
        Ok(Predecessor { _orders: std::mem::replace(&mut self.orders, orders), serving })
    }

    /// Settings that bind the addresses this server has now.
    pub fn same_addresses(&self) -> Settings {
        Settings {
            https_addr: Some(self.ready.https_addr),
            http_addr: Some(self.ready.http_addr),
            ..Settings::default()
        }
    }

    /// Whether a path below the data directory exists.
    pub fn has(&self, file: impl AsRef<Path>) -> bool {
        self.data_dir().join(file).exists()
    }
}

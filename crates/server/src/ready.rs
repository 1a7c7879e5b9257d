//! The ready line: what a program that started the server reads to find it.

use std::net::SocketAddr;

use portway_names::HostName;
use serde::Serialize;

/// Where a serving server is reached. No secrets: it is printed to stdout.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    event: &'static str,
    /// REST API.
    pub api_url: String,
    /// What agents dial, by name.
    pub connect_url: String,
    /// What agents dial, by address.
    pub connect_addr: SocketAddr,
    /// The file with the installation's CA certificate, in PEM.
    pub ca_cert: String,
    /// Endpoints are names below it.
    pub base_domain: String,
    /// HTTPS and TLS endpoints.
    pub https_addr: SocketAddr,
    /// Plain HTTP endpoints.
    pub http_addr: SocketAddr,
    /// `ssh -R`.
    pub ssh_addr: SocketAddr,
    /// Health, readiness, metrics.
    pub admin_addr: SocketAddr,
    /// Authoritative DNS.
    pub dns_addr: SocketAddr,
    /// Dashboard.
    pub dashboard_url: String,
}

/// Addresses as they are, ports chosen by the system included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) dns: SocketAddr,
    pub(crate) ssh: SocketAddr,
}

impl Ready {
    pub(crate) fn new(addresses: Addresses, base: &HostName, connect: &HostName, ca_cert: String) -> Self {
        let Addresses { https, http, api, admin, dns, ssh } = addresses;
        Self {
            event: "ready",
            api_url: format!("http://{}", dialable(api)),
            connect_url: format!("{connect}:{}", https.port()),
            connect_addr: dialable(https),
            ca_cert,
            base_domain: base.to_string(),
            https_addr: https,
            http_addr: http,
            admin_addr: admin,
            dns_addr: dns,
            ssh_addr: ssh,
            dashboard_url: format!("https://dashboard.{base}:{}", https.port()),
        }
    }

    /// The line itself.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("texts and addresses are JSON")
    }
}

/// An address to dial: the loopback one where a listener takes every address.
fn dialable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

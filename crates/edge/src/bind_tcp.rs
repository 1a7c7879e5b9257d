//! The address of a TCP endpoint: the wanted port, or any free one of the range.

use std::net::TcpListener;
use std::sync::Arc;

use portway_codes::Code;
use portway_names::{EndpointUrl, HostName, HostPattern, Scheme};
use portway_proto::LeaseRecord;
use rand::RngExt;
use tokio::time::Instant;

use crate::admission::Limit;
use crate::bind::{Agent, Refused, Wanted};
use crate::control_link::AskFault;
use crate::ports::PortFault;
use crate::state::EdgeShared;

/// Ports that other programs turn out to hold, before a bind for any port gives up: each costs a few system calls.
const FOREIGN_MAX: u32 = 64;
/// Ports that the control plane turns out to have given to others, before a bind for any port gives up: each costs a question.
const CLAIMED_MAX: u32 = 8;

/// The lease and the listening socket for a TCP endpoint.
pub(crate) async fn lease(
    agent: &Agent,
    wanted: &Wanted,
    deadline: Instant,
) -> Result<(Arc<LeaseRecord>, Arc<TcpListener>), Refused> {
    let host = tcp_host(&agent.edge)?;
    if let Some(other) = wanted.url.host.as_ref().filter(|wanted| wanted.exact() != Some(&host)) {
        let text = format!(
            "TCP endpoints of this installation are at {host}, not at {other}. Ask for tcp://{host}, or for tcp:// alone."
        );
        return Err(Refused::for_good(Code::ERR_NGROK_307.with(text)));
    }
    match wanted.url.port {
        Some(port) => chosen(agent, &host, port, wanted.pooled, deadline).await,
        None => any(agent, &host, wanted.pooled, deadline).await,
    }
}

/// The host in the URLs of TCP endpoints.
fn tcp_host(edge: &EdgeShared) -> Result<HostName, Refused> {
    let configured = edge.config.tcp_host.clone().or_else(|| edge.replica.base_domain());
    configured.ok_or_else(|| Refused::for_now(Code::ERR_PORTWAY_50303))
}

async fn chosen(
    agent: &Agent,
    host: &HostName,
    port: u16,
    pooled: bool,
    deadline: Instant,
) -> Result<(Arc<LeaseRecord>, Arc<TcpListener>), Refused> {
    let url = url(host, port)?;
    agent.credential.acl.permit_bind(&url)?;
    let socket = agent.edge.ports.open(port).map_err(|fault| port_refused(&fault))?;
    Ok((agent.claim(&url, pooled, deadline).await?, socket))
}

async fn any(
    agent: &Agent,
    host: &HostName,
    pooled: bool,
    deadline: Instant,
) -> Result<(Arc<LeaseRecord>, Arc<TcpListener>), Refused> {
    agent.credential.acl.permit_random(Scheme::Tcp)?;
    let (edge, range) = (&agent.edge, agent.edge.ports.range().clone());
    let count = u32::from(range.end().saturating_sub(*range.start())) + 1;
    let start = rand::rng().random_range(0..count);
    let (mut foreign, mut claimed) = (0, 0);
    for step in 0..count {
        let offset = u16::try_from((start + step) % count).unwrap_or_default();
        let port = range.start() + offset;
        let url = url(host, port)?;
        let others = edge.replica.lease(&url).is_some_and(|lease| lease.account != agent.credential.account);
        if others || edge.ports.is_open(port) {
            continue;
        }
        let socket = match edge.ports.open(port) {
            Ok(socket) => socket,
            Err(fault) => {
                tracing::debug!(%fault, "port passed over");
                foreign += 1;
                if foreign == FOREIGN_MAX {
                    break;
                }
                continue;
            }
        };
        match agent.claim(&url, pooled, deadline).await {
            Ok(lease) => return Ok((lease, socket)),
            Err(AskFault::Refused(error)) if is_somebody_elses(error.code) && claimed + 1 < CLAIMED_MAX => claimed += 1,
            Err(fault) => return Err(fault.into()),
        }
    }
    edge.admission.reached(Limit::TcpPorts, agent.session.peer_addr());
    Err(Refused::for_now(Code::ERR_PORTWAY_50302))
}

fn url(host: &HostName, port: u16) -> Result<EndpointUrl, Refused> {
    EndpointUrl::new(Scheme::Tcp, HostPattern::Exact(host.clone()), Some(port))
        .map_err(|error| Refused::for_good(Code::ERR_NGROK_307.with(error.to_string())))
}

fn is_somebody_elses(code: Code) -> bool {
    [Code::ERR_NGROK_334, Code::ERR_NGROK_309, Code::ERR_NGROK_320].contains(&code)
}

fn port_refused(fault: &PortFault) -> Refused {
    match fault {
        PortFault::OutOfRange { .. } => Refused::for_good(
            Code::ERR_NGROK_307.with(format!("The {fault}. Choose one inside it, or ask for tcp://.")),
        ),
        PortFault::InUse { .. } | PortFault::Io { .. } => Refused::for_now(
            Code::ERR_NGROK_334.with(format!("The server cannot listen: {fault}. Choose another port, or tcp://.")),
        ),
    }
}

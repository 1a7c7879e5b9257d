//! The listening sockets of a server: bound here, inherited from a predecessor, or handed in by systemd.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::ServerConfig;

/// Connections the kernel may hold before they are accepted. A server that is being replaced accepts nothing for a moment, and
/// nobody should notice: 4096 is the kernel's own upper limit on most systems.
const BACKLOG: i32 = 4096;

/// Bytes the kernel may hold for the QUIC socket each way; less loses packets of fast senders.
const UDP_BUFFER: usize = 4 << 20;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    Https,
    Quic,
    Http,
    Ssh,
    Api,
    Admin,
    DnsTcp,
    DnsUdp,
    /// The port of a TCP endpoint.
    Endpoint,
}

/// A socket of either kind.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Listening {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }
}

/// Sockets that exist already, to be used instead of binding new ones.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(Option<Purpose>, Listening)>);

impl Inherited {
    pub(crate) fn push(&mut self, purpose: Option<Purpose>, socket: Listening) {
        self.0.push((purpose, socket));
    }

    /// Sockets passed by systemd (`LISTEN_FDS`); they are told apart by their address.
    pub(crate) fn from_systemd() -> io::Result<Self> {
        let mut passed = listenfd::ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..passed.len() {
            if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                inherited.push(None, Listening::Udp(socket));
            } else if let Some(socket) = passed.take_tcp_listener(index)? {
                inherited.push(None, Listening::Tcp(socket));
            }
        }
        Ok(inherited)
    }

    #[cfg(test)]
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (Option<Purpose>, Listening)> {
        self.0.into_iter()
    }

    fn take(&mut self, purpose: Purpose, address: SocketAddr, udp: bool) -> Option<Listening> {
        let fits = |(kind, socket): &(Option<Purpose>, Listening)| {
            let same =
                socket.local_addr().is_ok_and(|local| local == address || (kind.is_some() && address.port() == 0));
            same && kind.is_none_or(|kind| kind == purpose) && matches!(socket, Listening::Udp(_)) == udp
        };
        let index = self.0.iter().position(fits)?;
        Some(self.0.swap_remove(index).1)
    }

    fn take_endpoints(&mut self) -> Vec<TcpListener> {
        let (endpoints, others) =
            std::mem::take(&mut self.0).into_iter().partition(|(p, _)| *p == Some(Purpose::Endpoint));
        self.0 = others;
        let tcp = |(_, socket)| match socket {
            Listening::Tcp(socket) => Some(socket),
            Listening::Udp(_) => None,
        };
        Vec::into_iter(endpoints).filter_map(tcp).collect()
    }
}

/// Every socket a server listens on.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) https: TcpListener,
    pub(crate) quic: UdpSocket,
    pub(crate) http: TcpListener,
    pub(crate) ssh: TcpListener,
    pub(crate) api: TcpListener,
    pub(crate) admin: TcpListener,
    pub(crate) dns_tcp: TcpListener,
    pub(crate) dns_udp: UdpSocket,
    pub(crate) endpoints: Vec<TcpListener>,
}

/// Why a listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the address.
    #[error(
        "{setting}: {address} is in use by another program; stop that program, or choose another address with --{flag} \
         (port 0 takes any free one)"
    )]
    InUse {
        /// The setting.
        setting: &'static str,
        /// Its flag.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The port needs a right that this process lacks.
    #[error(
        "{setting}: no permission to listen on {address}; ports below 1024 need root or CAP_NET_BIND_SERVICE \
         (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
    )]
    Denied {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Other {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Sockets {
    /// Takes what is inherited and binds the rest.
    pub(crate) fn open(config: &ServerConfig, mut inherited: Inherited) -> Result<Self, BindError> {
        let (https, quic) = pair((Purpose::Https, Purpose::Quic), config.https_addr, &mut inherited)?;
        let (dns_tcp, dns_udp) = pair((Purpose::DnsTcp, Purpose::DnsUdp), config.dns_addr, &mut inherited)?;
        Ok(Self {
            https,
            quic,
            http: tcp(Purpose::Http, config.http_addr, &mut inherited)?,
            ssh: tcp(Purpose::Ssh, config.ssh_addr, &mut inherited)?,
            api: tcp(Purpose::Api, config.api_addr, &mut inherited)?,
            admin: tcp(Purpose::Admin, config.admin_addr, &mut inherited)?,
            dns_tcp,
            dns_udp,
            endpoints: inherited.take_endpoints(),
        })
    }
}

/// TCP and UDP on one port. With port 0 the TCP side chooses, and chooses again when UDP has that port taken.
fn pair(
    (stream, datagram): (Purpose, Purpose),
    address: SocketAddr,
    inherited: &mut Inherited,
) -> Result<(TcpListener, UdpSocket), BindError> {
    const TRIES: usize = 16;
    let mut tries = 0;
    loop {
        let listener = tcp(stream, address, inherited)?;
        let local = listener.local_addr().map_err(|e| fault(stream, address, e))?;
        if let Some(Listening::Udp(socket)) = inherited.take(datagram, local, true) {
            return Ok((listener, socket));
        }
        tries += 1;
        match udp(local) {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && tries < TRIES => {}
            Err(error) => return Err(fault(datagram, local, error)),
        }
    }
}

fn tcp(purpose: Purpose, address: SocketAddr, inherited: &mut Inherited) -> Result<TcpListener, BindError> {
    if let Some(Listening::Tcp(socket)) = inherited.take(purpose, address, false) {
        return Ok(socket);
    }
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    bind().map_err(|error| fault(purpose, address, error))
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel grants what its limits allow; the carrier warns when that is too little.
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from(socket))
}

fn fault(purpose: Purpose, address: SocketAddr, source: io::Error) -> BindError {
    let (setting, flag) = match purpose {
        Purpose::Https => ("https_addr (TCP)", "https-addr"),
        Purpose::Quic => ("https_addr (UDP)", "https-addr"),
        Purpose::Http => ("http_addr", "http-addr"),
        Purpose::Ssh => ("ssh_addr", "ssh-addr"),
        Purpose::Api => ("api_addr", "api-addr"),
        Purpose::Admin => ("admin_addr", "admin-addr"),
        Purpose::DnsTcp => ("dns_addr (TCP)", "dns-addr"),
        Purpose::DnsUdp => ("dns_addr (UDP)", "dns-addr"),
        Purpose::Endpoint => ("tcp_ports", "tcp-ports"),
    };
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { setting, flag, address },
        io::ErrorKind::PermissionDenied => BindError::Denied { setting, address },
        _ => BindError::Other { setting, address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn tcp_and_udp_share_the_port() {
        let (https, quic) = pair((Purpose::Https, Purpose::Quic), any_port(), &mut Inherited::default()).unwrap();
        assert_eq!(https.local_addr().unwrap(), quic.local_addr().unwrap());
    }

    #[test]
    fn busy_port_names_setting_and_flag() {
        let first = tcp(Purpose::Http, any_port(), &mut Inherited::default()).unwrap();
        let address = first.local_addr().unwrap();
        let text = tcp(Purpose::Http, address, &mut Inherited::default()).unwrap_err().to_string();
        assert!(text.starts_with(&format!("http_addr: {address} is in use")), "{text}");
        assert!(text.contains("--http-addr"), "{text}");
    }

    #[test]
    fn inherited_sockets_are_taken_by_purpose_or_address() {
        let socket = tcp(Purpose::Admin, any_port(), &mut Inherited::default()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.push(Some(Purpose::Admin), Listening::Tcp(socket));
        assert!(inherited.take(Purpose::Http, address, false).is_none());
        assert!(inherited.take(Purpose::Admin, any_port(), false).is_some(), "port 0 takes what the predecessor had");

        let socket = tcp(Purpose::Http, any_port(), &mut Inherited::default()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut inherited = Inherited::default();
        inherited.push(None, Listening::Tcp(socket));
        assert!(inherited.take(Purpose::Http, any_port(), false).is_none(), "systemd's are matched by address only");
        assert!(inherited.take(Purpose::Http, address, false).is_some());
    }
}

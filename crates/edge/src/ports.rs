//! The listening sockets of TCP endpoints: one for each port that is bound now.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted. Linux caps it at `net.core.somaxconn`, 4,096 by default.
const BACKLOG: i32 = 4_096;

/// The ports of TCP endpoints.
#[derive(Debug)]
pub(crate) struct Ports {
    bind: IpAddr,
    range: RangeInclusive<u16>,
    sockets: Mutex<Sockets>,
}

#[derive(Debug, Default)]
struct Sockets {
    /// Left by a predecessor, not bound by an endpoint yet.
    inherited: HashMap<u16, TcpListener>,
    /// Held by endpoints. While a newer session takes a port over, two of them share one socket and its queue.
    open: HashMap<u16, Weak<TcpListener>>,
}

/// Why a port cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortFault {
    #[error("port {port} is outside the range {} to {}", range.start(), range.end())]
    OutOfRange { port: u16, range: RangeInclusive<u16> },
    #[error("port {port} is used by another program")]
    InUse { port: u16 },
    #[error("port {port}: {source}")]
    Io { port: u16, source: io::Error },
}

impl Ports {
    pub(crate) fn new(bind: IpAddr, range: RangeInclusive<u16>, inherited: Vec<TcpListener>) -> io::Result<Ports> {
        let mut sockets = Sockets::default();
        for socket in inherited {
            sockets.inherited.insert(socket.local_addr()?.port(), socket);
        }
        Ok(Ports { bind, range, sockets: Mutex::new(sockets) })
    }

    /// The ports that endpoints may have.
    pub(crate) fn range(&self) -> &RangeInclusive<u16> {
        &self.range
    }

    /// Whether an endpoint holds the port.
    pub(crate) fn is_open(&self, port: u16) -> bool {
        self.sockets().open.get(&port).is_some_and(|socket| socket.strong_count() > 0)
    }

    /// Listens on a port, or shares the socket of the endpoint that has it. The socket closes when the last holder drops it.
    pub(crate) fn open(&self, port: u16) -> Result<Arc<TcpListener>, PortFault> {
        if !self.range.contains(&port) {
            return Err(PortFault::OutOfRange { port, range: self.range.clone() });
        }
        let mut sockets = self.sockets();
        if let Some(socket) = sockets.open.get(&port).and_then(Weak::upgrade) {
            return Ok(socket);
        }
        let socket = match sockets.inherited.remove(&port) {
            Some(socket) => socket,
            None => listen(SocketAddr::new(self.bind, port)).map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => PortFault::InUse { port },
                _ => PortFault::Io { port, source },
            })?,
        };
        let socket = Arc::new(socket);
        // Ports whose endpoint is gone leave the table here, so that it holds at most one entry for each port of the range.
        sockets.open.insert(port, Arc::downgrade(&socket));
        Ok(socket)
    }

    /// Duplicates of every socket, for a successor.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        let sockets = self.sockets();
        let open: Vec<_> = sockets.open.values().filter_map(Weak::upgrade).collect();
        open.iter().map(Arc::as_ref).chain(sockets.inherited.values()).map(TcpListener::try_clone).collect()
    }

    /// Closes what a predecessor left and nobody took.
    pub(crate) fn close_inherited(&self) {
        self.sockets().inherited.clear();
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connections are in TIME_WAIT is free for its endpoint.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn free_port() -> u16 {
        TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn a_port_is_shared_while_it_is_taken_over_and_closed_after() {
        let port = free_port();
        let ports = Ports::new(LOOPBACK, port..=port, Vec::new()).unwrap();
        let old = ports.open(port).unwrap();
        let new = ports.open(port).unwrap();
        assert!(Arc::ptr_eq(&old, &new));
        drop(old);
        assert!(ports.is_open(port));
        drop(new);
        assert!(!ports.is_open(port));
        TcpListener::bind((LOOPBACK, port)).unwrap();
    }

    #[test]
    fn a_foreign_port_and_one_outside_the_range_are_refused() {
        let foreign = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = foreign.local_addr().unwrap().port();
        let ports = Ports::new(LOOPBACK, port..=port, Vec::new()).unwrap();
        assert!(matches!(ports.open(port), Err(PortFault::InUse { .. })));
        assert!(matches!(ports.open(1), Err(PortFault::OutOfRange { port: 1, .. })));
    }

    #[test]
    fn an_inherited_socket_is_used_again() {
        let inherited = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = inherited.local_addr().unwrap().port();
        let ports = Ports::new(LOOPBACK, port..=port, vec![inherited]).unwrap();
        assert_eq!(ports.duplicates().unwrap().len(), 1);
        let socket = ports.open(port).unwrap();
        assert_eq!(socket.local_addr().unwrap().port(), port);
    }
}

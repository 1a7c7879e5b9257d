//! The head of a visitor's connection.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::agent::v1::ConnectionHead;

/// Why an address of a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither 4 nor 16 bytes.
    #[error("an address of {0} bytes, must be 4 or 16")]
    Length(usize),
    /// Larger than 65535.
    #[error("port {0}, must be at most 65535")]
    Port(u32),
}

impl ConnectionHead {
    /// The head for a connection of `client` to `server`, for the endpoint with this handle. IPv4 addresses in IPv6 clothing
    /// (`::ffff:10.0.0.1`, as sockets for both families give them) become IPv4.
    pub fn new(endpoint: u32, client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            endpoint,
            client_ip: ip_field(client.ip()),
            client_port: client.port().into(),
            server_ip: ip_field(server.ip()),
            server_port: server.port().into(),
        }
    }

    /// Address of the visitor.
    ///
    /// # Errors
    ///
    /// When the peer wrote no address.
    pub fn client(&self) -> Result<SocketAddr, AddressError> {
        address(&self.client_ip, self.client_port)
    }

    /// Address the visitor connected to.
    ///
    /// # Errors
    ///
    /// When the peer wrote no address.
    pub fn server(&self) -> Result<SocketAddr, AddressError> {
        address(&self.server_ip, self.server_port)
    }
}

pub(crate) fn ip_field(ip: IpAddr) -> Bytes {
    match ip.to_canonical() {
        IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    }
}

pub(crate) fn address(ip: &[u8], port: u32) -> Result<SocketAddr, AddressError> {
    let port = u16::try_from(port).map_err(|_| AddressError::Port(port))?;
    let ip = if let Ok(octets) = <[u8; 4]>::try_from(ip) {
        IpAddr::from(octets)
    } else if let Ok(octets) = <[u8; 16]>::try_from(ip) {
        IpAddr::from(octets)
    } else {
        return Err(AddressError::Length(ip.len()));
    };
    Ok(SocketAddr::new(ip, port))
}

//! Socket options of a session's TCP connection.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// When the kernel begins to probe a silent connection, and how often: heartbeats notice a dead peer first, this is for the case that the
/// process itself is stuck.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged before the kernel gives the connection up; as long as heartbeats take to notice.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(25);

/// Bytes that the kernel may hold unsent. Without it a bulk stream fills several megabytes of socket buffer, and a small request of
/// another stream waits behind them; the session's own queue, where streams take turns, is the place to wait.
#[cfg(target_os = "linux")]
const NOT_SENT: u32 = 256 * 1024;

/// Sets what a session's socket needs, on the dialling and the accepting side: no Nagle delay (a response in two writes would wait 40 ms
/// for a delayed acknowledgement), keep-alive, and on Linux bounds on unsent bytes and on the time that sent ones go unacknowledged.
///
/// # Errors
/// When the socket is already dead.
pub fn tune_tcp(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL))?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(NOT_SENT)?;
    }
    Ok(())
}

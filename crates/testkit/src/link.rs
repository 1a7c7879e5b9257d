//! A TCP link that a test can stall, cut and restore: what stands between an agent and its edge on a bad day.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What a link does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Nothing arrives any more and nobody is told, as when a cable is pulled.
    BlackHole,
    /// Connections are closed at once and new ones refused.
    Cut,
}

/// A relay from an address of its own to a server.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts a link to `server`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mode, watched) = watch::channel(Mode::Pass);
        let connections = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, server, watched, Arc::clone(&connections)));
        Ok(Self { address, mode, connections, task })
    }

    /// Where the link listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections made through the link so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Swallows every byte from now on, of open and of new connections.
    pub fn black_hole(&self) {
        self.mode.send_replace(Mode::BlackHole);
    }

    /// Closes every connection, and new ones at once.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Lets new connections pass. Connections that lost bytes in a black hole stay dead.
    pub fn restore(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>, count: Arc<AtomicU64>) {
    let mut relays = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        count.fetch_add(1, Ordering::SeqCst);
        relays.spawn(relay(client, server, mode.clone()));
        while relays.try_join_next().is_some() {}
    }
}

async fn relay(client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = pump(client_read, server_write, mode.clone());
    let down = pump(server_read, client_write, mode.clone());
    tokio::select! {
        _ = async { tokio::join!(up, down) } => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

/// Copies one direction. Once a byte was swallowed, the direction is dead for good.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut dead = false;
    while let Ok(count) = from.read(&mut buffer).await {
        dead |= *mode.borrow() == Mode::BlackHole;
        if dead && count == 0 {
            std::future::pending::<()>().await;
        }
        if dead {
            continue;
        }
        if count == 0 {
            drop(to.shutdown().await);
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

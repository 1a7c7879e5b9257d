//! One hop that copies bytes and does nothing else: the floor that `cargo xtask bench` compares tunnels with.
//!
//! `raw_copy LISTEN TARGET`, both as `ip:port`. One single-threaded runtime, 64 KiB buffers, `TCP_NODELAY` on both sides.

use std::error::Error;
use std::io;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Buffer of each direction: more brings nothing on loopback.
const BUFFER: usize = 64 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target] = arguments.as_slice() else { return Err("usage: raw_copy LISTEN TARGET".into()) };
    let listener = TcpListener::bind(listen).await?;
    let mut copies = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (visitor, _) = accepted?;
                copies.spawn(copy(visitor, target.clone()));
            }
            // A connection that broke is no news here.
            Some(_) = copies.join_next() => {}
        }
    }
}

async fn copy(mut visitor: TcpStream, target: String) -> io::Result<()> {
    let mut upstream = TcpStream::connect(target).await?;
    visitor.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut visitor, &mut upstream, BUFFER, BUFFER).await?;
    Ok(())
}

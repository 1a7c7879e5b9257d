//! Upgrade in place: a running server hands its listening sockets to its successor over a Unix socket in the data directory.
//!
//! ```text
//! successor                                  predecessor
//!   connect DIR/upgrade.sock        →
//!                                   ←        Sockets (with file descriptors, in parts)
//!   Take                            →        stops accepting, closes the control plane
//!                                   ←        Released
//!   starts, serves; Serving         →
//!                                   ←        Relay (with one end of a socket pair)
//!                                            sends agents away, drains
//!                                   ←        end of stream: the last QUIC session is over, the QUIC socket is free
//! ```
//!
//! The predecessor reads the QUIC socket as long as it has sessions there. What belongs to none of them it sends through the socket pair, and
//! the successor answers through its duplicate of the socket. A predecessor that says nothing about a relay has none. Connections that arrive between Take and Serving wait in the kernel's accept queue. Each message is one line of JSON. When the
//! successor dies before Serving, the predecessor starts again on its own sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;

use crate::sockets::{Inherited, Listening, Purpose};

/// File descriptors in one message. The kernel's limit is 253.
const FDS_PER_MESSAGE: usize = 64;

/// Bytes of one message: room for the purposes of all its descriptors.
const MESSAGE_MAX: usize = 16 * 1024;

/// How long one side waits for the next message of the other. Closing a control plane takes well under a second; opening one with
/// migrations may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Name of the socket in the data directory.
pub(crate) fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("upgrade.sock")
}

/// What went wrong between the two processes.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Nobody answers on the socket.
    #[error("no running server to take over from at {}: {source}; start without --upgrade", path.display())]
    NoPredecessor {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The other side went away or said nothing for a minute.
    #[error("the other server went away during the handover: {0}")]
    Lost(#[from] io::Error),
    /// The other side spoke another language.
    #[error("the other server sent something unexpected during the handover: {0}")]
    Unexpected(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
enum Message {
    Sockets { purposes: Vec<(Purpose, Kind)>, last: bool },
    Take,
    Released,
    Serving,
    Relay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Tcp,
    Udp,
}

/// The successor's side, one value per step so that the steps cannot be confused.
#[derive(Debug)]
pub(crate) struct Successor {
    stream: UnixStream,
}

impl Successor {
    /// Connects and receives the sockets. Blocks.
    pub(crate) fn connect(data_dir: &Path) -> Result<(Self, Inherited), HandoverError> {
        let path = socket_path(data_dir);
        let stream =
            UnixStream::connect(&path).map_err(|source| HandoverError::NoPredecessor { path: path.clone(), source })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut inherited = Inherited::default();
        loop {
            let (message, fds) = receive(&stream)?;
            let Message::Sockets { purposes, last } = message else {
                return Err(HandoverError::Unexpected(format!("{message:?}")));
            };
            if purposes.len() != fds.len() {
                return Err(HandoverError::Unexpected(format!("{} sockets for {} names", fds.len(), purposes.len())));
            }
            for ((purpose, kind), fd) in purposes.into_iter().zip(fds) {
                let socket = match kind {
                    Kind::Tcp => Listening::Tcp(fd.into()),
                    Kind::Udp => Listening::Udp(fd.into()),
                };
                inherited.push(Some(purpose), socket);
            }
            if last {
                return Ok((Self { stream }, inherited));
            }
        }
    }

    /// Asks the predecessor to let go of everything, and waits until it has. Blocks.
    pub(crate) fn take(&self) -> Result<(), HandoverError> {
        send(&self.stream, &Message::Take, &[])?;
        match receive(&self.stream)?.0 {
            Message::Released => Ok(()),
            other => Err(HandoverError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Tells the predecessor that it may drain. What it says afterwards is read with [`Farewell::new`].
    pub(crate) fn serving(self) -> Result<UnixStream, HandoverError> {
        send(&self.stream, &Message::Serving, &[])?;
        Ok(self.stream)
    }
}

/// What the predecessor still has to say while it drains.
#[derive(Debug)]
pub(crate) struct Farewell {
    stream: tokio::net::UnixStream,
    incoming: Incoming,
}

/// What became of the QUIC socket.
#[derive(Debug)]
pub(crate) enum Word {
    /// Datagrams for the successor come here from now on.
    Relay(UnixDatagram),
    /// The predecessor does not read the socket any more.
    Free,
}

impl Farewell {
    /// Listens on the stream that [`Successor::serving`] gave.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: tokio::net::UnixStream::from_std(stream)?, incoming: Incoming::default() })
    }

    /// The next word; the last one is [`Word::Free`], also when the predecessor was killed.
    ///
    /// Cancel safety: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Word {
        loop {
            if self.stream.readable().await.is_err() {
                return Word::Free;
            }
            let (stream, incoming) = (&self.stream, &mut self.incoming);
            let read = stream.try_io(Interest::READABLE, || match incoming.read(stream) {
                Err(HandoverError::Lost(error)) => Err(error),
                read => Ok(read),
            });
            match read {
                Ok(Ok((Message::Relay, mut fds))) => {
                    if let Some(relay) = fds.pop() {
                        return Word::Relay(relay.into());
                    }
                }
                // A newer predecessor may say more than this process understands.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Word::Free,
            }
        }
    }
}

/// The predecessor's side.
#[derive(Debug)]
pub(crate) struct Predecessor {
    stream: UnixStream,
}

impl Predecessor {
    /// Offers `sockets` to a process that connected. Blocks until that process asks to take over.
    ///
    /// Refuses a process of another user.
    pub(crate) fn offer(stream: UnixStream, sockets: &[(Purpose, Listening)]) -> Result<Self, HandoverError> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(io::Error::from)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(HandoverError::Unexpected(format!("a process of user {}", peer.uid.as_raw())));
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut parts = sockets.chunks(FDS_PER_MESSAGE).peekable();
        while let Some(part) = parts.next() {
            let purposes = part.iter().map(|(purpose, socket)| (*purpose, kind(socket))).collect();
            let fds: Vec<BorrowedFd<'_>> = part.iter().map(|(_, socket)| fd(socket)).collect();
            send(&stream, &Message::Sockets { purposes, last: parts.peek().is_none() }, &fds)?;
        }
        match receive(&stream)?.0 {
            Message::Take => Ok(Self { stream }),
            other => Err(HandoverError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Says that everything is released, and waits until the successor serves. Blocks. Keep `self` until the QUIC socket is
    /// free.
    pub(crate) fn released(&self) -> Result<(), HandoverError> {
        send(&self.stream, &Message::Released, &[])?;
        match receive(&self.stream)?.0 {
            Message::Serving => Ok(()),
            other => Err(HandoverError::Unexpected(format!("{other:?}"))),
        }
    }

    /// Gives the successor the end of a socket pair from which it gets the QUIC datagrams that are not for this process. Blocks.
    pub(crate) fn relay(&self, relay: &UnixDatagram) -> io::Result<()> {
        send(&self.stream, &Message::Relay, &[relay.as_fd()])
    }
}

fn kind(socket: &Listening) -> Kind {
    match socket {
        Listening::Tcp(_) => Kind::Tcp,
        Listening::Udp(_) => Kind::Udp,
    }
}

fn fd(socket: &Listening) -> BorrowedFd<'_> {
    match socket {
        Listening::Tcp(socket) => socket.as_fd(),
        Listening::Udp(socket) => socket.as_fd(),
    }
}

fn send(stream: &UnixStream, message: &Message, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_MESSAGE))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many sockets for one message"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(&line)], &mut ancillary, SendFlags::NOSIGNAL)?;
    io::Write::write_all(&mut &*stream, line.get(sent..).unwrap_or_default())
}

/// Waits for one message and the descriptors that came with it.
fn receive(stream: &UnixStream) -> Result<(Message, Vec<OwnedFd>), HandoverError> {
    Incoming::default().read(stream)
}

/// A message that is arriving.
#[derive(Debug, Default)]
struct Incoming {
    line: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Incoming {
    /// Reads on, to the end of the message. The two sides take turns, so a message never shares a read with the next one except where
    /// several of one side follow each other; reading byte by byte up to the line end keeps those apart.
    fn read(&mut self, stream: impl AsFd) -> Result<(Message, Vec<OwnedFd>), HandoverError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_PER_MESSAGE))];
        loop {
            let mut byte = [0_u8];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
                .map_err(io::Error::from)?;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    self.fds.extend(received);
                }
            }
            if got.bytes == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if byte[0] == b'\n' {
                break;
            }
            if self.line.len() == MESSAGE_MAX {
                return Err(HandoverError::Unexpected("a message without end".into()));
            }
            self.line.push(byte[0]);
        }
        let Self { line, fds } = std::mem::take(self);
        let message =
            serde_json::from_slice(&line).map_err(|error| HandoverError::Unexpected(format!("no message: {error}")))?;
        Ok((message, fds))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_cross_with_their_queue() {
        let dir = tempfile::tempdir().unwrap();
        let gate = UnixListener::bind(socket_path(dir.path())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = TcpStream::connect(address).unwrap();
        waiting.write_all(b"early").unwrap();

        let predecessor = std::thread::spawn(move || {
            let mut sockets = vec![(Purpose::Https, Listening::Tcp(listener))];
            // More than one message of them.
            for _ in 0..FDS_PER_MESSAGE + 3 {
                sockets.push((Purpose::Quic, Listening::Udp(UdpSocket::bind("127.0.0.1:0").unwrap())));
            }
            let handover = Predecessor::offer(gate.accept().unwrap().0, &sockets).unwrap();
            drop(sockets);
            handover.released().unwrap();
        });
        let (successor, inherited) = Successor::connect(dir.path()).unwrap();
        successor.take().unwrap();
        let listener = inherited
            .into_iter()
            .find_map(|(_, socket)| match socket {
                Listening::Tcp(listener) => Some(listener),
                Listening::Udp(_) => None,
            })
            .unwrap();
        let mut early = String::new();
        drop(waiting.shutdown(std::net::Shutdown::Write));
        listener.accept().unwrap().0.read_to_string(&mut early).unwrap();
        assert_eq!(early, "early");
        let mut end = successor.serving().unwrap();
        predecessor.join().unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0);
    }

    #[tokio::test]
    async fn the_predecessor_says_what_becomes_of_the_quic_socket() {
        let (here, there) = UnixStream::pair().unwrap();
        let predecessor = Predecessor { stream: here };
        let mut farewell = Farewell::new(there).unwrap();
        let (near, far) = UnixDatagram::pair().unwrap();
        predecessor.relay(&far).unwrap();
        // What a newer one may say.
        Write::write_all(&mut &predecessor.stream, b"{\"message\":\"later\"}\n").unwrap();
        drop(far);
        let Word::Relay(relay) = farewell.next().await else { panic!("the relay comes first") };
        near.send(b"datagram").unwrap();
        let mut got = [0; 16];
        assert_eq!(relay.recv(&mut got).unwrap(), 8);
        drop(predecessor);
        assert!(matches!(farewell.next().await, Word::Free));
        assert!(matches!(farewell.next().await, Word::Free));
    }

    #[test]
    fn nobody_there_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let text = Successor::connect(dir.path()).unwrap_err().to_string();
        assert!(text.contains("start without --upgrade"), "{text}");
    }

    #[test]
    fn garbage_is_refused() {
        let (one, mut other) = UnixStream::pair().unwrap();
        other.write_all(b"{\"message\":\"nonsense\"}\n").unwrap();
        assert!(matches!(receive(&one), Err(HandoverError::Unexpected(_))));
        other.write_all(&[b'x'; MESSAGE_MAX + 2]).unwrap();
        assert!(matches!(receive(&one), Err(HandoverError::Unexpected(_))));
    }
}

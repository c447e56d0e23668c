//! The local socket that carries the control protocol, built on `interprocess`.
//!
//! Belongs here: every use of that crate, and the type of a connection. Does not belong here: the socket's file with its
//! permissions, and the protocol.
//!
//! What `interprocess` 2.4 does by default and this module avoids:
//!
//! | default | consequence | here |
//! |---|---|---|
//! | a dropped listener unlinks its name | removes the file of a listener that has replaced it | `reclaim_name(false)`; the daemon removes its own file |
//! | `try_overwrite`, if set | replaces a live listener, and unlinks a plain file | not set |
//! | connecting to a full backlog succeeds | the first write fails with `ENOTCONN` | `peer_addr` is checked |
//! | `shutdown` of its stream does nothing | the peer never sees the end of the input | the inner stream of tokio is used |
//! | `peer_creds` fails for a process in another PID namespace | clients in containers cannot connect | `peer_cred` of the inner stream is used |
//! | `mode` passes through the umask | the file's mode is narrower than requested | the caller of [`Listener::bind`] sets the umask |

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use interprocess::ConnectWaitMode;
use interprocess::local_socket::tokio::{Listener as LocalListener, Stream, prelude::*};
use interprocess::local_socket::{ConnectOptions, GenericFilePath, ListenerOptions, Name};
use interprocess::os::unix::uds_local_socket::tokio::Listener as UnixLocalListener;

/// An open connection, on either side.
pub use tokio::net::UnixStream as Connection;
/// The reading half of a connection.
pub use tokio::net::unix::OwnedReadHalf as ReadHalf;
/// The writing half of a connection. `shutdown` ends the input of the peer.
pub use tokio::net::unix::OwnedWriteHalf as WriteHalf;

/// Connects to the socket at `path`.
///
/// # Errors
/// Fails with [`io::ErrorKind::ResourceBusy`] if the backlog of the listener is full, and with the error of the system
/// otherwise.
pub async fn connect(path: &Path) -> io::Result<Connection> {
    let connection = connection(Stream::connect(name(path)?).await?);
    if connection.peer_addr().is_err() {
        let text = "too many clients are waiting for the daemon to accept them";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
    }
    Ok(connection)
}

/// Returns whether a program listens on the socket at `path`. Does not block, even if the listener's backlog is full.
///
/// # Errors
/// Fails if the system gives no clear answer, for example because the socket may not be opened.
pub fn has_listener(path: &Path) -> io::Result<bool> {
    match ConnectOptions::new().name(name(path)?).wait_mode(ConnectWaitMode::Deferred).connect_sync() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

/// A listening socket. Dropping it does not remove its file.
#[derive(Debug)]
pub struct Listener(LocalListener);

impl Listener {
    /// Creates a socket at `path`, with the permissions that the umask leaves. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Fails if anything exists at `path`.
    pub fn bind(path: &Path) -> io::Result<Self> {
        ListenerOptions::new().name(name(path)?).reclaim_name(false).create_tokio().map(Self)
    }

    /// Adopts a socket that another program has bound, such as systemd. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Fails if the socket cannot be made non-blocking.
    pub fn adopt(listener: UnixListener) -> io::Result<Self> {
        UnixLocalListener::try_from(OwnedFd::from(listener)).map(|listener| Self(listener.into()))
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Fails if the process has no file descriptor left, for example; the next call may succeed.
    pub async fn accept(&self) -> io::Result<Connection> {
        self.0.accept().await.map(connection)
    }
}

fn name(path: &Path) -> io::Result<Name<'_>> {
    path.to_fs_name::<GenericFilePath>()
}

/// Takes tokio's stream out of that of `interprocess`.
fn connection(stream: Stream) -> Connection {
    let Stream::UdSocket(stream) = stream;
    stream.into()
}

//! The control socket's file: made with the right mode from the first moment, never over somebody else's file; or taken over
//! from a service manager, to which the file then belongs.
//!
//! A lock file beside it says who may replace a stale socket. Only with that lock held, and only if it is a socket
//! of our own on which nobody listens, is the old file removed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use crate::lock::{Lock, LockError};

/// Nobody but the owner may open the socket.
const SOCKET_UMASK: Mode = Mode::from_bits_truncate(0o177);

/// A bound control socket. Dropping it removes the file, if it made it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    made: Option<Made>,
}

/// What belongs to a file that we have made.
#[derive(Debug)]
struct Made {
    /// Device and inode of our file: another one under the same name is left alone.
    identity: (u64, u64),
    _lock: Lock,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("the control socket {} is in use by {holder}", .path.display())]
    InUse { path: PathBuf, holder: String },
    #[error("{} exists and is {what}", .path.display())]
    Foreign { path: PathBuf, what: &'static str },
    #[error("cannot make the control socket {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl SocketError {
    /// Returns what to do next.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => Some("stop that one, or give this one its own `--socket`"),
            Self::Foreign { .. } => Some("move it away, or give another `--socket`; nothing was changed"),
            Self::Io { .. } => Some("`--socket` takes another; its directory must be writable for this user"),
        }
    }
}

impl ControlSocket {
    /// Makes the socket, and its directory where there is none (for the owner only).
    ///
    /// Must be called while the process has one thread: the umask belongs to all of them.
    pub(crate) fn bind(path: &Path) -> Result<(Self, UnixListener), SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = Lock::take(Path::new(&lock_path)).map_err(|error| match error {
            LockError::Held { holder } => SocketError::InUse { path: path.to_owned(), holder },
            LockError::Io(source) => failed(source),
        })?;
        remove_stale(path)?;
        let before = umask(SOCKET_UMASK);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(failed)?;
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok((Self { path: path.to_owned(), made: Some(Made { identity, _lock: lock }) }, listener))
    }

    /// Takes over a socket that somebody else has bound, and whose file they will remove.
    pub(crate) fn take_over(listener: UnixListener) -> Result<(Self, UnixListener), SocketError> {
        let address = listener.local_addr();
        let path = address.ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let path = path.unwrap_or_else(|| PathBuf::from("a socket without a path"));
        listener.set_nonblocking(true).map_err(|source| SocketError::Io { path: path.clone(), source })?;
        Ok((Self { path, made: None }, listener))
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let Some(made) = &self.made else { return };
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == made.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Removes what an earlier daemon left behind, and refuses anything else.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    let foreign = |what| Err(SocketError::Foreign { path: path.to_owned(), what });
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(failed)?,
    };
    if !metadata.file_type().is_socket() {
        return foreign("not a socket");
    }
    if metadata.uid() != geteuid().as_raw() {
        return foreign("another user's socket");
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        _ => foreign("a socket on which another program listens"),
    }
}

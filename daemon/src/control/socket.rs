//! The file of the control socket: created with the right mode from the first moment and never over another program's file,
//! or adopted from a service manager, which will remove it. Its mode is as wide as the roles need, and follows them.
//!
//! A lock file beside it decides which process may replace a stale socket. The old file is removed only while that lock is
//! held, and only if it is a socket of this user on which no process listens.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use parking_lot::Mutex;
use tracing::warn;
use udpchat_api::socket::{Listener, has_listener};
use udpchat_config::{Need, Origin, file_hint, unsafe_hint};

use super::roles::{OWNER_ONLY, Rules};
use crate::service::accounts::{own_gid, own_uid};
use crate::service::acl::GroupClass;
use crate::service::directory;
use crate::service::lock::{Lock, LockError};
use crate::service::umask::with_mode;

/// The permission bits of a mode.
const PERMISSIONS: u32 = 0o777;

/// A bound control socket. [`Self::close`] removes the file, if this process created it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    /// Whether the file is this process's to remove, and to create again; otherwise the service manager holds the socket.
    is_own: bool,
    bound: Mutex<Bound>,
}

/// The file of a socket.
#[derive(Debug)]
struct Bound {
    /// None for a socket without a file.
    file: Option<SocketFile>,
    /// Held while the file is there, if it is this process's own.
    lock: Option<Lock>,
}

/// The file that a socket was bound to, as opposed to another one under the same name.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Identifies the file that is at a path now.
    fn at(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.file_type().is_socket() {
            return Err(io::Error::other("not a socket"));
        }
        Ok(Self { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Returns the metadata of the file, none if it is gone or another one has its name.
    fn metadata(&self) -> Option<Metadata> {
        fs::symlink_metadata(&self.path).ok().filter(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Gives the file the mode that the roles need. Warns if that fails.
    fn adapt(&self, rules: &Rules) {
        let Some(metadata) = self.metadata() else {
            warn!("{} is no longer the control socket, and is left unchanged", self.path.display());
            return;
        };
        let mode = rules.mode(metadata.gid());
        if metadata.mode() & PERMISSIONS != mode {
            let bits = Mode::from_bits_truncate(mode);
            let changed = fchmodat(AT_FDCWD, &self.path, bits, FchmodatFlags::NoFollowSymlink);
            if let Err(error) = changed {
                warn!("cannot change the mode of {} to {mode:03o}: {}", self.path.display(), error.desc());
            }
        }
    }
}

/// Returns the topmost directory above a socket that other users cannot pass, judging by its mode. One whose access control list
/// lets anybody pass is taken for open: it was made so on purpose.
fn closed_directory(socket: &Path, rules: &Rules) -> Option<PathBuf> {
    const OTHERS_MAY_PASS: u32 = 0o001;
    const MAY_PASS: u32 = 0o1;
    let is_closed = |directory: &&Path| {
        fs::metadata(directory).is_ok_and(|found| {
            let class = GroupClass::of(directory, found.mode());
            let has_way = class.owning_group & MAY_PASS != 0 && rules.has_group(found.gid());
            found.mode() & OTHERS_MAY_PASS == 0 && class.named & MAY_PASS == 0 && !has_way
        })
    };
    socket.ancestors().skip(1).filter(is_closed).last().map(Path::to_owned)
}

/// Describes why the control socket cannot be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("the control socket {} is in use by {holder}", .path.display())]
    InUse { path: PathBuf, holder: String },
    #[error("the control socket {} (from {variable}) is in use by {holder}", .path.display())]
    InUseByVariable { path: PathBuf, variable: &'static str, holder: String },
    #[error("{} exists and is not a socket", .0.display())]
    NoSocket(PathBuf),
    #[error("{} exists and is another user's socket", .0.display())]
    OfAnotherUser(PathBuf),
    #[error("{} exists and is a socket on which another program listens", .0.display())]
    HasListener(PathBuf),
    #[error("the directory {} of the control socket is not safe: it {danger}", .path.display())]
    UnsafeDirectory { path: PathBuf, danger: String },
    #[error("cannot create the control socket {}", .path.display())]
    Io { path: PathBuf, is_shared: bool, source: io::Error },
}

impl SocketError {
    /// Adds that a variable of the environment names the socket, perhaps in place of the configuration.
    #[must_use]
    pub(crate) fn with_origin(self, origin: &Origin) -> Self {
        match (self, origin) {
            (Self::InUse { path, holder }, Origin::Environment(variable)) => {
                Self::InUseByVariable { path, variable, holder }
            }
            (error, _) => error,
        }
    }

    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> String {
        let with_another = |hint: String| format!("{hint}; `--socket` sets another path");
        let hint = match self {
            Self::InUse { .. } => "stop that process, or give this one another `--socket`",
            Self::InUseByVariable { .. } => {
                "unset that variable, stop that process, or give this one another `--socket`"
            }
            Self::UnsafeDirectory { path, .. } => return with_another(unsafe_hint(path)),
            Self::NoSocket(_) | Self::OfAnotherUser(_) | Self::HasListener(_) => {
                "move it away, or set another `--socket`; nothing was changed"
            }
            Self::Io { path, is_shared, source } => {
                let directory = path.parent().unwrap_or(path);
                let need = if *is_shared { Need::SharedDirectory } else { Need::Directory };
                match file_hint(directory, need, source) {
                    Some(hint) => return with_another(hint),
                    None => "its directory must be writable for this user; `--socket` sets another path",
                }
            }
        };
        hint.to_owned()
    }
}

impl ControlSocket {
    /// Creates the socket for the users with a role, and its directory if it does not exist.
    ///
    /// Must be called within the runtime, and while no other thread creates files: the umask is that of the process.
    pub(crate) fn bind(path: &Path, rules: &Rules) -> Result<(Self, Listener), SocketError> {
        let mode = rules.mode(own_gid());
        let is_shared = mode != OWNER_ONLY;
        let failed = |source| SocketError::Io { path: path.to_owned(), is_shared, source };
        if let Some(parent) = path.parent() {
            let mode = if is_shared { 0o755 } else { 0o700 };
            with_mode(mode, || DirBuilder::new().recursive(true).create(parent)).map_err(failed)?;
        }
        let lock = take_lock(path)?;
        let (file, listener) = create(path, rules, || with_mode(mode, || Listener::bind(path)))?;
        let bound = Bound { file: Some(file), lock: Some(lock) };
        Ok((Self { path: path.to_owned(), is_own: true, bound: Mutex::new(bound) }, listener))
    }

    /// Adopts a socket that another program has bound, and whose file it will remove. Its mode becomes what the roles need.
    ///
    /// Must be called within the runtime.
    pub(crate) fn adopt(listener: UnixListener, rules: &Rules) -> Result<(Self, Listener), SocketError> {
        let address = listener.local_addr();
        let path = address.ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let file = path.as_deref().and_then(|path| SocketFile::at(path).ok());
        let path = path.unwrap_or_else(|| PathBuf::from("a socket without a path"));
        let listener = Listener::adopt(listener).map_err(|source| SocketError::Io {
            path: path.clone(),
            is_shared: false,
            source,
        })?;
        if let Some(file) = &file {
            file.adapt(rules);
        }
        Ok((Self { path, is_own: false, bound: Mutex::new(Bound { file, lock: None }) }, listener))
    }

    /// Gives the file, if there is one, the mode that the roles need.
    pub(super) fn adapt(&self, rules: &Rules) {
        if let Some(file) = &self.bound.lock().file {
            file.adapt(rules);
        }
    }

    /// Describes a directory above the file that keeps the groups of the roles out, if there is one.
    pub(super) fn obstacle(&self, rules: &Rules) -> Option<String> {
        let bound = self.bound.lock();
        let file = bound.file.as_ref()?;
        let mode = rules.mode(file.metadata()?.gid());
        let closed = closed_directory(&file.path, rules).filter(|_| mode != OWNER_ONLY)?;
        Some(format!(
            "other users cannot pass {}, so the groups of [control] cannot reach the control socket; set `socket` to a path that \
             they can reach",
            closed.display()
        ))
    }

    /// Returns whether this process has made the socket, and not the service manager.
    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    /// Returns whether the file is gone, or another one has its name, and only the service manager can create it again.
    pub(super) fn is_gone(&self) -> bool {
        !self.is_own && self.bound.lock().file.as_ref().is_some_and(|file| file.metadata().is_none())
    }

    /// Returns whether the file is gone, or another one has its name, and this process is to create it again.
    pub(super) fn is_missing(&self) -> bool {
        self.is_own && self.bound.lock().file.as_ref().is_some_and(|file| file.metadata().is_none())
    }

    /// Creates the socket again. Its directory must exist: this process does not create it again.
    ///
    /// Must be called within the runtime. The umask must keep other users out: other threads may create files meanwhile, so it is
    /// not changed here.
    pub(super) fn renew(&self, rules: &Rules) -> Result<Listener, SocketError> {
        let mut bound = self.bound.lock();
        // The lock file may have been removed as well, and another daemon may hold one of its name now.
        bound.lock = None;
        bound.lock = Some(take_lock(&self.path)?);
        let (file, listener) = create(&self.path, rules, || Listener::bind(&self.path))?;
        bound.file = Some(file);
        Ok(listener)
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl ControlSocket {
    /// Removes the file, if this process created it. Further clients find no socket.
    pub(crate) fn close(&self) {
        // From here on it is not missing either.
        let (Some(file), true) = (self.bound.lock().file.take(), self.is_own) else { return };
        if file.metadata().is_some()
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Takes the lock beside a socket, if no other user may write to their directory.
fn take_lock(path: &Path) -> Result<Lock, SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), is_shared: false, source };
    if let Some(parent) = path.parent()
        && let Some(danger) = directory::danger(parent, directory::Use::Socket).map_err(failed)?
    {
        return Err(SocketError::UnsafeDirectory { path: parent.to_owned(), danger });
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    Lock::take(Path::new(&lock_path)).map_err(|error| match error {
        LockError::Held { holder } => SocketError::InUse { path: path.to_owned(), holder },
        LockError::Io(source) => failed(source),
    })
}

/// Creates a socket with its file, in the place of one that an earlier daemon left behind.
fn create(
    path: &Path,
    rules: &Rules,
    bind: impl FnOnce() -> io::Result<Listener>,
) -> Result<(SocketFile, Listener), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), is_shared: false, source };
    remove_stale(path)?;
    let listener = bind().map_err(failed)?;
    let file = SocketFile::at(path).map_err(failed)?;
    // In a directory with the set-group-ID bit, the file has the directory's group.
    file.adapt(rules);
    Ok((file, listener))
}

/// Removes the socket that an earlier daemon left behind; fails if anything else is there.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), is_shared: false, source };
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(failed)?,
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    if metadata.uid() != own_uid() {
        return Err(SocketError::OfAnotherUser(path.to_owned()));
    }
    match has_listener(path) {
        Ok(false) => fs::remove_file(path).map_err(failed),
        _ => Err(SocketError::HasListener(path.to_owned())),
    }
}

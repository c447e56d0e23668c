//! Lock files of what only one process may use: the data directory, the control socket. The kernel releases them, however
//! the process ends.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::accounts::own_uid;

/// How much of a lock file is read, in bytes.
const MAX_HOLDER_BYTES: u64 = 32;

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

/// Describes why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process holds it.
    #[error("it is in use by {holder}")]
    Held { holder: String },
    /// The file cannot be opened or locked.
    #[error(transparent)]
    Io(io::Error),
}

impl Lock {
    /// Locks a file. Creates it if it does not exist, and never removes it: a file that is removed and created again could be
    /// locked twice.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = open_own(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { holder: holder(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // For error messages only: a failure does not matter.
        let _written = write_pid(&mut file);
        Ok(Self { file })
    }

    /// Locks a file on a read-only disk; returns none if it does not exist.
    pub(crate) fn take_read_only(path: &Path) -> Result<Option<Self>, LockError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LockError::Io(error)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { holder: holder(&mut file) }),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }

    /// Returns whether the locked file is still the one at a path.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let locked = self.file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (locked.dev(), locked.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Opens a file for reading and writing, and creates it if it does not exist. Does not follow a symbolic link, which another
/// user may have put there.
pub(crate) fn open_own(path: &Path) -> io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    check(&file)?;
    Ok(file)
}

/// Fails unless the file is a regular one of this user with one name: through a hard link, another user could have this
/// process overwrite a different file.
fn check(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == own_uid() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "not a regular file of this user"))
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(MAX_HOLDER_BYTES).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("udpchatd with process id {pid}"),
        _ => "another process".to_owned(),
    }
}

//! Lock files of what only one process may use: the data directory, the control socket. The kernel releases them, however
//! the process ends.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::accounts::own_uid;

/// The name of the lock file in the data directory.
pub(crate) const DATA_DIR_LOCK: &str = "lock";

/// How much of a lock file is read, in bytes.
const MAX_HOLDER_BYTES: u64 = 32;

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Describes why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it.
    Held { holder: String },
    /// The file cannot be opened or locked.
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
        Ok(Self { _file: file })
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

/// Marks in a lock file that a backup is in progress, until the returned file is dropped. Does not depend on who holds the
/// lock.
///
/// # Errors
/// Fails also if the file does not exist, since it is not created, and on platforms without such locks.
pub(crate) fn share(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    shared::set(&file)?;
    Ok(file)
}

/// Returns whether a lock file is marked for a backup in progress.
pub(crate) fn is_shared(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| shared::is_set(&file))
}

/// Open file description locks on a byte range (fcntl_locking(2)). They are independent of the lock of the whole file above,
/// which is of another kind.
#[cfg(target_os = "linux")]
mod shared {
    use std::fs::File;
    use std::io;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};

    /// Returns a lock of the first byte.
    fn first_byte(kind: i32) -> flock {
        flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: 0, l_len: 1, l_pid: 0 }
    }

    pub(crate) fn set(file: &File) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&first_byte(F_RDLCK)))?;
        Ok(())
    }

    /// Asks whether a write lock would conflict with another lock.
    pub(crate) fn is_set(file: &File) -> bool {
        let mut conflict = first_byte(F_WRLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut conflict)).is_ok() && i32::from(conflict.l_type) != F_UNLCK
    }
}

/// Other platforms have no such locks: a backup is reported as another program.
#[cfg(not(target_os = "linux"))]
mod shared {
    use std::fs::File;
    use std::io;

    pub(crate) fn set(_: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_set(_: &File) -> bool {
        false
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_mark_is_independent_of_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(share(&path).is_err() && !path.exists());
        let _held = Lock::take(&path).unwrap();
        assert!(!is_shared(&path));
        let backups = [share(&path).unwrap(), share(&path).unwrap()];
        assert!(is_shared(&path));
        assert!(matches!(Lock::take(&path), Err(LockError::Held { .. })));
        drop(backups);
        assert!(!is_shared(&path));
    }
}

//! Locks that say who holds a place: the data directory, the control socket. The kernel releases them, however the
//! holder ends.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

/// How much of a lock file is read, in bytes.
const MAX_HOLDER_BYTES: u64 = 32;

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it.
    Held { holder: String },
    /// The file cannot be opened.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock of a file, which is made where there is none and never removed: a name that comes and goes
    /// could be locked twice.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = open_own(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { holder: holder(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // For people only; whether it can be written does not matter.
        let _noted = note(&mut file);
        Ok(Self { _file: file })
    }
}

/// Opens a file for reading and writing, and makes it where there is none, without following a link that somebody else may
/// have put there.
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

/// Refuses a file that is not plainly our own: with a hard link, somebody could have us write over another.
fn check(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a plain file of this user"))
}

/// Says in a lock file, whoever holds the lock, that a backup of its place is under way, as long as what is returned lives.
///
/// # Errors
/// Also where the file is not there: it is never made. And on systems that have no such locks.
pub(crate) fn share(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    shared::set(&file)?;
    Ok(file)
}

/// Tells whether a backup of the place of a lock file is under way.
pub(crate) fn is_shared(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| shared::is_set(&file))
}

/// Locks of an open file on a range of its bytes. They neither hold up nor notice the lock of the whole file above, which
/// is of another kind (fcntl_locking(2)).
#[cfg(target_os = "linux")]
mod shared {
    use std::fs::File;
    use std::io;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};

    /// Describes a lock of the first byte.
    fn first_byte(kind: i32) -> flock {
        flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: 0, l_len: 1, l_pid: 0 }
    }

    pub(crate) fn set(file: &File) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&first_byte(F_RDLCK)))?;
        Ok(())
    }

    /// Asks what would be in the way of a lock for writing.
    pub(crate) fn is_set(file: &File) -> bool {
        let mut asked = first_byte(F_WRLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut asked)).is_ok() && i32::from(asked.l_type) != F_UNLCK
    }
}

/// Elsewhere there are none, so a backup is taken for another program.
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

fn note(file: &mut File) -> io::Result<()> {
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
    fn a_backup_is_seen_beside_a_held_lock_and_no_longer_than_it_takes() {
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

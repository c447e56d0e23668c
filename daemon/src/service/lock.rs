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

//! The data directory: created for this user alone, locked for this process, and made again if it is removed.

use std::fs::DirBuilder;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::directory;
use super::lock::{Lock, LockError};

/// The name of the lock file in the data directory.
const LOCK: &str = "lock";

/// A data directory that this process uses.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock_path: PathBuf,
    /// None on a read-only disk, unless the file of the lock exists.
    lock: Mutex<Option<Lock>>,
}

impl DataDir {
    /// Locks a directory. One on a read-only disk is used too: the disk may become writable.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        Self::take_with(path, path.join(LOCK))
    }

    fn take_with(path: &Path, lock_path: PathBuf) -> Result<Self, LockError> {
        let lock = match Lock::take(&lock_path) {
            Err(LockError::Io(error)) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Lock::take_read_only(&lock_path)?
            }
            lock => Some(lock?),
        };
        Ok(Self { path: path.to_owned(), lock_path, lock: Mutex::new(lock) })
    }

    /// Takes a directory with a lock of its own, as if the process before had been killed.
    #[cfg(test)]
    pub(crate) fn take_over(path: &Path) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self::take_with(path, path.join(format!("{LOCK}-{number}"))).unwrap()
    }

    /// Creates the directory and its lock again if they are no longer there. Fails if another process has taken the directory
    /// meanwhile.
    pub(crate) fn restore(&self) -> Result<(), LockError> {
        let mut lock = self.lock.lock();
        match lock.as_ref().map(|lock| lock.is_at(&self.lock_path)) {
            Some(Ok(true)) => return Ok(()),
            Some(Err(error)) => return Err(LockError::Io(error)),
            Some(Ok(false)) | None => {}
        }
        create(&self.path).map_err(LockError::Io)?;
        // Another user may have made it meanwhile.
        if let Some(danger) = directory::danger(&self.path, directory::Use::Data).map_err(LockError::Io)? {
            return Err(LockError::Io(io::Error::other(format!("the directory {danger}"))));
        }
        *lock = Some(Lock::take(&self.lock_path)?);
        Ok(())
    }
}

impl Deref for DataDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// Creates a data directory that does not exist, for this user alone.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_directory_is_made_again_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        create(&path).unwrap();
        let data_dir = DataDir::take(&path).unwrap();
        data_dir.restore().unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        data_dir.restore().unwrap();
        assert!(matches!(DataDir::take(&path), Err(LockError::Held { .. })));
    }

    #[test]
    fn a_directory_that_another_process_has_taken_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        create(&path).unwrap();
        let data_dir = DataDir::take(&path).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        create(&path).unwrap();
        let _other = DataDir::take(&path).unwrap();
        assert!(matches!(data_dir.restore(), Err(LockError::Held { .. })));
    }
}

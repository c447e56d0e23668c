//! A mark on the data directory that a backup is in progress, so that the daemon does not report the backup as another
//! program that blocks its write-ahead log.
//!
//! The mark is a shared flock(2) of the directory itself, which needs no file and which the kernel releases however the
//! backup ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Sets the mark until the returned file is dropped.
pub(crate) fn set(data_dir: &Path) -> io::Result<File> {
    let folder = File::open(data_dir)?;
    folder.try_lock_shared()?;
    Ok(folder)
}

/// Returns whether the mark is set. It takes the lock for a moment: a backup that starts just then runs without a mark.
pub(crate) fn is_set(data_dir: &Path) -> bool {
    File::open(data_dir).is_ok_and(|folder| matches!(folder.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_set_while_any_backup_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_set(folder.path()));
        let backups = [set(folder.path()).unwrap(), set(folder.path()).unwrap()];
        assert!(is_set(folder.path()));
        let [first, second] = backups;
        drop(first);
        assert!(is_set(folder.path()));
        drop(second);
        assert!(!is_set(folder.path()));
        assert!(set(&folder.path().join("missing")).is_err());
    }
}

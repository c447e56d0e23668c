//! The file of a backup, which is complete or does not exist.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::BackupError;
use crate::inbox::file::suffixed;

/// A backup in progress. Dropping it removes the partial file, if there is one.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    part: PathBuf,
}

impl Target {
    /// Creates an empty partial file beside the final one, for its owner alone.
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        // Other commands take it for a pipe.
        if path == Path::new("-") {
            return Err(BackupError::StandardOutput);
        }
        if path.is_dir() {
            return Err(BackupError::Folder(path.to_owned()));
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let part = suffixed(path, &format!(".part-{}", std::process::id()));
        let mut options = File::options();
        // `create_new` follows no symbolic link, which another user may have put there, and opens no existing file.
        options.write(true).create_new(true).mode(0o600);
        options.open(&part).map_err(|source| BackupError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), part })
    }

    /// Returns the path of the final file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the partial file.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Makes the copy durable, and gives it its final name.
    pub(super) fn finish(&self) -> Result<(), BackupError> {
        let failed = |source| BackupError::Write { path: self.path.clone(), source };
        File::open(&self.part).and_then(|part| part.sync_all()).map_err(failed)?;
        match fs::hard_link(&self.part, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(self.path.clone()));
            }
            // Without hard links: only a file that is created between this check and the renaming would be replaced.
            Err(_) if fs::symlink_metadata(&self.path).is_err() => {
                fs::rename(&self.part, &self.path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        for suffix in ["", "-journal"] {
            // The journal exists only during the copy; the partial file may have been renamed.
            let _none = fs::remove_file(suffixed(&self.part, suffix));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_no_file_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let error = Target::create(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with(" is a folder") && error.hint().unwrap().contains("in it"));
    }

    #[test]
    fn an_existing_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        let target = Target::create(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(target.finish(), Err(BackupError::Exists(_))));
        drop(target);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_backup_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        drop(Target::create(&folder.path().join("copy")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

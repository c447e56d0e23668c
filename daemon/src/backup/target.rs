//! The file that a backup becomes: whole, or not there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::BackupError;

/// A backup that is being made. Dropping it removes what there is of it, unless it was finished.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    part: PathBuf,
}

impl Target {
    /// Makes an empty file beside the one that is to be, for its owner alone.
    pub(super) fn begin(path: &Path) -> Result<Self, BackupError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let part = with_suffix(path, &format!(".part-{}", std::process::id()));
        let mut options = File::options();
        // It follows no link that somebody else may have put there, and takes over no file.
        options.write(true).create_new(true).mode(0o600);
        options.open(&part).map_err(|source| BackupError::Write { path: part.clone(), source })?;
        Ok(Self { path: path.to_owned(), part })
    }

    /// Returns the file that is to be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file that is being written.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Makes the copy durable, and gives it its name.
    pub(super) fn finish(&self) -> Result<(), BackupError> {
        let failed = |source| BackupError::Write { path: self.path.clone(), source };
        File::open(&self.part).and_then(|part| part.sync_all()).map_err(failed)?;
        match fs::hard_link(&self.part, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(self.path.clone()));
            }
            // This file system has no hard links: another file of that name could only have come a moment ago.
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
            // The journal is there only in between; the part may have been renamed.
            let _none = fs::remove_file(with_suffix(&self.part, suffix));
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        let target = Target::begin(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(target.finish(), Err(BackupError::Exists(_))));
        drop(target);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        drop(Target::begin(&folder.path().join("copy")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

//! A file that others read while it is written anew: they see the one before or the new one, and nothing between.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;

use super::sink::unwritable;
use crate::error::{CtlError, Result};

/// Everybody may read it, whatever the umask says: what reads it runs as another user.
const MODE: u32 = 0o644;

/// Puts a file in the place of the one before, if there is one, by renaming.
///
/// It is not forced to the disk: it is of the moment, and soon written again.
///
/// # Errors
/// The file cannot be written, or something else than a regular file has its name. A device would be replaced by a
/// file, and a link could lead elsewhere.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let message = format!("{} is not a regular file, and was left alone", path.display());
        return Err(
            CtlError::failed(message).hint("name the file itself, or leave it out for standard output")
        );
    }
    let failed = |error| unwritable(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In the same folder, and under a name that nobody looks for.
    let mut file = Builder::new().prefix(".udpchatctl").suffix(".tmp").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().set_permissions(Permissions::from_mode(MODE)).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_another_one_each_time_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        replace_file(&path, b"one\n").unwrap();
        // Whoever has it open goes on reading what was there.
        let before = fs::metadata(&path).unwrap();
        let open = fs::File::open(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        replace_file(&path, b"two\n").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
        assert_eq!(std::io::read_to_string(open).unwrap(), "one\n");
        assert_ne!(before.ino(), after.ino());
        assert_eq!((before.mode() & 0o777, after.mode() & 0o777), (0o644, 0o644));
        assert_eq!(names(folder.path()), ["x.prom"]);
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "secret").unwrap();
        symlink(&real, &link).unwrap();
        for path in [link.as_path(), folder.path(), Path::new("/dev/null")] {
            let CtlError::Failed(failure) = replace_file(path, b"x").unwrap_err() else { panic!() };
            assert!(failure.message.contains("is not a regular file"), "{failure:?}");
        }
        assert_eq!(fs::read(&real).unwrap(), b"secret");
        assert_eq!(names(folder.path()), ["link", "real"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_told_with_its_file() {
        let CtlError::Failed(failure) = replace_file(Path::new("/no/such/x.prom"), b"x").unwrap_err() else {
            panic!()
        };
        assert_eq!(failure.message, "cannot write /no/such/x.prom");
    }
}

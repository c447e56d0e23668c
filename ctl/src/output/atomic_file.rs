//! Replaces a file atomically: a reader sees the old content or the new content, never a part.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::Builder;
use udpchat_locale::tr;

use super::sink::unwritable;
use crate::error::{CtlError, Result};

/// Everyone may read the file, whatever the umask: the program that reads it runs as another user.
const MODE: u32 = 0o644;

/// Writes a temporary file and renames it to `path`.
///
/// It is not synced to the disk: its content is momentary and soon written again.
///
/// # Errors
/// The file cannot be written, or `path` is not a regular file: a device would be replaced by a file, and a symbolic link
/// could lead elsewhere.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let message = tr!("{path} is not a regular file; it was not changed", path = path.display());
        return Err(CtlError::failed(message)
            .hint(tr!("give the path of a regular file, or leave it out for standard output")));
    }
    let failed = |error| unwritable(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In the same folder, since a rename does not cross file systems; monitoring programs ignore the suffix.
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
    fn each_write_makes_a_new_file_readable_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        replace_file(&path, b"one\n").unwrap();
        // A reader that has the file open keeps the old content.
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
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "secret").unwrap();
        symlink(&real, &link).unwrap();
        for path in [link.as_path(), folder.path(), Path::new("/dev/null")] {
            let failure = replace_file(path, b"x").unwrap_err().into_failure();
            assert!(failure.message.contains("is not a regular file"), "{failure:?}");
        }
        assert_eq!(fs::read(&real).unwrap(), b"secret");
        assert_eq!(names(folder.path()), ["link", "real"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_with_the_path() {
        let failure = replace_file(Path::new("/no/such/x.prom"), b"x").unwrap_err().into_failure();
        assert_eq!(failure.message, "cannot write /no/such/x.prom");
    }
}

//! The destination of exported data: standard output or a file.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};
use udpchat_config::Need;
use udpchat_locale::tr;

use super::printer::Output;
use crate::error::{CtlError, Result};

/// The mode of a new file, which the umask limits.
const NEW_FILE_MODE: u32 = 0o666;

/// The mode of a file that only its owner may read.
const PRIVATE_FILE_MODE: u32 = 0o600;

/// A destination for data.
#[derive(Debug)]
pub(crate) enum Sink {
    /// Standard output.
    Stdout,
    /// A device, a pipe or the like, and its path.
    Stream(File, PathBuf),
    /// A file that gets its name when it is complete.
    File(NamedTempFile, PathBuf),
}

impl Sink {
    /// Opens a destination; no path and `-` mean standard output.
    ///
    /// A regular file is written as `FILE.part-XXXXXX` in the same folder. It replaces FILE in [`Self::finish`], so that a
    /// process that is killed leaves no incomplete FILE.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) if path != Path::new("-") => {
                Self::open_file(path).map_err(|error| unwritable(path, &error))
            }
            _ => Ok(Self::Stdout),
        }
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        let before = match fs::metadata(path) {
            Ok(found) if found.is_file() => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
                None
            }
            // A device or a pipe would be replaced by a file, and a link without a target would be lost.
            _ => return Ok(Self::Stream(File::create(path)?, path.to_owned())),
        };
        let target = match before {
            // Without write permission, a file must not be replaced either.
            Some(_) => File::options().write(true).open(path).and_then(|_| path.canonicalize())?,
            None => path.to_owned(),
        };
        // A file that replaces another one gets the mode of that one when it is complete.
        let mode = if before.is_some() { PRIVATE_FILE_MODE } else { NEW_FILE_MODE };
        let part = match part_of(&target, mode) {
            // The file may be changed, its folder may not.
            Err(error) if before.is_some() && error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Self::Stream(File::create(path)?, path.to_owned()));
            }
            part => part?,
        };
        if let Some(before) = before {
            // Only root may give files away; for others the file is their own.
            let _same_owner = fchown(part.as_file(), Some(before.uid()), Some(before.gid()));
            part.as_file().set_permissions(before.permissions())?;
        }
        Ok(Self::File(part, target))
    }

    /// Hands all bytes to the system.
    pub(crate) fn write(&mut self, output: &mut Output, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout => {
                output.data(bytes)?;
                output.flush()
            }
            Self::Stream(file, path) => file.write_all(bytes).map_err(|error| unwritable(path, &error)),
            Self::File(part, path) => part.write_all(bytes).map_err(|error| unwritable(path, &error)),
        }
    }

    /// Gives a complete file its name, once its content is on the disk.
    pub(crate) fn finish(self) -> Result<()> {
        let Self::File(part, path) = self else { return Ok(()) };
        let named = part.as_file().sync_all().and_then(|()| Ok(part.persist(&path)?));
        named.map(drop).map_err(|error| unwritable(&path, &error))
    }

    /// Returns the path of a file that does not have its new content yet.
    pub(crate) fn unfinished(&self) -> Option<&Path> {
        match self {
            Self::File(_, path) => Some(path),
            Self::Stdout | Self::Stream(..) => None,
        }
    }
}

/// Creates an empty file beside another one.
fn part_of(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = path.file_name().map_or_else(OsString::new, OsString::from);
    prefix.push(".part-");
    let permissions = Permissions::from_mode(mode);
    Builder::new().prefix(&prefix).permissions(permissions).tempfile_in(folder)
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> CtlError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CtlError::ReaderGone,
        _ => {
            let failed = CtlError::failed(tr!("cannot write {path}", path = path.display()));
            failed.caused_by_file(path, Need::Write, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fill(path: &Path, bytes: &[u8]) -> Sink {
        let mut sink = Sink::open(Some(path)).unwrap();
        if let Sink::File(file, _) = &mut sink {
            file.write_all(bytes).unwrap();
        }
        sink
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_gets_its_name_only_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let sink = fill(&path, b"new");
        assert!(!path.exists());
        sink.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"new".to_vec(), 1));
        drop(fill(&path, b"unfinished"));
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"new".to_vec(), 1));
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        fill(&link, b"new").finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(matches!(Sink::open(Some(Path::new("/dev/null"))).unwrap(), Sink::Stream(..)));
    }
}

//! Setting files aside: what is damaged, and what belongs to another inbox. Nothing is deleted but what SQLite makes anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tracing::warn;

use super::{FILE_NAME, OpenError, suffixed};

/// What stands behind the file's name in that of a damaged one, before the time.
const DAMAGED: &str = ".damaged-";

/// What may lie beside a database and hold a part of it: the write-ahead log with its index, and the rollback journal.
/// Under the name of another database they would be taken for its own.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Moves a damaged inbox and its companions to a name of their own; nothing is deleted.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, OpenError> {
    let target = suffixed(path, &format!("{DAMAGED}{}", stamp()));
    for suffix in COMPANIONS.into_iter().chain([""]) {
        rename_if_any(path, &suffixed(path, suffix), &suffixed(&target, suffix))?;
    }
    Ok(target)
}

/// Moves away what lies beside a file that has no companions: it is left over from another file of the same name, and
/// SQLite would mix the two. That is so where a copy was put in the place of an inbox whose daemon was killed.
pub(super) fn set_strays_aside(path: &Path) -> Result<(), OpenError> {
    let log = suffixed(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let target = suffixed(path, &format!(".stray-{}-wal", stamp()));
        rename_if_any(path, &log, &target)?;
        let target = udpchat_api::safe::one_line(&target.to_string_lossy()).into_owned();
        warn!("a write-ahead log lay beside inbox.db that is not its own; it is set aside as {target}");
    }
    // It holds nothing that is not in the log.
    match fs::remove_file(suffixed(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Io { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Lists the damaged inboxes of a data directory.
pub(super) fn damaged(data_dir: &Path) -> Vec<PathBuf> {
    let prefix = format!("{FILE_NAME}{DAMAGED}");
    let is_one =
        |name: &str| name.starts_with(&prefix) && !COMPANIONS.iter().any(|part| name.ends_with(part));
    let files = fs::read_dir(data_dir).into_iter().flatten().filter_map(Result::ok);
    files.filter(|file| file.file_name().to_str().is_some_and(is_one)).map(|file| file.path()).collect()
}

fn stamp() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%S%.6fZ").to_string()
}

fn rename_if_any(path: &Path, from: &Path, to: &Path) -> Result<(), OpenError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Io { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

//! Renames files that are damaged or belong to another inbox. Deletes only files that SQLite creates again.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tracing::warn;

use super::error::OpenError;
use super::format::{FILE_NAME, suffixed};

/// The suffix of a damaged file's name, before the time.
const DAMAGED: &str = ".damaged-";

/// The files beside a database that may hold a part of it: the write-ahead log with its index, and the rollback journal.
/// SQLite would use them with another database of the same name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Returns a new path for a damaged inbox. The last of these paths in the order of their names is the newest one, also where
/// the clock was set back meanwhile.
pub(super) fn target(path: &Path) -> PathBuf {
    let now = suffixed(path, &format!("{DAMAGED}{}", stamp()));
    match newest(path) {
        Some(newest) if newest >= now => suffixed(&newest, "-2"),
        _ => now,
    }
}

/// Returns the inbox that was quarantined last, if there is one.
pub(super) fn newest(path: &Path) -> Option<PathBuf> {
    let own = suffixed(path, DAMAGED).into_os_string();
    let is_own = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z' | b'.' | b'-');
    // A copy that a person made has letters behind the time, such as `.bak`.
    let has_time = |file: &PathBuf| {
        let time = file.as_os_str().as_bytes().strip_prefix(own.as_bytes());
        time.is_some_and(|time| time.iter().copied().all(is_own))
    };
    damaged(path.parent()?).into_iter().filter(has_time).max()
}

/// Renames a damaged inbox and its companions. The file itself comes first: without it, the companions are known to belong to
/// the last damaged one, also after an interruption.
pub(super) fn quarantine(path: &Path, target: &Path) -> Result<(), OpenError> {
    for suffix in [""].into_iter().chain(COMPANIONS) {
        rename_if_any(path, &suffixed(path, suffix), &suffixed(target, suffix))?;
    }
    Ok(())
}

/// Renames a write-ahead log that belongs to another file of the same name, since SQLite would apply it to this one. It is
/// left behind when a copy replaces the inbox of a killed daemon.
pub(super) fn quarantine_strays(path: &Path) -> Result<(), OpenError> {
    let log = suffixed(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let suffix = format!(".stray-{}-wal", stamp());
        rename_if_any(path, &log, &suffixed(path, &suffix))?;
        warn!(
            "{FILE_NAME}-wal in the data directory did not belong to {FILE_NAME}; it was moved to {FILE_NAME}{suffix}"
        );
    }
    // It contains nothing that is not in the write-ahead log.
    match fs::remove_file(suffixed(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Io { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Lists the quarantined inboxes in a data directory.
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

//! Renames files that are damaged or belong to another inbox. Deletes only files that SQLite creates again.

use std::fs;
use std::io;
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

/// Renames a damaged inbox and its companions; returns its new path.
pub(super) fn quarantine(path: &Path) -> Result<PathBuf, OpenError> {
    let target = suffixed(path, &format!("{DAMAGED}{}", stamp()));
    for suffix in COMPANIONS.into_iter().chain([""]) {
        rename_if_any(path, &suffixed(path, suffix), &suffixed(&target, suffix))?;
    }
    Ok(target)
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

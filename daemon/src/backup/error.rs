//! The errors of a backup.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use udpchat_config::{Need, file_hint, size_limit_hint};

use crate::inbox::file::OpenError;

/// Describes why a backup failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{} is already there, and a backup does not replace files", .0.display())]
    Exists(PathBuf),
    #[error("{} is a folder", .0.display())]
    Folder(PathBuf),
    #[error("a backup is a file, and is not written to standard output")]
    StandardOutput,
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Inbox(#[from] OpenError),
    #[error("cannot copy {inbox} to {copy}", inbox = .from.display(), copy = .to.display())]
    Copy { from: PathBuf, to: PathBuf, source: rusqlite::Error },
    #[error("the copy is not sound: {0}")]
    Unsound(String),
    #[error("interrupted; there is no backup")]
    Interrupted,
    #[error("the backup is complete, but its report cannot be printed")]
    Unreported(#[source] io::Error),
}

impl BackupError {
    /// Returns a hint what to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Exists(_) => "choose another name, for example with the date, or move that file away",
            Self::StandardOutput => "name a file, and compress that afterwards; `./-` is a file of that name",
            Self::Folder(_) => "name a file in it that is not there yet",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => NO_ROOM,
            Self::Write { path, source } => return file_hint(path, Need::Write, source),
            Self::Inbox(error) => return error.hint(),
            Self::Copy { source, .. } => match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => NO_ROOM,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    "the inbox itself is damaged; a daemon that starts on it moves it to quarantine"
                }
                Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                    "run it as root or as the daemon's user"
                }
                // A daemon was killed during a migration of the schema, which only a process with write access can roll back.
                Some(ErrorCode::ReadOnly) => "start the daemon on it first",
                _ => return size_limit_hint(),
            },
            Self::Unsound(_) => "try again; if it fails again, please report it",
            Self::Interrupted | Self::Unreported(_) => return None,
        };
        Some(hint.to_owned())
    }
}

const NO_ROOM: &str = "free some space there; a copy is at most as large as inbox.db and its write-ahead log";

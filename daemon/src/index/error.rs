//! Errors of the index.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// An error of the index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("cannot remove {}", .path.display())]
    Remove { path: PathBuf, source: io::Error },
}

impl IndexError {
    /// Returns whether only a new index helps, rather than time or room on the disk.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Remove { .. } => false,
            Self::Database(error) => !matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DiskFull
                        | ErrorCode::OutOfMemory
                        | ErrorCode::PermissionDenied
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                )
            ),
        }
    }
}

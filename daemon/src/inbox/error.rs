//! Errors of reading and writing the log.

use std::io;

use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_CORRUPTFS, SQLITE_IOERR_READ, SQLITE_IOERR_SHORT_READ};
use rusqlite::types::FromSqlError;

/// An error of reading or writing the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InboxError {
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("another program is using it")]
    InUse,
    #[error("the ids of the log do not follow one another; has another program written into it?")]
    IdsOutOfOrder,
    #[error("the migration would lose rows; please report this")]
    MigrationLosesRows,
    #[error("it was removed or replaced while it was in use")]
    Removed,
    #[error("it could not be opened")]
    NotOpen,
    #[error("old entries are to be removed first, and the disk is full")]
    NoRoomToRemove,
    #[error("it is read-only")]
    ReadOnly,
    #[error("it cannot be renamed into place")]
    Rename(#[source] io::Error),
}

impl From<FromSqlError> for InboxError {
    fn from(error: FromSqlError) -> Self {
        Self::Database(error.into())
    }
}

impl InboxError {
    /// Returns whether the content of the file is damaged, rather than inaccessible.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            // A value of another type or size is not one that this program writes.
            Self::Database(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..),
            ) => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::InUse
            | Self::IdsOutOfOrder
            | Self::MigrationLosesRows
            | Self::Removed
            | Self::NotOpen
            | Self::NoRoomToRemove
            | Self::ReadOnly
            | Self::Rename(_) => false,
        }
    }

    /// Returns whether the disk could not read a part of the file. Reads of other parts prove nothing about that one.
    pub(crate) fn is_read_error(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        matches!(code, Some(SQLITE_IOERR_READ | SQLITE_IOERR_SHORT_READ | SQLITE_IOERR_CORRUPTFS))
    }

    /// Returns whether the disk could not read or write, or not open a file.
    pub(super) fn is_io(&self) -> bool {
        let Self::Database(error) = self else { return matches!(self, Self::Rename(_)) };
        matches!(error.sqlite_error_code(), Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen))
    }

    /// Returns whether the disk is full.
    pub(super) fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Rename(error) => error.kind() == io::ErrorKind::StorageFull,
            Self::NoRoomToRemove => true,
            _ => false,
        }
    }

    /// Returns whether another program has the file open.
    pub(super) fn is_in_use(&self) -> bool {
        match self {
            Self::InUse => true,
            Self::Database(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
            }
            _ => false,
        }
    }
}

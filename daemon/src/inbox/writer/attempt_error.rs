//! Why a part of a batch could not be committed.

use crate::inbox::InboxError;
use crate::inbox::file::OpenError;

/// Why a part of a batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Commit(#[from] InboxError),
}

impl AttemptError {
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Open(error) => error.is_damage(),
            Self::Commit(error) => error.is_damage(),
        }
    }

    pub(super) fn is_disk_full(&self) -> bool {
        match self {
            Self::Open(error) => error.is_disk_full(),
            Self::Commit(error) => error.is_disk_full(),
        }
    }

    /// Returns whether the disk could not read or write, or not open a file.
    pub(super) fn is_io(&self) -> bool {
        match self {
            Self::Open(error) => error.is_io(),
            Self::Commit(error) => error.is_io(),
        }
    }
}

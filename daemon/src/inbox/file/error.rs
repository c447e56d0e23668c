//! Errors of opening an inbox, with hints.

use std::io;
use std::path::{Path, PathBuf};

use udpchat_config::{Need, access_hint, file_hint, size_limit_hint};

use super::format::SCHEMA_VERSION;
use crate::inbox::InboxError;

/// An error of opening an inbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{} was written by a newer udpchat (schema {found}; this version supports {SCHEMA_VERSION})", .path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} is a database of another program", .path.display())]
    Foreign { path: PathBuf },
    #[error("{} cannot be migrated from schema {from} to {SCHEMA_VERSION}; its content is unchanged", .path.display())]
    Migration { path: PathBuf, from: u32, source: InboxError },
    #[error("there is no {}", .path.display())]
    None { path: PathBuf },
    #[error("{} is damaged", .path.display())]
    Damaged { path: PathBuf },
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use {}", .path.display())]
    Database { path: PathBuf, source: InboxError },
}

impl OpenError {
    /// Returns what the user can do about the error.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Newer { .. } => {
                "start the newer version, restore a backup from before the upgrade (`udpchatd --help` explains how), or give \
                 another `--data-dir`"
            }
            Self::Foreign { .. } => "move it away, or give another `--data-dir`",
            Self::None { .. } => "`--system` or `--data-dir` names the data directory",
            Self::Damaged { .. } => {
                "a daemon started with this data directory moves it away and creates a new one"
            }
            Self::Migration { source, .. } if source.is_disk_full() => {
                "make room on that disk and start again; the version that wrote it can still use it"
            }
            Self::Migration { source, .. } => {
                hint_of(source).unwrap_or("the version that wrote it can still use it")
            }
            Self::Database { path, source } => match hint_of(source) {
                Some(hint) => hint,
                None => return access_hint(directory_of(path), Need::Directory).or_else(size_limit_hint),
            },
            Self::Io { path, source } => return file_hint(directory_of(path), Need::Directory, source),
        };
        Some(hint.to_owned())
    }

    /// Returns whether the system refuses access to the file, rather than that its content is unusable.
    pub(crate) fn is_of_the_system(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Database { .. })
    }

    /// Returns whether the content of the file is damaged, rather than inaccessible.
    pub(in crate::inbox) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Migration { source, .. } | Self::Database { source, .. } => source.is_damage(),
            Self::Newer { .. } | Self::Foreign { .. } | Self::None { .. } | Self::Io { .. } => false,
        }
    }

    /// Returns whether the disk is full.
    pub(in crate::inbox) fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::Migration { source, .. } | Self::Database { source, .. } => source.is_disk_full(),
            Self::Damaged { .. } | Self::Newer { .. } | Self::Foreign { .. } | Self::None { .. } => false,
        }
    }

    /// Returns whether the disk could not read or write, or not open a file.
    pub(in crate::inbox) fn is_io(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Migration { source, .. } | Self::Database { source, .. } => source.is_io(),
            Self::Damaged { .. } | Self::Newer { .. } | Self::Foreign { .. } | Self::None { .. } => false,
        }
    }
}

/// Returns the directory of a file: all its files have the same owner.
fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// Returns what to do about an error that does not concern the content of the file.
fn hint_of(error: &InboxError) -> Option<&'static str> {
    if error.is_disk_full() {
        Some("make room on that disk, or give another `--data-dir`")
    } else if error.is_in_use() {
        Some(
            "another program has it open, perhaps a backup; `fuser -v` names it. Start again when it has ended",
        )
    } else {
        None
    }
}

//! The file of the inbox: opens it ([`open`]), creates it ([`create`]), migrates it to this version ([`migrate`]), and
//! moves a damaged one away ([`quarantine`]). A newer file or a file of another program is refused and not changed.
//!
//! Reading and writing entries belongs to the writer and the readers, which use the connections that this folder opens.

mod create;
mod error;
mod format;
mod migrate;
mod open;
mod quarantine;

pub(crate) use self::error::OpenError;
pub(super) use self::format::{BUSY_TIMEOUT, PAGE_SIZE_BYTES, file_bytes};
pub(crate) use self::format::{FILE_NAME, UNKNOWN_STEP_NS, newest_id, quick_check, suffixed, version};
#[cfg(test)]
pub(crate) use self::open::open;
pub(super) use self::open::{Known, Opened, identity, open_behind};
pub(crate) use self::open::{open_reader, open_unowned, open_unused};

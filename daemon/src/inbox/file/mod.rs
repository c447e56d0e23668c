//! The inbox's file: opening it ([`open`]), creating it ([`create`]), bringing it to this version ([`migrate`]), and moving
//! it away where it is damaged ([`quarantine`]). A file that is not ours, or newer, is refused and not changed.
//!
//! Nothing here reads or writes entries while the daemon runs: that is for the writer and the readers, which start from
//! the connections that this folder opens.

mod create;
mod error;
mod format;
mod migrate;
mod open;
mod quarantine;

pub(crate) use self::error::OpenError;
pub(super) use self::format::{BUSY_TIMEOUT, PAGE_SIZE_BYTES, file_bytes};
pub(crate) use self::format::{FILE_NAME, newest_id, quick_check, suffixed, version};
#[cfg(test)]
pub(crate) use self::open::open;
pub(super) use self::open::{Known, identity, open_behind};
pub(crate) use self::open::{open_reader, open_unowned};

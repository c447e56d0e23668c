//! The file of the inbox: opens it ([`open`]), creates it ([`create`]), migrates it to this version ([`migrate`]), moves a
//! damaged one away ([`quarantine`]), and decides which id its log continues with ([`ids`]). A newer file or a file of another program is refused and not changed.
//!
//! Reading and writing entries belongs to the writer and the readers, which use the connections that this folder opens.

mod create;
mod error;
mod format;
mod ids;
mod migrate;
mod open;
mod quarantine;

pub(crate) use self::error::OpenError;
pub(super) use self::format::{BUSY_TIMEOUT, PAGE_SIZE_BYTES, file_bytes};
pub(crate) use self::format::{FILE_NAME, UNKNOWN_STEP_NS, newest_id, quick_check, suffixed, version};
pub(crate) use self::ids::{LostTail, Used};
#[cfg(test)]
pub(crate) use self::open::open;
pub(super) use self::open::{Known, disk_of, empty_log, identity, open_behind};
pub(crate) use self::open::{Opened, open_reader, open_unowned, open_unused, replace_unused};

//! The identification of an inbox file, and queries that work with any schema.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::inbox::InboxError;

/// The file's name in the data directory.
pub(crate) const FILE_NAME: &str = "inbox.db";

/// The version of the schema, SQLite's `user_version`. Each new version adds a step in [`super::migrate`], and a table, so
/// that a file with a changed bit in its version is recognised.
pub(super) const SCHEMA_VERSION: u32 = 4;

/// The tables that later versions than the first have added, each with its version.
pub(super) const ADDED_TABLES: [(u32, &str); SCHEMA_VERSION as usize - 1] =
    [(2, "log"), (3, "clock"), (4, "held")];

/// The `step_ns` of a log's oldest period of the clock where nothing is known of the clock before it. It moves each earlier
/// time into the future, which makes it unknown, so that only the begin of the period counts.
pub(crate) const UNKNOWN_STEP_NS: i64 = i64::MAX;

/// SQLite's `application_id` of our files: `udpc`.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"udpc");

/// The page size, in bytes. Larger pages than SQLite's 4 KiB make appending cheaper: 1.25 against 1.62 microseconds
/// of processor time for each datagram, measured with 100-byte datagrams.
pub(in crate::inbox) const PAGE_SIZE_BYTES: u32 = 16 * 1024;

/// How long a statement waits for a lock, which only a program other than the daemon can hold.
pub(in crate::inbox) const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the version of a database's schema.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the newest id of a log of any schema; without entries of its own the id before the first.
pub(crate) fn newest_id(connection: &Connection) -> rusqlite::Result<u64> {
    /// From this version on, the table `log` stores the first id.
    const HAS_FIRST_ID: u32 = 2;
    let sql = match version(connection)? {
        ..HAS_FIRST_ID => "SELECT coalesce(max(id), 0) FROM entry",
        HAS_FIRST_ID.. => {
            "SELECT max(coalesce((SELECT max(id) FROM entry), 0), coalesce((SELECT first_id FROM log) - 1, 0))"
        }
    };
    connection.query_row(sql, [], |row| row.get(0))
}

/// Checks the structure of a database, or of one table of it.
pub(crate) fn quick_check(connection: &Connection, table: Option<&str>) -> Result<(), InboxError> {
    let what = table.unwrap_or("1");
    let verdict: String =
        connection.query_row(&format!("PRAGMA quick_check({what})"), [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(InboxError::Damaged(verdict)) }
}

/// Appends a suffix to the name of a file, as SQLite names the files beside a database.
pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns the size of the database, or with a suffix of a file beside it, in bytes.
pub(in crate::inbox) fn file_bytes(data_dir: &Path, suffix: &str) -> u64 {
    let path = data_dir.join(format!("{FILE_NAME}{suffix}"));
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

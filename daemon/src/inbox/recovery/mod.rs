//! Recovers the entries of a damaged inbox: reads what is readable of its file and its write-ahead log, and plans how the
//! log that replaces it gets the same entries with the same ids.
//!
//! SQLite gives up where a header or an inner page is damaged. So the pages are read here, by the file format
//! (<https://sqlite.org/fileformat2.html>): [`wal`] finds the valid frames of a write-ahead log, [`pages`] reads the newest
//! version of a page, [`btree`] reads cells and records, [`salvage`] puts the rows into the order of their ids. [`segment`]
//! passes them on in chunks. [`plan`] is the table that says what remains to be recovered; the writer updates it in the
//! transaction that adds the entries, so that a crash loses nothing and adds nothing twice. [`skipped`] is the table of the ids
//! that no entry ever had.
//!
//! What does not belong here: moving files (the folder `file`) and adding the entries (the folder `writer`).

mod btree;
mod kept;
mod pages;
pub(crate) mod plan;
pub(crate) mod salvage;
pub(crate) mod segment;
pub(crate) mod skipped;
mod wal;

/// Larger ids are ignored: a damaged file may hold any number.
pub(crate) const MAX_PLAUSIBLE_ID: u64 = 1 << 48;

pub(crate) use self::kept::kept_rows;
#[cfg(test)]
pub(crate) use self::pages::KnownIds;
pub(crate) use self::pages::{
    LogEnd, Survey, has_schema, known_ids, log_end, schema_tables, skipped_ids, survey,
};

use rusqlite::{Connection, OptionalExtension};

/// Returns whether a database has a table that exists only while it is needed.
fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let found = "SELECT 1 FROM sqlite_schema WHERE name = ?1";
    Ok(connection.prepare_cached(found)?.query_row([name], |_| Ok(())).optional()?.is_some())
}

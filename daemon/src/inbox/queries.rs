//! Queries on the log that the writer, the readers and the in-flight journal share.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::index::Anchor;

/// Counts the entries above an id, up to another, that are not received messages.
pub(super) const COUNT_NOT_RECEIVED: &str =
    "SELECT count(*) FROM entry INDEXED BY entry_not_received WHERE id > ?1 AND id <= ?2 AND kind <> 0";

/// The oldest and the newest id. In an empty inbox the oldest is that of the entry to come, and the newest is the one
/// before it: as if everything up to there had been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
}

impl Bounds {
    /// Returns the number of entries: ids have no holes, and only the oldest entries are ever removed.
    pub(crate) fn entries(self) -> u64 {
        (self.newest + 1).saturating_sub(self.oldest)
    }

    /// Returns a read mark as one within the log: there is nothing before the oldest and behind the newest entry.
    pub(crate) fn within(self, mark: u64) -> u64 {
        mark.max(self.oldest.saturating_sub(1)).min(self.newest)
    }
}

/// Returns the oldest and the newest id. A log may have recovered entries only, which are older than its own first one.
pub(super) fn bounds(connection: &Connection) -> rusqlite::Result<Bounds> {
    // Subqueries: SQLite answers a lone min or max from the end of the tree, but scans for both at once.
    let sql = "SELECT coalesce((SELECT min(id) FROM entry), (SELECT first_id FROM log), 1),
               max(coalesce((SELECT max(id) FROM entry), 0), coalesce((SELECT first_id FROM log) - 1, 0))";
    connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok(Bounds { oldest: row.get(0)?, newest: row.get(1)? }))
}

/// Returns whether a log has an entry.
pub(super) fn has(connection: &Connection, anchor: Anchor) -> rusqlite::Result<bool> {
    // SQLite's ids are signed: beyond them there is no entry.
    let Ok(id) = i64::try_from(anchor.id) else { return Ok(false) };
    let at_ns: Option<i64> = connection
        .prepare_cached("SELECT at_ns FROM entry WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(at_ns == Some(anchor.at_ns))
}

/// Returns the newest entry of a log; of one without entries of its own its beginning.
pub(super) fn newest(log: &Connection) -> rusqlite::Result<Anchor> {
    let newest = "SELECT id, at_ns FROM entry ORDER BY id DESC LIMIT 1";
    let newest = log.query_row(newest, [], anchor).optional()?.unwrap_or_default();
    let beginning = beginning(log)?.unwrap_or_default();
    Ok(if newest.id < beginning.id || newest.id == 0 { beginning } else { newest })
}

/// Returns an anchor for the place before the first entry of a log.
pub(super) fn beginning(log: &Connection) -> rusqlite::Result<Option<Anchor>> {
    log.query_row("SELECT first_id - 1, begun_ns FROM log", [], anchor).optional()
}

fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    Ok(Anchor { id: row.get(0)?, at_ns: row.get(1)? })
}

/// Returns up to which id a consumer has read; none if it has no read mark.
pub(super) fn read_mark(connection: &Connection, consumer: &str) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT read_id FROM consumer WHERE name = ?1")?
        .query_row([consumer], |row| row.get(0))
        .optional()
}

//! Scans: the entries of a range, in either order.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::Reader;
use super::row::{SELECT, stored};
use crate::inbox::InboxError;
use crate::inbox::entry::Stored;
use crate::inbox::queries::has;
use crate::index::predicate::Predicate;
use crate::index::{Order, Term};

/// How many ids one transaction looks at.
const WINDOW_IDS: u64 = 2_000;

/// Which entries a scan visits: the ids, and what the database itself can filter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Range {
    /// Above this id.
    pub(crate) after: u64,
    /// Below this id, if given.
    pub(crate) before: Option<u64>,
    /// From this time on, in nanoseconds since 1970.
    pub(crate) since_ns: Option<i64>,
    /// Before this time.
    pub(crate) until_ns: Option<i64>,
    /// Of these kinds.
    pub(crate) received: bool,
    pub(crate) sent: bool,
    pub(crate) gaps: bool,
    /// Only entries that meet it are wanted. It lets blocks of the log be skipped; entries of other blocks are visited
    /// whether they meet it or not.
    pub(crate) predicate: Arc<Predicate>,
    pub(crate) order: Order,
}

impl Range {
    /// Returns a predicate that also covers times and kinds.
    fn whole_predicate(&self) -> Predicate {
        let times = match (self.since_ns, self.until_ns) {
            (None, None) => Predicate::Anything,
            (since_ns, until_ns) => Predicate::Times { since_ns, until_ns },
        };
        let kinds = match (self.received, self.sent, self.gaps) {
            (true, ..) => Predicate::Anything,
            (false, sent, gaps) => {
                let kinds = [(sent, Term::Sent), (gaps, Term::Gap)].into_iter();
                Predicate::any(kinds.filter(|(wanted, _)| *wanted).map(|(_, term)| Predicate::Term(term)))
            }
        };
        Predicate::all([times, kinds, Predicate::clone(&self.predicate)])
    }
}

/// How far a scan came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The last id that was looked at: the cursor to continue from.
    pub(crate) cursor: u64,
    /// Whether the range has more behind the cursor.
    pub(crate) more: bool,
}

impl Reader {
    /// Calls `visit` with the entries of a range, one after the other, until it breaks off or the range ends.
    ///
    /// The entry at which it breaks off counts as looked at. After each window `go_on` decides whether to continue.
    pub(crate) fn scan(
        &self,
        range: &Range,
        mut visit: impl FnMut(Stored) -> ControlFlow<()>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Scanned, InboxError> {
        self.with(|connection| {
            let bounds = self.visible(connection)?;
            let mut low = range.after.max(bounds.oldest.saturating_sub(1));
            let mut high =
                bounds.newest.min(range.before.map_or(u64::MAX, |before| before.saturating_sub(1)));
            let has_entry = |anchor| has(connection, anchor);
            let mut blocks = self.index.block_scan(range.whole_predicate(), (low, high), has_entry);
            while low < high {
                let ahead =
                    blocks.as_mut().map_or((low, high), |blocks| blocks.window(low, high, range.order));
                let window = match range.order {
                    Order::Asc => (ahead.0, ahead.1.min(ahead.0.saturating_add(WINDOW_IDS))),
                    Order::Desc => (ahead.0.max(ahead.1.saturating_sub(WINDOW_IDS)), ahead.1),
                };
                if window.0 < window.1
                    && let Some(cursor) = scan_window(connection, range, window, &mut visit)?
                {
                    let more = match range.order {
                        Order::Asc => cursor < high,
                        Order::Desc => cursor > low + 1,
                    };
                    return Ok(Scanned { cursor, more });
                }
                match range.order {
                    Order::Asc => low = window.1,
                    Order::Desc => high = window.0,
                }
                if low < high && !go_on() {
                    let cursor = if range.order == Order::Asc { low } else { high + 1 };
                    return Ok(Scanned { cursor, more: true });
                }
            }
            let cursor = match range.order {
                Order::Asc => high.max(range.after),
                Order::Desc => low.saturating_add(1),
            };
            Ok(Scanned { cursor, more: false })
        })
    }

    /// Returns one entry.
    pub(crate) fn entry(&self, id: u64) -> Result<Option<Stored>, InboxError> {
        // SQLite's ids are signed: beyond them there is no entry.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
            statement.query([id])?.next()?.map(stored).transpose()
        })
    }
}

/// Scans the ids above `window.0` up to `window.1`; returns the id at which `visit` broke off.
fn scan_window(
    connection: &Connection,
    range: &Range,
    window: (u64, u64),
    visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
) -> Result<Option<u64>, InboxError> {
    let direction = if range.order == Order::Asc { "ASC" } else { "DESC" };
    let mut statement = connection.prepare_cached(&format!(
        "{SELECT} WHERE id > ?1 AND id <= ?2 AND at_ns >= ?3 AND at_ns < ?4
         AND ((kind = 0 AND ?5) OR (kind = 1 AND ?6) OR (kind = 2 AND ?7)) ORDER BY id {direction}"
    ))?;
    let mut rows = statement.query(params![
        window.0,
        window.1,
        range.since_ns.unwrap_or(i64::MIN),
        range.until_ns.unwrap_or(i64::MAX),
        range.received,
        range.sent,
        range.gaps,
    ])?;
    while let Some(row) = rows.next()? {
        let entry = stored(row)?;
        let id = entry.id;
        if visit(entry).is_break() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

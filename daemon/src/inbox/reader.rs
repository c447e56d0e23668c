//! Reading the inbox: pages of entries by id, unread counts, peers.
//!
//! Readers use connections of their own and never wait for the writer. They read in windows of a bounded number
//! of ids, each a transaction of its own, since a long one would keep the write-ahead log from being cut back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, params};
use udpchat_api::call::Order;

use super::address::unpack;
use super::{Body, Kind, Stored, schema};

/// How many ids one transaction looks at.
const WINDOW_IDS: u64 = 2_000;

/// How many of the newest ids are looked at for the list of peers.
const PEERS_WINDOW_IDS: u64 = 100_000;

/// Counts the entries above an id that are not received messages.
pub(super) const COUNT_NOT_RECEIVED: &str =
    "SELECT count(*) FROM entry INDEXED BY entry_not_received WHERE id > ?1 AND id <= ?2 AND kind <> 0";

const SELECT: &str = "SELECT id, at_ns, kind, peer, local, payload, detail FROM entry";

/// Which entries a scan looks at: the ids, and what the database itself can tell.
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
    pub(crate) order: Order,
}

/// The oldest and the newest id; both 0 in an empty inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
}

impl Bounds {
    /// Returns the number of entries: ids have no holes, and only the oldest entries are ever removed.
    pub(crate) fn entries(self) -> u64 {
        if self.newest == 0 { 0 } else { self.newest - self.oldest + 1 }
    }
}

/// What a scan came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The last id that was looked at: the cursor to go on from.
    pub(crate) cursor: u64,
    /// Whether there is more behind the cursor.
    pub(crate) more: bool,
}

/// What the log tells about one peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) last_id: u64,
    pub(crate) last_at_ns: i64,
    pub(crate) messages: u64,
    pub(crate) unread: u64,
}

/// Gives out what is in the inbox.
#[derive(Debug)]
pub(crate) struct Reader {
    data_dir: PathBuf,
    idle: Mutex<Idle>,
    /// The newest id that may be seen. What is committed is published a moment later, together with what it teaches
    /// about its peers.
    published: AtomicU64,
}

/// Open connections that nobody uses now, all to the file of the same generation.
#[derive(Debug, Default)]
struct Idle {
    generation: u64,
    connections: Vec<Connection>,
}

impl Reader {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), idle: Mutex::default(), published: AtomicU64::new(0) }
    }

    /// Forgets the open connections: the file behind them was set aside.
    pub(crate) fn reopen(&self) {
        let mut idle = self.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    /// Lets entries be seen, up to this id.
    pub(crate) fn publish(&self, newest: u64) {
        self.published.store(newest, Ordering::Release);
    }

    /// Shows the entries of a range to `visit`, one after the other, until it breaks off or the range ends.
    ///
    /// The entry at which it breaks off counts as looked at. After each window `go_on` is asked whether to look at
    /// the next.
    pub(crate) fn scan(
        &self,
        range: &Range,
        mut visit: impl FnMut(Stored) -> ControlFlow<()>,
        mut go_on: impl FnMut() -> bool,
    ) -> rusqlite::Result<Scanned> {
        self.with(|connection| {
            let bounds = self.visible(connection)?;
            let mut low = range.after.max(bounds.oldest.saturating_sub(1));
            let mut high =
                bounds.newest.min(range.before.map_or(u64::MAX, |before| before.saturating_sub(1)));
            while low < high {
                let window = match range.order {
                    Order::Asc => (low, high.min(low.saturating_add(WINDOW_IDS))),
                    Order::Desc => (low.max(high.saturating_sub(WINDOW_IDS)), high),
                };
                if let Some(cursor) = scan_window(connection, range, window, &mut visit)? {
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
    pub(crate) fn entry(&self, id: u64) -> rusqlite::Result<Option<Stored>> {
        // Beyond what SQLite can count to, there is no entry.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.with(|connection| {
            connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], stored).optional()
        })
    }

    /// Returns the oldest and the newest id.
    #[cfg(test)]
    pub(crate) fn bounds(&self) -> rusqlite::Result<Bounds> {
        self.with(|connection| self.visible(connection))
    }

    /// Returns up to which id a consumer has read; 0 if it never has.
    pub(crate) fn read_mark(&self, consumer: &str) -> rusqlite::Result<u64> {
        self.with(|connection| read_mark(connection, consumer))
    }

    /// Returns how many received messages are above a read mark.
    pub(crate) fn unread(&self, mark: u64) -> rusqlite::Result<u64> {
        self.summary(mark).map(|(_, unread)| unread)
    }

    /// Returns the oldest and the newest id, and how many received messages are above a read mark, as of one moment.
    pub(crate) fn summary(&self, mark: u64) -> rusqlite::Result<(Bounds, u64)> {
        self.with(|connection| {
            let bounds = self.visible(connection)?;
            let mark = mark.max(bounds.oldest.saturating_sub(1)).min(bounds.newest);
            let others: u64 = connection
                .prepare_cached(COUNT_NOT_RECEIVED)?
                .query_row([mark, bounds.newest], |row| row.get(0))?;
            Ok((bounds, (bounds.newest - mark).saturating_sub(others)))
        })
    }

    /// Returns what the newest 100,000 entries tell about the peers in them.
    pub(crate) fn heard(&self, mark: u64) -> rusqlite::Result<HashMap<SocketAddr, Heard>> {
        self.with(|connection| {
            let from = self.visible(connection)?.newest.saturating_sub(PEERS_WINDOW_IDS);
            let mut statement = connection.prepare_cached(
                "SELECT peer, max(id), at_ns, count(*), sum(id > ?2) FROM entry
                 WHERE id > ?1 AND kind = 0 GROUP BY peer",
            )?;
            let mut rows = statement.query([from, mark])?;
            let mut heard = HashMap::new();
            while let Some(row) = rows.next()? {
                if let Some(peer) = unpack(row.get_ref(0)?.as_blob()?) {
                    heard.insert(
                        peer,
                        Heard {
                            last_id: row.get(1)?,
                            last_at_ns: row.get(2)?,
                            messages: row.get(3)?,
                            unread: row.get(4)?,
                        },
                    );
                }
            }
            Ok(heard)
        })
    }

    /// Returns the size of the inbox's files, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let size = |suffix: &str| {
            let path = self.data_dir.join(format!("{}{suffix}", schema::FILE_NAME));
            std::fs::metadata(path).map_or(0, |metadata| metadata.len())
        };
        size("") + size("-wal")
    }

    /// Returns the bounds of what may be seen.
    fn visible(&self, connection: &Connection) -> rusqlite::Result<Bounds> {
        let published = self.published.load(Ordering::Acquire);
        let Bounds { oldest, newest } = bounds(connection)?;
        let newest = newest.min(published);
        Ok(if newest < oldest { Bounds::default() } else { Bounds { oldest, newest } })
    }

    /// Lends a connection; one that failed is not kept.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let (generation, idle) = {
            let mut idle = self.lock();
            (idle.generation, idle.connections.pop())
        };
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.data_dir)?,
        };
        let out = read(&connection)?;
        let mut idle = self.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(out)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns up to which id a consumer has read; 0 if it never has.
pub(super) fn read_mark(connection: &Connection, consumer: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT read_id FROM consumer WHERE name = ?1")?
        .query_row([consumer], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Returns the oldest and the newest id.
pub(super) fn bounds(connection: &Connection) -> rusqlite::Result<Bounds> {
    // Two subqueries: SQLite answers a lone min or max from the end of the tree, but scans for both at once.
    connection.prepare_cached("SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)")?.query_row(
        [],
        |row| {
            let (oldest, newest): (Option<u64>, Option<u64>) = (row.get(0)?, row.get(1)?);
            Ok(Bounds { oldest: oldest.unwrap_or(0), newest: newest.unwrap_or(0) })
        },
    )
}

/// Scans the ids above `window.0` up to `window.1`; returns the id at which `visit` broke off.
fn scan_window(
    connection: &Connection,
    range: &Range,
    window: (u64, u64),
    visit: &mut impl FnMut(Stored) -> ControlFlow<()>,
) -> rusqlite::Result<Option<u64>> {
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

/// Reads a row of [`SELECT`]. What is not as we write it is reported as damage of the file.
fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let address = |column: usize| -> rusqlite::Result<Option<SocketAddr>> {
        Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(unpack))
    };
    let peer = || address(3)?.ok_or_else(|| malformed(3));
    let payload = || row.get::<_, Option<Vec<u8>>>(5).map(Option::unwrap_or_default);
    let body = match row.get::<_, i64>(2)? {
        kind if kind == Kind::Received as i64 => {
            Body::Received { peer: peer()?, local: address(4)?, payload: payload()? }
        }
        kind if kind == Kind::Sent as i64 => {
            Body::Sent { peer: peer()?, local: address(4)?, payload: payload()?, detail: detail(row)? }
        }
        kind if kind == Kind::Gap as i64 => Body::Gap(detail(row)?),
        _ => return Err(malformed(2)),
    };
    Ok(Stored { id: row.get(0)?, at_ns: row.get(1)?, body })
}

fn detail<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(6)?.as_str()?).map_err(|_| malformed(6))
}

fn malformed(column: usize) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("column {column} of an entry cannot be read")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: u64 = 5_000;

    /// An inbox whose oldest 100 entries are gone; every seventh entry is a gap, every fifth of the others was sent.
    fn inbox() -> (tempfile::TempDir, Reader) {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = schema::open(folder.path()).unwrap().connection;
        let transaction = connection.transaction().unwrap();
        for id in 101..=ENTRIES {
            let kind = kind_of(id);
            let (peer, detail) = match kind {
                Kind::Gap => (None, Some(r#"{"lost":1,"reason":"queue_full"}"#)),
                Kind::Sent => (Some(&b"\x01\x02\x03\x04\x00\x05"[..]), Some("{}")),
                Kind::Received => (Some(&b"\x01\x02\x03\x04\x00\x05"[..]), None),
            };
            transaction
                .execute(
                    "INSERT INTO entry (id, at_ns, kind, peer, payload, detail) VALUES (?1, ?1, ?2, ?3, x'61', ?4)",
                    params![id, kind as i64, peer, detail],
                )
                .unwrap();
        }
        transaction.commit().unwrap();
        let reader = Reader::new(folder.path());
        reader.publish(ENTRIES);
        (folder, reader)
    }

    fn kind_of(id: u64) -> Kind {
        match (id % 7, id % 5) {
            (0, _) => Kind::Gap,
            (_, 0) => Kind::Sent,
            _ => Kind::Received,
        }
    }

    /// What a range must give, without any window or cursor.
    fn expected(range: &Range) -> Vec<u64> {
        let wanted = |id: &u64| match kind_of(*id) {
            Kind::Received => range.received,
            Kind::Sent => range.sent,
            Kind::Gap => range.gaps,
        };
        let timely = |id: &u64| {
            let at_ns = id.cast_signed();
            range.since_ns.is_none_or(|since| at_ns >= since)
                && range.until_ns.is_none_or(|until| at_ns < until)
        };
        let within = |id: &u64| *id > range.after && range.before.is_none_or(|before| *id < before);
        let mut ids: Vec<u64> = (101..=ENTRIES).filter(wanted).filter(timely).filter(within).collect();
        if range.order == Order::Desc {
            ids.reverse();
        }
        ids
    }

    /// Reads a range in pages of `limit` entries, as a client does.
    fn in_pages(reader: &Reader, mut range: Range, limit: usize, patient: bool) -> Vec<u64> {
        let mut ids = Vec::new();
        loop {
            let page_end = ids.len() + limit;
            let visit = |entry: Stored| {
                ids.push(entry.id);
                if ids.len() < page_end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let scanned = reader.scan(&range, visit, || patient).unwrap();
            match range.order {
                Order::Asc => range.after = scanned.cursor,
                Order::Desc => range.before = Some(scanned.cursor),
            }
            if !scanned.more {
                return ids;
            }
        }
    }

    #[test]
    fn pages_of_any_size_in_both_orders_give_each_entry_once() {
        let (_folder, reader) = inbox();
        let all = Range { received: true, sent: true, gaps: true, ..Range::default() };
        let ranges = [
            all.clone(),
            Range { received: true, ..Range::default() },
            Range { gaps: true, after: 3_000, ..Range::default() },
            Range { before: Some(2_500), after: 2_100, ..all.clone() },
            Range { since_ns: Some(900), until_ns: Some(4_100), ..all.clone() },
            Range { after: ENTRIES, ..all.clone() },
            Range { after: u64::MAX, ..all.clone() },
            Range { before: Some(0), ..all },
        ];
        for range in ranges {
            for order in [Order::Asc, Order::Desc] {
                let range = Range { order, ..range.clone() };
                let wanted = expected(&range);
                for (limit, patient) in [(1_000, true), (977, false), (1_000_000, false)] {
                    assert_eq!(in_pages(&reader, range.clone(), limit, patient), wanted, "{range:?}");
                }
            }
        }
    }

    #[test]
    fn unread_is_the_number_of_received_messages_above_the_mark() {
        let (_folder, reader) = inbox();
        for mark in [0, 50, 101, 2_345, ENTRIES - 1, ENTRIES, ENTRIES + 9] {
            let wanted = (101..=ENTRIES).filter(|id| *id > mark && kind_of(*id) == Kind::Received).count();
            assert_eq!(reader.unread(mark).unwrap(), wanted as u64, "above {mark}");
        }
    }

    #[test]
    fn what_is_not_published_is_not_seen() {
        let (_folder, reader) = inbox();
        reader.publish(1_000);
        let all = Range { received: true, sent: true, gaps: true, ..Range::default() };
        assert_eq!(in_pages(&reader, all, 300, true).last(), Some(&1_000));
        let received = (101..=1_000).filter(|id| kind_of(*id) == Kind::Received).count();
        assert_eq!(reader.unread(0).unwrap(), received as u64);
        reader.publish(50);
        assert_eq!(reader.bounds().unwrap(), Bounds::default());
    }

    #[test]
    fn an_empty_inbox_has_nothing_to_read() {
        let folder = tempfile::tempdir().unwrap();
        drop(schema::open(folder.path()).unwrap());
        let reader = Reader::new(folder.path());
        assert_eq!(reader.bounds().unwrap().entries(), 0);
        assert_eq!(reader.unread(0).unwrap(), 0);
        let scanned =
            reader.scan(&Range { received: true, ..Range::default() }, |_| panic!("an entry"), || true);
        assert_eq!(scanned.unwrap(), Scanned { cursor: 0, more: false });
    }
}

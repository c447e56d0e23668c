//! Reading the inbox: pages of entries by id, unread counts, peers.
//!
//! Readers use connections of their own and never wait for the writer. They read in windows of a bounded number
//! of ids, each a transaction of its own, since a long one would keep the write-ahead log from being cut back. Where
//! the [`index`](crate::index) knows that nothing wanted can be, they do not look.

mod row;
mod talkers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OptionalExtension, params};
use udpchat_api::call::Order;
use udpchat_config::PeerAddress;

use super::address::unpack;
use super::{Body, Stored, file};
use crate::index::predicate::Clue;
use crate::index::{Anchor, Index, Key};

use self::row::{SELECT, stored};
pub(crate) use self::talkers::Said;

/// How many ids one transaction looks at.
const WINDOW_IDS: u64 = 2_000;

/// How much payload one transaction shows to the index, in bytes: taking it up takes longer than reading it.
const RAW_WINDOW_BYTES: usize = 256 * 1024;

/// How many of the newest ids are looked at for the list of peers.
pub(crate) const PEERS_WINDOW_IDS: u64 = 100_000;

/// Counts the entries above an id that are not received messages.
pub(super) const COUNT_NOT_RECEIVED: &str =
    "SELECT count(*) FROM entry INDEXED BY entry_not_received WHERE id > ?1 AND id <= ?2 AND kind <> 0";

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
    /// Only those that meet this are wanted. It lets parts of the log be skipped; what is looked at is shown to
    /// `visit` all the same.
    pub(crate) clue: Arc<Clue>,
    pub(crate) order: Order,
}

impl Range {
    /// Returns all that is known of the wanted entries.
    fn whole_clue(&self) -> Clue {
        let times = match (self.since_ns, self.until_ns) {
            (None, None) => Clue::Anything,
            (since_ns, until_ns) => Clue::Times { since_ns, until_ns },
        };
        let kinds = match (self.received, self.sent, self.gaps) {
            (true, ..) => Clue::Anything,
            (false, sent, gaps) => {
                let kinds = [(sent, Clue::Key(Key::Sent)), (gaps, Clue::Key(Key::Gap))];
                Clue::any(kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, clue)| clue))
            }
        };
        Clue::all([times, kinds, Clue::clone(&self.clue)])
    }
}

/// An entry as the index sees it: what it can be found by.
pub(crate) struct Raw<'a> {
    pub(crate) id: u64,
    pub(crate) at_ns: i64,
    pub(crate) kind: i64,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) payload: &'a [u8],
}

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
    index: Index,
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
        Self {
            data_dir: data_dir.to_owned(),
            index: Index::new(data_dir),
            idle: Mutex::default(),
            published: AtomicU64::new(0),
        }
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
            let mut sieve = self.index.sieve(connection, range.whole_clue(), (low, high));
            while low < high {
                let ahead = sieve.as_mut().map_or((low, high), |sieve| sieve.window(low, high, range.order));
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
    pub(crate) fn entry(&self, id: u64) -> rusqlite::Result<Option<Stored>> {
        // Beyond what SQLite can count to, there is no entry.
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.with(|connection| {
            connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?.query_row([id], stored).optional()
        })
    }

    /// Returns the index of what is read.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the oldest and the newest id.
    pub(crate) fn bounds(&self) -> rusqlite::Result<Bounds> {
        self.with(|connection| self.visible(connection))
    }

    /// Tells whether the log has an entry.
    pub(crate) fn has(&self, anchor: Anchor) -> rusqlite::Result<bool> {
        self.with(|connection| has(connection, anchor))
    }

    /// Shows the entries from `ids.0` up to and without `ids.1` to `visit`, if the log has the entry `known`; false if
    /// it has not.
    pub(crate) fn raw(
        &self,
        known: Option<Anchor>,
        ids: (u64, u64),
        mut visit: impl FnMut(Raw<'_>),
    ) -> rusqlite::Result<bool> {
        self.with(|connection| {
            if let Some(known) = known
                && !has(connection, known)?
            {
                return Ok(false);
            }
            let mut next = ids.0;
            while let Some(read_to) = raw_window(connection, (next, ids.1), &mut visit)? {
                next = read_to + 1;
            }
            Ok(true)
        })
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

    /// Returns what so many of the newest entries tell about the peers in them.
    pub(crate) fn heard(&self, mark: u64, window: u64) -> rusqlite::Result<HashMap<SocketAddr, Heard>> {
        self.with(|connection| {
            let from = self.visible(connection)?.newest.saturating_sub(window);
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

    /// Returns the newest message, older than the [`PEERS_WINDOW_IDS`] that [`Self::heard`] looks at, that was received from a peer and that
    /// `is_its` accepts, and its sender; looks for it as long as `go_on` says.
    pub(crate) fn last_heard(
        &self,
        peer: PeerAddress,
        is_its: impl Fn(SocketAddr) -> bool,
        go_on: impl FnMut() -> bool,
    ) -> rusqlite::Result<Option<(SocketAddr, Heard)>> {
        let newest = self.published.load(Ordering::Acquire);
        let range = Range {
            before: Some(newest.saturating_sub(PEERS_WINDOW_IDS) + 1),
            received: true,
            clue: Arc::new(Clue::of_peer(peer)),
            order: Order::Desc,
            ..Range::default()
        };
        let mut last = None;
        let visit = |entry: Stored| match entry.body {
            Body::Received { peer: sender, .. } if peer.matches(sender) && is_its(sender) => {
                let heard = Heard { last_id: entry.id, last_at_ns: entry.at_ns, messages: 0, unread: 0 };
                last = Some((sender, heard));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        self.scan(&range, visit, go_on)?;
        Ok(last)
    }

    /// Returns the size of the inbox's files, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.file_bytes("") + self.wal_bytes()
    }

    /// Returns the size of the write-ahead log, in bytes.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.file_bytes("-wal")
    }

    /// Returns what this process may still write to the disk, in bytes; none where the system does not tell.
    pub(crate) fn disk_free_bytes(&self) -> Option<u64> {
        let disk = statvfs(&self.data_dir).ok()?;
        Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    fn file_bytes(&self, suffix: &str) -> u64 {
        let path = self.data_dir.join(format!("{}{suffix}", file::FILE_NAME));
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    /// Returns the bounds of what may be seen.
    fn visible(&self, connection: &Connection) -> rusqlite::Result<Bounds> {
        let published = self.published.load(Ordering::Acquire);
        let Bounds { oldest, newest } = bounds(connection)?;
        Ok(Bounds { oldest, newest: newest.min(published).max(oldest.saturating_sub(1)) })
    }

    /// Lends a connection; one that failed is not kept.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let (generation, idle) = {
            let mut idle = self.lock();
            (idle.generation, idle.connections.pop())
        };
        let connection = match idle {
            Some(connection) => connection,
            None => file::open_reader(&self.data_dir)?,
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

/// Shows raw entries in one transaction, until so many bytes were shown; returns the last id if there may be more.
fn raw_window(
    connection: &Connection,
    ids: (u64, u64),
    visit: &mut impl FnMut(Raw<'_>),
) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection
        .prepare_cached("SELECT id, at_ns, kind, peer, payload FROM entry WHERE id >= ?1 AND id < ?2")?;
    let mut rows = statement.query([ids.0, ids.1])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let payload = row.get_ref(4)?.as_blob_or_null()?.unwrap_or_default();
        let id = row.get(0)?;
        visit(Raw {
            id,
            at_ns: row.get(1)?,
            kind: row.get(2)?,
            peer: row.get_ref(3)?.as_blob_or_null()?.and_then(unpack),
            payload,
        });
        bytes += payload.len();
        if bytes > RAW_WINDOW_BYTES {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Tells whether a log has an entry.
pub(crate) fn has(connection: &Connection, anchor: Anchor) -> rusqlite::Result<bool> {
    let at_ns: Option<i64> = connection
        .prepare_cached("SELECT at_ns FROM entry WHERE id = ?1")?
        .query_row([anchor.id], |row| row.get(0))
        .optional()?;
    Ok(at_ns == Some(anchor.at_ns))
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
    // Subqueries: SQLite answers a lone min or max from the end of the tree, but scans for both at once. Where the log
    // begins is asked only while it is empty.
    let sql = "SELECT coalesce((SELECT min(id) FROM entry), (SELECT first_id FROM log), 1),
               coalesce((SELECT max(id) FROM entry), (SELECT first_id FROM log) - 1, 0)";
    connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok(Bounds { oldest: row.get(0)?, newest: row.get(1)? }))
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

#[cfg(test)]
mod tests;

//! Reads the inbox: pages of entries ([`scan`](Reader::scan)), unread counts, and what the log shows about peers.
//!
//! Readers use connections of their own and never wait for the writer. They read in windows of a bounded number of ids,
//! each a transaction of its own, since a long transaction would keep the write-ahead log from being cut back. Blocks that
//! the [index](crate::index) rules out are skipped. Where the file is damaged, readers pass over what cannot be read and
//! [note](Damage) it; [`check`] looks for such places.
//!
//! Nothing here writes to the database. Control and the daemon's log read through this folder; reception does not.

mod check;
mod log;
mod newest_texts;
mod peers;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::statvfs::statvfs;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, params};

use self::newest_texts::NewestTexts;
pub(crate) use self::peers::{Heard, PEERS_WINDOW_IDS, ReceivedFrom};
pub(crate) use self::scan::Range;
use super::damage::{Damage, Marker};
pub(crate) use super::queries::Bounds;
use super::queries::{COUNT_NOT_RECEIVED, bounds, read_mark};
use super::recovery::plan::{self, Segment};
use super::{InboxError, file};
use crate::index::Index;
pub(crate) use crate::index::Order;

/// Reads the inbox.
#[derive(Debug)]
pub(crate) struct Reader {
    data_dir: PathBuf,
    index: Arc<Index>,
    damage: Damage,
    idle: Mutex<Idle>,
    newest_texts: Mutex<NewestTexts>,
    /// The newest visible id. A committed entry becomes visible a moment later, together with what was learned from it
    /// about its peer.
    published: AtomicU64,
}

/// Open connections that are not in use, all to the file of the same generation.
#[derive(Debug, Default)]
struct Idle {
    generation: u64,
    connections: Vec<Connection>,
}

/// How large the disk with the inbox is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) size_bytes: u64,
    /// How much this process may still write.
    pub(crate) free_bytes: u64,
}

/// The file that a reader has open.
#[derive(Clone, Copy, Debug)]
struct OpenFile<'a> {
    connection: &'a Connection,
    marker: Marker<'a>,
}

impl<'a> OpenFile<'a> {
    /// Begins a transaction unless one is open. Whoever looks for damage needs one: what retention removes meanwhile is not
    /// damaged.
    fn begin(&self) -> rusqlite::Result<Option<Transaction<'a>>> {
        self.connection.is_autocommit().then(|| self.connection.unchecked_transaction()).transpose()
    }
}

impl Reader {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            index: Arc::new(Index::new(data_dir)),
            damage: Damage::default(),
            idle: Mutex::default(),
            newest_texts: Mutex::default(),
            published: AtomicU64::new(0),
        }
    }

    /// Closes the idle connections, because the file behind them was moved away.
    pub(crate) fn reopen(&self) {
        let mut idle = self.idle.lock();
        idle.generation += 1;
        idle.connections.clear();
    }

    /// Makes entries visible, up to this id.
    pub(crate) fn publish(&self, newest: u64) {
        self.published.store(newest, Ordering::Release);
    }

    /// Returns the index of the log.
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Returns which ids cannot be read.
    pub(crate) fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Returns the oldest and the newest visible id.
    pub(crate) fn bounds(&self) -> Result<Bounds, InboxError> {
        self.with(|connection| self.visible(connection))
    }

    /// Returns what is still to be recovered of a damaged inbox.
    pub(crate) fn recovery_plan(&self) -> Result<Vec<Segment>, InboxError> {
        self.with(|connection| Ok(plan::read(connection, &self.data_dir)?))
    }

    /// Returns up to which id a consumer has read; none if it has no read mark.
    pub(crate) fn read_mark(&self, consumer: &str) -> Result<Option<u64>, InboxError> {
        self.with(|connection| Ok(read_mark(connection, consumer)?))
    }

    /// Returns whether a consumer has a read mark, or fewer than `most` consumers have one.
    pub(crate) fn may_mark(&self, consumer: &str, most: u64) -> Result<bool, InboxError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM consumer WHERE name = ?1) OR (SELECT count(*) FROM consumer) < ?2";
        self.with(|connection| Ok(connection.query_row(sql, params![consumer, most], |row| row.get(0))?))
    }

    /// Returns the consumers by name, each with its read mark and how many received messages are above it.
    pub(crate) fn consumers(&self) -> Result<Vec<(String, u64, u64)>, InboxError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, read_id FROM consumer")?;
            let marks = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let mut marks: Vec<(String, u64)> = marks.collect::<rusqlite::Result<_>>()?;
            // From the highest mark down, so that each entry is counted once, however many consumers there are.
            marks.sort_by_key(|(_, read)| std::cmp::Reverse(*read));
            let bounds = self.visible(connection)?;
            let (mut counted_to, mut unread, mut consumers) = (bounds.newest, 0, Vec::new());
            for (name, read) in marks {
                let mark = bounds.within(read);
                unread += self.received(connection, mark, counted_to)?;
                counted_to = mark;
                consumers.push((name, read, unread));
            }
            consumers.sort();
            Ok(consumers)
        })
    }

    /// Returns how many received messages are above a read mark.
    pub(crate) fn unread(&self, mark: u64) -> Result<u64, InboxError> {
        self.summary(mark).map(|(_, unread)| unread)
    }

    /// Returns the oldest and the newest id, and how many received messages are above a read mark, all as of one moment.
    pub(crate) fn summary(&self, mark: u64) -> Result<(Bounds, u64), InboxError> {
        self.with(|connection| {
            let bounds = self.visible(connection)?;
            Ok((bounds, self.received(connection, bounds.within(mark), bounds.newest)?))
        })
    }

    /// Counts the received messages above an id, up to another.
    fn received(&self, connection: &Connection, after: u64, last: u64) -> Result<u64, InboxError> {
        let others: u64 =
            connection.prepare_cached(COUNT_NOT_RECEIVED)?.query_row([after, last], |row| row.get(0))?;
        let missing = if after < last { self.damage.missing(after + 1..=last) } else { 0 };
        Ok((last - after).saturating_sub(others + missing))
    }

    /// Returns the size of the inbox's files, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        file::file_bytes(&self.data_dir, "") + self.wal_bytes()
    }

    /// Returns the size of the write-ahead log, in bytes.
    pub(crate) fn wal_bytes(&self) -> u64 {
        file::file_bytes(&self.data_dir, "-wal")
    }

    /// Returns how large the disk with the inbox is; none where the system does not report it.
    pub(crate) fn disk(&self) -> Option<Disk> {
        let disk = statvfs(&self.data_dir).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        Some(Disk { size_bytes: bytes(disk.blocks()), free_bytes: bytes(disk.blocks_available()) })
    }

    /// Returns the bounds of what is visible.
    fn visible(&self, connection: &Connection) -> Result<Bounds, InboxError> {
        let published = self.published.load(Ordering::Acquire);
        let Bounds { oldest, newest } = bounds(connection)?;
        // What a recovery has still to bring counts as present, so that no reader goes past it.
        let oldest = self.damage.awaited().map_or(oldest, |(first, _)| oldest.min(first));
        Ok(Bounds { oldest, newest: newest.min(published).max(oldest.saturating_sub(1)) })
    }

    /// Lends a connection to `read`; one that failed is closed.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, InboxError>) -> Result<T, InboxError> {
        self.with_file(|file| read(file.connection))
    }

    /// Lends a connection to `read`, with what marks damage of its file.
    fn with_file<T>(
        &self,
        read: impl FnOnce(OpenFile<'_>) -> Result<T, InboxError>,
    ) -> Result<T, InboxError> {
        let marker = self.damage.marker();
        let (generation, idle) = {
            let mut idle = self.idle.lock();
            (idle.generation, idle.connections.pop())
        };
        let connection = match idle {
            Some(connection) => connection,
            None => file::open_reader(&self.data_dir)?,
        };
        let out = read(OpenFile { connection: &connection, marker }).inspect_err(|error| {
            if error.is_damage() {
                marker.give_up();
            }
        })?;
        let mut idle = self.idle.lock();
        if idle.generation == generation {
            idle.connections.push(connection);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;

//! Maintenance between the writer's transactions: retention, and keeping the write-ahead log short.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracing::debug;

use super::clock::history::History;
use super::clock::period::Reading;
use super::retention::{Limits, Retention, Step};
use crate::error::explain;
use crate::health::{Component, Health};
use crate::inbox::InboxError;
use crate::inbox::file::{BUSY_TIMEOUT, PAGE_SIZE_BYTES, empty_log, file_bytes};
use crate::inbox::queries::bounds;
use crate::index::Index;
use crate::service::backup_mark;

/// The size at which the write-ahead log is copied into the database (a checkpoint): this part of the inbox's size, as a
/// divisor, within these bounds in bytes.
const WAL_PART: u64 = 64;
const WAL_BYTES: (u64, u64) = (256 * 1024, 16 * 1024 * 1024);

/// From this size on, in bytes, a reader blocks the write-ahead log for too long.
const LONG_WAL_BYTES: u64 = 48 * 1024 * 1024;

/// From this size on, in bytes, a backup takes too long: 4 GiB of inbox are copied in a minute, in which so much arrives
/// only in a flood.
const LONG_WAL_BESIDE_BACKUP_BYTES: u64 = 1024 * 1024 * 1024;

/// How often to cut back a log that has grown while readers were active, how often one that stays long, and how long to
/// wait for the readers. They read in short windows.
const CUT_BACK_EVERY: Duration = Duration::from_millis(200);
const CUT_BACK_LONG_EVERY: Duration = Duration::from_secs(5);
const CUT_BACK_WAIT: Duration = Duration::from_millis(20);

/// How often failing retention is tried again while nothing arrives.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Returns the size at which the write-ahead log is copied, in bytes.
fn usual_wal_bytes(limits: Limits) -> u64 {
    (limits.max_bytes / WAL_PART).clamp(WAL_BYTES.0, WAL_BYTES.1)
}

/// Keeps the inbox within its limits, and the write-ahead log short.
#[derive(Debug)]
pub(super) struct Maintenance {
    data_dir: PathBuf,
    index: Arc<Index>,
    health: Arc<Health>,
    retention: Retention,
    /// The limits that the connection is set up for.
    applied: Option<Limits>,
    /// Whether another step should follow at once.
    more: bool,
    /// Whether entries were removed whose pages the files still contain.
    untidy: bool,
    cut_back: Instant,
    /// Whether the last step of retention has failed.
    has_failed: bool,
    /// Whether it has failed for lack of room on the disk.
    lacks_room: bool,
    /// Whether removing entries has met damage of the file.
    met_damage: bool,
    /// How often to cut the log back as long as it is too long; none if it is not.
    cut_back_every: Option<Duration>,
}

impl Maintenance {
    pub(super) fn new(data_dir: PathBuf, index: Arc<Index>, health: Arc<Health>) -> Self {
        Self {
            data_dir,
            index,
            health,
            retention: Retention::new(),
            applied: None,
            more: true,
            untidy: false,
            cut_back: Instant::now(),
            has_failed: false,
            lacks_room: false,
            met_damage: false,
            cut_back_every: None,
        }
    }

    /// Must be called when the connection is a new one, so that it is set up again.
    pub(super) fn reconnected(&mut self) {
        self.applied = None;
    }

    /// Returns how long the writer may wait for entries before the next step is due; none if none is due.
    pub(super) fn max_wait(&self, limits: &Limits) -> Option<Duration> {
        if self.more {
            return Some(Duration::ZERO);
        }
        // Problems are looked at again even if nothing arrives.
        let cut_back = self.cut_back_every.map(|_| CUT_BACK_LONG_EVERY);
        let problems = [self.has_failed.then_some(RETRY_EVERY), cut_back];
        self.retention.max_wait(limits).into_iter().chain(problems.into_iter().flatten()).min()
    }

    /// Makes the next step judge ages, however recent the last check is.
    #[cfg(test)]
    pub(super) fn check_ages(&mut self) {
        self.retention.check_ages();
    }

    /// Returns whether removing entries has met damage of the file since the last call.
    pub(super) fn met_damage(&mut self) -> bool {
        std::mem::take(&mut self.met_damage)
    }

    /// Returns whether the last step has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Returns whether the last step has failed for lack of room on the disk. The next one is smaller, if it can be.
    pub(super) fn lacks_room(&self) -> bool {
        self.lacks_room
    }

    /// Returns whether another step should follow at once.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Does one bounded step of retention. Without the history of the clock no age is judged.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        limits: Limits,
        clock: Option<(&History, Reading)>,
    ) -> Step {
        let wal_bytes = file_bytes(&self.data_dir, "-wal");
        let result = self.apply(connection, limits).and_then(|()| {
            // What the write-ahead log may take, not what it takes now: reacting to its changes would write more into it.
            // An index that is too large is not compensated by removing messages, and half of a tiny inbox is for them.
            // What the index has for removed entries is about to go.
            let index_bytes = self.index.bytes_from(bounds(connection)?.oldest);
            let beside = (2 * usual_wal_bytes(limits) + index_bytes).min(limits.max_bytes / 2);
            self.retention.step(connection, &limits, beside, clock)
        });
        let step = match result {
            Ok(step) => {
                self.more = step.more;
                (self.has_failed, self.lacks_room) = (false, false);
                self.health.succeeded(Component::Retention);
                if step.removed > 0 {
                    debug!(removed = step.removed, "removed the oldest entries");
                    self.untidy = true;
                }
                step
            }
            Err(error) => {
                self.failed(&InboxError::from(error));
                Step::default()
            }
        };
        if self.retention.takes_smaller_steps() && (self.has_failed || step.removed > 0 || step.more) {
            reuse_log(connection);
        }
        self.cut_back_log(connection, limits, wal_bytes);
        step
    }

    /// Handles an error of a step. Where the disk has no room, a smaller one follows at once; without room for the smallest, the
    /// index, which can be created again, is to give its own.
    fn failed(&mut self, error: &InboxError) {
        (self.has_failed, self.lacks_room) = (true, error.is_disk_full());
        self.more = self.lacks_room && self.retention.take_smaller_steps();
        if self.more {
            return debug!("removing fewer entries at once: {error}");
        }
        if self.lacks_room {
            self.index.give_room();
        }
        self.met_damage |= error.is_damage();
        self.health
            .report(Component::Retention, explain("old entries cannot be removed from the inbox", error));
    }

    /// Gives the space of removed entries back to the file system, when no other step is due.
    pub(super) fn tidy_up(&mut self, connection: &Connection) {
        if !self.more && std::mem::take(&mut self.untidy) {
            checkpoint(connection);
        }
    }

    /// Fits the write-ahead log to the size of the inbox.
    fn apply(&mut self, connection: &Connection, limits: Limits) -> rusqlite::Result<()> {
        if self.applied.replace(limits) == Some(limits) {
            return Ok(());
        }
        let bytes = usual_wal_bytes(limits);
        connection.pragma_update(None, "wal_autocheckpoint", bytes / u64::from(PAGE_SIZE_BYTES))?;
        connection.pragma_update(None, "journal_size_limit", bytes)
    }

    /// Cuts the write-ahead log back if it has grown long, and reports what prevents that.
    fn cut_back_log(&mut self, connection: &Connection, limits: Limits, wal_bytes: u64) {
        if wal_bytes <= 2 * usual_wal_bytes(limits) {
            self.cut_back_every = None;
            return self.health.clear(Component::WriteAheadLog);
        }
        if self.cut_back.elapsed() < *self.cut_back_every.get_or_insert(CUT_BACK_EVERY) {
            return;
        }
        checkpoint(connection);
        self.cut_back = Instant::now();
        let wal_bytes = file_bytes(&self.data_dir, "-wal");
        let is_long = wal_bytes >= LONG_WAL_BYTES;
        self.cut_back_every = Some(if is_long { CUT_BACK_LONG_EVERY } else { CUT_BACK_EVERY });
        if is_long && let Some(problem) = self.log_blocker(wal_bytes) {
            self.health.report(Component::WriteAheadLog, problem.to_owned());
        }
    }

    /// Returns what keeps a long log from being cut back, if that is a problem.
    fn log_blocker(&self, wal_bytes: u64) -> Option<&'static str> {
        if !backup_mark::is_set(&self.data_dir) {
            return Some(
                "another program has been reading inbox.db for long and keeps its write-ahead log from being cut \
                 back; `fuser -v inbox.db` in the data directory names it",
            );
        }
        (wal_bytes >= LONG_WAL_BESIDE_BACKUP_BYTES).then_some(
            "a backup of the inbox takes so long that the write-ahead log, which waits for its end, has grown to \
             more than 1 GiB; `fuser -v inbox.db` in the data directory names it",
        )
    }
}

/// Copies the write-ahead log into the database and empties it, as far as readers allow; returns whether it is empty.
pub(super) fn checkpoint(connection: &Connection) -> bool {
    let attempt = || -> rusqlite::Result<bool> {
        connection.busy_timeout(CUT_BACK_WAIT)?;
        let is_empty = empty_log(connection);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        is_empty
    };
    attempt().unwrap_or_else(|error| {
        debug!("{}", explain("the write-ahead log cannot be cut back", &error));
        false
    })
}

/// Copies the write-ahead log into the database, so that the next transaction begins it again. Its file keeps its size: on a full
/// disk, what it gave back would be taken by others.
fn reuse_log(connection: &Connection) {
    let attempt = || -> rusqlite::Result<()> {
        connection.busy_timeout(CUT_BACK_WAIT)?;
        let copied = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        connection.busy_timeout(BUSY_TIMEOUT)?;
        copied
    };
    if let Err(error) = attempt() {
        debug!("{}", explain("the write-ahead log cannot be begun again", &error));
    }
}

//! What the writer does between its transactions: it keeps the inbox within its limits, and the write-ahead log short.

use std::fs;
use std::time::{Duration, Instant};

use tracing::debug;

use super::{Writer, explain};
use crate::clock;
use crate::health::Component;
use crate::inbox::file::{FILE_NAME, PAGE_SIZE_BYTES};
use crate::inbox::writer::retention::{Limits, Retention, Step};
use crate::service::lock;
use crate::service::lock::DATA_DIR_LOCK;

/// How large the write-ahead log is before it is copied into the database: this part of the inbox's size, as a
/// divisor, within these bounds in bytes.
const WAL_PART: u64 = 64;
const WAL_BYTES: (u64, u64) = (256 * 1024, 16 * 1024 * 1024);

/// From this size on, in bytes, the log is held up by somebody who reads for too long.
const LONG_WAL_BYTES: u64 = 48 * 1024 * 1024;

/// From this size on, in bytes, a backup takes too long: 4 GiB of inbox are copied in a minute, in which so much comes only
/// in a flood.
const LONG_WAL_BESIDE_BACKUP_BYTES: u64 = 1024 * 1024 * 1024;

/// How often a log that has grown beside readers is cut back, one that is held up for long, and how long that may wait
/// for them. They read in short windows.
const CUT_BACK_EVERY: Duration = Duration::from_millis(200);
const CUT_BACK_LONG_EVERY: Duration = Duration::from_secs(5);
const CUT_BACK_WAIT: Duration = Duration::from_millis(20);

/// Returns how large the write-ahead log is before it is copied, in bytes.
fn usual_wal_bytes(limits: Limits) -> u64 {
    (limits.max_bytes / WAL_PART).clamp(WAL_BYTES.0, WAL_BYTES.1)
}

/// The state of the upkeep.
#[derive(Debug)]
pub(super) struct Upkeep {
    retention: Retention,
    /// The limits that the connection is set up for.
    applied: Option<Limits>,
    /// Whether another step should follow at once.
    more: bool,
    /// Whether entries were removed that the files still hold.
    untidy: bool,
    cut_back: Instant,
    /// Whether it was too long after the last try.
    long_log: bool,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            retention: Retention::new(),
            applied: None,
            more: true,
            untidy: false,
            cut_back: Instant::now(),
            long_log: false,
        }
    }

    /// Forgets what was set up: the connection is a new one.
    pub(super) fn begin_anew(&mut self) {
        self.applied = None;
    }
}

impl Writer {
    /// Returns how long the writer may wait for entries before there is something to do without them, if only to show that
    /// it lives.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.upkeep.more {
            return Some(Duration::ZERO);
        }
        let upkeep = self.upkeep.retention.patience(&self.limits());
        upkeep.into_iter().chain(self.parts.heartbeat.max_wait()).min()
    }

    /// Does one bounded step of what is to be done.
    pub(super) fn keep_up(&mut self) {
        let limits = self.limits();
        let wal_bytes = self.file_bytes("-wal");
        let result = self.apply(limits).and_then(|()| {
            // What the write-ahead log may take, not what it takes now: to make up for its ups and downs would write
            // more into it. An index out of proportion is not to be made up for with messages.
            let beside = 2 * usual_wal_bytes(limits)
                + self.parts.reader.index().size_bytes().min(limits.max_bytes / 2);
            self.upkeep.retention.step(&mut self.connection, &limits, beside, clock::now_ns())
        });
        match result {
            Ok(Step { removed, more }) => {
                self.upkeep.more = more;
                self.parts.health.clear(Component::Retention);
                if removed > 0 {
                    debug!(removed, "removed the oldest entries");
                    self.removed += removed;
                    self.upkeep.untidy = true;
                    self.publish();
                }
            }
            Err(error) => {
                self.upkeep.more = false;
                let problem = explain("old entries cannot be removed from the inbox", &error);
                self.parts.health.report(Component::Retention, problem);
            }
        }
        self.cut_back_log(limits, wal_bytes);
    }

    /// Gives the space of what was removed back, now that nothing else is to be done.
    pub(super) fn tidy_up(&mut self) {
        if !self.upkeep.more && std::mem::take(&mut self.upkeep.untidy) {
            self.put_together();
        }
    }

    /// Copies the write-ahead log into the database and empties it, as far as readers let it.
    pub(super) fn put_together(&mut self) {
        if let Err(error) = self.checkpoint() {
            debug!("{}", explain("the write-ahead log cannot be cut back", &error));
        }
    }

    /// Fits the write-ahead log to the size of the inbox.
    fn apply(&mut self, limits: Limits) -> rusqlite::Result<()> {
        if self.upkeep.applied.replace(limits) == Some(limits) {
            return Ok(());
        }
        let bytes = usual_wal_bytes(limits);
        self.connection.pragma_update(None, "wal_autocheckpoint", bytes / u64::from(PAGE_SIZE_BYTES))?;
        self.connection.pragma_update(None, "journal_size_limit", bytes)
    }

    /// Cuts the write-ahead log back if it has grown long; tells if that is not to be had.
    fn cut_back_log(&mut self, limits: Limits, wal_bytes: u64) {
        if wal_bytes <= 2 * usual_wal_bytes(limits) {
            return self.parts.health.clear(Component::WriteAheadLog);
        }
        let long = self.upkeep.long_log;
        if self.upkeep.cut_back.elapsed() < if long { CUT_BACK_LONG_EVERY } else { CUT_BACK_EVERY } {
            return;
        }
        self.put_together();
        self.upkeep.cut_back = Instant::now();
        let wal_bytes = self.file_bytes("-wal");
        self.upkeep.long_log = wal_bytes >= LONG_WAL_BYTES;
        if self.upkeep.long_log
            && let Some(problem) = self.who_holds_the_log(wal_bytes)
        {
            self.parts.health.report(Component::WriteAheadLog, problem.to_owned());
        }
    }

    /// Says who keeps a long log from being cut back, if that is anything to worry about.
    fn who_holds_the_log(&self, wal_bytes: u64) -> Option<&'static str> {
        if !lock::is_shared(&self.parts.data_dir.join(DATA_DIR_LOCK)) {
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

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let usual = crate::inbox::file::BUSY_TIMEOUT;
        self.connection.busy_timeout(CUT_BACK_WAIT)?;
        let result = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(usual)?;
        result
    }

    fn file_bytes(&self, suffix: &str) -> u64 {
        let path = self.parts.data_dir.join(format!("{FILE_NAME}{suffix}"));
        fs::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

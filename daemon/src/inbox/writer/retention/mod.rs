//! Retention removes the oldest entries when the inbox becomes too large, or when they become too old.
//!
//! The writer calls it between its transactions. A step removes a bounded number of entries in a transaction of its own, so
//! that reception never waits long; SQLite uses the free pages again. Only the oldest entries are removed, and the newest
//! one always stays: ids have no holes, and continue from it.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, TransactionBehavior};
use udpchat_config::{Origin, Settings, Size};

use super::clock::ages::old_up_to;
use super::clock::history::History;
use super::clock::period::Reading;
use crate::inbox::file::PAGE_SIZE_BYTES;
use crate::inbox::queries::{Bounds, COUNT_NOT_RECEIVED, bounds};
use crate::inbox::recovery::{plan, skipped};

/// The size of a page of the database, in bytes.
const PAGE_BYTES: u64 = PAGE_SIZE_BYTES as u64;

/// How many entries a step removes at most: more than a transaction of the writer adds.
const STEP_ENTRIES: u64 = 20_000;

/// How much payload a step removes at most, in bytes, plus or minus an entry; also more than a transaction adds.
const STEP_BYTES: u64 = 16 * 1024 * 1024;

/// Where the disk has little room, steps are halved down to this much payload, in bytes: a few pages. What a step removes is
/// written to the write-ahead log, page by page.
const MIN_STEP_BYTES: u64 = 4 * PAGE_BYTES;

/// How many entries the smallest step may remove at most.
const MIN_STEP_ENTRIES: u64 = 256;

/// How many pages a step cuts off the end of the file at most, where the file is larger than allowed.
const STEP_PAGES: u64 = 64;

/// The part of the allowed size that is kept free for new entries, and that the file may exceed, as a divisor.
const PARTS: u64 = 64;

/// How many pages are kept free for new entries, at most.
const MAX_SPARE_PAGES: u64 = 512;

/// The approximate size of an entry without its payload, in bytes: addresses, time, overhead in the page.
const ENTRY_BYTES: u64 = 32;

/// The shortest and the longest interval between checks for entries that are too old.
const AGE_CHECKS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// The default size is at most this part of the file system, as a divisor; but up to 16 MiB the larger part of a small one, which
/// hardly holds anything else.
const PART_OF_FILE_SYSTEM: u64 = 10;
const PART_OF_SMALL_FILE_SYSTEM: u64 = 4;
const SMALL_INBOX_BYTES: u64 = 16 * 1024 * 1024;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The largest size of the inbox on the disk, in bytes.
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Option<Duration>,
}

impl Limits {
    /// Takes the limits from the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { max_bytes: settings.inbox.max_size.bytes(), max_age: settings.inbox.max_age.limit() }
    }
}

/// Limits the default of `inbox.max_size` to a part of the file system with the data directory.
pub(crate) fn limit_default_size(settings: &mut Settings, data_dir: &Path) {
    let max_size = &mut settings.inbox.max_size;
    if max_size.origin == Origin::Default
        && let Ok(disk) = statvfs(data_dir)
    {
        let part = part_of_file_system(disk.blocks() * disk.fragment_size());
        max_size.value = max_size.value.min(Size::from_bytes(part));
    }
}

/// Returns the part of a file system that the inbox takes at most by default, in bytes.
fn part_of_file_system(bytes: u64) -> u64 {
    (bytes / PART_OF_FILE_SYSTEM).max((bytes / PART_OF_SMALL_FILE_SYSTEM).min(SMALL_INBOX_BYTES))
}

/// The result of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many entries were removed.
    pub(crate) removed: u64,
    /// How many of them were received messages that no consumer had read.
    pub(crate) removed_unread: u64,
    /// Whether another step should follow at once.
    pub(crate) more: bool,
}

/// Keeps the inbox within its limits.
#[derive(Debug)]
pub(crate) struct Retention {
    next_age_check: Instant,
    /// How much payload the next step removes at most, in bytes.
    step_bytes: u64,
}

impl Retention {
    pub(crate) fn new() -> Self {
        Self { next_age_check: Instant::now(), step_bytes: STEP_BYTES }
    }

    /// Halves the next steps after one found no room on the disk; returns whether it may be smaller than the last one.
    pub(super) fn take_smaller_steps(&mut self) -> bool {
        let smaller = (self.step_bytes / 2).max(MIN_STEP_BYTES);
        std::mem::replace(&mut self.step_bytes, smaller) > smaller
    }

    /// Returns whether the steps are smaller than usual, since the disk has had little room.
    pub(super) fn takes_smaller_steps(&self) -> bool {
        self.step_bytes < STEP_BYTES
    }

    /// Returns how many entries the next step removes at most.
    fn step_entries(&self) -> u64 {
        (STEP_ENTRIES * self.step_bytes / STEP_BYTES).max(MIN_STEP_ENTRIES)
    }

    /// Returns how long the writer may wait before the next step is due; none if none becomes due.
    pub(crate) fn max_wait(&self, limits: &Limits) -> Option<Duration> {
        limits.max_age.map(|_| self.next_age_check.saturating_duration_since(Instant::now()))
    }

    /// Makes the next step judge ages.
    #[cfg(test)]
    pub(super) fn check_ages(&mut self) {
        self.next_age_check = Instant::now();
    }

    /// Removes a bounded part of what exceeds the limits. `beside_bytes` is the size of the inbox's files other than the
    /// database. Without a history of the clock that includes the reading, no age is judged.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        limits: &Limits,
        beside_bytes: u64,
        clock: Option<(&History, Reading)>,
    ) -> rusqlite::Result<Step> {
        let pages = Pages::of(connection)?;
        let allowed = limits.max_bytes.saturating_sub(beside_bytes) / PAGE_BYTES;
        // Of a tiny inbox most is for entries.
        let spare = (allowed / PARTS).clamp(16, MAX_SPARE_PAGES).min(allowed / 4);
        let excess_bytes = (pages.used() + spare).saturating_sub(allowed) * PAGE_BYTES;
        let old = self.too_old(connection, limits, clock)?;
        let cut = if excess_bytes > 0 || old > 0 {
            self.cut(connection, excess_bytes, old)?
        } else {
            Cut::default()
        };
        let Removed { entries: removed, unread } = remove(connection, cut.id)?;
        let more = cut.more && removed > 0;
        if more {
            // Only after a success: what fails is not tried again without a pause.
            self.next_age_check = Instant::now();
        }
        let pages = if removed > 0 { Pages::of(connection)? } else { pages };
        let shrunk = self.shrink(connection, &pages, allowed)?;
        if removed > 0 || shrunk {
            self.step_bytes = (self.step_bytes * 2).min(STEP_BYTES);
        }
        Ok(Step { removed, removed_unread: unread, more: shrunk || more })
    }

    /// Returns up to which id entries are too old; 0 if none are, or if the next check is not due.
    fn too_old(
        &mut self,
        connection: &Connection,
        limits: &Limits,
        clock: Option<(&History, Reading)>,
    ) -> rusqlite::Result<u64> {
        let (Some(max_age), Some((history, reading)), now) = (limits.max_age, clock, Instant::now()) else {
            return Ok(0);
        };
        if now < self.next_age_check {
            return Ok(0);
        }
        self.next_age_check = now + (max_age / 20).clamp(AGE_CHECKS.0, AGE_CHECKS.1);
        let Bounds { oldest, newest } = bounds(connection)?;
        let ids = oldest..newest.min(oldest + STEP_ENTRIES);
        old_up_to(connection, history, &reading, max_age, &ids)
    }

    /// Finds the oldest entries that take `excess_bytes`, and those up to the id `old`; no more than a step may remove.
    fn cut(&self, connection: &Connection, excess_bytes: u64, old: u64) -> rusqlite::Result<Cut> {
        let mut statement =
            connection.prepare_cached("SELECT id, length(payload) FROM entry ORDER BY id LIMIT ?1")?;
        let mut rows = statement.query([self.step_entries()])?;
        let (mut last, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            if bytes >= excess_bytes && id > old {
                return Ok(Cut { id: last, more: false });
            }
            if bytes >= self.step_bytes {
                break;
            }
            bytes += row.get::<_, Option<u64>>(1)?.unwrap_or(0) + ENTRY_BYTES;
            last = id;
        }
        Ok(Cut { id: last, more: true })
    }

    /// Gives a part of the free pages back to the file system, where the file is larger than allowed; returns whether more
    /// remain.
    fn shrink(&self, connection: &Connection, pages: &Pages, allowed: u64) -> rusqlite::Result<bool> {
        let excess = pages.file.saturating_sub(allowed).min(pages.free);
        // Moving pages is not worth it for a small excess: in a stream the free pages are used again soon.
        if excess <= (allowed / PARTS).max(STEP_PAGES) || !pages.can_shrink {
            return Ok(false);
        }
        let step = STEP_PAGES.min(self.step_bytes / PAGE_BYTES);
        // The pragma returns a row for each page.
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({step})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(excess > 2 * STEP_PAGES)
    }
}

/// Up to which entry a step removes.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    id: u64,
    /// Whether more is to be removed than one step may.
    more: bool,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default)]
struct Removed {
    entries: u64,
    /// How many of them were received messages that no consumer had read.
    unread: u64,
}

/// Removes the entries up to an id, but never the newest one.
fn remove(connection: &mut Connection, up_to: u64) -> rusqlite::Result<Removed> {
    const IDS: &str =
        "SELECT coalesce((SELECT min(id) FROM entry), 1), coalesce((SELECT max(id) FROM entry), 1) - 1,
         coalesce((SELECT max(read_id) FROM consumer), 0)";
    let ids = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get(2)?));
    let (oldest, last, read): (_, _, u64) = connection.prepare_cached(IDS)?.query_row([], ids)?;
    let last = up_to.min(last);
    if last < oldest {
        return Ok(Removed::default());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let others: u64 =
        transaction.prepare_cached(COUNT_NOT_RECEIVED)?.query_row([read, last], |row| row.get(0))?;
    // Two statements: SQLite counts what each removes, and nothing is read twice.
    let remove = |last| transaction.prepare_cached("DELETE FROM entry WHERE id <= ?1")?.execute([last]);
    let read = remove(read.min(last))? as u64;
    let unread = remove(last)? as u64;
    show_older_ids(&transaction, oldest)?;
    // Otherwise a recovery would bring older entries than those that are removed, and leave a hole behind them.
    plan::drop_up_to(&transaction, last)?;
    skipped::drop_up_to(&transaction, last)?;
    transaction.commit()?;
    Ok(Removed { entries: read + unread, unread: unread.saturating_sub(others) })
}

/// Notes in the log that it continues an earlier one, once its recovered entries are removed: they were older than its own
/// first one, and readers that had not come to them get a gap.
fn show_older_ids(connection: &Connection, removed: u64) -> rusqlite::Result<()> {
    let lower = "UPDATE log SET first_id = 1 WHERE first_id > ?1 AND first_id <= (SELECT min(id) FROM entry)";
    connection.prepare_cached(lower)?.execute([removed]).map(drop)
}

/// How many pages the file has, and how they are used.
#[derive(Clone, Copy, Debug)]
struct Pages {
    file: u64,
    free: u64,
    can_shrink: bool,
}

impl Pages {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let pragma = |name: &str| -> rusqlite::Result<u64> {
            connection.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
        };
        Ok(Self {
            file: pragma("page_count")?,
            free: pragma("freelist_count")?,
            can_shrink: pragma("auto_vacuum")? == 2,
        })
    }

    fn used(&self) -> u64 {
        self.file - self.free
    }
}

#[cfg(test)]
mod tests;

//! Retention: the oldest entries go when the inbox becomes too large, or they too old.
//!
//! The writer calls it between its transactions. A step removes a bounded number of entries in a transaction of its
//! own, so that reception is never held up; the pages that become free are used again. Only the oldest entries
//! go, and the newest one always stays: ids have no holes, and go on from it.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use udpchat_config::{Origin, Settings, Size};

use crate::inbox::file::PAGE_SIZE_BYTES;
use crate::inbox::reader::{Bounds, bounds};

/// The size of a page of the database, in bytes.
const PAGE_BYTES: u64 = PAGE_SIZE_BYTES as u64;

/// How many entries a step removes at most: more than a transaction of the writer adds.
const STEP_ENTRIES: u64 = 20_000;

/// How much payload a step removes at most, in bytes, an entry more or less; also more than a transaction adds.
const STEP_BYTES: u64 = 16 * 1024 * 1024;

/// How many pages a step takes off the end of the file at most, where it is larger than it may be.
const STEP_PAGES: u64 = 64;

/// Which part of what is allowed is kept free for what comes next, and may be too much, as a divisor.
const PARTS: u64 = 64;

/// How many pages are kept free for what comes next, at most.
const MAX_SPARE_PAGES: u64 = 512;

/// What an entry takes beside its payload, in bytes, roughly: its addresses, its time, its place in the page.
const ENTRY_BYTES: u64 = 32;

/// How often it is looked for entries that have become too old, at most and at least.
const AGE_CHECKS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// A clock that jumps ahead by more than this may have been set wrongly.
const CLOCK_JUMP: Duration = Duration::from_secs(10 * 60);

/// How long nothing goes for its age after such a jump. Time enough to notice, and for the clock to be set right.
const AFTER_CLOCK_JUMP: Duration = Duration::from_secs(60 * 60);

/// The default of the size is at most this part of the file system, as a divisor.
const PART_OF_FILE_SYSTEM: u64 = 10;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most that the inbox may take on the disk, in bytes.
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Option<Duration>,
}

impl Limits {
    /// Takes the limits from the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { max_bytes: settings.inbox.max_size.bytes(), max_age: settings.inbox.max_age.limit() }
    }
}

/// Limits the default of `inbox.max_size` to a tenth of the file system with the data directory.
pub(crate) fn limit_default_size(settings: &mut Settings, data_dir: &Path) {
    let max_size = &mut settings.inbox.max_size;
    if max_size.origin == Origin::Default
        && let Ok(disk) = statvfs(data_dir)
    {
        let tenth = disk.blocks() * disk.fragment_size() / PART_OF_FILE_SYSTEM;
        max_size.value = max_size.value.min(Size::from_bytes(tenth));
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// How many entries were removed.
    pub(crate) removed: u64,
    /// Whether another step should follow at once.
    pub(crate) more: bool,
}

/// Keeps the inbox within its limits.
#[derive(Debug)]
pub(crate) struct Retention {
    clock: Clock,
    next_age_check: Instant,
}

impl Retention {
    pub(crate) fn new() -> Self {
        Self { clock: Clock::new(), next_age_check: Instant::now() }
    }

    /// Returns how long the writer may sleep before the next step is due; for ever, if nothing can become due.
    pub(crate) fn patience(&self, limits: &Limits) -> Option<Duration> {
        limits.max_age.map(|_| self.next_age_check.saturating_duration_since(Instant::now()))
    }

    /// Removes what is too much, a bounded part of it. `beside_bytes` is what the inbox takes on the disk beside its
    /// database; `now_ns` is the time of now, in nanoseconds since 1970.
    pub(crate) fn step(
        &mut self,
        connection: &mut Connection,
        limits: &Limits,
        beside_bytes: u64,
        now_ns: i64,
    ) -> rusqlite::Result<Step> {
        let pages = Pages::of(connection)?;
        let allowed = limits.max_bytes.saturating_sub(beside_bytes) / PAGE_BYTES;
        let spare = (allowed / PARTS).clamp(16, MAX_SPARE_PAGES);
        let excess_bytes = (pages.used() + spare).saturating_sub(allowed) * PAGE_BYTES;
        let old = self.too_old(connection, limits, now_ns)?;
        let cut =
            if excess_bytes > 0 || old > 0 { cut(connection, excess_bytes, old)? } else { Cut::default() };
        let removed = remove(connection, cut.id)?;
        let more = cut.more && removed > 0;
        if more {
            // Only once something went: what fails is not tried again without a pause.
            self.next_age_check = Instant::now();
        }
        let pages = if removed > 0 { Pages::of(connection)? } else { pages };
        let shrunk = shrink(connection, &pages, allowed)?;
        Ok(Step { removed, more: shrunk || more })
    }

    /// Returns up to which id entries have become too old; 0 if none, or if it is not time to look.
    fn too_old(&mut self, connection: &Connection, limits: &Limits, now_ns: i64) -> rusqlite::Result<u64> {
        let (Some(max_age), now) = (limits.max_age, Instant::now()) else { return Ok(0) };
        if now < self.next_age_check {
            return Ok(0);
        }
        self.next_age_check = now + (max_age / 20).clamp(AGE_CHECKS.0, AGE_CHECKS.1);
        if self.clock.is_doubtful(now, now_ns) {
            return Ok(0);
        }
        let cutoff_ns = now_ns.saturating_sub(i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX));
        let Bounds { oldest, newest } = bounds(connection)?;
        let end = newest.min(oldest + STEP_ENTRIES);
        // An entry from the future tells that the clock was wrong, not that it is new.
        let young =
            "SELECT id FROM entry WHERE id >= ?1 AND id < ?2 AND at_ns BETWEEN ?3 AND ?4 ORDER BY id LIMIT 1";
        let young: Option<u64> = connection
            .prepare_cached(young)?
            .query_row(params![oldest, end, cutoff_ns, now_ns], |row| row.get(0))
            .optional()?;
        Ok(young.unwrap_or(end).saturating_sub(1))
    }
}

/// Up to which entry a step goes.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    id: u64,
    /// Whether more should go than a step may remove.
    more: bool,
}

/// Finds the oldest entries that take so many bytes, and those up to the id `old`; no more than a step may remove.
fn cut(connection: &Connection, excess_bytes: u64, old: u64) -> rusqlite::Result<Cut> {
    let mut statement =
        connection.prepare_cached("SELECT id, length(payload) FROM entry ORDER BY id LIMIT ?1")?;
    let mut rows = statement.query([STEP_ENTRIES])?;
    let (mut last, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if bytes >= excess_bytes && id > old {
            return Ok(Cut { id: last, more: false });
        }
        if bytes >= STEP_BYTES {
            break;
        }
        bytes += row.get::<_, Option<u64>>(1)?.unwrap_or(0) + ENTRY_BYTES;
        last = id;
    }
    Ok(Cut { id: last, more: true })
}

/// Removes the entries up to an id, but never the newest; returns how many.
fn remove(connection: &mut Connection, up_to: u64) -> rusqlite::Result<u64> {
    let Bounds { oldest, newest } = bounds(connection)?;
    let last = up_to.min(newest.saturating_sub(1));
    if last < oldest {
        return Ok(0);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed = transaction.prepare_cached("DELETE FROM entry WHERE id <= ?1")?.execute([last])?;
    transaction.commit()?;
    Ok(removed as u64)
}

/// Gives a part of the free pages back to the file system, where the file is larger than it may be; tells whether
/// there is more to give.
fn shrink(connection: &Connection, pages: &Pages, allowed: u64) -> rusqlite::Result<bool> {
    let excess = pages.file.saturating_sub(allowed).min(pages.free);
    // A few pages more or less are not worth moving others for: in a stream they are used again soon.
    if excess <= (allowed / PARTS).max(STEP_PAGES) || !pages.can_shrink {
        return Ok(false);
    }
    // It returns a row for each page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(excess > 2 * STEP_PAGES)
}

/// How the file is used.
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

/// Watches the clock of the system for jumps ahead: a clock that is wrong for a moment must not remove everything.
#[derive(Debug)]
struct Clock {
    last: Option<(Instant, i64)>,
    doubtful_until: Option<Instant>,
}

impl Clock {
    fn new() -> Self {
        Self { last: None, doubtful_until: None }
    }

    /// Tells whether the clock has jumped ahead not long ago.
    fn is_doubtful(&mut self, now: Instant, now_ns: i64) -> bool {
        if let Some((last, last_ns)) = self.last.replace((now, now_ns)) {
            let passed_ns = i64::try_from((now - last + CLOCK_JUMP).as_nanos()).unwrap_or(i64::MAX);
            if now_ns.saturating_sub(last_ns) > passed_ns {
                tracing::warn!(
                    "the system's clock has jumped ahead: for an hour no entry is removed for its age"
                );
                self.doubtful_until = Some(now + AFTER_CLOCK_JUMP);
            }
        }
        self.doubtful_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests;

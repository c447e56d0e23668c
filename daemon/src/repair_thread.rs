//! The thread that repairs the inbox: it recovers the entries of a damaged one, and otherwise looks for damage, slowly.
//!
//! It reads, and passes what it recovers to the writer in bounded chunks, each when the one before is durable, so that
//! reception and clients come between them. It looks for damage in steps of at most 1 MiB every ten seconds, each some
//! milliseconds long: below 0.1 % of a core. After a whole pass it rests until a day has passed since the pass began.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::info;

use crate::error::reason;
use crate::health::Component;
use crate::inbox::InboxError;
use crate::inbox::queue::RecoveredItem;
use crate::inbox::reader::Disk;
use crate::inbox::recovery::plan::Segment;
use crate::inbox::recovery::segment::{self, Chunk};
use crate::state::Daemon;

/// How often to check a part of the log, and how often to check all of it.
const STEP_EVERY: Duration = Duration::from_secs(10);
const PASS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait after the damaged file could not be read, and while the queue is full.
const AFTER_ERROR: Duration = Duration::from_secs(60);
const WHILE_FULL: Duration = Duration::from_millis(100);

/// How long to wait after a chunk could not be stored.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How much it leaves free on the disk at most, in bytes: for the write-ahead log and the index, and for messages until the
/// administrator makes room. On a small disk it is this part of the disk, as a divisor.
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
const PART_OF_DISK: u64 = 10;

/// How often a chunk is written: to the write-ahead log and to the database.
const COPIES_OF_CHUNK: u64 = 2;

/// How long it pauses while it reads a damaged file, each time after some MiB.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// Starts the thread, which runs until the daemon stops.
pub(crate) fn start(daemon: Arc<Daemon>) -> io::Result<()> {
    let work = move || {
        let mut check = Check::from_the_beginning(&daemon);
        let mut totals = Totals::new();
        while !stopping(&daemon) {
            match next(daemon.reader.damage().awaited().is_some(), || daemon.reader.recovery_plan()) {
                Next::Recover(plan) => recover(&daemon, &plan, &mut totals),
                Next::Check => check.step(&daemon),
                Next::Wait => thread::sleep(WHILE_FULL),
            }
        }
    };
    // The end of the thread need not be awaited: what is not recovered is in the plan.
    thread::Builder::new().name("repair".to_owned()).spawn(work).map(drop)
}

fn stopping(daemon: &Daemon) -> bool {
    *daemon.stopping.borrow()
}

/// What was recovered of each damaged file since the start of the daemon.
type Totals = BTreeMap<PathBuf, Total>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    entries: u64,
    lost: u64,
}

impl Total {
    fn add(&mut self, entries: u64, lost: u64) {
        self.entries += entries;
        self.lost += lost;
    }

    fn describe(self, file: &Path) -> String {
        let Self { entries, lost } = self;
        format!(
            "the inbox was damaged; it was moved to {}; {entries} of its entries were recovered, {lost} are lost and have a \
             gap",
            file.display()
        )
    }
}

/// What the thread does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Recover(Vec<Segment>),
    Check,
    Wait,
}

/// Decides that by whether readers wait for a recovery, and by its plan.
fn next(is_awaited: bool, plan: impl FnOnce() -> Result<Vec<Segment>, InboxError>) -> Next {
    if !is_awaited {
        return Next::Check;
    }
    // The plan may not be readable now, or the writer has not yet seen that it is empty.
    plan().ok().filter(|segments| !segments.is_empty()).map_or(Next::Wait, Next::Recover)
}

/// Returns how much a recovery leaves free on a disk, in bytes.
fn reserve_bytes(disk: Disk) -> u64 {
    RESERVE_BYTES.min(disk.size_bytes / PART_OF_DISK)
}

/// Returns whether a recovery may write a chunk.
fn has_room(disk: Disk, chunk_bytes: u64) -> bool {
    disk.free_bytes >= reserve_bytes(disk) + COPIES_OF_CHUNK * chunk_bytes
}

/// Waits until a chunk may be added; false if it is no longer planned, or the daemon stops.
fn wait_for_room(daemon: &Daemon, chunk: &Chunk) -> bool {
    // What is older than removed entries is no longer planned.
    let is_planned = || daemon.reader.damage().awaited().is_some_and(|(planned, _)| planned <= chunk.first);
    while is_planned() && !stopping(daemon) {
        match daemon.reader.disk() {
            Some(disk) if !has_room(disk, chunk.size_bytes() as u64) => {
                daemon.health.report(Component::Recovery, waits_for_room(disk));
                thread::sleep(WHILE_FULL);
            }
            // An unknown free space counts as room: the writer reports a full disk.
            _ => {
                daemon.health.clear(Component::Recovery);
                return true;
            }
        }
    }
    daemon.health.clear(Component::Recovery);
    false
}

fn waits_for_room(disk: Disk) -> String {
    format!(
        "the recovery of the damaged inbox waits for room on the disk: {} MiB are kept free for new messages",
        reserve_bytes(disk).div_ceil(1 << 20)
    )
}

/// Recovers the first file of a plan, or a part of it where it is interrupted.
fn recover(daemon: &Daemon, plan: &[Segment], totals: &mut Totals) {
    let Some(Segment { file, .. }) = plan.first() else { return };
    let go_on = || {
        thread::sleep(READ_PAUSE);
        !stopping(daemon)
    };
    // A file may be recovered in several parts.
    let total = totals.entry(file.clone()).or_default();
    let recovered = segment::recover(plan, &go_on, |chunk| {
        if !wait_for_room(daemon, &chunk) {
            return false;
        }
        let entries = chunk.rows.len() as u64;
        let (stored, done) = oneshot::channel();
        let mut item = Box::new(RecoveredItem { chunk, stored: Some(stored) });
        while let Err(returned) = daemon.queue.recover(item) {
            if stopping(daemon) {
                return false;
            }
            item = returned;
            thread::sleep(WHILE_FULL);
        }
        // Without an answer it was given up; the plan still has it.
        let Ok(lost) = done.blocking_recv() else { return false };
        total.add(entries, lost);
        true
    });
    match recovered {
        Ok(true) => report(daemon, file, *total),
        // The queue was closed, the plan has changed, or the chunk could not be stored.
        Ok(false) => thread::sleep(AFTER_FAILURE),
        Err(error) => {
            let problem = format!(
                "the damaged inbox {file} cannot be read ({reason}), so that its entries are not recovered; `udpchatd \
                 --recover` does that later",
                file = file.display(),
                reason = reason(&error)
            );
            daemon.health.note(Component::InboxQuarantine, problem);
            let again = Instant::now() + AFTER_ERROR;
            while Instant::now() < again && !stopping(daemon) {
                thread::sleep(WHILE_FULL);
            }
        }
    }
}

fn report(daemon: &Daemon, file: &Path, total: Total) {
    let Total { entries, lost } = total;
    info!(file = %file.display(), entries, lost, "recovered the entries of a damaged inbox");
    daemon.health.note(Component::InboxQuarantine, total.describe(file));
}

/// The slow check of the log.
struct Check {
    /// The file that it checks, by its number among those that were open. It is another number too once damage was forgotten.
    generation: u64,
    after: u64,
    began: Instant,
    next: Instant,
}

impl Check {
    fn from_the_beginning(daemon: &Daemon) -> Self {
        let (began, generation) = (Instant::now(), daemon.reader.damage().generation());
        Self { generation, after: 0, began, next: began + STEP_EVERY }
    }

    fn step(&mut self, daemon: &Daemon) {
        daemon.reader.damage().wait_for_recovery(self.next.saturating_duration_since(Instant::now()));
        if daemon.reader.damage().generation() != self.generation {
            *self = Self::from_the_beginning(daemon);
        }
        if Instant::now() < self.next || stopping(daemon) {
            return;
        }
        self.next = Instant::now() + STEP_EVERY;
        // The next read reports an error; damage is noted.
        match daemon.reader.check(self.after) {
            Ok(Some(end)) => self.after = end,
            Ok(None) => {
                self.after = 0;
                self.next = self.next.max(self.began + PASS_EVERY);
                self.began = self.next;
            }
            Err(_) => self.after = 0,
        }
        daemon.report_damage();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_needs_a_tenth_of_it_free() {
        const MIB: u64 = 1 << 20;
        for (size, free, expected) in
            [(1_000, 64, false), (1_000, 65, true), (40, 4, false), (40, 5, true), (1_000_000, 65, true)]
        {
            let disk = Disk { size_bytes: size * MIB, free_bytes: free * MIB };
            assert_eq!(has_room(disk, MIB / 4), expected, "{size} {free}");
        }
    }

    #[test]
    fn each_damaged_file_has_its_own_numbers() {
        let mut totals = Totals::new();
        for (file, entries, lost) in [("one", 5, 1), ("two", 7, 0), ("one", 3, 2)] {
            totals.entry(file.into()).or_default().add(entries, lost);
        }
        for (file, expected) in [("one", "8 of its entries were recovered, 3 are lost"), ("two", "7 of its")]
        {
            let described = totals[Path::new(file)].describe(Path::new(file));
            assert!(described.contains(&format!("moved to {file}; {expected}")), "{described}");
        }
    }

    #[test]
    fn a_plan_that_cannot_be_read_is_waited_for() {
        let plan = vec![Segment { first: 1, last: 9, file: "damaged".into() }];
        assert_eq!(next(true, || Ok(plan.clone())), Next::Recover(plan));
        assert_eq!(next(true, || Err(InboxError::NotOpen)), Next::Wait);
        assert_eq!(next(true, || Ok(Vec::new())), Next::Wait);
        assert_eq!(next(false, || panic!("nothing is to be recovered")), Next::Check);
    }
}

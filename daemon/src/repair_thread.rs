//! The thread that repairs the inbox: it recovers the entries of a damaged one, and otherwise looks for damage, slowly.
//!
//! It reads, and passes what it recovers to the writer in bounded chunks, each when the one before is durable, so that
//! reception and clients come between them. It looks for damage in steps of at most 1 MiB every ten seconds, each some
//! milliseconds long: below 0.1 % of a core. After a whole pass it rests until a day has passed since the pass began.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::info;

use crate::error::reason;
use crate::health::Component;
use crate::inbox::queue::RecoveredItem;
use crate::inbox::recovery::plan::Segment;
use crate::inbox::recovery::segment;
use crate::state::Daemon;

/// How often to check a part of the log, and how often to check all of it.
const STEP_EVERY: Duration = Duration::from_secs(10);
const PASS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long to wait after the damaged file could not be read, and while the queue is full.
const AFTER_ERROR: Duration = Duration::from_secs(60);
const WHILE_FULL: Duration = Duration::from_millis(100);

/// How long to wait after a chunk could not be stored.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long it pauses while it reads a damaged file, each time after some MiB.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// Starts the thread, which runs until the daemon stops.
pub(crate) fn start(daemon: Arc<Daemon>) -> io::Result<()> {
    let work = move || {
        let mut check = Check { after: 0, began: Instant::now(), next: Instant::now() + STEP_EVERY };
        let mut total = Total::default();
        while !stopping(&daemon) {
            match next_segment(&daemon) {
                Some(segment) => recover(&daemon, &segment, &mut total),
                None => check.step(&daemon),
            }
        }
    };
    // The end of the thread need not be awaited: what is not recovered is in the plan.
    thread::Builder::new().name("repair".to_owned()).spawn(work).map(drop)
}

fn stopping(daemon: &Daemon) -> bool {
    *daemon.stopping.borrow()
}

/// What was recovered since the start of the daemon.
#[derive(Debug, Default)]
struct Total {
    entries: u64,
    lost: u64,
}

fn next_segment(daemon: &Daemon) -> Option<Segment> {
    daemon.reader.damage().awaited()?;
    let next = daemon.reader.recovery_plan().ok().and_then(|segments| segments.into_iter().next());
    if next.is_none() {
        // The plan cannot be read now, or the writer has not yet seen that it is empty.
        thread::sleep(WHILE_FULL);
    }
    next
}

/// Recovers a segment, or a part of it where it is interrupted.
fn recover(daemon: &Daemon, segment: &Segment, total: &mut Total) {
    let go_on = || {
        thread::sleep(READ_PAUSE);
        !stopping(daemon)
    };
    let recovered = segment::recover(segment, &go_on, |chunk| {
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
        (total.entries, total.lost) = (total.entries + entries, total.lost + lost);
        true
    });
    match recovered {
        Ok(true) => report(daemon, segment, total),
        // The queue was closed, or the chunk could not be stored.
        Ok(false) => thread::sleep(AFTER_FAILURE),
        Err(error) => {
            let problem = format!(
                "the damaged inbox {} cannot be read ({}), so that its entries are not recovered; `udpchatd --recover` \
                 does that later",
                segment.file.display(),
                reason(&error)
            );
            daemon.health.note(Component::InboxQuarantine, problem);
            let again = Instant::now() + AFTER_ERROR;
            while Instant::now() < again && !stopping(daemon) {
                thread::sleep(WHILE_FULL);
            }
        }
    }
}

fn report(daemon: &Daemon, segment: &Segment, total: &Total) {
    let Total { entries, lost } = total;
    info!(entries, lost, "recovered the entries of a damaged inbox");
    let problem = format!(
        "the inbox was damaged; it was moved to {}; {entries} of its entries were recovered, {lost} are lost and have a gap",
        segment.file.display()
    );
    daemon.health.note(Component::InboxQuarantine, problem);
}

/// The slow check of the log.
struct Check {
    after: u64,
    began: Instant,
    next: Instant,
}

impl Check {
    fn step(&mut self, daemon: &Daemon) {
        daemon.reader.damage().wait_for_recovery(self.next.saturating_duration_since(Instant::now()));
        if Instant::now() < self.next || stopping(daemon) {
            return;
        }
        self.next = Instant::now() + STEP_EVERY;
        // An error is reported by whoever reads next; damage is noted.
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

//! The thread that keeps the inbox's index up to date, behind the writer, without slowing reception.
//!
//! It wakes when the log has grown by a block, works in steps of some milliseconds, and pauses while datagrams arrive at a
//! high rate. While idle it has no timer and makes no system call. It may end at any moment, with the process or by a
//! panic: blocks that are not indexed are then read entry by entry.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::error;
use crate::health::Component;
use crate::inbox::commit_watch::{CommitWatch, Committed};
use crate::inbox::reader::Reader;
use crate::index::SEGMENT_IDS;
use crate::index::indexer::{Indexer, Step, StepError};
use crate::state::Daemon;

/// How long the rate of new entries is measured, and how long a measurement counts.
const MEASURED: Duration = Duration::from_millis(100);
const VALID_FOR: Duration = Duration::from_secs(1);

/// From the first rate on, in entries a second, it pauses after each block; from the second on, it indexes nothing until the
/// rate falls.
const BUSY: u64 = 20_000;
const FLOOD: u64 = 100_000;
const PAUSE: Duration = Duration::from_millis(5);

/// How long it waits after a flood: datagrams arrive in bursts.
const AFTER_FLOOD: Duration = Duration::from_secs(2);

/// How long it waits after an error.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The least time between the creation of two indexes.
const CREATE_EVERY: Duration = Duration::from_secs(60);

/// Starts the thread, which runs until the inbox is closed or the daemon stops.
pub(crate) fn start(daemon: Arc<Daemon>) -> io::Result<()> {
    // It only waits for other threads: no timer, no socket.
    let runtime = Builder::new_current_thread().build()?;
    let work = move || {
        let _guard = ReportPanic(Arc::clone(&daemon));
        let mut commits = daemon.commits.clone();
        let mut work = Work::new(&daemon);
        while runtime.block_on(work.wait(&mut commits)) {
            work.run_steps(&commits);
        }
    };
    // The end of the thread need not be awaited: an index is complete after every step.
    thread::Builder::new().name("index".to_owned()).spawn(work).map(drop)
}

/// Reports a panic of the thread, after which the index is not updated any more.
struct ReportPanic(Arc<Daemon>);

impl Drop for ReportPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            let problem = "updating the index of the inbox has failed; filters take longer until a restart";
            self.0.health.report(Component::Index, problem.to_owned());
        }
    }
}

/// The state of the thread.
struct Work<'a> {
    daemon: &'a Daemon,
    indexer: Indexer,
    rate: Rate,
    /// When an index was last created.
    created: Option<Instant>,
    /// How many entries retention had removed at the last step.
    removed: u64,
}

impl<'a> Work<'a> {
    fn new(daemon: &'a Arc<Daemon>) -> Self {
        Self {
            daemon,
            indexer: Indexer::new(Arc::clone(daemon.reader.index()), Arc::<Reader>::clone(&daemon.reader)),
            rate: Rate {
                since: Instant::now(),
                newest_id: daemon.commits.now().newest_id,
                per_second: None,
                flooded: None,
            },
            created: None,
            removed: 0,
        }
    }

    /// Waits until there may be work; false at the end.
    async fn wait(&self, commits: &mut CommitWatch) -> bool {
        while !self.has_work(commits.see()) {
            tokio::select! {
                open = commits.changed() => if !open { return false },
                () = self.daemon.reader.index().is_wanted() => {}
            }
        }
        !self.stopping()
    }

    /// Does steps until there is no work.
    fn run_steps(&mut self, commits: &CommitWatch) {
        while self.has_work(commits.now()) && !self.stopping() {
            self.indexer.give_room();
            if self.daemon.reader.index().is_paused() {
                thread::sleep(RETRY_WAIT);
                continue;
            }
            match self.rate.pause(commits.now().newest_id) {
                Pause::None => {}
                Pause::Before => {
                    thread::sleep(MEASURED);
                    continue;
                }
                Pause::Short => thread::sleep(PAUSE),
            }
            self.removed = commits.now().removed;
            self.step();
        }
        self.indexer.release_memory();
    }

    /// Returns whether there may be blocks to add, or a segment of removed entries.
    fn has_work(&self, committed: Committed) -> bool {
        let newest_id = self.daemon.reader.damage().complete_to(committed.newest_id);
        self.indexer.has_work(newest_id) || committed.removed.saturating_sub(self.removed) >= SEGMENT_IDS
    }

    fn step(&mut self) {
        let stepped = self.indexer.step();
        self.daemon.report_damage();
        match stepped {
            Ok(Step::Created) => {
                // It was written; the wait below is no failure.
                self.daemon.health.succeeded(Component::Index);
                let before = self.created.replace(Instant::now());
                if before.is_some_and(|before| before.elapsed() < CREATE_EVERY) {
                    self.sleep(CREATE_EVERY);
                }
            }
            Ok(Step::Done | Step::Idle) => {
                self.daemon.health.succeeded(Component::Index);
            }
            Err(error) => {
                if let StepError::Index(_) = error {
                    self.daemon.health.report(Component::Index, error::chain(&error).join(": "));
                }
                self.indexer.release_memory();
                self.sleep(RETRY_WAIT);
            }
        }
    }

    fn sleep(&self, whole: Duration) {
        let until = Instant::now() + whole;
        while Instant::now() < until && !self.stopping() {
            thread::sleep(RETRY_WAIT.min(whole));
        }
    }

    fn stopping(&self) -> bool {
        *self.daemon.stopping.borrow()
    }
}

/// How fast the log grows.
struct Rate {
    since: Instant,
    newest_id: u64,
    /// As last measured; not known at first, and after an idle time.
    per_second: Option<u64>,
    /// When a flood was last measured.
    flooded: Option<Instant>,
}

/// What to do before the next block is indexed.
enum Pause {
    None,
    /// Sleep, then index it.
    Short,
    /// Sleep, then decide again.
    Before,
}

impl Rate {
    /// Returns whether the next block may be indexed now.
    fn pause(&mut self, newest_id: u64) -> Pause {
        let elapsed = self.since.elapsed();
        if elapsed >= MEASURED {
            let grown = newest_id.saturating_sub(self.newest_id);
            let per_second = u128::from(grown) * 1_000 / elapsed.as_millis().max(1);
            let known = (elapsed <= VALID_FOR).then(|| u64::try_from(per_second).unwrap_or(u64::MAX));
            let now = Instant::now();
            let flooded = if per_second >= u128::from(FLOOD) { Some(now) } else { self.flooded };
            *self = Self { since: now, newest_id, per_second: known, flooded };
        }
        if self.flooded.is_some_and(|flooded| flooded.elapsed() < AFTER_FLOOD) {
            return Pause::Before;
        }
        match self.per_second {
            Some(0..BUSY) => Pause::None,
            Some(BUSY..FLOOD) => Pause::Short,
            _ => Pause::Before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(elapsed: Duration, grown: u64) -> Pause {
        let since = Instant::now().checked_sub(elapsed).unwrap();
        Rate { since, newest_id: 1_000, per_second: Some(0), flooded: None }.pause(1_000 + grown)
    }

    #[test]
    fn it_pauses_in_traffic_and_waits_in_a_flood() {
        assert!(matches!(after(Duration::from_millis(500), 5_000), Pause::None));
        assert!(matches!(after(Duration::from_millis(500), 25_000), Pause::Short));
        assert!(matches!(after(Duration::from_millis(500), 100_000), Pause::Before));
        // After a flood it waits for a while.
        let mut rate =
            Rate { since: Instant::now(), newest_id: 0, per_second: Some(0), flooded: Some(Instant::now()) };
        assert!(matches!(rate.pause(1), Pause::Before));
        // After an idle time the rate is not known.
        assert!(matches!(after(Duration::from_secs(500), 5_000), Pause::Before));
        // A recent measurement counts.
        assert!(matches!(after(Duration::from_millis(1), 5_000), Pause::None));
    }
}

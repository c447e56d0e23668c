//! Keeps the inbox's index up, behind the writer and out of the way of reception.
//!
//! A thread of its own, which wakes when the log has grown by a block, works in steps of some milliseconds, and holds
//! back while datagrams pour in. With nothing to do it has no timer and makes no system call. It may end at any
//! moment, with the process or by a fault: the log is then read without what it would have told.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::error;
use crate::health::Component;
use crate::inbox::commit_watch::Follower;
use crate::index::indexer::{Keeper, Step, Trouble};
use crate::state::Daemon;

/// How long the flow of new entries is watched before it is known; what is known counts for so long.
const WATCHED: Duration = Duration::from_millis(100);
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// From so many new entries a second on, it pauses after each block; from so many on, it waits.
const BUSY: u64 = 20_000;
const POURING: u64 = 100_000;
const PAUSE: Duration = Duration::from_millis(5);

/// How long it stays out of the way after datagrams have poured in: they come in bursts.
const CALM: Duration = Duration::from_secs(2);

/// How long it waits after a failure; doubled up to the maximum. A second new index within the maximum waits as long.
const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(60);

/// Starts to keep the index up, until the inbox is closed or the daemon stops.
pub(crate) fn start(daemon: Arc<Daemon>) -> io::Result<()> {
    // It only ever waits for other threads: no timer, no socket.
    let runtime = Builder::new_current_thread().build()?;
    let work = move || {
        let _guard = ReportPanic(Arc::clone(&daemon));
        let mut progress = daemon.progress.clone();
        let mut work = Work::new(&daemon);
        while runtime.block_on(work.wait(&mut progress)) {
            work.go_on(&progress);
        }
    };
    // Nobody waits for its end: an index is whole after every step.
    thread::Builder::new().name("index".to_owned()).spawn(work).map(drop)
}

/// Says so, should the index not be kept up any more.
struct ReportPanic(Arc<Daemon>);

impl Drop for ReportPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            let problem = "keeping the index of the inbox up has failed; filters take longer until a restart";
            self.0.health.report(Component::Index, problem.to_owned());
        }
    }
}

/// Where the work stands.
struct Work<'a> {
    daemon: &'a Daemon,
    keeper: Keeper,
    flow: Flow,
    retry_wait: Duration,
    begun: Option<Instant>,
}

impl<'a> Work<'a> {
    fn new(daemon: &'a Arc<Daemon>) -> Self {
        Self {
            daemon,
            keeper: Keeper::new(Arc::clone(&daemon.reader)),
            flow: Flow {
                since: Instant::now(),
                newest_id: daemon.progress.now().newest_id,
                per_second: None,
                poured: None,
            },
            retry_wait: FIRST_RETRY_WAIT,
            begun: None,
        }
    }

    /// Waits until there may be something to do; false at the end.
    async fn wait(&self, progress: &mut Follower) -> bool {
        while !self.keeper.has_work(progress.see().newest_id) {
            tokio::select! {
                open = progress.changed() => if !open { return false },
                () = self.daemon.reader.index().suspected() => {}
            }
        }
        !self.stopping()
    }

    /// Works until there is nothing to do.
    fn go_on(&mut self, progress: &Follower) {
        while self.keeper.has_work(progress.now().newest_id) && !self.stopping() {
            match self.flow.pause(progress.now().newest_id) {
                Pause::None => {}
                Pause::Before => {
                    thread::sleep(WATCHED);
                    continue;
                }
                Pause::Short => thread::sleep(PAUSE),
            }
            self.step();
        }
        self.keeper.rest();
    }

    fn step(&mut self) {
        match self.keeper.step() {
            Ok(Step::Begun) => {
                let before = self.begun.replace(Instant::now());
                if before.is_some_and(|before| before.elapsed() < MAX_RETRY_WAIT) {
                    self.sleep(MAX_RETRY_WAIT);
                }
            }
            Ok(Step::Done | Step::Idle) => {
                self.retry_wait = FIRST_RETRY_WAIT;
                self.daemon.health.clear(Component::Index);
            }
            Err(trouble) => {
                if let Trouble::Index(_) = trouble {
                    self.daemon.health.report(Component::Index, error::chain(&trouble).join(": "));
                }
                self.keeper.rest();
                self.sleep(self.retry_wait);
                self.retry_wait = (self.retry_wait * 2).min(MAX_RETRY_WAIT);
            }
        }
    }

    fn sleep(&self, whole: Duration) {
        let until = Instant::now() + whole;
        while Instant::now() < until && !self.stopping() {
            thread::sleep(FIRST_RETRY_WAIT.min(whole));
        }
    }

    fn stopping(&self) -> bool {
        *self.daemon.stopping.borrow()
    }
}

/// How fast the log grows.
struct Flow {
    since: Instant,
    newest_id: u64,
    /// As last measured; not known at first, and after a rest.
    per_second: Option<u64>,
    /// When datagrams were last seen to pour in.
    poured: Option<Instant>,
}

/// What to do before the next block.
enum Pause {
    None,
    /// Sleep, then take it up.
    Short,
    /// Sleep, then ask again.
    Before,
}

impl Flow {
    /// Tells whether the next block may be taken up now.
    fn pause(&mut self, newest_id: u64) -> Pause {
        let elapsed = self.since.elapsed();
        if elapsed >= WATCHED {
            let grown = newest_id.saturating_sub(self.newest_id);
            let per_second = u128::from(grown) * 1_000 / elapsed.as_millis().max(1);
            let known = (elapsed <= KNOWN_FOR).then(|| u64::try_from(per_second).unwrap_or(u64::MAX));
            let now = Instant::now();
            let poured = if per_second >= u128::from(POURING) { Some(now) } else { self.poured };
            *self = Self { since: now, newest_id, per_second: known, poured };
        }
        if self.poured.is_some_and(|poured| poured.elapsed() < CALM) {
            return Pause::Before;
        }
        match self.per_second {
            Some(0..BUSY) => Pause::None,
            Some(BUSY..POURING) => Pause::Short,
            _ => Pause::Before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(elapsed: Duration, grown: u64) -> Pause {
        let since = Instant::now().checked_sub(elapsed).unwrap();
        Flow { since, newest_id: 1_000, per_second: Some(0), poured: None }.pause(1_000 + grown)
    }

    #[test]
    fn it_works_at_leisure_pauses_in_traffic_and_waits_in_a_flood() {
        assert!(matches!(after(Duration::from_millis(500), 5_000), Pause::None));
        assert!(matches!(after(Duration::from_millis(500), 25_000), Pause::Short));
        assert!(matches!(after(Duration::from_millis(500), 100_000), Pause::Before));
        // Behind a flood it stays out of the way for a while.
        let mut flow =
            Flow { since: Instant::now(), newest_id: 0, per_second: Some(0), poured: Some(Instant::now()) };
        assert!(matches!(flow.pause(1), Pause::Before));
        // After a rest it is not known what is coming.
        assert!(matches!(after(Duration::from_secs(500), 5_000), Pause::Before));
        // What was measured a moment ago counts.
        assert!(matches!(after(Duration::from_millis(1), 5_000), Pause::None));
    }
}

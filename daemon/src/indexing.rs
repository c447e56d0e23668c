//! Keeps the inbox's index up, behind the writer and out of the way of reception.
//!
//! It wakes when the log has grown by a block, works in steps of some milliseconds on a thread that may wait, and
//! holds back while datagrams pour in. With nothing to do it has no timer and makes no system call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::causes;
use crate::daemon::Daemon;
use crate::health::Place;
use crate::inbox::Progress;
use crate::inbox::index::keeper::{Keeper, Step, Trouble};

/// How long the flow of new entries is watched before it is known; what is known counts for so long.
const WATCHED: Duration = Duration::from_millis(100);
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// From so many new entries a second on, it pauses after each block; from so many on, it waits.
const BUSY: u64 = 20_000;
const POURING: u64 = 100_000;
const PAUSE: Duration = Duration::from_millis(5);

/// How long it waits after a failure; doubled up to the maximum. Between two new indexes, the maximum.
const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(60);

/// Keeps the index up until the inbox is closed.
pub(crate) async fn keep_up(daemon: Arc<Daemon>, mut progress: watch::Receiver<Progress>) {
    let mut keeper = Keeper::new(Arc::clone(&daemon.reader));
    let mut flow = Flow { since: Instant::now(), newest_id: progress.borrow().newest_id, per_second: None };
    let (mut wait, mut begun) = (FIRST_RETRY_WAIT, None);
    loop {
        if !keeper.has_work(progress.borrow_and_update().newest_id) {
            keeper.rest();
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                () = daemon.reader.index().suspected() => {}
            }
            continue;
        }
        flow.wait_for_room(&progress).await;
        let stepped = spawn_blocking(move || {
            let outcome = keeper.step();
            (keeper, outcome)
        });
        // A panic in it is a fault of the index, and leaves the log to be read without one.
        let Ok((same, outcome)) = stepped.await else {
            daemon.health.report(Place::Index, "keeping the index of the inbox up has failed".to_owned());
            return;
        };
        keeper = same;
        match outcome {
            Ok(Step::Begun) => {
                if begun.replace(Instant::now()).is_some_and(|before| before.elapsed() < MAX_RETRY_WAIT) {
                    sleep(MAX_RETRY_WAIT).await;
                }
            }
            Ok(Step::Done | Step::Idle) => {
                wait = FIRST_RETRY_WAIT;
                daemon.health.clear(Place::Index);
            }
            Err(trouble) => {
                if let Trouble::Index(_) = trouble {
                    daemon.health.report(Place::Index, causes::of(&trouble).join(": "));
                }
                keeper.rest();
                sleep(wait).await;
                wait = (wait * 2).min(MAX_RETRY_WAIT);
            }
        }
    }
}

/// How fast the log grows.
struct Flow {
    since: Instant,
    newest_id: u64,
    /// As last measured; not known at first, and after a rest.
    per_second: Option<u64>,
}

impl Flow {
    /// Returns when the next block may be taken up.
    async fn wait_for_room(&mut self, progress: &watch::Receiver<Progress>) {
        if self.since.elapsed() > KNOWN_FOR {
            self.begin(progress, None);
        }
        loop {
            let elapsed = self.since.elapsed();
            if elapsed >= WATCHED {
                let grown = progress.borrow().newest_id.saturating_sub(self.newest_id);
                let per_second = u128::from(grown) * 1_000 / elapsed.as_millis().max(1);
                self.begin(progress, Some(u64::try_from(per_second).unwrap_or(u64::MAX)));
            }
            match self.per_second {
                Some(0..BUSY) => return,
                Some(BUSY..POURING) => return sleep(PAUSE).await,
                _ => sleep(WATCHED).await,
            }
        }
    }

    fn begin(&mut self, progress: &watch::Receiver<Progress>, per_second: Option<u64>) {
        *self = Self { since: Instant::now(), newest_id: progress.borrow().newest_id, per_second };
    }
}

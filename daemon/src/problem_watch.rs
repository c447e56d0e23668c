//! Ends the problems that are over. As long as there is a problem, it looks twice a second; otherwise it has no timer.
//!
//! Most failing operations are repeated by the part that they belong to. What nothing else repeats while the daemon is idle is
//! repeated here: reading the inbox, and writing the in-flight journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::health::Component;
use crate::inbox::reader::Reader;
use crate::state::Daemon;

/// The interval while there is a problem.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches the problems until the runtime ends.
pub(crate) async fn run(daemon: Arc<Daemon>) {
    let mut changes = daemon.health.changes();
    loop {
        changes.mark_unchanged();
        if !daemon.health.is_unsettled() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        sleep(INTERVAL).await;
        repeat(&daemon).await;
        daemon.health.advance(Instant::now());
    }
}

/// Repeats the failing operations that nothing else repeats.
async fn repeat(daemon: &Arc<Daemon>) {
    if daemon.health.is_failing(Component::InboxRead) {
        // It reports its result itself.
        let _read = daemon.read(Reader::bounds).await.is_ok();
    }
    if daemon.health.is_failing(Component::InflightJournal) {
        let queue = Arc::clone(&daemon.queue);
        // A panic is logged by the thread.
        let _written = spawn_blocking(move || queue.retry_journal()).await.is_ok();
    }
}

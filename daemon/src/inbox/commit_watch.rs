//! The commit watch: how far the log is durable. The writer publishes it, followers wait for it.
//!
//! Followers get copies: a borrow of a watched value blocks the writer in `publish`, and a borrow held during a sleep has
//! once stopped it.

use tokio::sync::watch;

/// How far the log is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The newest durable id; in an empty inbox the id before that of the first entry to come.
    pub(crate) newest_id: u64,
    /// How many received messages this daemon has stored.
    pub(crate) stored: u64,
    /// The newest id of the last file that took the place of the inbox, 0 without one: this daemon has not received what that had.
    pub(crate) taken_over: u64,
    /// How many entries retention has removed since the start of this daemon.
    pub(crate) removed: u64,
    /// How many of these were received messages that no consumer had read.
    pub(crate) removed_unread: u64,
}

/// Returns both ends, for an empty inbox.
pub(crate) fn channel() -> (CommitPublisher, CommitWatch) {
    let (publisher, watch) = watch::channel(Committed::default());
    (CommitPublisher(publisher), CommitWatch(watch))
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct CommitPublisher(watch::Sender<Committed>);

impl CommitPublisher {
    /// Publishes how far the log is durable now.
    pub(crate) fn publish(&self, committed: Committed) {
        self.0.send_replace(committed);
    }
}

/// The followers' end.
#[derive(Clone, Debug)]
pub(crate) struct CommitWatch(watch::Receiver<Committed>);

impl CommitWatch {
    /// Returns how far the log is durable now.
    pub(crate) fn now(&self) -> Committed {
        *self.0.borrow()
    }

    /// Returns how far the log is durable now, and marks that as seen.
    pub(crate) fn see(&mut self) -> Committed {
        *self.0.borrow_and_update()
    }

    /// Waits until something other than what was last seen is published; false when the writer has ended.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

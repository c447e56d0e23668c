//! How far the log is durable, as the writer tells and followers see it.
//!
//! Followers get copies: a borrow of what a watch holds keeps the writer from publishing, and one that was held
//! through a sleep has stopped it.

use tokio::sync::watch;

/// How far the log is durable; what followers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The newest durable id; in an empty inbox the one before that of the entry to come.
    pub(crate) newest_id: u64,
    /// How many received messages this daemon has made durable.
    pub(crate) stored: u64,
    /// How many entries retention has removed since then.
    pub(crate) removed: u64,
}

/// Makes the two ends, of an empty inbox.
pub(crate) fn channel() -> (Publisher, Follower) {
    let (publisher, follower) = watch::channel(Progress::default());
    (Publisher(publisher), Follower(follower))
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Publisher(watch::Sender<Progress>);

impl Publisher {
    /// Tells everybody how far the log is durable now.
    pub(crate) fn publish(&self, progress: Progress) {
        self.0.send_replace(progress);
    }
}

/// The end of everybody else.
#[derive(Clone, Debug)]
pub(crate) struct Follower(watch::Receiver<Progress>);

impl Follower {
    /// Returns where the log is now.
    pub(crate) fn now(&self) -> Progress {
        *self.0.borrow()
    }

    /// Returns where the log is now, and counts it as seen.
    pub(crate) fn see(&mut self) -> Progress {
        *self.0.borrow_and_update()
    }

    /// Waits until it is somewhere else than when it was last seen; false when the writer has ended.
    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

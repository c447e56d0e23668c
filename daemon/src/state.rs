//! The state that the parts of a running daemon share. Created at the start; does not depend on `control` or `metrics`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::configuration::{Configuration, Reloaded, log_reloaded, refusal};
use crate::health::{Component, Health};
use crate::inbox::InboxError;
use crate::inbox::bounced_peers::BouncedPeers;
use crate::inbox::commit_watch::CommitWatch;
use crate::inbox::kept::KeptView;
use crate::inbox::queue::{FAILING_WAIT, Queue};
use crate::inbox::reader::Reader;
use crate::log::Logging;
use crate::net::interfaces::CurrentAddresses;
use crate::net::multicast::Groups;
use crate::net::socket::Listener;
use crate::peers::Peers;
use crate::receive::Limits;
use crate::receive::dropped_sources::DroppedSources;
use crate::receive::self_test::SelfTests;

/// How long a request for entries that are still to be recovered waits for them.
const RECOVERY_WAIT: Duration = Duration::from_secs(1);

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) started: Timestamp,
    pub(crate) configuration: Configuration,
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// The path of the control socket.
    pub(crate) socket: PathBuf,
    /// The address of the metrics endpoint, if enabled.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) commits: CommitWatch,
    /// Held messages and silent peers.
    pub(crate) kept: Arc<KeptView>,
    pub(crate) bounced_peers: Arc<BouncedPeers>,
    pub(crate) peers: Peers,
    pub(crate) groups: Arc<Groups>,
    pub(crate) addresses: Arc<CurrentAddresses>,
    pub(crate) denied: Arc<DroppedSources<IpAddr>>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) self_tests: Arc<SelfTests>,
    pub(crate) health: Arc<Health>,
    pub(crate) logging: Logging,
    /// Limits concurrent look-ups of names, which block a thread for any time.
    pub(crate) lookups: Arc<Semaphore>,
    /// Limits concurrent look-ups of encodings in the inbox for messages to send, which take no turn of a user.
    pub(crate) encoding_lookups: Arc<Semaphore>,
    /// Becomes true when the daemon is to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Makes the daemon stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Reads the configuration again, and returns the changed keys that need a restart. One that is refused remains a problem until
    /// a reload succeeds, since the next start would fail with it.
    ///
    /// # Errors
    /// Fails if the configuration is refused; the running one stays.
    pub(crate) fn reload(&self) -> Reloaded {
        self.configuration.reload(|outcome| match outcome {
            Ok(needs_restart) => {
                self.health.clear(Component::Configuration);
                // The log has the refusals before the reload that ended them, with no later time.
                self.health.conclude_of(Component::Configuration);
                log_reloaded(needs_restart);
            }
            Err(error) => {
                let refusal = refusal(error);
                if self.health.problem(Component::Configuration).as_ref() == Some(&refusal) {
                    // A problem that stays has no further line.
                    warn!("{refusal}");
                }
                self.health.report(Component::Configuration, refusal);
            }
        })
    }

    /// Returns how many received datagrams are queued and cannot be stored now; none if the inbox can be written.
    pub(crate) fn unstorable(&self) -> Option<u64> {
        let queued = self.queue.counters().queued();
        (queued > 0 && self.health.is_failing(Component::InboxWrite)).then_some(queued)
    }

    /// Waits for the result of what was queued for the inbox, up to a time, and only for a further attempt once the inbox cannot
    /// be written; none if it does not come.
    pub(crate) async fn recorded<T>(&self, mut result: oneshot::Receiver<T>, give_up: Instant) -> Option<T> {
        let mut changes = self.health.changes();
        loop {
            let is_failing = self.health.is_failing(Component::InboxWrite);
            let until = if is_failing { give_up.min(Instant::now() + FAILING_WAIT) } else { give_up };
            tokio::select! {
                biased;
                result = &mut result => return result.ok(),
                () = sleep_until(until) => return None,
                changed = changes.changed(), if !is_failing => changed.ok()?,
            }
        }
    }

    /// Waits until the daemon is asked to stop.
    pub(crate) async fn stop_requested(&self) {
        // The daemon owns the sender, so the channel cannot close before a stop is requested.
        let _stopping = self.stopping.subscribe().wait_for(|stopping| *stopping).await.is_ok();
    }

    /// Reads from the inbox on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (reader, file) = (Arc::clone(&self.reader), self.reader.damage().marker());
        let read = spawn_blocking(move || read(&reader)).await.map_err(ReadError::Panicked)?;
        let read = read.map_err(ReadError::Inbox);
        match &read {
            Ok(_) => self.health.succeeded(Component::InboxRead),
            // Another read may succeed, which proves nothing about this part of the file.
            Err(error) if matches!(error, ReadError::Inbox(why) if why.is_damage() || why.is_read_error()) => {
                // A file that was replaced meanwhile has its own problem.
                file.if_current(|| self.health.note(Component::InboxDamage, error.to_string()));
            }
            Err(error) => self.health.report(Component::InboxRead, error.to_string()),
        }
        self.report_damage();
        read
    }

    /// Reports damage of the inbox that readers have met, and has the writer replace a file that cannot be used further.
    pub(crate) fn report_damage(&self) {
        let damage = self.reader.damage();
        damage.report(|problem| self.health.note(Component::InboxDamage, problem));
        if damage.is_irreparable() {
            self.queue.wake();
        }
    }

    /// Waits for a moment if the entries behind an id are still to be recovered from a damaged inbox.
    pub(crate) async fn recovered_behind(&self, after: u64) {
        let is_awaited = || {
            self.reader
                .damage()
                .awaited()
                .is_some_and(|(first, last)| (first.saturating_sub(1)..last).contains(&after))
        };
        if is_awaited() {
            // The reader finds out what has come; if nothing has, the client asks again.
            let mut commits = self.commits.clone();
            let _committed = commits.see();
            let _changed = timeout(RECOVERY_WAIT, commits.changed()).await;
        }
    }
}

/// Why nothing could be read from the inbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the inbox cannot be read: {0}")]
    Inbox(InboxError),
    #[error("reading the inbox failed: {0}")]
    Panicked(JoinError),
}

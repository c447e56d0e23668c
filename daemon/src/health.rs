//! What is wrong at the moment: the `problems` of the status, and the log lines when one comes or goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::{info, warn};

/// The places that can be in trouble, each with at most one problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Writing the inbox.
    InboxWrite,
    /// Reading the inbox.
    InboxRead,
    /// Removing old entries.
    Retention,
    /// Another program holds the write-ahead log up.
    WriteAheadLog,
    /// A damaged inbox was moved away.
    InboxQuarantined,
    /// The inbox's file was removed or replaced.
    InboxReplaced,
    /// Writing the in-flight journal.
    Inflight,
    /// The index of the inbox.
    Index,
    /// Accepting connections on the control socket.
    Control,
    /// Accepting connections for metrics.
    Metrics,
    /// Hearing of changes of network interfaces.
    Links,
    /// Joining a multicast group, by its number in the configuration.
    Group(usize),
    /// A listening socket, by its number.
    Receive(usize),
}

/// The problems of now.
#[derive(Debug, Default)]
pub(crate) struct Health {
    problems: Mutex<BTreeMap<Place, String>>,
    changed: watch::Sender<()>,
}

impl Health {
    /// Notes a problem; it is logged when it is new at this place, not at each repetition.
    pub(crate) fn report(&self, place: Place, problem: String) {
        let before = self.lock().insert(place, problem.clone());
        if before.as_ref() != Some(&problem) {
            warn!("{problem}");
            self.changed.send_replace(());
        }
    }

    /// Notes that all is well at a place.
    pub(crate) fn clear(&self, place: Place) {
        let before = self.lock().remove(&place);
        if let Some(problem) = before {
            info!("over: {problem}");
            self.changed.send_replace(());
        }
    }

    /// Returns what tells when problems come and go.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Lists the problems.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

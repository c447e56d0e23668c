//! The current problems: `problems` of the status, and a log line when one appears or is resolved.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

/// The components that can have a problem, each at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Component {
    /// Writing the inbox.
    InboxWrite,
    /// Reading the inbox.
    InboxRead,
    /// The system's clock was set.
    Clock,
    /// Removing old entries.
    Retention,
    /// Another program keeps the write-ahead log from being reset.
    WriteAheadLog,
    /// A damaged inbox was moved to quarantine.
    InboxQuarantine,
    /// The inbox's file was removed or replaced.
    InboxReplaced,
    /// The in-flight journal.
    InflightJournal,
    /// The index of the inbox.
    Index,
    /// Accepting connections on the control socket.
    Control,
    /// Accepting connections for metrics.
    Metrics,
    /// Watching network interfaces for changes.
    Interfaces,
    /// Joining a multicast group, by its number in the configuration.
    Group(usize),
    /// A listening socket, by its number.
    Receive(usize),
}

/// The current problems.
#[derive(Debug, Default)]
pub(crate) struct Health {
    problems: Mutex<BTreeMap<Component, String>>,
    changed: watch::Sender<()>,
}

impl Health {
    /// Sets the problem of a component. Logs it if it is new, not at each repetition.
    pub(crate) fn report(&self, component: Component, problem: String) {
        let before = self.problems.lock().insert(component, problem.clone());
        if before.as_ref() != Some(&problem) {
            warn!("{problem}");
            self.changed.send_replace(());
        }
    }

    /// Clears the problem of a component, if it has one, and logs that it is resolved.
    pub(crate) fn clear(&self, component: Component) {
        let before = self.problems.lock().remove(&component);
        if let Some(problem) = before {
            info!("resolved: {problem}");
            self.changed.send_replace(());
        }
    }

    /// Returns a receiver that is notified when a problem appears, changes or is resolved.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the problems.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().values().cloned().collect()
    }
}

//! What is wrong at the moment: the `problems` of the status, and the log lines when one comes or goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

/// The places that can be in trouble, each with at most one problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Writing the inbox.
    InboxWrite,
    /// A damaged inbox was set aside.
    InboxSetAside,
    /// A listening socket, by its number.
    Receive(usize),
}

/// The problems of now.
#[derive(Debug, Default)]
pub(crate) struct Health {
    problems: Mutex<BTreeMap<Place, String>>,
}

impl Health {
    /// Notes a problem; it is logged when it is new at this place, not at each repetition.
    pub(crate) fn report(&self, place: Place, problem: String) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.get(&place) != Some(&problem) {
            warn!("{problem}");
            problems.insert(place, problem);
        }
    }

    /// Notes that all is well at a place.
    pub(crate) fn clear(&self, place: Place) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = problems.remove(&place) {
            info!("over: {problem}");
        }
    }

    /// Lists the problems.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

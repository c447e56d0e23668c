//! Accepts connections in a loop, which no error ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::faults::Retry;
use crate::health::{Component, Health};

/// After how long without an error a failing `accept` counts as working again: no connection came.
const QUIET: Duration = Duration::from_millis(500);

/// Accepts connections on one listener, and reports when that fails.
#[derive(Debug)]
pub(crate) struct Accepting {
    health: Arc<Health>,
    component: Component,
    /// The problem, without its reason.
    problem: &'static str,
    retry: Retry,
}

impl Accepting {
    pub(crate) fn new(health: &Arc<Health>, component: Component, problem: &'static str) -> Self {
        Self { health: Arc::clone(health), component, problem, retry: Retry::default() }
    }

    /// Waits for `accept`, and pauses if it fails. Returns none if it is to be called again.
    pub(crate) async fn next<T>(&mut self, accept: impl Future<Output = io::Result<T>>) -> Option<T> {
        let accepted = match self.retry.is_failing() {
            true => timeout(QUIET, accept).await.ok(),
            false => Some(accept.await),
        };
        if let Some(Err(error)) = accepted {
            if let Some(pause) = self.retry.failed(&error) {
                self.health.report(self.component, format!("{}: {error}", self.problem));
                sleep(pause).await;
            }
            return None;
        }
        // A connection, or a quiet time.
        if self.retry.succeeded() {
            self.health.succeeded(self.component);
        }
        accepted?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use nix::errno::Errno;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_accept_is_reported_until_it_is_quiet_or_succeeds() {
        let health = Arc::<Health>::default();
        let mut accepting = Accepting::new(&health, Component::Control, "cannot accept connections");
        assert_eq!(accepting.next(ready(Ok(1))).await, Some(1));
        for is_quiet in [true, false] {
            let failed: io::Result<u32> = Err(Errno::EMFILE.into());
            assert_eq!(accepting.next(ready(failed)).await, None);
            assert!(health.is_failing(Component::Control));
            assert!(health.problems()[0].contains("cannot accept connections: "), "{:?}", health.problems());
            match is_quiet {
                true => assert_eq!(accepting.next(pending::<io::Result<u32>>()).await, None),
                false => assert_eq!(accepting.next(ready(Ok(2))).await, Some(2)),
            }
            assert!(!health.is_failing(Component::Control));
        }
    }
}

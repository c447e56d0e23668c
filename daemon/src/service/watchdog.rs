//! The watchdog: notifies the service manager only while each thread of the data path makes progress.
//!
//! Those threads record each step that they take in a [`Heartbeat`], and wait at most [`Heartbeat::max_wait`] for work. A task
//! on the main thread compares the counts with those of its last check. So if anything hangs (a receiver, the writer in a
//! call to a disk that does not respond, the main thread or the whole process), the service manager gets no notification
//! and restarts the daemon. Without a watchdog, no thread wakes up for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::service::systemd;

/// How many checks, and how many steps of each thread at least, fall into the watchdog's timeout. A hang is noticed after a
/// quarter of it at most, so the timeout and a quarter may pass until the daemon is killed.
const CHECKS: u32 = 4;
const STEPS: u32 = 8;

/// Counts the steps of one thread.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    name: String,
    steps: AtomicU64,
    max_wait: Option<Duration>,
}

impl Heartbeat {
    /// Records that the thread makes progress. Costs some nanoseconds: a relaxed addition.
    pub(crate) fn record(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how long the thread may wait until its next step; none without a watchdog.
    pub(crate) fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// Returns a heartbeat without a watchdog.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn unwatched() -> Arc<Self> {
        Watchdog { timeout: None, heartbeats: Vec::new() }.heartbeat("unwatched")
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }
}

/// Creates the heartbeats, and checks them.
#[derive(Debug)]
pub(crate) struct Watchdog {
    timeout: Option<Duration>,
    heartbeats: Vec<Arc<Heartbeat>>,
}

impl Watchdog {
    /// Returns a watchdog with the timeout that the service manager has set.
    pub(crate) fn of_process() -> Self {
        Self { timeout: systemd::watchdog(), heartbeats: Vec::new() }
    }

    /// Creates the heartbeat of a thread; the name is for the log.
    pub(crate) fn heartbeat(&mut self, name: impl Into<String>) -> Arc<Heartbeat> {
        let max_wait = self.timeout.map(|timeout| timeout / STEPS);
        let heartbeat = Arc::new(Heartbeat { name: name.into(), steps: AtomicU64::new(0), max_wait });
        self.heartbeats.push(Arc::clone(&heartbeat));
        heartbeat
    }

    /// Notifies the service manager as long as all threads make progress; `checked` runs at every check. Returns only without
    /// a watchdog.
    pub(crate) async fn run(self, checked: impl Fn()) {
        let Some(timeout) = self.timeout else { return };
        let mut checks = interval(timeout / CHECKS);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let monitor = |heartbeat| Monitor::new(heartbeat, timeout);
        let mut monitors: Vec<_> = self.heartbeats.into_iter().map(monitor).collect();
        loop {
            checks.tick().await;
            // All of them are checked, also after one that hangs: each is logged.
            let progress = monitors.iter_mut().map(|monitor| monitor.check(Instant::now()));
            if progress.filter(|has_progress| !has_progress).count() == 0 {
                systemd::alive();
            }
            checked();
        }
    }
}

/// A heartbeat, and what the last check found.
struct Monitor {
    heartbeat: Arc<Heartbeat>,
    steps: u64,
    last_progress: Instant,
    timeout: Duration,
    is_reported: bool,
}

impl Monitor {
    fn new(heartbeat: Arc<Heartbeat>, timeout: Duration) -> Self {
        // The count differs from that of a thread that has not started yet, so the first check always passes.
        Self { heartbeat, steps: u64::MAX, last_progress: Instant::now(), timeout, is_reported: false }
    }

    /// Returns whether the thread has made progress since the last check.
    fn check(&mut self, now: Instant) -> bool {
        let steps = self.heartbeat.steps();
        if steps != self.steps {
            (self.steps, self.last_progress) = (steps, now);
            if std::mem::take(&mut self.is_reported) {
                info!("resolved: {} made no progress", self.heartbeat.name);
            }
            return true;
        }
        let hanging = now.duration_since(self.last_progress);
        if hanging >= self.timeout / 2 && !std::mem::replace(&mut self.is_reported, true) {
            error!(
                "{} has made no progress for {:.1} s: the watchdog of the service manager is not fed, and kills this \
                 daemon after {:.0} s",
                self.heartbeat.name,
                hanging.as_secs_f64(),
                self.timeout.as_secs_f64()
            );
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(timeout: Option<Duration>) -> Arc<Heartbeat> {
        Watchdog { timeout, heartbeats: Vec::new() }.heartbeat("a thread")
    }

    #[test]
    fn only_a_thread_with_progress_passes() {
        let timeout = Duration::from_secs(10);
        let mut monitor = Monitor::new(heartbeat(Some(timeout)), timeout);
        let start = Instant::now();
        assert!(monitor.check(start), "it may not have started");
        assert!(!monitor.check(start + timeout / 4));
        monitor.heartbeat.record();
        assert!(monitor.check(start + timeout / 2));
        assert!(!monitor.check(start + timeout), "progress in the past is not enough");
        assert!(monitor.is_reported);
        monitor.heartbeat.record();
        assert!(monitor.check(start + timeout) && !monitor.is_reported);
    }

    #[test]
    fn a_thread_takes_two_steps_between_checks() {
        let timeout = Duration::from_secs(10);
        assert!(heartbeat(Some(timeout)).max_wait().unwrap() * 2 <= timeout / CHECKS);
        assert_eq!(heartbeat(None).max_wait(), None, "no wake-ups without a watchdog");
    }
}

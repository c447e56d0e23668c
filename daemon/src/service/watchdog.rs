//! The watchdog: the service manager hears that all is well only while each thread on the way of the data makes progress.
//!
//! Those threads beat a [`Pulse`] at each step that they take, and wait no longer than its patience allows for one. A task on
//! the main thread compares the beats with those of its last look. So whoever hangs, a receiver, the writer in a call to a
//! disk that does not answer, the main thread or the whole process: the manager hears nothing and starts the daemon anew.
//! Where no watchdog is asked for, nobody wakes for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::service::systemd;

/// How often the pulses are looked at, and how often each beats at least, as parts of the watchdog's time. A hang is noticed
/// after a quarter of it at most, so the whole time and a quarter may pass until the daemon is ended.
const LOOKS: u32 = 4;
const BEATS: u32 = 8;

/// The beats of one thread.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: String,
    beats: AtomicU64,
    patience: Option<Duration>,
}

impl Pulse {
    /// Tells that the thread makes progress. It is a relaxed addition: some nanoseconds.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how long the thread may wait until its next beat; none where nobody counts.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// Makes a pulse that nobody listens to.
    #[cfg(test)]
    pub(crate) fn unheard() -> Arc<Self> {
        Watchdog { limit: None, pulses: Vec::new() }.pulse("nobody")
    }

    fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// Makes the pulses, and listens to them.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Option<Duration>,
    pulses: Vec<Arc<Pulse>>,
}

impl Watchdog {
    /// Makes a watchdog for what the service manager asks for.
    pub(crate) fn of_process() -> Self {
        Self { limit: systemd::watchdog(), pulses: Vec::new() }
    }

    /// Makes the pulse of a thread; the name is for the log.
    pub(crate) fn pulse(&mut self, name: impl Into<String>) -> Arc<Pulse> {
        let patience = self.limit.map(|limit| limit / BEATS);
        let pulse = Arc::new(Pulse { name: name.into(), beats: AtomicU64::new(0), patience });
        self.pulses.push(Arc::clone(&pulse));
        pulse
    }

    /// Tells the service manager that all is well, as long as it is; `told` runs at every look. Ends only where no watchdog
    /// is asked for.
    pub(crate) async fn feed(self, told: impl Fn()) {
        let Some(limit) = self.limit else { return };
        let mut looks = interval(limit / LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut charts: Vec<_> = self.pulses.into_iter().map(|pulse| Chart::new(pulse, limit)).collect();
        loop {
            looks.tick().await;
            // Each is looked at, also behind one that hangs.
            let still =
                charts.iter_mut().filter_map(|chart| (!chart.look(Instant::now())).then_some(())).count();
            if still == 0 {
                systemd::alive();
            }
            told();
        }
    }
}

/// What is known of a pulse from the last look.
struct Chart {
    pulse: Arc<Pulse>,
    beats: u64,
    moved: Instant,
    limit: Duration,
    reported: bool,
}

impl Chart {
    fn new(pulse: Arc<Pulse>, limit: Duration) -> Self {
        // A thread that has not beaten yet has not begun: it gets its first look for nothing.
        Self { pulse, beats: u64::MAX, moved: Instant::now(), limit, reported: false }
    }

    /// Tells whether the thread has moved since the last look.
    fn look(&mut self, now: Instant) -> bool {
        let beats = self.pulse.beats();
        if beats != self.beats {
            (self.beats, self.moved) = (beats, now);
            if std::mem::take(&mut self.reported) {
                info!("over: {} did not move", self.pulse.name);
            }
            return true;
        }
        let still = now.duration_since(self.moved);
        if still >= self.limit / 2 && !std::mem::replace(&mut self.reported, true) {
            error!(
                "{} has not moved for {:.1} s: the service manager is not told that all is well, and will end this daemon \
                 after {:.0} s",
                self.pulse.name,
                still.as_secs_f64(),
                self.limit.as_secs_f64()
            );
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(limit: Option<Duration>) -> Arc<Pulse> {
        Watchdog { limit, pulses: Vec::new() }.pulse("a thread")
    }

    #[test]
    fn only_a_thread_that_moves_is_well() {
        let limit = Duration::from_secs(10);
        let mut chart = Chart::new(pulse(Some(limit)), limit);
        let begun = Instant::now();
        assert!(chart.look(begun), "it may not have begun");
        assert!(!chart.look(begun + limit / 4));
        chart.pulse.beat();
        assert!(chart.look(begun + limit / 2));
        assert!(!chart.look(begun + limit), "it is not enough to have moved once");
        assert!(chart.reported);
        chart.pulse.beat();
        assert!(chart.look(begun + limit) && !chart.reported);
    }

    #[test]
    fn a_thread_beats_at_least_twice_between_looks() {
        let limit = Duration::from_secs(10);
        assert!(pulse(Some(limit)).patience().unwrap() * 2 <= limit / LOOKS);
        assert_eq!(pulse(None).patience(), None, "nobody wakes for nothing");
    }
}

//! The machine: its clocks, and how often it was started.

use crate::clock::simulated::{self, Clocks};

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
pub(super) const YEAR: i64 = 365 * DAY;

/// How long the machine has run, and how often it was restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) run_ns: i64,
    pub(super) restarts: i64,
}

/// A machine whose clock shows anything. Its clocks are those of this thread.
#[derive(Debug)]
pub(super) struct Machine {
    now: Moment,
    /// When the current boot began.
    boot_ns: i64,
    wall_ns: i64,
}

impl Machine {
    pub(super) fn new() -> Self {
        let mut machine = Self { now: Moment::default(), boot_ns: 0, wall_ns: 56 * YEAR };
        machine.pass(10 * SECOND);
        machine
    }

    pub(super) fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn wall_ns(&self) -> i64 {
        self.wall_ns
    }

    pub(super) fn pass(&mut self, ns: i64) {
        self.now.run_ns += ns;
        self.step(ns);
    }

    /// Sets the clock. Times fit into 64 bits until 2262.
    pub(super) fn step(&mut self, ns: i64) {
        if (self.wall_ns + ns).abs() < 200 * YEAR {
            self.wall_ns += ns;
        }
        self.apply();
    }

    /// Restarts the machine; `off_ns` is what the clock shows of the time that it was off.
    pub(super) fn restart(&mut self, off_ns: i64) {
        self.step(off_ns);
        self.boot_ns = self.now.run_ns;
        self.now.restarts += 1;
        // No two boots are shorter than this.
        self.pass(5 * SECOND);
    }

    fn apply(&self) {
        let boottime_ns = self.now.run_ns - self.boot_ns;
        let boot_id = 1 + self.now.restarts.unsigned_abs();
        simulated::set(Clocks { wall_ns: self.wall_ns, boottime_ns, boot_id: boot_id.into() });
    }
}

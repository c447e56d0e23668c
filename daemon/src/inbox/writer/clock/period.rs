//! A period in which the system's clock was not set.

use std::time::Duration;

use crate::inbox::file::UNKNOWN_STEP_NS;

/// A period in which the clock was not set and the machine was not restarted. A row of the table `clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inbox::writer) struct Period {
    pub(super) number: u64,
    /// No entry with a smaller id was received in this period, and those with a smaller id existed when it began.
    pub(super) first_id: u64,
    pub(super) boot_id: u128,
    /// `CLOCK_BOOTTIME` and `CLOCK_REALTIME` when the period began, in nanoseconds.
    pub(super) boottime_ns: i64,
    pub(super) begin_ns: i64,
    /// `CLOCK_REALTIME` when the daemon last noted it. Needed once the machine was restarted.
    pub(super) seen_ns: i64,
    /// How far the clock moved ahead since the period before, beyond the time that is known to have passed; in nanoseconds.
    /// After a restart of the machine, the whole time since the period before was last seen.
    pub(super) step_ns: i64,
    /// Whether the machine was restarted since the period before.
    pub(super) restarted: bool,
}

/// A reading of the machine's clocks.
#[derive(Clone, Copy, Debug)]
pub(in crate::inbox::writer) struct Reading {
    pub(super) boot_id: u128,
    pub(super) boottime_ns: i64,
    pub(super) wall_ns: i64,
}

impl Period {
    /// Returns the first period of a history. Entries with smaller ids, of a log of an older schema, are of unknown clocks.
    pub(super) fn first(reading: &Reading, first_id: u64) -> Self {
        Self {
            number: 1,
            first_id,
            boot_id: reading.boot_id,
            boottime_ns: reading.boottime_ns,
            begin_ns: reading.wall_ns,
            seen_ns: reading.wall_ns,
            step_ns: UNKNOWN_STEP_NS,
            restarted: false,
        }
    }

    /// Returns the period that follows this one.
    pub(super) fn next(&self, reading: &Reading, first_id: u64, step_ns: i64, restarted: bool) -> Self {
        Self { number: self.number + 1, step_ns, restarted, ..Self::first(reading, first_id) }
    }

    /// Returns what the clock would show now if it had not been set since the period began. Valid in the boot of the period.
    pub(super) fn expected_ns(&self, reading: &Reading) -> i64 {
        self.begin_ns.saturating_add(reading.boottime_ns.saturating_sub(self.boottime_ns))
    }
}

/// Converts a duration to nanoseconds.
pub(super) fn to_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

//! The periods of a log, and how the next one is found.

use std::time::Duration;

use super::period::{Period, Reading, to_ns};
use crate::inbox::file::UNKNOWN_STEP_NS;
use crate::index::Anchor;

/// The smallest step that is noted. Adjusting the clock gradually (adjtime(3)) changes both clocks alike.
const SMALLEST_STEP: Duration = Duration::from_secs(1);

/// How many periods are kept. A clock that is set again and again must not make the table grow.
const MAX_PERIODS: usize = 1_000;

/// How long the clock must run without a step before it is believed: time for a machine without a battery clock to
/// fetch the time, and for people to notice and correct a wrong one.
pub(super) const BELIEVED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The smallest step that is reported.
const SMALLEST_JUMP: Duration = Duration::from_secs(60);

/// The longest time for which a machine is supposed to have been off; more is reported, since the clock may be wrong.
const LONG_ABSENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A step of the clock that is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// How far the clock moved ahead, in nanoseconds; negative if it was set back.
    pub(super) by_ns: i64,
    /// When, by the clock after the step, in nanoseconds since 1970.
    pub(super) at_ns: i64,
    pub(super) restarted: bool,
    /// How long it is still to be reported.
    pub(super) remaining: Duration,
}

/// The periods of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::inbox::writer) struct History {
    pub(super) periods: Vec<Period>,
}

impl History {
    /// Returns the history of a clock that was never set since 1970, and its reading.
    #[cfg(test)]
    pub(in crate::inbox::writer) fn steady(now_ns: i64) -> (Self, Reading) {
        let reading = |at_ns| Reading { boot_id: 1, boottime_ns: at_ns, wall_ns: at_ns };
        (Self { periods: vec![Period::first(&reading(0), 1)] }, reading(now_ns))
    }

    /// Returns the period that begins now, if one does. `newest_id` is the newest entry of the log; what is received from now on
    /// has a higher id.
    pub(super) fn observe(&self, reading: &Reading, newest_id: u64) -> Option<Period> {
        let first_id = newest_id + 1;
        let Some(last) = self.periods.last() else { return Some(Period::first(reading, first_id)) };
        let step_ns = reading.wall_ns.saturating_sub(last.expected_ns(reading));
        let is_steady = step_ns.unsigned_abs() < SMALLEST_STEP.as_nanos() as u64;
        // Where the boot is unknown, a clock that runs on without a step shows that it is the same.
        let is_same_boot =
            reading.boottime_ns >= last.boottime_ns && (reading.boot_id == last.boot_id || is_steady);
        // After a step, the first entries may have times of before, which may be in the future; after a restart of the machine,
        // the gap of what the last daemon lost has such a time.
        let is_step = ![0, UNKNOWN_STEP_NS].contains(&last.step_ns);
        let is_mixed = newest_id >= last.first_id && is_step;
        if !is_same_boot {
            // The times of entries do not show when the machine stopped: one of them may be of a clock that was ahead.
            let absence_ns = reading.wall_ns.saturating_sub(last.seen_ns);
            return Some(last.next(reading, first_id, absence_ns, true));
        }
        if !is_steady {
            return Some(last.next(reading, first_id, step_ns, false));
        }
        // The next period ends the times of those entries.
        if is_mixed { self.mark(reading, newest_id) } else { None }
    }

    /// Returns the time to note, by the clock of the newest period, even if it was set meanwhile. Valid in its boot.
    pub(super) fn seen_ns(&self, reading: &Reading) -> Option<i64> {
        self.periods.last().map(|last| last.expected_ns(reading))
    }

    /// Returns the boot of the newest period.
    pub(super) fn boot_id(&self) -> Option<u128> {
        self.periods.last().map(|last| last.boot_id)
    }

    /// Returns how far the newest entry of the current period is ahead of the clock, in nanoseconds: where the log was written
    /// with another clock, on another machine for example.
    pub(super) fn lead(&self, reading: &Reading, newest: Anchor) -> Option<i64> {
        let is_current = self.periods.last().is_some_and(|last| newest.id >= last.first_id);
        is_current.then(|| newest.at_ns.saturating_sub(reading.wall_ns))
    }

    /// Returns a period that begins without a step, which shows that the entries up to `newest_id` exist.
    pub(super) fn mark(&self, reading: &Reading, newest_id: u64) -> Option<Period> {
        self.periods.last().map(|last| last.next(reading, newest_id + 1, 0, false))
    }

    /// Adds a period, and drops periods without entries; `oldest_id` is the oldest entry of the log.
    pub(super) fn push(&mut self, period: Period, oldest_id: u64) {
        self.periods.push(period);
        let empty = self.periods.iter().skip(1).take_while(|next| next.first_id <= oldest_id).count();
        self.periods.drain(..empty);
        if self.periods.len() > MAX_PERIODS {
            self.periods.remove(0);
            (self.periods[0].step_ns, self.periods[0].restarted) = (UNKNOWN_STEP_NS, false);
        }
    }

    /// Returns the last step that is to be reported, until the clock is believed.
    pub(super) fn jump(&self, reading: &Reading) -> Option<Jump> {
        for period in self.periods.iter().rev() {
            let passed_ns = reading.boottime_ns.saturating_sub(period.boottime_ns);
            let remaining_ns = to_ns(BELIEVED_AFTER).saturating_sub(passed_ns.max(0));
            if remaining_ns <= 0 {
                break;
            }
            if is_jump(period) {
                return Some(Jump {
                    by_ns: period.step_ns,
                    at_ns: period.begin_ns,
                    restarted: period.restarted,
                    remaining: Duration::from_nanos(remaining_ns.unsigned_abs()),
                });
            }
            if period.restarted {
                break;
            }
        }
        None
    }
}

fn is_jump(period: &Period) -> bool {
    let longest_ahead = if period.restarted { LONG_ABSENCE } else { SMALLEST_JUMP };
    period.step_ns != UNKNOWN_STEP_NS
        && (period.step_ns >= to_ns(longest_ahead) || period.step_ns <= -to_ns(SMALLEST_JUMP))
}

#[cfg(test)]
mod tests;

//! When each message of `send --every` is due: by the clock, so that delays do not add up.

use std::time::Duration;

use udpchat_locale::tr;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest interval.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A message that is late by less than this is sent nevertheless. A system wakes a program up to some milliseconds late,
/// which would leave many messages of a short interval out.
const GRACE: Duration = Duration::from_millis(20);

/// Parses the interval.
///
/// # Errors
/// It is no duration, or out of range; the error is a message for people.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = crate::time::span(text)?;
    match (SHORTEST..=LONGEST).contains(&interval) {
        true => Ok(interval),
        false => Err(tr!("expected 1ms to 366 days").to_owned()),
    }
}

/// Times at a constant interval, from zero on.
#[derive(Debug)]
pub(super) struct Ticks {
    every: Duration,
    next: u64,
}

impl Ticks {
    /// Creates them; the first is due at once.
    pub(super) fn new(every: Duration) -> Self {
        Self { every, next: 0 }
    }

    /// Returns when the next one is due.
    pub(super) fn due(&self) -> Duration {
        let nanoseconds = self.every.as_nanos() * u128::from(self.next);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Takes the next one, at the time `now`; returns how many are left out because they are late.
    pub(super) fn take(&mut self, now: Duration) -> u64 {
        let late = now.saturating_sub(self.due());
        let left_out = if late < self.every.max(GRACE) { 0 } else { self.index(now) - self.next };
        self.next += left_out + 1;
        left_out
    }

    /// Skips those that were due while there was nothing to send, from `began` to `ended`: none of them is left out.
    pub(super) fn wait(&mut self, began: Duration, ended: Duration) {
        if self.due() >= began {
            self.next = self.next.max(self.index(ended));
        }
    }

    /// Returns the last one that is due at `now`.
    fn index(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.every.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn delays_do_not_add_up() {
        let mut ticks = Ticks::new(ms(100));
        for (due, now) in [(0, 0), (100, 103), (200, 299), (300, 300)] {
            assert_eq!((ticks.due(), ticks.take(ms(now))), (ms(due), 0));
        }
        assert_eq!(ticks.due(), ms(400));
    }

    #[test]
    fn late_ones_are_left_out_and_counted() {
        let mut ticks = Ticks::new(ms(100));
        assert_eq!((ticks.take(ms(0)), ticks.take(ms(350)), ticks.due()), (0, 2, ms(400)));
        // A short interval catches up.
        let mut ticks = Ticks::new(ms(1));
        assert_eq!((ticks.take(ms(0)), ticks.take(ms(20)), ticks.due()), (0, 0, ms(2)));
        assert_eq!((ticks.take(ms(22)), ticks.due()), (20, ms(23)));
    }

    #[test]
    fn waiting_for_input_leaves_nothing_out() {
        let mut ticks = Ticks::new(ms(100));
        assert_eq!(ticks.take(ms(0)), 0);
        ticks.wait(ms(1), ms(1_050));
        assert_eq!((ticks.due(), ticks.take(ms(1_050)), ticks.due()), (ms(1_000), 0, ms(1_100)));
        // Input that was there in time changes nothing.
        ticks.wait(ms(1_051), ms(1_052));
        assert_eq!(ticks.due(), ms(1_100));
    }

    #[test]
    fn intervals_have_a_range() {
        assert_eq!(interval("100ms"), Ok(ms(100)));
        for text in ["0", "999us", "9999h", "x"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn each_tick_is_sent_or_left_out(every in 1u64..50, delays in proptest::collection::vec(0u64..200, 1..50)) {
            let mut ticks = Ticks::new(ms(every));
            let (mut now, mut sent, mut left_out) = (Duration::ZERO, 0, 0);
            for delay in delays {
                now = now.max(ticks.due()) + ms(delay);
                left_out += ticks.take(now);
                sent += 1;
                proptest::prop_assert_eq!(ticks.due(), ms(every * (sent + left_out)));
                // The next one is less than the grace behind.
                proptest::prop_assert!(ticks.due() + ms(every.max(20)) > now);
            }
        }
    }
}

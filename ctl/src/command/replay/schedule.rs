//! When each message of a replay is due: a pure function of the arrival times.

use std::str::FromStr;
use std::time::Duration;

use udpchat_api::Timestamp;
use udpchat_locale::tr;

/// The longest pause. Sums of such pauses stay within the range of `Duration`.
const LONGEST_PAUSE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The speed relative to the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// A factor above 0.
    Times(f64),
    /// No pauses.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(0.0) => Ok(Self::Max),
            Ok(factor) if f64::is_finite(factor) && factor > 0.0 => Ok(Self::Times(factor)),
            _ if text == "max" => Ok(Self::Max),
            _ => Err(tr!("expected a factor such as 2 or 0.5, or `max`").to_owned()),
        }
    }
}

/// Computes due times from the first message on, so that delays do not add up.
#[derive(Debug)]
pub(super) struct Schedule {
    speed: Speed,
    max_pause: Duration,
    last_at: Option<Timestamp>,
    due: Duration,
}

impl Schedule {
    /// Creates a schedule.
    pub(super) fn new(speed: Speed, max_pause: Duration) -> Self {
        Self { speed, max_pause: max_pause.min(LONGEST_PAUSE), last_at: None, due: Duration::ZERO }
    }

    /// Returns when the next message is due after the first one; `at` is its arrival time.
    pub(super) fn due(&mut self, at: Timestamp) -> Duration {
        if let Some(last_at) = self.last_at.replace(at) {
            let pause = self.pause(last_at, at).min(self.max_pause);
            self.due = self.due.saturating_add(pause);
        }
        self.due
    }

    fn pause(&self, from: Timestamp, to: Timestamp) -> Duration {
        let Speed::Times(factor) = self.speed else { return Duration::ZERO };
        // A clock that was set back gives a negative time: no pause.
        let seconds = to.duration_since(from).as_secs_f64().max(0.0) / factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[track_caller]
    fn check(speed: &str, max_pause: Option<u64>, times: &[i64], due: &[u64]) {
        let mut schedule =
            Schedule::new(speed.parse().unwrap(), max_pause.map_or(LONGEST_PAUSE, Duration::from_millis));
        let found: Vec<_> = times.iter().map(|time| schedule.due(at(*time))).collect();
        let due: Vec<_> = due.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(found, due);
    }

    #[test]
    fn due_times_are_arrival_times_by_speed() {
        check("1", None, &[500, 750, 750, 1_500], &[0, 250, 250, 1_000]);
        check("2", None, &[0, 1_000, 3_000], &[0, 500, 1_500]);
        check("0.5", None, &[0, 1_000], &[0, 2_000]);
        for max in ["max", "0", "0.0"] {
            check(max, None, &[0, 1_000, 100_000], &[0, 0, 0]);
        }
    }

    #[test]
    fn a_shortened_pause_shifts_what_follows() {
        check("1", Some(300), &[0, 100, 10_000, 10_100], &[0, 100, 400, 500]);
        // The limit applies to the replayed pause, not to the recorded one.
        check("10", Some(300), &[0, 2_000, 10_000], &[0, 200, 500]);
        check("1", Some(0), &[0, 2_000, 10_000], &[0, 0, 0]);
    }

    #[test]
    fn a_clock_set_back_makes_no_pause() {
        check("1", None, &[1_000, 0, 50, 1_050], &[0, 0, 50, 1_050]);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut schedule = Schedule::new(Speed::Times(f64::MIN_POSITIVE), Duration::MAX);
        schedule.due(Timestamp::MIN);
        assert_eq!(schedule.due(Timestamp::MAX), LONGEST_PAUSE);
        schedule.due(Timestamp::MIN);
        assert_eq!(schedule.due(Timestamp::MAX), 2 * LONGEST_PAUSE);
    }

    #[test]
    fn rounding_errors_do_not_add_up() {
        let mut schedule = Schedule::new(Speed::Times(3.0), Duration::MAX);
        let due = (0..=30_000).map(|number| schedule.due(at(number * 10))).last().unwrap();
        assert!(due.abs_diff(Duration::from_secs(100)) < Duration::from_millis(1), "{due:?}");
    }

    #[test]
    fn a_speed_is_a_factor_or_max() {
        assert_eq!("2.5".parse(), Ok(Speed::Times(2.5)));
        for text in ["", "-1", "fast", "inf", "nan", "2x", "-0.1"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}

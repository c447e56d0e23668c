//! Checks the clock, which sets the times of entries and when old ones are removed.

use udpchat_locale::tr;

use super::facts::Facts;
use super::finding::Finding;

const TOPIC: &str = "clock";

/// The plausible range of the clock: from 2025 to 2100, in seconds since 1970.
const EARLIEST_SECOND: i64 = 1_735_689_600;
const LATEST_SECOND: i64 = 4_102_444_800;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let now = facts.now.to_zoned(facts.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if !(EARLIEST_SECOND..LATEST_SECOND).contains(&facts.now.as_second()) {
        let seen = tr!("the clock is wrong: it shows {now}", now);
        return vec![
            Finding::problem(TOPIC, seen)
                .hint(tr!("set it with `date` or `timedatectl`; it sets the times of entries")),
        ];
    }
    let newest_start = facts.status().map(|status| status.started).filter(|started| *started > facts.now);
    match (newest_start, facts.clock_synchronised) {
        (Some(started), _) => vec![backwards(&facts.local_time(started), &now)],
        (None, Some(false)) => vec![
            Finding::warning(TOPIC, tr!("{now}; the clock is not synchronised", now))
                .hint(tr!("`timedatectl set-ntp true` synchronises it, if systemd-timesyncd is installed")),
        ],
        (None, Some(true)) => vec![Finding::ok(TOPIC, tr!("{now}, synchronised over the network", now))],
        (None, None) => vec![Finding::ok(TOPIC, now)],
    }
}

fn backwards(started: &str, now: &str) -> Finding {
    let seen =
        tr!("the clock was set back: the daemon started at {started}, and now it is {now}", started, now);
    Finding::warning(TOPIC, seen).hint(tr!("older entries have later times than new ones"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels, text};
    use super::*;

    #[test]
    fn an_implausible_clock_is_a_problem() {
        for (now, synchronised, level) in [
            ("2026-11-22T12:00:00Z", Some(true), Fine),
            ("2026-11-22T12:00:00Z", None, Fine),
            ("2026-11-22T12:00:00Z", Some(false), Warning),
            ("2026-11-22T09:00:00Z", Some(true), Warning),
            ("1970-01-01T00:10:00Z", Some(true), Problem),
            ("2107-01-01T00:00:00Z", None, Problem),
        ] {
            let facts = Facts { now: now.parse().unwrap(), clock_synchronised: synchronised, ..facts() };
            assert_eq!(levels(&findings(&facts)), [level], "{now}");
        }
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
        assert!(text(&findings(&Facts { zone, ..facts() })).starts_with("2026-11-22 20:00:00 +08"));
    }
}

//! The clock, by which entries are dated and old ones removed.

use udpchat_api::Timestamp;

use super::{Facts, Finding};

const TOPIC: &str = "clock";

/// No machine that runs this has an earlier or a later year: 2025 and 2100, in seconds since 1970.
const EARLIEST_SECOND: i64 = 1_735_689_600;
const LATEST_SECOND: i64 = 4_102_444_800;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let now = facts.now.strftime("%Y-%m-%d %H:%M:%SZ");
    if !(EARLIEST_SECOND..LATEST_SECOND).contains(&facts.now.as_second()) {
        let seen = format!("the clock says {now}, which cannot be");
        return vec![
            Finding::problem(TOPIC, seen)
                .hint("set it with `date` or `timedatectl`; entries are dated by it"),
        ];
    }
    let newest_start = facts.status().map(|status| status.started).filter(|started| *started > facts.now);
    match (newest_start, facts.clock_synchronised) {
        (Some(started), _) => vec![backwards(started, facts.now)],
        (None, Some(false)) => vec![
            Finding::warning(TOPIC, format!("{now}; nothing keeps the clock right"))
                .hint("`timedatectl set-ntp true` does, where systemd-timesyncd is installed"),
        ],
        (None, Some(true)) => vec![Finding::ok(TOPIC, format!("{now}, kept right over the network"))],
        (None, None) => vec![Finding::ok(TOPIC, now.to_string())],
    }
}

fn backwards(started: Timestamp, now: Timestamp) -> Finding {
    let seen = format!("the clock went back: the daemon has started at {started}, and it is {now} now");
    Finding::warning(TOPIC, seen).hint("entries of before are dated later than those of now")
}

#[cfg(test)]
mod tests {
    use super::super::Level::{Fine, Problem, Warning};
    use super::super::testing::{facts, levels};
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_is_a_problem() {
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
    }
}

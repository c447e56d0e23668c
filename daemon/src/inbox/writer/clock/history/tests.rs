use super::*;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

fn reading(boot_id: u128, boottime_ns: i64, wall_ns: i64) -> Reading {
    Reading { boot_id, boottime_ns, wall_ns }
}

/// Returns a history that began in boot 1 after 100 s, by a clock at 10 years.
fn history() -> History {
    let mut history = History::default();
    let first = history.observe(&reading(1, 100 * SECOND, 10 * YEAR), 7).unwrap();
    assert_eq!((first.number, first.first_id, first.step_ns), (1, 8, UNKNOWN_STEP_NS));
    history.push(first, 1);
    history
}

#[test]
fn a_steady_clock_begins_no_period() {
    let history = history();
    for passed in [0, 1, HOUR, YEAR] {
        let now = reading(1, 100 * SECOND + passed, 10 * YEAR + passed + SECOND / 2);
        assert_eq!(history.observe(&now, 9), None);
    }
}

#[test]
fn a_step_begins_a_period_with_its_size() {
    for step in [-YEAR, -HOUR, -SECOND, SECOND, HOUR, YEAR] {
        let period = history().observe(&reading(1, 200 * SECOND, 10 * YEAR + 100 * SECOND + step), 9);
        let period = period.unwrap();
        assert_eq!((period.number, period.first_id), (2, 10));
        assert_eq!((period.step_ns, period.restarted), (step, false));
    }
}

#[test]
fn small_steps_add_up() {
    let history = history();
    let after = |steps| history.observe(&reading(1, 200 * SECOND, 10 * YEAR + 100 * SECOND + steps), 9);
    assert_eq!(after(400_000_000), None);
    assert_eq!(after(800_000_000), None);
    assert_eq!(after(1_200_000_000).unwrap().step_ns, 1_200_000_000);
}

#[test]
fn the_first_entries_after_a_step_end_a_period() {
    // By the same boot, and by another one.
    for (boot_id, since) in [(1, 200 * SECOND), (2, 5 * SECOND)] {
        let mut history = history();
        let back = history.observe(&reading(boot_id, since, 5 * YEAR), 9).unwrap();
        history.push(back, 1);
        let later = reading(boot_id, since + 100 * SECOND, 5 * YEAR + 100 * SECOND);
        assert_eq!(history.observe(&later, 9), None, "nothing was received yet");
        let end = history.observe(&later, 12).unwrap();
        assert_eq!((end.first_id, end.step_ns, end.restarted), (13, 0, false));
        history.push(end, 1);
        assert_eq!(history.observe(&later, 20), None);
    }
}

#[test]
fn a_restarted_machine_shows_how_long_it_was_off() {
    let mut history = history();
    history.periods[0].seen_ns = 10 * YEAR + DAY;
    for (wall_ns, absence_ns) in [(10 * YEAR + 3 * DAY, 2 * DAY), (0, -10 * YEAR - DAY)] {
        let period = history.observe(&reading(2, 5 * SECOND, wall_ns), 9);
        assert_eq!(period.map(|period| (period.step_ns, period.restarted)), Some((absence_ns, true)));
    }
}

#[test]
fn the_same_boot_is_recognised_without_its_identifier() {
    let now = reading(77, 100 * SECOND + DAY, 10 * YEAR + DAY);
    assert_eq!(history().observe(&now, 9), None);
}

#[test]
fn a_jump_is_reported_for_an_hour() {
    for (step, restarted, reported) in [
        (HOUR, false, true),
        (-HOUR, false, true),
        (59 * SECOND, false, false),
        (-59 * SECOND, false, false),
        (3 * DAY, true, false),
        (YEAR, true, true),
        (-HOUR, true, true),
    ] {
        let mut history = history();
        let begin = reading(1, 200 * SECOND, 10 * YEAR);
        history.push(history.periods[0].next(&begin, 10, step, restarted), 1);
        let jump = |passed: i64| history.jump(&reading(1, 200 * SECOND + passed, 10 * YEAR + passed));
        assert_eq!(jump(0).map(|jump| jump.by_ns), reported.then_some(step), "{step}");
        assert_eq!(jump(HOUR - 1).is_some(), reported);
        assert_eq!(jump(HOUR), None);
    }
}

#[test]
fn periods_without_entries_are_dropped() {
    let mut history = history();
    for first_id in [20, 30, 40] {
        let period = history.periods.last().unwrap().next(&reading(1, 0, 0), first_id, HOUR, false);
        history.push(period, 30);
    }
    assert_eq!(history.periods.iter().map(|period| period.first_id).collect::<Vec<_>>(), [30, 40]);
}

#[test]
fn an_unsteady_clock_does_not_grow_the_history() {
    let mut history = history();
    for first_id in 0..3 * MAX_PERIODS as u64 {
        let period = history.periods.last().unwrap().next(&reading(1, 0, 0), 10 + first_id, HOUR, true);
        history.push(period, 1);
    }
    assert_eq!(history.periods.len(), MAX_PERIODS);
    assert_eq!((history.periods[0].step_ns, history.periods[0].restarted), (UNKNOWN_STEP_NS, false));
    assert_eq!(history.periods[1].step_ns, HOUR);
}

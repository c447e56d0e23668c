use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// An entry of the model, with what is true about it.
struct Received {
    id: u64,
    /// When it was received, by a clock that runs only while the machine does.
    at_ns: i64,
    restarts: i64,
}

/// A log on a machine whose clock shows anything.
struct Model {
    connection: Connection,
    history: History,
    entries: Vec<Received>,
    newest_id: u64,
    /// How long the machine has run in total, and at which of these times the current boot began.
    run_ns: i64,
    boot_ns: i64,
    restarts: i64,
    wall_ns: i64,
}

impl Model {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE entry (id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL)")
            .unwrap();
        let mut model = Self {
            connection,
            history: History::default(),
            entries: Vec::new(),
            newest_id: 0,
            run_ns: 0,
            boot_ns: 0,
            restarts: 0,
            wall_ns: 56 * YEAR,
        };
        model.pass(10 * SECOND);
        model.observe();
        model
    }

    fn reading(&self) -> Reading {
        let boottime_ns = self.run_ns - self.boot_ns;
        Reading { boot_id: self.restarts.unsigned_abs().into(), boottime_ns, wall_ns: self.wall_ns }
    }

    fn push(&mut self, period: Period) {
        let oldest = self.entries.first().map_or(self.newest_id + 1, |entry| entry.id);
        self.history.push(period, oldest);
    }

    fn observe(&mut self) {
        if let Some(period) = self.history.observe(&self.reading(), self.newest_id) {
            self.push(period);
        }
    }

    /// Sets the clock. Times fit into 64 bits until 2262.
    fn step(&mut self, ns: i64) {
        if (self.wall_ns + ns).abs() < 200 * YEAR {
            self.wall_ns += ns;
        }
    }

    fn pass(&mut self, ns: i64) {
        self.run_ns += ns;
        self.wall_ns += ns;
    }

    /// Receives entries; the clock may be set before they are stored.
    fn receive(&mut self, count: u64, step_ns: i64) {
        if step_ns != 0 {
            // Two steps between two batches are seen as one.
            self.observe();
        }
        let (at_ns, run_ns) = (self.wall_ns, self.run_ns);
        self.step(step_ns);
        self.pass(SECOND / 10);
        self.observe();
        for _ in 0..count {
            self.newest_id += 1;
            let insert = "INSERT INTO entry VALUES (?1, ?2)";
            self.connection.execute(insert, params![self.newest_id, at_ns]).unwrap();
            self.entries.push(Received { id: self.newest_id, at_ns: run_ns, restarts: self.restarts });
        }
    }

    /// Switches the machine off and on. `off_ns` is what the clock shows of it.
    fn restart(&mut self, off_ns: i64, noted: bool) {
        let reading = self.reading();
        if noted && let Some(last) = self.history.periods.last_mut() {
            last.seen_ns = last.expected_ns(&reading);
        }
        self.step(off_ns);
        // No two boots are shorter than this.
        self.pass(5 * SECOND);
        self.boot_ns = self.run_ns;
        self.restarts += 1;
        self.observe();
    }

    /// Removes what is judged to be old, and checks that it is.
    fn remove(&mut self) {
        self.observe();
        while let Some(oldest) = self.entries.first().map(|entry| entry.id) {
            let ids = oldest..self.newest_id.min(oldest + 7);
            let old = old_up_to(&self.connection, &self.history, &self.reading(), MAX_AGE, &ids).unwrap();
            if old == 0 {
                break;
            }
            for entry in self.entries.extract_if(.., |entry| entry.id <= old) {
                // The time off counts if the clock shows no more than a tenth.
                let restarts = self.restarts - entry.restarts;
                let tolerance = restarts * to_ns(MAX_AGE) / BELIEVED_PART + (restarts + 1) * SECOND;
                let kept_ns = self.run_ns - entry.at_ns;
                assert!(kept_ns >= to_ns(MAX_AGE) - tolerance, "{} was kept for {kept_ns} ns", entry.id);
            }
            self.connection.execute("DELETE FROM entry WHERE id <= ?1", [old]).unwrap();
        }
    }

    fn ids(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.id).collect()
    }
}

#[derive(Clone, Debug)]
enum Event {
    Pass(i64),
    Step(i64),
    Receive(u64, i64),
    Restart(i64, bool),
    Remove,
}

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(HOUR),
        Just(-HOUR),
        Just(YEAR),
        Just(-YEAR),
        Just(56 * YEAR),
        Just(-56 * YEAR),
        -SECOND..SECOND,
        -200 * DAY..200 * DAY,
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop_oneof![0..HOUR, 0..40 * DAY].prop_map(Event::Pass),
        2 => step().prop_map(Event::Step),
        4 => (1_u64..6, prop_oneof![4 => Just(0), 1 => step()]).prop_map(|(count, step)| Event::Receive(count, step)),
        1 => (prop_oneof![0..2 * DAY, step()], any::<bool>()).prop_map(|(off, noted)| Event::Restart(off, noted)),
        3 => Just(Event::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_goes_early_and_everything_goes_at_the_end(events in prop::collection::vec(event(), 1..60)) {
        let mut model = Model::new();
        for event in events {
            match event {
                Event::Pass(ns) => model.pass(ns),
                Event::Step(ns) => model.step(ns),
                Event::Receive(count, step) => model.receive(count, step),
                Event::Restart(off, noted) => model.restart(off, noted),
                Event::Remove => model.remove(),
            }
        }
        // Normal operation.
        model.receive(1, 0);
        model.receive(1, 0);
        model.pass(to_ns(MAX_AGE) + 2 * SECOND);
        model.receive(1, 0);
        model.remove();
        prop_assert_eq!(model.ids(), [model.newest_id]);
    }
}

#[test]
fn a_step_back_within_a_step_ahead_makes_nothing_old() {
    let mut model = Model::new();
    model.receive(1, 0);
    model.step(56 * YEAR);
    model.receive(1, -YEAR);
    model.restart(0, false);
    model.remove();
    assert_eq!(model.ids(), [1, 2]);
}

/// Receives an entry, lets the machine be off, and returns how long it runs until the entry goes.
fn kept_after(off_ns: i64, steps: &[(i64, i64)]) -> i64 {
    let mut model = Model::new();
    model.receive(1, 0);
    model.restart(off_ns, true);
    for (after, step) in steps {
        model.pass(*after);
        model.step(*step);
        model.observe();
    }
    model.receive(1, 0);
    let received = model.ids()[0];
    while model.ids()[0] == received {
        model.pass(HOUR);
        model.remove();
    }
    model.run_ns
}

#[test]
fn the_time_off_counts_up_to_a_tenth() {
    let about = |kept: i64, days: i64| assert!((kept - days * DAY).abs() <= HOUR, "{} h", kept / HOUR);
    about(kept_after(0, &[]), 90);
    about(kept_after(3 * DAY, &[]), 87);
    about(kept_after(8 * DAY, &[]), 82);
    about(kept_after(10 * DAY, &[]), 90);
    about(kept_after(YEAR, &[]), 90);
    about(kept_after(-YEAR, &[]), 90);
    // A machine without a battery clock: it starts in 1970 or where it stopped, then fetches the time.
    about(kept_after(-56 * YEAR, &[(30 * SECOND, 56 * YEAR + 3 * DAY)]), 87);
    about(kept_after(0, &[(30 * SECOND, 3 * DAY)]), 87);
    // A clock that was wrong at the start and corrected within the hour.
    about(kept_after(YEAR, &[(HOUR / 2, 3 * DAY - YEAR)]), 87);
    // Later steps are none of the time off.
    about(kept_after(0, &[(2 * HOUR, 3 * DAY)]), 90);
}

#[test]
fn the_time_off_counts_only_once_the_clock_is_believed() {
    let mut model = Model::new();
    model.receive(1, 0);
    model.pass(85 * DAY);
    model.restart(8 * DAY, true);
    model.receive(1, 0);
    model.pass(HOUR - SECOND);
    model.remove();
    assert_eq!(model.ids(), [1, 2]);
    model.pass(2 * SECOND);
    model.remove();
    assert_eq!(model.ids(), [2]);
}

#[test]
fn machines_that_are_off_every_night_remove_in_time() {
    let mut model = Model::new();
    for day in 0_u64..120 {
        model.receive(1, 0);
        model.pass(8 * HOUR);
        model.remove();
        let oldest = model.ids()[0];
        // Entry 1 was received on day 0.
        assert_eq!(oldest, 1 + day.saturating_sub(89));
        model.restart(16 * HOUR, true);
    }
}

#[test]
fn entries_of_unknown_clocks_count_from_the_begin() {
    let mut model = Model::new();
    model.history = History::default();
    let now = model.wall_ns;
    for (id, at_ns) in
        [(1, now - 100 * DAY), (2, now + YEAR), (3, now - 95 * DAY), (4, now - DAY), (5, now + YEAR)]
    {
        model.connection.execute("INSERT INTO entry VALUES (?1, ?2)", params![id, at_ns]).unwrap();
    }
    model.newest_id = 5;
    model.observe();
    let old = |model: &Model| {
        old_up_to(&model.connection, &model.history, &model.reading(), MAX_AGE, &(1..6)).unwrap()
    };
    assert_eq!(old(&model), 0);
    model.pass(90 * DAY - SECOND);
    assert_eq!(old(&model), 0);
    model.pass(2 * SECOND);
    assert_eq!(old(&model), 5);
}

#[test]
fn a_dropped_history_delays_removal() {
    let mut model = Model::new();
    model.receive(1, 0);
    for _ in 0..1_100 {
        model.pass(HOUR);
        model.step(2 * HOUR);
        model.observe();
    }
    model.receive(1, 0);
    let begin_ns = model.run_ns - 999 * HOUR;
    model.pass(begin_ns + to_ns(MAX_AGE) - model.run_ns - HOUR);
    model.remove();
    assert_eq!(model.ids(), [1, 2]);
    model.pass(3 * HOUR);
    model.remove();
    assert_eq!(model.ids(), [2]);
}

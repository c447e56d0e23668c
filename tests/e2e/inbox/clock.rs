//! A clock that is set, at a start or while the daemon runs, removes nothing that was not kept for `inbox.max_age`.

use std::fs;
use std::thread;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::clock::{Clocks, HOUR, SECOND, YEAR};
use crate::support::{Daemon, Peer, available, command_in, eventually, new_folder};

/// Old entries are looked for every 1.5 s.
const MAX_AGE: i64 = 30 * SECOND;
const WITH_MAX_AGE: &str = "[inbox]\nmax_age = '30s'";

fn start(folder: TempDir, config: &str) -> Daemon {
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = command_in(folder.path());
    Clocks::preload(folder.path(), command.args(["--listen", "127.0.0.1:0"]));
    Daemon::start_by(folder, &mut command)
}

fn stop(mut daemon: Daemon) -> TempDir {
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    daemon.into_folder().0
}

fn receive(daemon: &Daemon, count: usize) {
    daemon.receive_from(&Peer::new(), (0..count).map(|number| format!("{number}")));
}

fn entries(daemon: &Daemon) -> u64 {
    daemon.status()["inbox"]["entries"].as_u64().unwrap()
}

fn problems(daemon: &Daemon) -> String {
    daemon.status()["problems"].to_string()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Running,
    AtStart,
    AtRestartOfTheMachine,
}

/// Returns what the status reports of a step.
fn expected_problem(step: i64, when: When) -> Option<&'static str> {
    let (restarted, long) = (when == When::AtRestartOfTheMachine, step.abs() >= YEAR);
    match (restarted, long, step > 0) {
        // As long as the machine may have been off.
        (true, false, true) => None,
        (true, true, true) => Some("days ahead of the inbox"),
        (true, true, false) => Some("days behind the inbox"),
        (true, false, false) => Some("1 hour behind the inbox"),
        (false, true, true) => Some("set forward by 365 days"),
        (false, true, false) => Some("set back by 365 days"),
        (false, false, true) => Some("set forward by 1 hour"),
        (false, false, false) => Some("set back by 1 hour"),
    }
}

/// Sets the clock of a running daemon, or before another start.
fn step_clock(clocks: &mut Clocks, daemon: Daemon, step: i64, when: When) -> Daemon {
    if when == When::Running {
        clocks.step(step);
        return daemon;
    }
    let folder = stop(daemon);
    if when == When::AtRestartOfTheMachine {
        clocks.restart();
    }
    clocks.step(step);
    let config = fs::read_to_string(folder.path().join("config.toml")).unwrap();
    start(folder, &config)
}

fn check_step(step: i64, when: When) {
    let folder = new_folder();
    let mut clocks = Clocks::new(folder.path()).unwrap();
    let daemon = start(folder, WITH_MAX_AGE);
    receive(&daemon, 10);
    clocks.pass(MAX_AGE * 2 / 3);
    receive(&daemon, 100);
    let daemon = step_clock(&mut clocks, daemon, step, when);
    receive(&daemon, 5);
    let expected = expected_problem(step, when);
    if let Some(expected) = expected {
        eventually(expected, || problems(&daemon).contains(expected).then_some(()));
    }
    clocks.pass(MAX_AGE / 2);
    eventually("the entries that were kept for long enough to go", || {
        (entries(&daemon) != 115).then_some(())
    });
    assert_eq!(entries(&daemon), 105, "{step} {when:?}");
    assert!(expected.is_some() || problems(&daemon) == "[]");
    clocks.pass(MAX_AGE);
    eventually("all others to go", || (entries(&daemon) == 1).then_some(()));
}

/// Without a largest age the step is reported as well.
fn check_unlimited(step: i64, when: When) {
    let folder = new_folder();
    let mut clocks = Clocks::new(folder.path()).unwrap();
    let daemon = start(folder, "");
    receive(&daemon, 10);
    let daemon = step_clock(&mut clocks, daemon, step, when);
    receive(&daemon, 5);
    if let Some(expected) = expected_problem(step, when) {
        eventually(expected, || problems(&daemon).contains(expected).then_some(()));
    }
    assert_eq!(entries(&daemon), 15, "{step} {when:?}");
}

/// One thread a row: each waits for its daemon most of the time.
fn for_each_step(check: impl Fn(i64, When) + Copy + Send + Sync) {
    thread::scope(|scope| {
        for when in [When::Running, When::AtStart, When::AtRestartOfTheMachine] {
            for step in [HOUR, -HOUR, YEAR, -YEAR] {
                scope.spawn(move || check(step, when));
            }
        }
    });
}

#[test]
fn no_step_of_the_clock_changes_an_age() {
    if available("cc") {
        for_each_step(check_step);
    }
}

#[test]
fn a_step_is_reported_without_a_largest_age() {
    if available("cc") {
        for_each_step(check_unlimited);
    }
}

#[test]
fn a_step_is_reported_until_the_clock_is_believed() {
    let folder = new_folder();
    let Some(mut clocks) = Clocks::new(folder.path()) else { return };
    let mut daemon = start(folder, "");
    receive(&daemon, 10);
    clocks.step(-YEAR);
    receive(&daemon, 1);
    let problem = daemon.log_with("the system's clock was set back by 365 days");
    assert!(problem.contains("WARN"), "{problem}");
    eventually("the report", || (daemon.status()["state"] == "degraded").then_some(()));
    clocks.pass(HOUR - 60 * SECOND);
    receive(&daemon, 1);
    assert_eq!(daemon.status()["state"], "degraded");
    // The report outlives a restart of the daemon.
    let daemon = start(stop(daemon), "");
    receive(&daemon, 1);
    eventually("the report", || problems(&daemon).contains("set back by 365 days").then_some(()));
    clocks.pass(60 * SECOND);
    receive(&daemon, 1);
    eventually("the end of the report", || (daemon.status()["state"] == "ok").then_some(()));
    assert_eq!(entries(&daemon), 14);
}

#[test]
fn old_entries_go_after_daily_restarts() {
    let folder = new_folder();
    let Some(mut clocks) = Clocks::new(folder.path()) else { return };
    let config = "[inbox]\nmax_age = '30d'";
    let mut daemon = start(folder, config);
    for day in 1..=33 {
        receive(&daemon, 1);
        // Off for 16 hours, and at first the clock shows the time at which the machine was switched off.
        clocks.pass(8 * HOUR);
        let folder = stop(daemon);
        clocks.restart();
        daemon = start(folder, config);
        clocks.step(16 * HOUR);
        if day < 30 {
            assert_eq!(entries(&daemon), day, "on day {day}");
        }
    }
    // The clock is not yet believed in the last boot.
    eventually("three days to go", || (entries(&daemon) == 30).then_some(()));
}

#[test]
fn entries_of_a_clock_ahead_stay_for_their_time() {
    let daemon = Daemon::start_with(WITH_MAX_AGE, &[]);
    receive(&daemon, 200);
    let (folder, flags) = daemon.into_folder();
    let inbox = Connection::open(folder.path().join("data/inbox.db")).unwrap();
    inbox.execute("UPDATE entry SET at_ns = at_ns + ?1", [HOUR]).unwrap();
    drop(inbox);
    let daemon = Daemon::start_in(folder, flags);
    eventually("the report", || {
        problems(&daemon).contains("1 hour ahead of the system's clock").then_some(())
    });
    receive(&daemon, 1);
    assert_eq!(entries(&daemon), 201);
}

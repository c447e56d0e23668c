//! A daemon that cannot start, with and without traffic: the final state of its units, and recovery after a fix.

use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Machine, PORT, SERVICE, SOCKET};
use crate::support::{eventually, scaled};

const CONFIGURATION: &str = "/etc/udpchat/config.toml";
const MISTAKE: &str = "lisen = []\n";
const LOAD: u32 = 4_000;

/// Checks what an administrator sees of a daemon whose configuration is refused.
#[track_caller]
fn assert_failed_for_the_configuration(machine: &Machine) {
    machine.until(SERVICE, "ActiveState", |state| state == "failed");
    assert_eq!(machine.show(SERVICE, "ExecMainStatus"), "2");
    let status = machine.systemctl(&["status", "--no-pager", SERVICE]).refused();
    assert!(status.contains("error: /etc/udpchat/config.toml:1:1: unknown key `lisen`"), "{status}");
    assert!(status.contains("hint: did you mean `listen`?"), "{status}");
    let line = machine.journal_line("unknown key `lisen`");
    assert_eq!(line["PRIORITY"], "3", "{line:#}");
}

/// Mends the configuration and checks that one command is enough, and that a datagram is received.
#[track_caller]
fn assert_mended(machine: &Machine) {
    machine.write(CONFIGURATION, "");
    machine.systemctl(&["start", SERVICE]).done();
    machine.udp().send_to(b"4000000000", ("127.0.0.1", PORT)).unwrap();
    eventually("the datagram", || machine.inbox().numbers().contains(&4_000_000_000).then_some(()));
}

/// Returns how often the daemon was started and refused the configuration.
fn refusals(machine: &Machine) -> usize {
    let lines = machine.journal(&[]);
    lines.iter().filter(|line| line["MESSAGE"].to_string().contains("unknown key")).count()
}

#[test]
fn a_configuration_mistake_stops_the_service_until_fixed() {
    let Some(machine) = Machine::boot() else { return };
    machine.write(CONFIGURATION, MISTAKE);
    machine.systemctl(&["start", SERVICE]).refused();
    assert_failed_for_the_configuration(&machine);
    // Longer than RestartSec=.
    thread::sleep(Duration::from_secs(2));
    assert_eq!((&*machine.show(SERVICE, "ActiveState"), refusals(&machine)), ("failed", 1));
    assert_mended(&machine);
}

#[test]
fn traffic_does_not_restart_a_refused_daemon() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let sender = machine.send_numbers(LOAD);
    sender.wait_for(100);
    machine.write(CONFIGURATION, MISTAKE);
    machine.systemctl(&["restart", SERVICE]).refused();
    assert_failed_for_the_configuration(&machine);
    machine.until(SOCKET, "ActiveState", |state| state == "inactive");
    let refused = refusals(&machine);
    // Traffic that arrives while the port is being closed may start the daemon once more.
    assert!(refused <= 3, "{refused}");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(
        (&*machine.show(SERVICE, "ActiveState"), refusals(&machine)),
        ("failed", refused),
        "it is over"
    );
    assert_mended(&machine);
    let from = sender.sent();
    sender.wait_for(u64::from(LOAD));
    let sent = sender.stop();
    let received = |machine: &Machine| {
        let numbers = machine.inbox().numbers().into_iter();
        numbers.filter(|number| (from..sent).contains(number)).count() as u64
    };
    eventually("all that was sent since then", || (received(&machine) == sent - from).then_some(()));
    assert_eq!(machine.show(SOCKET, "SubState"), "running", "the port is the manager's again");
}

#[test]
fn repeated_exits_reach_the_trigger_limit() {
    let Some(machine) = Machine::boot() else { return };
    // The daemon works but has received nothing: only the limit ends this.
    machine.edit(SERVICE, "[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/bin/true\n");
    machine.systemctl(&["start", SOCKET]).done();
    let sender = machine.send_numbers(100);
    machine.until(SOCKET, "Result", |result| result == "trigger-limit-hit");
    machine.run(&["rm", "-r", "/etc/systemd/system/udpchatd.service.d"]).done();
    machine.systemctl(&["daemon-reload"]).done();
    assert_mended(&machine);
    drop(sender);
}

#[test]
fn a_failing_start_is_retried_with_the_port_open() {
    let Some(machine) = Machine::boot() else { return };
    // In the place of its lock; the daemon ends with status 1, as with a disk that is not there.
    machine.run(&["mkdir", "/var/lib/udpchat/lock"]).done();
    machine.systemctl(&["start", SERVICE]).refused();
    let sender = machine.send_numbers(50);
    let began = Instant::now();
    // In the full campaign longer than the interval of the limit.
    thread::sleep(Duration::from_secs(scaled(10, 180) as u64));
    let attempts: f64 = machine.show(SERVICE, "NRestarts").parse().unwrap();
    assert!(attempts >= 3.0 && attempts / began.elapsed().as_secs_f64() <= 2.0, "{attempts}");
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active");
    machine.run(&["rmdir", "/var/lib/udpchat/lock"]).done();
    machine.serves();
    let sent = sender.stop();
    eventually("all that has waited", || (machine.inbox().count() == sent).then_some(()));
    assert_eq!(machine.inbox().account(sent).there, sent);
    eprintln!("{attempts} attempts");
}

#[test]
fn quick_restarts_under_load_keep_the_socket() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let sender = machine.send_numbers(LOAD);
    let (restarts, began) = (scaled(40, 100), Instant::now());
    for _ in 0..restarts {
        machine.systemctl(&["restart", SERVICE]).done();
    }
    let each = began.elapsed() / u32::try_from(restarts).unwrap();
    eprintln!("{restarts} restarts of {each:?}");
    let sent = sender.stop();
    eventually("everything to be stored", || (machine.inbox().count() == sent).then_some(()));
    assert_eq!(machine.show(SOCKET, "Result"), "success");
    // The kernel's buffer is bounded, so a restart must wait for nothing but the disk.
    assert!(each < Duration::from_secs(1), "{each:?}");
}

#[test]
fn a_repeatedly_killed_daemon_returns() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).done();
    let sender = machine.send_numbers(LOAD);
    for _ in 0..scaled(20, 200) {
        // It may just not be there.
        let _gone = machine.systemctl(&["kill", "--signal=KILL", SERVICE]);
        thread::sleep(Duration::from_millis(300));
    }
    machine.serves();
    assert_eq!(machine.show(SOCKET, "Result"), "success");
    let sent = sender.stop();
    eventually("the last number", || (machine.inbox().last() == Some(sent - 1)).then_some(()));
}

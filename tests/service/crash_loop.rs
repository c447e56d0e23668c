//! A daemon that cannot start, with and without traffic that asks for it: where it ends, and that mending it is enough.

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
    let status = machine.systemctl(&["status", "--no-pager", SERVICE]).fails();
    assert!(status.contains("error: /etc/udpchat/config.toml:1:1: unknown key `lisen`"), "{status}");
    assert!(status.contains("hint: did you mean `listen`?"), "{status}");
    let line = machine.journal_line("unknown key `lisen`");
    assert_eq!(line["PRIORITY"], "3", "{line:#}");
}

/// Mends the configuration and checks that one command is enough, and that a datagram is received.
#[track_caller]
fn assert_mended(machine: &Machine) {
    machine.write(CONFIGURATION, "");
    machine.systemctl(&["start", SERVICE]).ok();
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active");
    machine.udp().send_to(b"4000000000", ("127.0.0.1", PORT)).unwrap();
    eventually("the datagram", || machine.inbox().numbers().contains(&4_000_000_000).then_some(()));
}

#[test]
fn a_mistake_in_the_configuration_ends_the_service_until_it_is_mended() {
    let Some(machine) = Machine::boot() else { return };
    machine.write(CONFIGURATION, MISTAKE);
    machine.systemctl(&["start", SERVICE]).fails();
    assert_failed_for_the_configuration(&machine);
    // Longer than RestartSec=.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(
        (&*machine.show(SERVICE, "NRestarts"), &*machine.show(SERVICE, "ActiveState")),
        ("0", "failed")
    );
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active", "what comes in meanwhile waits");
    assert_mended(&machine);
}

#[test]
fn traffic_does_not_start_a_refused_daemon_for_ever() {
    let Some(machine) = Machine::boot() else { return };
    machine.write(CONFIGURATION, MISTAKE);
    let sender = machine.send_numbers(LOAD);
    machine.systemctl(&["start", SERVICE]).fails();
    machine.until(SOCKET, "Result", |result| result == "trigger-limit-hit");
    assert_failed_for_the_configuration(&machine);
    let starts = |machine: &Machine| {
        let lines = machine.journal(&[]);
        lines.iter().filter(|line| line["MESSAGE"].to_string().contains("unknown key")).count()
    };
    let tried = starts(&machine);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(starts(&machine), tried, "it is over");
    assert_mended(&machine);
    let from = sender.sent();
    sender.wait_for(u64::from(LOAD));
    let sent = sender.stop();
    let all_since =
        |numbers: Vec<u64>| numbers.into_iter().filter(|number| (from..sent).contains(number)).count();
    eventually("all since then", || {
        (all_since(machine.inbox().numbers()) as u64 == sent - from).then_some(())
    });
    eprintln!("{tried} attempts");
}

#[test]
fn a_daemon_that_dies_at_each_start_is_tried_until_it_can_and_its_port_stays_open() {
    let Some(machine) = Machine::boot() else { return };
    // In the place of its lock; the daemon ends with status 1, as with a disk that is not there.
    machine.run(&["mkdir", "/var/lib/udpchat/lock"]).ok();
    machine.systemctl(&["start", SERVICE]).fails();
    let sender = machine.send_numbers(50);
    let began = Instant::now();
    // In the full campaign longer than the interval of the limit.
    thread::sleep(Duration::from_secs(scaled(10, 180) as u64));
    let attempts: f64 = machine.show(SERVICE, "NRestarts").parse().unwrap();
    assert!(attempts >= 3.0 && attempts / began.elapsed().as_secs_f64() <= 2.0, "{attempts}");
    assert_eq!(machine.show(SOCKET, "ActiveState"), "active");
    machine.run(&["rmdir", "/var/lib/udpchat/lock"]).ok();
    machine.serves();
    let sent = sender.stop();
    eventually("all that has waited", || (machine.inbox().count() == sent).then_some(()));
    assert_eq!(machine.inbox().account(sent).there, sent);
    eprintln!("{attempts} attempts");
}

#[test]
fn many_quick_restarts_beside_traffic_close_nothing() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).ok();
    let sender = machine.send_numbers(LOAD);
    let began = Instant::now();
    for _ in 0..scaled(40, 100) {
        machine.systemctl(&["restart", SERVICE]).ok();
    }
    eprintln!("{} restarts in {:?}", scaled(40, 100), began.elapsed());
    let sent = sender.stop();
    eventually("everything to be stored", || (machine.inbox().count() == sent).then_some(()));
    assert_eq!(machine.show(SOCKET, "Result"), "success");
}

#[test]
fn a_daemon_that_is_killed_again_and_again_comes_back() {
    let Some(machine) = Machine::boot() else { return };
    machine.systemctl(&["start", SERVICE]).ok();
    let sender = machine.send_numbers(LOAD);
    for _ in 0..scaled(20, 200) {
        // It may just not be there.
        let _gone = machine.systemctl(&["kill", "--signal=KILL", SERVICE]);
        thread::sleep(Duration::from_millis(300));
    }
    machine.serves();
    assert_eq!(machine.show(SOCKET, "Result"), "success");
    let sent = sender.stop();
    eventually("the last number", || (machine.inbox().numbers().last() == Some(&(sent - 1))).then_some(()));
}

//! The watchdog restarts a daemon that hangs, and no daemon that is only idle, busy or slow.

use std::thread;
use std::time::{Duration, Instant};

use crate::machine::{Machine, PORT, SERVICE};
use crate::support::{Delay, available, eventually};

/// Within which time a daemon that does not move is replaced by one that serves: the 10 s of the watchdog, and the time of a
/// machine on which hundreds of tests run to notice it, and to stop and start a process.
const RESTARTED_WITHIN: Duration = Duration::from_secs(30);

/// Longer than any test waits.
const HANG: Duration = Duration::from_secs(600);

/// A watchdog for the tests of what it must not do, so that some of its periods pass in little time.
const SHORT: &str = "[Service]\nWatchdogSec=3s\n";
const SOME_PERIODS: Duration = Duration::from_secs(10);

fn booted() -> Option<(Machine, u32)> {
    let machine = Machine::boot()?;
    machine.systemctl(&["start", SERVICE]).done();
    let process = machine.serves();
    Some((machine, process))
}

/// Checks that a daemon which hangs since `began` is replaced in time, and that the new one receives.
#[track_caller]
fn assert_replaced(machine: &Machine, process: u32, began: Instant, hang: Option<Delay>) {
    machine.journal_line("Watchdog timeout");
    // strace would hold the killed thread back until the end of the delay.
    drop(hang);
    machine.serves_as_another_process(process);
    let took = began.elapsed();
    assert!(took <= RESTARTED_WITHIN, "{took:?}");
    machine.udp().send_to(b"1", ("127.0.0.1", PORT)).unwrap();
    eventually("a message", || (machine.inbox().last() == Some(1)).then_some(()));
    eprintln!("replaced after {took:?}");
}

#[test]
fn a_stopped_daemon_is_replaced() {
    let Some((machine, process)) = booted() else { return };
    machine.kill("STOP");
    assert_replaced(&machine, process, Instant::now(), None);
}

#[test]
fn a_hanging_receiver_is_named_and_replaced() {
    if !available("strace") {
        return;
    }
    let Some((machine, process)) = booted() else { return };
    let began = Instant::now();
    let hang = machine.delay(process, "receive-0", "recvmmsg", HANG);
    machine.udp().send_to(b"0", ("127.0.0.1", PORT)).unwrap();
    assert_replaced(&machine, process, began, Some(hang));
    let why = machine.journal_line("reception on [::]:7788 has made no progress");
    assert_eq!(why["PRIORITY"], "3", "{why:#}");
    assert_eq!(machine.inbox().numbers(), [0, 1], "the datagram waited in the kernel");
}

#[test]
fn a_hanging_writer_is_named_and_replaced() {
    if !available("strace") {
        return;
    }
    let Some((machine, process)) = booted() else { return };
    let began = Instant::now();
    let hang = machine.delay(process, "writer", "fsync,fdatasync", HANG);
    machine.udp().send_to(b"0", ("127.0.0.1", PORT)).unwrap();
    assert_replaced(&machine, process, began, Some(hang));
    let why = machine.journal_line("the writer of the inbox has made no progress");
    assert_eq!(why["PRIORITY"], "3", "{why:#}");
}

/// Checks that the daemon is still the same after a time in which its watchdog could have ended it.
#[track_caller]
fn assert_not_restarted(machine: &Machine, process: u32) {
    assert_eq!((machine.serves(), &*machine.show(SERVICE, "NRestarts")), (process, "0"));
    let lines = machine.journal(&[]);
    assert!(!lines.iter().any(|line| line["MESSAGE"].to_string().contains("Watchdog")), "{lines:#?}");
}

fn booted_with_short_watchdog() -> Option<(Machine, u32)> {
    let machine = Machine::boot()?;
    machine.edit(SERVICE, SHORT);
    machine.systemctl(&["start", SERVICE]).done();
    let process = machine.serves();
    Some((machine, process))
}

#[test]
fn an_idle_daemon_is_not_restarted() {
    let Some((machine, process)) = booted_with_short_watchdog() else { return };
    thread::sleep(SOME_PERIODS);
    assert_not_restarted(&machine, process);
}

#[test]
fn a_flooded_daemon_is_not_restarted() {
    let Some((machine, process)) = booted_with_short_watchdog() else { return };
    let sender = machine.send_numbers(30_000);
    thread::sleep(SOME_PERIODS);
    assert!(sender.stop() > 0);
    assert_not_restarted(&machine, process);
}

#[test]
fn a_full_disk_causes_no_restart() {
    let Some(machine) = Machine::boot() else { return };
    machine.edit(SERVICE, SHORT);
    let data = "/var/lib/udpchat";
    machine.run(&["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "small", data]).done();
    machine.run(&["chown", "udpchat:", data]).done();
    machine.systemctl(&["start", SERVICE]).done();
    let process = machine.serves();
    // A file of another program takes the remaining space.
    machine.run(&["dd", "if=/dev/zero", &format!("of={data}/filler"), "bs=4k"]).refused();
    let sender = machine.send_numbers(4_000);
    eventually("the disk to be full", || (machine.status()["state"] == "degraded").then_some(()));
    thread::sleep(SOME_PERIODS);
    sender.stop();
    assert_not_restarted(&machine, process);
    machine.run(&["rm", &format!("{data}/filler")]).done();
    eventually("the daemon to be well again", || (machine.status()["state"] == "ok").then_some(()));
}

#[test]
fn a_slow_disk_causes_no_restart() {
    if !available("strace") {
        return;
    }
    let Some((machine, process)) = booted_with_short_watchdog() else { return };
    let disk = machine.delay(process, "writer", "fsync,fdatasync", Duration::from_millis(700));
    let sender = machine.send_numbers(200);
    thread::sleep(SOME_PERIODS);
    let sent = sender.stop();
    drop(disk);
    eventually("everything to be stored", || (machine.inbox().count() == sent).then_some(()));
    assert_not_restarted(&machine, process);
}

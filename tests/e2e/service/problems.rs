//! Problems: when they begin and end, how they are logged, and how events are acknowledged.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Daemon, Injection, Peer, available, eventually, new_folder, texts};

/// Waits until the daemon has no problem.
fn wait_until_ok(daemon: &Daemon) {
    eventually("the end of all problems", || (daemon.status()["state"] == "ok").then_some(()));
}

/// Sends a datagram every few milliseconds for a while; returns their number.
fn trickle(daemon: &Daemon, peer: &Peer, time: Duration) -> u64 {
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed() < time {
        peer.send(daemon.address(), "x");
        sent += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    sent
}

#[test]
fn a_flapping_fault_is_one_problem_and_few_log_lines() {
    if !available("strace") {
        return;
    }
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let (peer, began) = (Peer::new(), Instant::now());
    let fault = Injection::start(daemon.pid(), "recvmmsg", "ENOMEM", "1+2");
    let sent = trickle(&daemon, &peer, Duration::from_secs(2));
    let status = daemon.stored(sent);
    assert_eq!(status["state"], "degraded", "every second call fails: {status}");
    drop(fault);
    wait_until_ok(&daemon);
    let resolved = daemon.log_with("resolved: cannot receive");
    assert!(resolved.contains("\"failures\":"), "{resolved}");
    let lines = daemon.log().iter().filter(|line| line.contains("cannot receive")).count() as u64;
    assert!(lines <= 2 + began.elapsed().as_secs(), "{lines} lines");
}

#[test]
fn reception_that_only_fails_is_reported_and_recovers() {
    if !available("strace") {
        return;
    }
    // The last one announces datagrams and returns none.
    for errno in ["EINTR", "ECONNREFUSED", "EHOSTUNREACH", "EAGAIN"] {
        let daemon = Daemon::start();
        let mut rpc = daemon.rpc();
        let fault = Injection::start(daemon.pid(), "recvmmsg", errno, "1+");
        Peer::new().send(daemon.address(), "waits");
        eventually("a problem", || (rpc.call("status", json!({}))["state"] == "degraded").then_some(()));
        drop(fault);
        let _status = daemon.stored(1);
        wait_until_ok(&daemon);
    }
}

#[test]
fn errors_of_single_messages_are_no_problem() {
    if !available("strace") {
        return;
    }
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let fault = Injection::start(daemon.pid(), "recvmmsg", "ECONNREFUSED", "1+2");
    let sent = trickle(&daemon, &Peer::new(), Duration::from_millis(500));
    let _status = daemon.stored(sent);
    drop(fault);
    assert!(!daemon.log().iter().any(|line| line.contains("cannot receive")), "{:#?}", daemon.log());
}

#[test]
fn failing_accepts_are_reported_and_recover() {
    if !available("strace") {
        return;
    }
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    let fault = Injection::start(daemon.pid(), "accept4", "EMFILE", "1+");
    let began = Instant::now();
    let waiting = std::os::unix::net::UnixStream::connect(daemon.socket()).unwrap();
    eventually("a problem", || (rpc.call("status", json!({}))["state"] == "degraded").then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    drop(fault);
    eventually("the end of the problem", || (rpc.call("status", json!({}))["state"] == "ok").then_some(()));
    drop(waiting);
    let lines = daemon.log().iter().filter(|line| line.contains("cannot accept")).count() as u64;
    assert!(lines <= 2 + began.elapsed().as_secs(), "{lines} lines");
}

#[test]
fn a_message_waits_for_a_kernel_without_memory() {
    if !available("strace") {
        return;
    }
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let _fault = Injection::start(daemon.pid(), "sendmsg", "ENOBUFS", "1..3");
    daemon.ctl(&["-q", "send", &peer.name(), "late"]).ok();
    assert_eq!(peer.receive().0, b"late");
}

#[test]
fn a_message_that_waited_in_vain_is_recorded_as_failed() {
    if !available("strace") {
        return;
    }
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let fault = Injection::start(daemon.pid(), "sendmsg", "ENOBUFS", "1+");
    daemon.ctl(&["-q", "send", &peer.name(), "lost"]).fails(5, &["no buffer space"]);
    drop(fault);
    let entry = daemon.entries().pop().unwrap();
    assert_eq!(entry["text"], "lost");
    assert!(entry["error"].as_str().unwrap().contains("no buffer space"), "{entry}");
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 1, "bounced": 0 }));
}

#[test]
fn status_waits_no_longer_than_its_timeout() {
    let daemon = Daemon::start();
    daemon.ctl(&["status", "--timeout", "30s"]).ok();
    daemon.signal(Signal::SIGSTOP);
    let late = daemon.ctl(&["status", "--timeout", "200ms"]);
    let metrics = daemon.ctl(&["status", "--timeout", "200ms", "--format", "prometheus"]);
    daemon.signal(Signal::SIGCONT);
    late.fails(4, &["the daemon did not answer within 200ms", "`--timeout` waits longer"]);
    assert_eq!((metrics.code, metrics.stdout.contains("udpchat_up 0\n")), (Some(4), true), "{metrics:?}");
}

#[test]
fn an_event_stays_until_it_is_acknowledged() {
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/inbox.db"), b"no database at all ".repeat(1_000)).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let mut daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    daemon.receive_from(&Peer::new(), ["stored"]);
    assert_eq!(daemon.status()["state"], "degraded", "storing does not undo it");
    let ran = daemon.ctl(&["status", "--acknowledge"]);
    assert!(ran.stderr.contains("note: acknowledged: the inbox was damaged"), "{ran:?}");
    assert!(ran.stdout.contains("state:           ok"), "{ran:?}");
    daemon.log_with("asked to acknowledge problems");
    assert_eq!(daemon.rpc().call("acknowledge", json!({})), json!({ "acknowledged": [] }));
}

#[test]
fn reads_of_other_parts_do_not_end_a_read_error() {
    if !available("strace") {
        return;
    }
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let texts_sent: Vec<_> = (0..200).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    daemon.receive_from(&peer, &texts_sent);
    // The new daemon has read the newest entries only.
    let mut daemon = daemon.start_again();
    let fault = Injection::start(daemon.pid(), "pread64", "EIO", "1+");
    let failed = daemon.ctl(&["inbox", "-a"]);
    assert!(failed.stderr.contains("disk I/O error"), "{failed:?}");
    drop(fault);
    assert_eq!(texts(&daemon.entries()), texts_sent);
    // The end of a later problem shows that one of a failing operation would be over by now.
    let fault = Injection::start(daemon.pid(), "recvmmsg", "ENOMEM", "1+");
    peer.send(daemon.address(), "x");
    eventually("a second problem", || (daemon.status()["problems"].as_array()?.len() == 2).then_some(()));
    drop(fault);
    daemon.log_with("resolved: ");
    let problems = daemon.status()["problems"].to_string();
    assert!(problems.contains("disk I/O error"), "{problems}");
    let ran = daemon.ctl(&["status", "--acknowledge"]);
    assert!(ran.stdout.contains("state:           ok"), "{ran:?}");
}

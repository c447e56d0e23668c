//! Under a service manager: sockets that outlive the daemon, what the manager is told, and the watchdog.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Daemon, Manager, Peer, available, eventually, texts};

#[test]
fn what_arrives_while_no_daemon_runs_is_received_by_the_next_one() {
    let mut manager = Manager::new();
    let (address, peer) = (manager.udp.local_addr().unwrap(), Peer::new());
    peer.send(address, "before the first");
    let mut daemon = manager.start(&[]);
    let _status = daemon.stored(1);
    assert_eq!(daemon.listen(), [address], "the default address is not listened on beside");

    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    assert!(daemon.socket().exists(), "the control socket belongs to the manager");
    peer.send(address, "after a stop");
    manager.stopped(daemon);
    let daemon = manager.start(&[]);
    let _status = daemon.stored(1);

    daemon.signal(Signal::SIGKILL);
    peer.send(address, "after a kill");
    manager.stopped(daemon);
    let daemon = manager.start(&[]);
    let _status = daemon.stored(1);
    assert_eq!(texts(&daemon.entries()), ["before the first", "after a stop", "after a kill"]);
    assert_eq!(daemon.status()["socket"], json!(daemon.socket()));
    assert_eq!(daemon.ctl(&["send", &peer.name(), "from the same port"]).code, Some(0));
    assert_eq!(peer.receive().1, address);
}

#[test]
fn a_client_that_comes_while_no_daemon_runs_is_served_by_the_next_one() {
    let mut manager = Manager::new();
    let socket = manager.folder().join("s");
    let mut early = crate::support::Rpc::connect(&socket);
    early.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}\n");
    let _daemon = manager.start(&[]);
    assert_eq!(early.line().unwrap()["result"]["protocol"], 1);
}

#[test]
fn addresses_of_the_configuration_are_bound_beside_those_that_are_handed_over() {
    let mut manager = Manager::new();
    let address = manager.udp.local_addr().unwrap();
    let same = address.to_string();
    let mut daemon = manager.start(&["--listen", &same, "--listen", "127.0.0.1:0"]);
    assert_eq!(daemon.listen()[0], address);
    assert_eq!(daemon.listen().len(), 2);
    assert_eq!(daemon.log().iter().filter(|line| line.contains("does not name")).count(), 0);
    manager.stopped(daemon);

    let mut daemon = manager.start(&["--listen", "127.0.0.1:0"]);
    assert_eq!((daemon.listen()[0], daemon.listen().len()), (address, 2), "it is received on all the same");
    assert_eq!(daemon.log().iter().filter(|line| line.contains("does not name")).count(), 1);
}

#[test]
fn a_configuration_that_wants_the_port_otherwise_is_refused_with_the_way_out() {
    let manager = Manager::new();
    let other = format!("0.0.0.0:{}", manager.udp.local_addr().unwrap().port());
    let refused = Daemon::refused_by(&mut manager.command(&["--listen", &other]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("socket unit"), "{}", refused.stderr);
}

#[test]
fn a_socket_that_is_no_use_is_refused_by_name() {
    let manager = Manager::new();
    let mut command = manager.command(&[]);
    // Standard input is nothing here.
    command.env("LISTEN_FDNAMES", "web\u{1b}:control");
    let refused = Daemon::refused_by(&mut command);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("socket 1 (web\\u{1b}), which is not a socket"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
}

#[test]
fn the_manager_is_told_of_the_start_problems_reloads_and_the_end() {
    let mut manager = Manager::new();
    let daemon = manager.start(&[]);
    let ready = manager.told();
    let address = manager.udp.local_addr().unwrap();
    assert_eq!(ready, format!("READY=1\nSTATUS=Receiving on {address}: 0 messages stored, 0 lost\n"));

    assert_eq!(daemon.ctl(&["reload"]).code, Some(0));
    let reloading = manager.told();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(manager.told(), "READY=1\n");
    std::fs::write(daemon.path("config.toml"), "wrong = 1").unwrap();
    daemon.signal(Signal::SIGHUP);
    assert!(manager.told().starts_with("RELOADING=1"));
    assert_eq!(manager.told(), "READY=1\n", "a configuration that is refused does not end the service");

    let lock = rusqlite::Connection::open(daemon.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    Peer::new().send(address, "cannot be stored");
    manager.told_beginning("STATUS=Degraded: the inbox cannot be written");
    drop(lock);
    manager.told_beginning("STATUS=Receiving on");

    daemon.signal(Signal::SIGTERM);
    assert!(manager.told().starts_with("STOPPING=1\nSTATUS=Stopping"));
}

/// Holds one thread of a daemon up at its next call of some name, until it is dropped.
pub(crate) struct Hang(Child);

impl Hang {
    pub(crate) fn of(daemon: &Daemon, thread: &str, calls: &str) -> Self {
        let named = |task: &std::path::PathBuf| {
            // Others may end meanwhile.
            std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread)
        };
        // A thread names itself, a moment after its start.
        let task = eventually("the thread", || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
            tasks.map(|task| task.unwrap().path()).find(named)
        });
        let mut strace = Command::new("strace");
        let inject = format!("inject={calls}:delay_enter=600000000");
        strace.args(["-qq", "-o", "/dev/null", "-e", &inject, "-p"]).arg(task.file_name().unwrap());
        let child = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let status = task.join("status");
        eventually("strace to attach", || {
            let traced = std::fs::read_to_string(&status).unwrap();
            (!traced.contains("TracerPid:\t0\n")).then_some(())
        });
        Self(child)
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        // It may have ended with the daemon.
        let _ended = self.0.kill();
        self.0.wait().unwrap();
    }
}

const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn the_watchdog_is_told_while_the_daemon_is_idle() {
    let mut manager = Manager::new().with_watchdog(LIMIT);
    let daemon = manager.start(&[]);
    for _ in 0..10 {
        manager.told_beginning("WATCHDOG=1");
    }
    Peer::new().send(manager.udp.local_addr().unwrap(), "counted");
    let address = manager.udp.local_addr().unwrap();
    manager.told_beginning(&format!("STATUS=Receiving on {address}: 1 messages stored, 0 lost"));
    drop(daemon);
}

#[track_caller]
fn is_told_nothing_while_one_hangs(thread: &str, calls: &str, name: &str) {
    if !available("strace") {
        return;
    }
    let mut manager = Manager::new().with_watchdog(LIMIT);
    let mut daemon = manager.start(&[]);
    manager.told_beginning("WATCHDOG=1");
    let hang = Hang::of(&daemon, thread, calls);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"wakes it", manager.udp.local_addr().unwrap()).unwrap();
    let line = loop {
        let line = daemon.log_with("has made no progress for");
        if line.contains(name) {
            break line;
        }
    };
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    // What was told before it hung is read; then nothing comes for twice as long as it is told otherwise.
    let mut told = Vec::new();
    while let Some(one) = manager.told_within(LIMIT / 2) {
        told.push(one);
        assert!(told.len() < 10, "{told:?}");
    }
    drop(hang);
    manager.told_beginning("WATCHDOG=1");
    let _status = daemon.stored(1);
}

#[test]
fn the_watchdog_is_not_told_while_a_receiver_hangs() {
    is_told_nothing_while_one_hangs("receive-0", "recvmmsg", "reception on 127.0.0.1");
}

#[test]
fn the_watchdog_is_not_told_while_the_disk_does_not_answer() {
    is_told_nothing_while_one_hangs("writer", "fsync,fdatasync,pwrite64", "the writer of the inbox");
}

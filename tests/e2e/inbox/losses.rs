//! Datagrams lost when a daemon ends, and dropped by the kernel before the next one starts, are reported as gaps.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Daemon, Delay, Manager, Peer, available, eventually, scaled};

/// How many datagrams a receiver fetches at once: at most these are not counted yet at a kill.
const BATCH: u64 = 64;

#[test]
fn the_loss_of_a_kill_is_reported_later() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before", "it"]);
    let locked = hold_lock(&daemon);
    (0..700).for_each(|number| peer.send(daemon.address(), number.to_string()));
    eventually("all to be received", || (daemon.status()["received"]["datagrams"] == 702).then_some(()));

    daemon.signal(Signal::SIGKILL);
    let _ended = daemon.wait();
    drop(locked);
    let mut daemon = daemon.start_again();
    let warned = daemon.log().iter().any(|line| line.contains("700 datagrams are lost"));
    assert!(warned, "{:?}", daemon.log());
    let entries = entries_with_gaps(&daemon, 700);
    assert_eq!(entries.len(), 3);
    assert_eq!((&entries[2]["lost"], &entries[2]["reason"]), (&json!(700), &json!("daemon_ended")));
    let status = daemon.status();
    assert_eq!((&status["lost_before"], &status["state"]), (&json!(700), &json!("ok")));
    assert_eq!((&status["received"]["datagrams"], &status["queued"]), (&json!(0), &json!(0)));
    let shown = daemon.ctl(&["inbox", "-a"]).ok().to_owned();
    assert!(shown.contains("700 datagrams lost here: the daemon ended before they were stored"), "{shown}");

    let daemon = daemon.start_again();
    assert_eq!((&daemon.status()["lost_before"], daemon.entries()), (&json!(0), entries));
}

#[test]
fn an_uncommitted_batch_is_stored_or_reported() {
    if !available("strace") {
        return;
    }
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["before"]);
    let hang = Delay::hang(&daemon, "writer", "fsync,fdatasync");
    // The first is in a transaction that waits for the disk; the others wait for it.
    peer.send(daemon.address(), "on its way");
    eventually("it to be written", || wal_holds(&daemon, b"on its way").then_some(()));
    (0..300).for_each(|_| peer.send(daemon.address(), "behind it"));
    eventually("all to be received", || (daemon.status()["received"]["datagrams"] == 302).then_some(()));
    let (stored, shown) = (daemon.status()["stored"].take(), daemon.entries().len());
    assert_eq!((stored, shown), (json!(1), 1), "nothing is counted or shown before the disk has it");
    daemon.signal(Signal::SIGKILL);
    // It ends when that thread is no longer delayed.
    drop(hang);
    let _ended = daemon.wait();
    let daemon = daemon.start_again();
    let entries = entries_with_gaps(&daemon, 300);
    assert_eq!(messages(&entries), 2, "a kill is no power cut: what was written is there");
}

#[test]
fn the_loss_of_a_stop_is_reported_later() {
    let mut daemon = Daemon::start();
    let locked = hold_lock(&daemon);
    let peer = Peer::new();
    (0..5).for_each(|_| peer.send(daemon.address(), "given up"));
    eventually("messages to be queued", || (daemon.status()["queued"] == 5).then_some(()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(1));
    drop(locked);
    let daemon = daemon.start_again();
    let entries = entries_with_gaps(&daemon, 5);
    assert_eq!((entries.len(), &entries[0]["reason"]), (1, &json!("daemon_ended")));
}

#[test]
fn kills_under_load_are_accounted_within_a_batch() {
    let kills = scaled(6, 100);
    let Numbers { sent, stored, lost } = under_load(kills, Signal::SIGKILL);
    let missing = sent - stored;
    assert!(lost <= missing, "{lost} reported of {missing} missing");
    assert!(missing - lost <= BATCH * kills as u64, "{lost} reported of {missing} missing");
}

#[test]
fn restarts_under_load_lose_and_report_nothing() {
    let Numbers { sent, stored, lost } = under_load(scaled(3, 100), Signal::SIGTERM);
    assert_eq!((stored, lost), (sent, 0));
}

#[test]
fn kernel_drops_between_two_daemons_become_a_gap() {
    let mut manager = Manager::new();
    let address = manager.udp.local_addr().unwrap();
    let peer = Peer::new();
    let flood = || (0..500).for_each(|_| peer.send(address, [0; 1000]));

    flood();
    let waiting = drain(&manager);
    let daemon = start(&mut manager);
    let dropped = 500 - waiting;
    assert!(dropped > 0);
    // Nothing more comes: that must not be waited for.
    let entries = entries_with_gaps(&daemon, dropped);
    assert_eq!((entries.len(), &entries[0]["reason"]), (1, &json!("receive_buffer_full")));
    assert_eq!(daemon.status()["kernel_drops"], json!(dropped));

    // Datagrams in the buffer arrived before those that were dropped.
    manager.stopped(daemon);
    flood();
    let mut daemon = start(&mut manager);
    let entries = eventually("all to be accounted for", || {
        let entries = daemon.entries();
        (messages(&entries) + lost(&entries) == dropped + 500).then_some(entries)
    });
    assert_eq!(lost(&entries[entries.len() - 1..]), lost(&entries) - dropped, "the gap is behind them");
    let status = daemon.status();
    assert_eq!(json!(lost(&entries) - dropped), status["kernel_drops"]);
    assert_eq!(
        (&status["received"]["datagrams"], &status["lost_before"]),
        (&json!(messages(&entries)), &json!(0))
    );

    // A stop loses no count either, and no loss is reported twice.
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    manager.stopped(daemon);
    let daemon = start(&mut manager);
    assert_eq!((&daemon.status()["kernel_drops"], daemon.entries()), (&json!(0), entries));
}

fn wal_holds(daemon: &Daemon, text: &[u8]) -> bool {
    let wal = std::fs::read(daemon.path("data/inbox.db-wal")).unwrap();
    wal.windows(text.len()).any(|bytes| bytes == text)
}

/// Holds the database's write lock: received datagrams stay in the daemon's memory.
fn hold_lock(daemon: &Daemon) -> Connection {
    let holder = Connection::open(daemon.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

/// Waits until the gaps report this loss, and returns all entries.
#[track_caller]
fn entries_with_gaps(daemon: &Daemon, all: u64) -> Vec<Value> {
    eventually("the gap", || Some(daemon.entries()).filter(|entries| lost(entries) == all))
}

fn lost(entries: &[Value]) -> u64 {
    entries.iter().filter_map(|entry| entry["lost"].as_u64()).sum()
}

fn messages(entries: &[Value]) -> u64 {
    entries.iter().filter(|entry| entry["type"] == "message").count() as u64
}

/// Starts a daemon that leaves the receive buffer as the manager has made it.
fn start(manager: &mut Manager) -> Daemon {
    std::fs::write(manager.folder().join("config.toml"), "receive_buffer = '4KiB'").unwrap();
    manager.start(&[])
}

/// Discards the datagrams that wait at the manager's socket; returns their number.
fn drain(manager: &Manager) -> u64 {
    manager.udp.set_nonblocking(true).unwrap();
    let taken = std::iter::from_fn(|| manager.udp.recv_from(&mut [0; 2000]).ok()).count();
    manager.udp.set_nonblocking(false).unwrap();
    taken as u64
}

/// How many numbers were sent, how many of them are in the inbox, and how many the gaps report.
struct Numbers {
    sent: u64,
    stored: u64,
    lost: u64,
}

/// Ends one daemon after the other by a signal while numbers come in at the manager's socket; the last one stops when all
/// has been received.
fn under_load(ends: usize, signal: Signal) -> Numbers {
    let mut manager = Manager::new();
    let load = Load::start(manager.udp.local_addr().unwrap());
    let mut daemon = manager.start(&[]);
    load.allow_all();
    for _ in 0..ends {
        let _status = daemon.stored(300);
        load.allow(WHILE_DOWN);
        daemon.signal(signal);
        let _ended = daemon.wait();
        manager.stopped(daemon);
        daemon = manager.start(&[]);
        load.allow_all();
        // Nothing else reads them, and a daemon blocks on a manager that does not read.
        while manager.notification_within(Duration::from_millis(1)).is_some() {}
    }
    let sent = load.stop();
    let last = (sent - 1).to_string();
    eventually("the last number", || {
        let newest = daemon.rpc().call("inbox", json!({ "order": "desc", "limit": 1 }));
        (newest["entries"][0]["text"] == last.as_str()).then_some(())
    });
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    let (stored, lost) = read(&daemon.database());
    Numbers { sent, stored, lost }
}

/// Reads how many numbers an inbox holds, each once, and how many its gaps report.
fn read(inbox: &Path) -> (u64, u64) {
    let inbox = Connection::open(inbox).unwrap();
    let mut received = inbox.prepare("SELECT payload FROM entry WHERE kind = 0").unwrap();
    let payloads = received.query_map([], |row| row.get(0)).unwrap();
    let mut numbers = BTreeSet::new();
    for payload in payloads {
        let payload: Vec<u8> = payload.unwrap();
        assert!(numbers.insert(payload.clone()), "{payload:?} is there twice");
    }
    let lost = "SELECT coalesce(sum(json_extract(detail, '$.lost')), 0) FROM entry WHERE kind = 2";
    (numbers.len() as u64, inbox.query_row(lost, [], |row| row.get(0)).unwrap())
}

/// Numbers sent one after the other, some thousand a second, until it is stopped.
struct Load {
    stopped: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    /// It waits when it has sent so many.
    limit: Arc<AtomicU64>,
    sender: thread::JoinHandle<()>,
}

/// How many numbers are sent while no daemon may read them: fewer than the receive buffer holds, however long that takes.
const WHILE_DOWN: u64 = 100;

impl Load {
    fn start(to: SocketAddr) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (sent, limit) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(WHILE_DOWN)));
        let sender = thread::spawn({
            let (stopped, sent, limit) = (Arc::clone(&stopped), Arc::clone(&sent), Arc::clone(&limit));
            move || {
                let (peer, mut number) = (Peer::new(), 0_u64);
                while !stopped.load(Ordering::SeqCst) {
                    for _ in 0..4 {
                        if number < limit.load(Ordering::SeqCst) {
                            peer.send(to, number.to_string());
                            number += 1;
                            sent.store(number, Ordering::SeqCst);
                        }
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { stopped, sent, limit, sender }
    }

    /// Lets it send so many more, and then wait.
    fn allow(&self, more: u64) {
        self.limit.store(self.sent.load(Ordering::SeqCst) + more, Ordering::SeqCst);
    }

    fn allow_all(&self) {
        self.limit.store(u64::MAX, Ordering::SeqCst);
    }

    /// Stops it; returns how many were sent.
    fn stop(self) -> u64 {
        self.stopped.store(true, Ordering::SeqCst);
        self.sender.join().unwrap();
        self.sent.load(Ordering::SeqCst)
    }
}

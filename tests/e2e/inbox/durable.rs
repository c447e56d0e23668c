//! Stored messages survive kills, stops and floods, and the counters report every loss.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use encoding_rs::GBK;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, Rpc, eventually, id, ids, new_folder, scaled, texts};

/// How many datagrams are in flight at any time under load.
const IN_FLIGHT: u64 = 200;

#[test]
fn entries_shown_to_a_follower_survive_kills() {
    let mut daemon = Daemon::start();
    let mut shown = BTreeMap::new();
    for round in 0..scaled(5, 50) {
        follow_under_load(&daemon, round, &mut shown);
        let (folder, flags) = daemon.into_folder();
        assert_sound_copy(&folder.path().join("data"));
        daemon = Daemon::start_in(folder, flags);
        assert_rising_without_holes(&daemon.entries());
        assert_still_there(&daemon.entries(), &shown);
    }
}

/// Sends numbered messages, a new one for each that a follower prints, and records the printed ones. Returns in the
/// middle of it.
fn follow_under_load(daemon: &Daemon, round: usize, shown: &mut BTreeMap<u64, Value>) {
    let (peer, mut follower) = (Peer::new(), daemon.rpc());
    follower.call("subscribe", json!({}));
    let send = |number| peer.send(daemon.address(), format!("round {round}, message {number}"));
    (0..IN_FLIGHT).for_each(send);
    // Another place in the writer's work each time.
    for number in 0..300 + 37 * round as u64 % 500 {
        let mut entry = follower.entry();
        // The daemon may record the loss of the last kill after this follower has subscribed, and before any message.
        while round > 0 && number == 0 && entry["type"] == "gap" {
            entry = follower.entry();
        }
        assert_eq!(entry["text"], format!("round {round}, message {number}"));
        assert!(shown.insert(id(&entry), entry).is_none(), "an id was used again");
        send(IN_FLIGHT + number);
    }
}

/// Checks a copy of the files in their state after the kill.
fn assert_sound_copy(data: &Path) {
    let copy = new_folder();
    for name in ["inbox.db", "inbox.db-wal"] {
        std::fs::copy(data.join(name), copy.path().join(name)).unwrap();
    }
    assert_sound(&Connection::open(copy.path().join("inbox.db")).unwrap());
}

fn assert_sound(inbox: &Connection) {
    let verdict: String = inbox.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[track_caller]
fn assert_rising_without_holes(entries: &[Value]) {
    let ids = ids(entries);
    assert!(ids.iter().copied().eq(1..=ids.len() as u64), "{ids:?}");
}

#[track_caller]
fn assert_still_there(entries: &[Value], shown: &BTreeMap<u64, Value>) {
    let there: BTreeMap<_, _> = entries.iter().map(|entry| (id(entry), entry)).collect();
    for (id, entry) in shown {
        assert_eq!(there.get(id), Some(&entry));
    }
}

#[test]
fn entries_shown_by_inbox_survive_a_kill() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    (0..IN_FLIGHT).for_each(|number| peer.send(daemon.address(), number.to_string()));
    let shown = eventually("some messages", || Some(daemon.entries()).filter(|entries| !entries.is_empty()));
    let daemon = daemon.start_again();
    let entries = daemon.entries();
    assert_eq!(entries[..shown.len()], shown);
    assert_rising_without_holes(&entries);
}

#[test]
fn read_marks_survive_a_kill() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["one", "two"]);
    assert_eq!(daemon.ctl(&["--json", "inbox"]).json().len(), 2);
    assert_eq!(daemon.ctl(&["-q", "--json", "inbox", "--consumer", "script"]).json().len(), 2);
    let daemon = daemon.start_again();
    daemon.receive_from(&peer, ["three"]);
    for args in [&["--json", "inbox"][..], &["-q", "--json", "inbox", "--consumer", "script"]] {
        assert_eq!(texts(&daemon.ctl(args).json()), ["three"], "{args:?}");
    }
}

#[test]
fn learned_encodings_survive_a_kill() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    peer.send_text(daemon.address(), "你好，世界", GBK);
    daemon.stored(1);
    let daemon = daemon.start_again();
    // 一 in GBK is valid UTF-8 too: only the learned encoding decides.
    peer.send_text(daemon.address(), "一", GBK);
    daemon.stored(1);
    let entries = daemon.entries();
    assert_eq!(texts(&entries), ["你好，世界", "一"]);
    assert_eq!(entries[1]["encoding_by"], "remembered");
}

#[test]
fn acknowledged_sends_survive_a_kill() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    for round in 0..scaled(3, 30) {
        let params = json!({ "to": peer.name(), "text": format!("round {round}"), "encoding": "utf-8" });
        let sent = daemon.rpc().call("send", params);
        daemon = daemon.start_again();
        let entries = daemon.entries();
        assert_eq!(entries.last(), Some(&sent));
        assert_rising_without_holes(&entries);
    }
}

#[test]
fn sigterm_stores_datagrams_waiting_in_the_kernel() {
    assert_stops_with_all_stored(|daemon| {
        daemon.signal(Signal::SIGTERM);
        daemon.signal(Signal::SIGCONT);
    });
}

#[test]
fn sigint_stores_datagrams_waiting_in_the_kernel() {
    assert_stops_with_all_stored(|daemon| {
        daemon.signal(Signal::SIGINT);
        daemon.signal(Signal::SIGCONT);
    });
}

#[test]
fn udpchatctl_stop_stores_datagrams_waiting_in_the_kernel() {
    assert_stops_with_all_stored(|daemon| {
        daemon.signal(Signal::SIGCONT);
        assert_eq!(daemon.ctl(&["stop"]).ok(), "stopped\n");
    });
}

/// Halts a daemon so that datagrams gather in the kernel, stops it (`stop` has to let it go on), and checks its end.
fn assert_stops_with_all_stored(stop: impl FnOnce(&Daemon)) {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    daemon.signal(Signal::SIGSTOP);
    (0..IN_FLIGHT).for_each(|number| peer.send(daemon.address(), number.to_string()));
    stop(&daemon);
    assert_clean_end(&mut daemon);
    assert_eq!(numbers_in(&daemon), (0..IN_FLIGHT).collect::<Vec<_>>());
}

#[track_caller]
fn assert_clean_end(daemon: &mut Daemon) {
    let ended = daemon.wait();
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(!daemon.socket().exists(), "the socket is still there");
}

/// Reads the numbers of the received messages from the file of a daemon that has ended.
fn numbers_in(daemon: &Daemon) -> Vec<u64> {
    let inbox = Connection::open(daemon.database()).unwrap();
    assert_sound(&inbox);
    let mut received = inbox.prepare("SELECT payload FROM entry WHERE kind = 0 ORDER BY id").unwrap();
    let payloads = received.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap);
    payloads.map(|payload: Vec<u8>| String::from_utf8(payload).unwrap().parse().unwrap()).collect()
}

#[test]
fn a_datagram_just_before_sigterm_is_stored() {
    for _ in 0..scaled(10, 200) {
        let mut daemon = Daemon::start();
        Peer::new().send(daemon.address(), "0");
        daemon.signal(Signal::SIGTERM);
        assert_clean_end(&mut daemon);
        assert_eq!(numbers_in(&daemon), [0]);
    }
}

#[test]
fn sigterm_under_load_loses_no_earlier_datagram() {
    (0..scaled(3, 100)).for_each(|_| assert_stops_under_load());
}

fn assert_stops_under_load() {
    let mut daemon = Daemon::start();
    let sent = Arc::new(AtomicU64::new(0));
    let load = thread::spawn({
        let (rpc, to, sent) = (daemon.rpc(), daemon.address(), Arc::clone(&sent));
        move || send_as_shown(rpc, to, &sent)
    });
    eventually("some load", || (sent.load(Ordering::SeqCst) > 5 * IN_FLIGHT).then_some(()));
    let sent_before = sent.load(Ordering::SeqCst);
    daemon.signal(Signal::SIGTERM);
    assert_clean_end(&mut daemon);
    load.join().unwrap();
    let numbers = numbers_in(&daemon);
    assert!(numbers.len() as u64 >= sent_before, "{} of {sent_before}", numbers.len());
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
}

/// Sends numbers, a new one for each that a follower is shown, until the connection ends.
fn send_as_shown(mut follower: Rpc, to: std::net::SocketAddr, sent: &AtomicU64) {
    let peer = Peer::new();
    let send = || {
        peer.send(to, sent.load(Ordering::SeqCst).to_string());
        sent.fetch_add(1, Ordering::SeqCst);
    };
    follower.call("subscribe", json!({}));
    (0..IN_FLIGHT).for_each(|_| send());
    while follower.raw_line().is_some() {
        send();
    }
}

#[test]
fn every_flood_datagram_is_stored_or_counted() {
    const BURST: u64 = 500;
    let daemon = Daemon::start_with("receive_buffer = '4KiB'", &[]);
    let peer = Peer::new();
    let mut sent = 0;
    for _ in 0..scaled(10, 200) {
        // The receive buffer of a stopped daemon certainly overflows.
        daemon.signal(Signal::SIGSTOP);
        (0..BURST).for_each(|number| peer.send(daemon.address(), number.to_string()));
        daemon.signal(Signal::SIGCONT);
        sent += BURST;
        assert_balanced(&daemon, sent);
    }
    let status = assert_balanced(&daemon, sent);
    assert!(status["kernel_drops"].as_u64() >= Some(sent / 2), "{status}");
    assert_eq!(status["inbox"]["unread"], status["stored"]);
    let entries = daemon.entries();
    let messages = entries.iter().filter(|entry| entry["type"] == "message").count();
    assert_eq!(status["stored"], messages);
}

/// Waits until every datagram sent is accounted for, and checks that the counters balance; returns the status.
#[track_caller]
fn assert_balanced(daemon: &Daemon, sent: u64) -> Value {
    let mut rpc = daemon.rpc();
    let status = eventually("every datagram to be accounted for", || {
        let status = rpc.call("status", json!({}));
        let number = |value: &Value| value.as_u64().unwrap();
        let (received, stored) = (number(&status["received"]["datagrams"]), number(&status["stored"]));
        let (queued, drops) = (number(&status["queued"]), number(&status["kernel_drops"]));
        let dropped: u64 = status["dropped"].as_object().unwrap().values().map(number).sum();
        assert_eq!(received, stored + dropped + queued, "{status}");
        assert!(received + drops <= sent, "{status}");
        (received + drops == sent && queued == 0).then_some(status)
    });
    eventually("the gaps to report every drop", || {
        let gaps = rpc.entries(json!({ "after": 0, "direction": "in" })).into_iter();
        let gaps = gaps.filter(|entry| entry["type"] == "gap" && entry["reason"] == "receive_buffer_full");
        let lost: u64 = gaps.map(|gap| gap["lost"].as_u64().unwrap()).sum();
        (status["kernel_drops"] == lost).then_some(())
    });
    status
}

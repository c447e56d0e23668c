//! Readers that go on: followers, subscriptions and readers that end in the middle lose nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::reading::{having_received, unread};
use crate::support::{Daemon, Peer, eventually, id, scaled};

/// More than the pipe and all the buffers in between hold.
const MANY: usize = 3_000;

/// Numbered messages of a length that fills pipes.
fn many() -> Vec<String> {
    (0..MANY).map(|number| format!("{number:06} {}", "x".repeat(200))).collect()
}

/// Returns the numbers of messages, in whatever form they are printed.
fn numbers(output: impl BufRead) -> BTreeSet<usize> {
    let number =
        |line: &str| line.split_once(" x").and_then(|(head, _)| head.rsplit(' ').next()?.parse().ok());
    output.lines().filter_map(|line| number(&line.unwrap())).collect()
}

#[test]
fn a_reader_killed_in_the_middle_loses_nothing() {
    let daemon = having_received(many());
    let mut killed = daemon.ctl_start(&["inbox"]);
    let mut pipe = BufReader::new(killed.stdout.take().unwrap());
    let mut begun = String::new();
    for _ in 0..1_100 {
        pipe.read_line(&mut begun).unwrap();
    }
    // Its output is no longer read, so it cannot have finished.
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut seen = numbers(begun.as_bytes());
    assert_eq!(seen.len(), 1_100);
    seen.extend(numbers(pipe));
    assert!(seen.len() < MANY);

    let rest = numbers(daemon.ctl(&["inbox"]).ok().as_bytes());
    // Of what was read to its end, some counts as read.
    assert!(rest.len() < MANY && rest.contains(&(MANY - 1)));
    seen.extend(rest);
    assert!(seen.into_iter().eq(0..MANY));
    assert_eq!(daemon.ctl(&["inbox"]).ok(), "");
}

#[test]
fn a_closed_pipe_is_success_and_loses_nothing() {
    let daemon = having_received(many());
    for args in [&["inbox", "-a"][..], &["--json", "inbox", "-a", "-r"], &["inbox"]] {
        let mut reader = daemon.ctl_start(args);
        let mut pipe = BufReader::new(reader.stdout.take().unwrap());
        pipe.read_line(&mut String::new()).unwrap();
        drop(pipe);
        let ended = eventually("the end of the reader", || reader.try_wait().unwrap());
        let mut complaint = String::new();
        reader.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert_eq!((ended.code(), complaint.as_str()), (Some(0), ""), "{args:?}");
    }
    assert!(numbers(daemon.ctl(&["inbox"]).ok().as_bytes()).contains(&(MANY - 1)));
}

/// How much memory the daemon may take, without optimisation and whatever its followers do, in KiB.
const MAX_RESIDENT_KIB: u64 = 64 * 1024;

fn resident_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_follower_continues_after_a_restart_of_the_daemon() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one"]);
    let options = ["-q", "--json", "inbox", "-f", "--reconnect", "--consumer", "c"];
    let mut follower = daemon.ctl_running(&options);
    let mut filtered =
        daemon.ctl_running(&["-q", "--json", "inbox", "-a", "-f", "--reconnect", "--grep", "o"]);
    let mut without = daemon.ctl_running(&["-q", "--json", "inbox", "-a", "-f"]);
    assert_eq!(
        [follower.json(), filtered.json(), without.json()].map(|entry| entry["text"].clone()),
        ["one"; 3]
    );
    eventually("the message to count as read", || {
        let consumers = daemon.ctl(&["--json", "consumers"]).json();
        consumers.iter().any(|it| it["consumer"] == "c" && it["read"] == 1).then_some(())
    });
    let daemon = daemon.start_again();
    assert_eq!((without.next_line(), without.wait().code()), (None, Some(1)));
    daemon.receive_from(&Peer::new(), ["2", "also two"]);
    assert_eq!([follower.json(), follower.json()].map(|entry| entry["text"].clone()), ["2", "also two"]);
    assert_eq!(filtered.json()["text"], "also two");
    eventually("the messages to count as read", || {
        let consumers = daemon.ctl(&["--json", "consumers"]).json();
        consumers.iter().any(|it| it["consumer"] == "c" && it["read"] == 3).then_some(())
    });
    let daemon = daemon.start_again();
    daemon.receive_from(&Peer::new(), ["four"]);
    assert_eq!([follower.json(), filtered.json()].map(|entry| entry["text"].clone()), ["four"; 2]);
}

#[test]
fn a_follower_waits_for_the_first_daemon() {
    let mut daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one"]);
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let mut follower = daemon.ctl_start(&["--json", "inbox", "-a", "-f", "--reconnect"]);
    let mut said = BufReader::new(follower.stderr.take().unwrap()).lines();
    let note: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
    let note = &note["note"];
    assert_eq!(note["kind"], "no_daemon", "{note}");
    assert!(note["message"].as_str().unwrap().ends_with("; waiting until a daemon answers"), "{note}");
    let (folder, flags) = daemon.into_folder();
    let _daemon = Daemon::start_in(folder, flags);
    let mut printed = BufReader::new(follower.stdout.take().unwrap()).lines();
    let entry: Value = serde_json::from_str(&printed.next().unwrap().unwrap()).unwrap();
    assert_eq!(entry["text"], "one");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn a_follower_reads_another_inbox_from_its_beginning() {
    let mut daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one", "two"]);
    let options = ["-q", "--json", "inbox", "-f", "--reconnect", "--consumer", "c"];
    let mut follower = daemon.ctl_running(&options);
    assert_eq!([follower.json(), follower.json()].map(|entry| entry["text"].clone()), ["one", "two"]);
    let is_read = |daemon: &Daemon, id: u64| {
        let consumers = daemon.ctl(&["--json", "consumers"]).json();
        consumers.iter().any(|it| it["consumer"] == "c" && it["read"] == id).then_some(())
    };
    eventually("the messages to count as read", || is_read(&daemon, 2));
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let (folder, flags) = daemon.into_folder();
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let daemon = Daemon::start_in(folder, flags);
    daemon.receive_from(&Peer::new(), ["first"]);
    let entry = follower.json();
    assert_eq!((&entry["id"], &entry["text"]), (&json!(1), &json!("first")), "{entry}");
    eventually("the message to count as read", || is_read(&daemon, 1));
}

#[test]
fn following_loses_nothing_while_another_follower_is_stopped() {
    let messages = scaled(20_000, 100_000);
    let daemon = Daemon::start();
    let follow = |consumer| daemon.ctl_running(&["--json", "inbox", "-f", "--consumer", consumer]);
    let (mut quick, mut stuck) = (follow("quick"), follow("stuck"));
    let peer = Peer::new();
    daemon.receive_from(&peer, ["first"]);
    assert_eq!((&quick.json()["text"], &stuck.json()["text"]), (&json!("first"), &json!("first")));

    stuck.signal(Signal::SIGSTOP);
    daemon.receive_from(&peer, (0..messages).map(|number| number.to_string()));
    let goes_through = |follower: &mut crate::support::Running| {
        (0..messages).all(|number| follower.json()["text"].as_str() == Some(&number.to_string()))
    };
    assert!(goes_through(&mut quick));
    let resident = resident_kib(&daemon);
    assert!(resident < MAX_RESIDENT_KIB, "{resident} KiB are resident");

    stuck.signal(Signal::SIGCONT);
    assert!(goes_through(&mut stuck));
    let mut rpc = daemon.rpc();
    eventually("what was printed to count as read", || {
        ["quick", "stuck"].iter().all(|consumer| unread(&mut rpc, consumer) == 0).then_some(())
    });
}

/// The history is read while more arrives, so that the two meet somewhere in the middle.
#[test]
fn a_subscription_joins_history_and_new_entries_exactly() {
    const EACH: u64 = 2_000;
    let daemon = having_received((0..EACH).map(|number| number.to_string()));
    let mut follower = daemon.rpc();
    assert_eq!(follower.call("subscribe", json!({ "after": 10 })), json!({ "after": 10 }));
    daemon.receive_from(&Peer::new(), (0..EACH).map(|number| number.to_string()));
    assert!((11..=2 * EACH).all(|expected| id(&follower.entry()) == expected));
}

#[test]
fn a_subscription_without_a_cursor_starts_now() {
    let daemon = having_received(["old"]);
    let mut follower = daemon.rpc();
    assert_eq!(follower.call("subscribe", json!({})), json!({ "after": 1 }));
    daemon.receive_from(&Peer::new(), ["new"]);
    assert_eq!(follower.entry()["text"], "new");
}

#[test]
fn a_subscription_applies_its_filters() {
    let daemon = having_received(["1 error", "2"]);
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 0, "grep": "error", "direction": "in" }));
    let peer = Peer::new();
    daemon.ctl(&["-q", "send", &peer.name(), "3 error"]).ok();
    daemon.receive_from(&peer, ["4", "5 error"]);
    assert_eq!(
        [follower.entry(), follower.entry()].map(|entry| entry["text"].clone()),
        ["1 error", "5 error"]
    );
}

#[test]
fn a_connection_has_one_subscription_at_a_time() {
    let daemon = having_received(["one"]);
    let mut rpc = daemon.rpc();
    assert_eq!(rpc.error("unsubscribe", json!({}))["data"]["kind"], "subscription");
    rpc.call("subscribe", json!({}));
    assert_eq!(rpc.error("subscribe", json!({}))["data"]["kind"], "subscription");
    rpc.call("unsubscribe", json!({}));
    daemon.receive_from(&Peer::new(), ["two"]);
    // An entry before this answer would fail the call.
    assert_eq!(rpc.call("inbox", json!({ "after": 1 }))["entries"][0]["text"], "two");
    rpc.call("subscribe", json!({ "after": 0 }));
    assert_eq!([rpc.entry(), rpc.entry()].map(|entry| entry["text"].clone()), ["one", "two"]);
}

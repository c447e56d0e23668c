//! Retention: the limits of size and age, while running, at a reload and at a start.

use std::fs;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, eventually, scaled};

const MIB: u64 = 1024 * 1024;

/// The size of a file of the data directory, in bytes; 0 where there is none.
fn bytes(daemon: &Daemon, name: &str) -> u64 {
    fs::metadata(daemon.path("data").join(name)).map_or(0, |metadata| metadata.len())
}

/// Sends messages of a length, each with its number in front, and waits until they are stored.
fn send(daemon: &Daemon, peer: &Peer, messages: u64, length: usize) {
    daemon.receive_from(peer, (0..messages).map(|number| format!("{number:0length$}")));
}

/// Checks that the remaining entries are the newest ones, without holes, and that the status agrees. Entries may be removed
/// between the two checks.
fn is_the_newest_part(daemon: &Daemon, all: u64) {
    eventually("a log without holes and the same in the status", || {
        let ids: Vec<u64> = daemon.entries().iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.last(), Some(&all));
        let inbox = &daemon.status()["inbox"];
        let same = [&inbox["oldest_id"], &inbox["entries"], &inbox["unread"]];
        let whole = ids.windows(2).all(|pair| pair[1] == pair[0] + 1);
        (whole && same == [&json!(ids[0]), &json!(ids.len()), &json!(ids.len())]).then_some(())
    });
}

#[test]
fn a_full_inbox_keeps_the_newest_messages() {
    let daemon = Daemon::start_with("receive_buffer = '4MiB'\n[inbox]\nmax_size = '32MiB'", &[]);
    let peer = Peer::new();
    let (mut most, mut most_log, mut all) = (0, 0, 0);
    for _ in 0..scaled(60, 600) {
        send(&daemon, &peer, 100, 8_000);
        all += 100;
        most = most.max(bytes(&daemon, "inbox.db") + bytes(&daemon, "index.db"));
        most_log = most_log.max(bytes(&daemon, "inbox.db-wal"));
    }
    // How long the write-ahead log becomes depends on the readers beside it; the benchmark measures all together.
    assert!((30 * MIB..=32 * MIB).contains(&most) && most_log <= 64 * MIB, "{most} {most_log}");
    is_the_newest_part(&daemon, all);
}

#[test]
fn a_reload_shrinks_an_idle_inbox() {
    let daemon = Daemon::start_with("[inbox]\nmax_size = '64MiB'", &[]);
    send(&daemon, &Peer::new(), 8_000, 1_400);
    assert_eq!(daemon.status()["inbox"]["oldest_id"], 1);
    fs::write(daemon.path("config.toml"), "[inbox]\nmax_size = '4MiB'").unwrap();
    daemon.signal(Signal::SIGHUP);
    eventually("old entries to go", || {
        (daemon.status()["inbox"]["bytes"].as_u64() < Some(5 * MIB)).then_some(())
    });
    is_the_newest_part(&daemon, 8_000);
}

#[test]
fn a_start_applies_the_limits() {
    let daemon = Daemon::start();
    send(&daemon, &Peer::new(), 8_000, 1_400);
    fs::write(daemon.path("config.toml"), "[inbox]\nmax_size = '4MiB'").unwrap();
    let daemon = daemon.start_again();
    eventually("old entries to go", || {
        (daemon.status()["inbox"]["bytes"].as_u64() < Some(5 * MIB)).then_some(())
    });
    is_the_newest_part(&daemon, 8_000);
}

#[test]
fn old_entries_are_removed_without_traffic() {
    let daemon = Daemon::start_with("[inbox]\nmax_age = '1s'", &[]);
    send(&daemon, &Peer::new(), 50, 10);
    eventually("old entries to go", || (daemon.status()["inbox"]["entries"] == 1).then_some(()));
    is_the_newest_part(&daemon, 50);
    assert_eq!(daemon.status()["inbox"]["removed"], 49);
}

#[test]
fn the_smallest_inbox_keeps_more_than_its_newest_message() {
    let daemon = Daemon::start_with("[inbox]\nmax_size = '1MiB'", &[]);
    let peer = Peer::new();
    for round in 1..=4 {
        send(&daemon, &peer, 2_000, 100);
        is_the_newest_part(&daemon, 2_000 * round);
    }
    assert!(daemon.status()["inbox"]["removed"].as_u64() > Some(0));
    let entries = daemon.status()["inbox"]["entries"].as_u64().unwrap();
    assert!((300..8_000).contains(&entries), "{entries}");
}

#[test]
fn ids_and_readers_continue_after_removal() {
    let daemon = Daemon::start_with("[inbox]\nmax_size = '1MiB'", &[]);
    let peer = Peer::new();
    let mut follower = daemon.ctl_running(&["--json", "inbox", "--follow"]);
    send(&daemon, &peer, 1, 10);
    assert!(follower.line().contains("\"id\":1,"), "who follows has the first before it goes");
    send(&daemon, &peer, 3_000, 1_400);
    let daemon = daemon.start_again();
    send(&daemon, &peer, 1, 10);
    is_the_newest_part(&daemon, 3_002);
    let removed = daemon.rpc().call("inbox", json!({ "after": 0, "limit": 1 }));
    assert!(removed["entries"][0]["id"].as_u64() > Some(1_000), "reading begins at the oldest that is left");
}

/// Returns the only gap at the beginning of entries, whose ids must be those from `first` to `last` with it.
#[track_caller]
fn gap_of(entries: &[Value], first: u64, last: u64) -> u64 {
    let gap = &entries[0];
    assert_eq!((&gap["type"], &gap["reason"]), (&json!("gap"), &json!("retention")), "{gap}");
    let to = gap["id"].as_u64().unwrap();
    assert!(to > 1_000, "{gap}");
    assert_eq!((&gap["first_id"], &gap["lost"]), (&json!(first), &json!(to - first + 1)), "{gap}");
    let rest: Vec<u64> = entries[1..].iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
    assert!(rest.into_iter().eq(to + 1..=last));
    to
}

#[test]
fn removed_entries_are_a_gap_for_who_had_not_read_them() {
    let daemon = Daemon::start_with("[inbox]\nmax_size = '1MiB'", &[]);
    let peer = Peer::new();
    send(&daemon, &peer, 10, 10);
    let mut rpc = daemon.rpc();
    for (consumer, id) in [("early", 0), ("bot", 7)] {
        rpc.call("ack", json!({ "consumer": consumer, "id": id }));
    }
    let status = daemon.status()["inbox"].take();
    assert_eq!((&status["removed"], &status["removed_unread"]), (&json!(0), &json!(0)));
    send(&daemon, &peer, 3_000, 1_400);
    // The writer answers an `ack` after the step of retention before it.
    let mut oldest = || {
        rpc.call("ack", json!({ "consumer": "early", "id": 0 }));
        daemon.status()["inbox"]["oldest_id"].take()
    };
    eventually("retention to come to rest", || (oldest() == oldest()).then_some(()));
    let read = |args: &[&str]| daemon.ctl(&[&["-q", "--json", "inbox"], args].concat()).json();
    for (consumer, first) in [("bot", 8), ("early", 1)] {
        gap_of(&read(&["--peek", "--consumer", consumer]), first, 3_010);
    }
    // A follower and a page behind its own cursor come to the same place; history and new consumers do not.
    let removed_up_to = gap_of(&rpc.entries(json!({ "after": 500 })), 501, 3_010);
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 500, "direction": "in" }));
    assert_eq!(follower.entry()["reason"], "retention");
    assert_eq!(follower.entry()["id"], removed_up_to + 1);
    for entries in [read(&["-a"]), read(&["--consumer", "new"]), rpc.entries(json!({ "after": 0 }))] {
        assert_eq!(entries[0]["id"], removed_up_to + 1);
    }
    for (ids, id) in [("1", 1), ("5", 5), ("2-9", 2), (&*format!("7-{removed_up_to}"), 7)] {
        let oldest = format!("there is no entry #{id}: the oldest is #{}", removed_up_to + 1);
        let one = id.to_string();
        for args in [&["reply", &one, "x"][..], &["send", "--again", &one]] {
            daemon.ctl(args).fails(1, &[&oldest, "`inbox.max_size` and `inbox.max_age`"]);
        }
        daemon.ctl(&["--json", "inbox", ids]).fails(1, &["\"no_such_entry\"", &oldest]);
    }
    assert_eq!(read(&[&format!("{removed_up_to}-{}", removed_up_to + 1)])[0]["reason"], "retention");
    assert!(rpc.entries(json!({ "after": 500, "direction": "out" })).is_empty());
    let single = rpc.call("inbox", json!({ "after": 500, "limit": 1 }));
    assert_eq!((&single["next"], &single["entries"][0]["type"]), (&json!(removed_up_to), &json!("gap")));
    assert_eq!(single["more"], true);
    let text = daemon.ctl(&["inbox", "--consumer", "bot"]).ok();
    assert!(text.contains("entries removed here: over the maximum size or age of the inbox"), "{text}");
    assert_eq!(daemon.ctl(&["inbox", "--consumer", "bot"]).ok(), "", "the mark is behind the gap");
}

#[test]
fn removing_what_was_never_read_is_a_warning() {
    let daemon = Daemon::start_with("[inbox]\nmax_size = '4MiB'", &[]);
    let peer = Peer::new();
    send(&daemon, &peer, 6_000, 1_400);
    eventually("unread entries to go", || {
        let inbox = daemon.status()["inbox"].take();
        (inbox["removed_unread"] == inbox["removed"] && inbox["removed"].as_u64() > Some(1_000)).then_some(())
    });
    let status = daemon.ctl(&["status"]).ok();
    assert!(status.contains("entries that no consumer had read"), "{status}");
    assert!(daemon.ctl(&["doctor"]).stdout.contains("removed from the inbox since the start before any"));
    assert_eq!(daemon.status()["state"], "ok");
    // What somebody has read may go.
    daemon.rpc().call("ack", json!({ "consumer": "bot", "id": 6_000 }));
    let before = daemon.status()["inbox"].take();
    send(&daemon, &peer, 500, 1_400);
    let after = eventually("read entries to go", || {
        let inbox = daemon.status()["inbox"].take();
        (inbox["removed"].as_u64().unwrap() > before["removed"].as_u64().unwrap() + 100).then_some(inbox)
    });
    assert_eq!(after["removed_unread"], before["removed_unread"]);
}

/// Sets the mark by which a daemon detects a backup: a shared lock on the data directory.
fn announce_backup(daemon: &Daemon) -> fs::File {
    let folder = fs::File::open(daemon.path("data")).unwrap();
    folder.lock_shared().unwrap();
    folder
}

#[test]
fn a_blocked_write_ahead_log_is_reported() {
    let daemon = Daemon::start_with("receive_buffer = '4MiB'\n[inbox]\nmax_size = '1GiB'", &[]);
    let peer = Peer::new();
    send(&daemon, &peer, 1, 10);
    let reader = Connection::open(daemon.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    let mut all = 1;
    // A backup causes no warning.
    let backup = announce_backup(&daemon);
    while bytes(&daemon, "inbox.db-wal") < 56 * MIB {
        send(&daemon, &peer, 20, 60_000);
        all += 20;
        assert_eq!(daemon.status()["state"], "ok");
    }
    drop(backup);
    let problem = eventually("the problem", || {
        send(&daemon, &peer, 20, 60_000);
        all += 20;
        daemon.status()["problems"][0].as_str().map(str::to_owned)
    });
    assert!(problem.contains("another program has been reading inbox.db"), "{problem}");
    reader.execute_batch("COMMIT").unwrap();
    eventually("the log to be cut back", || {
        send(&daemon, &peer, 1, 10);
        all += 1;
        (daemon.status()["state"] == "ok").then_some(())
    });
    let status = daemon.status();
    assert_eq!((&status["stored"], &status["inbox"]["oldest_id"]), (&json!(all), &json!(1)));
}

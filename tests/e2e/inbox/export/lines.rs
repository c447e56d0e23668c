//! JSON lines: exactly what `inbox --json` prints, with every filter.

use std::fs;
use std::time::Duration;

use crate::support::{Daemon, Peer};

use super::{printed, with_everything, with_many};

#[test]
fn lines_equal_the_json_of_inbox() {
    let daemon = with_everything();
    let inbox = printed(&daemon, &["inbox", "--all", "--json"]);
    assert!(inbox.contains(r#""type":"gap""#) && inbox.contains(r#""direction":"out""#));
    assert_eq!(printed(&daemon, &["export"]), inbox);
    assert_eq!(printed(&daemon, &["--json", "export", "--format", "jsonl", "-o", "-"]), inbox);

    let file = daemon.path("out.jsonl");
    fs::write(&file, "what was there before".repeat(100_000)).unwrap();
    assert_eq!(printed(&daemon, &["export", "-o", file.to_str().unwrap()]), "");
    assert_eq!(fs::read_to_string(file).unwrap(), inbox);
    // Nothing of it counts as read.
    assert!(daemon.status()["inbox"]["unread"].as_u64() > Some(16));
}

#[test]
fn filters_select_the_same_as_in_inbox() {
    let daemon = with_everything();
    let entries = daemon.entries();
    let at = |number: usize| entries[number].as_object().unwrap()["at"].as_str().unwrap();
    let filters: [&[&str]; 9] = [
        &["--from", "::1"],
        &["--direction", "in"],
        &["--direction", "out"],
        &["--direction", "both"],
        &["--since", at(3)],
        &["-S", at(2), "-U", at(9)],
        &["--grep", "你好"],
        &["--grep", "sent", "--direction", "out", "--from", "127.0.0.1"],
        &["--until", "2h"],
    ];
    for filter in filters {
        let inbox = printed(&daemon, &[&["--json", "inbox", "--all"], filter].concat());
        assert_eq!(printed(&daemon, &[&["export"], filter].concat()), inbox, "{filter:?}");
        for number in ["0", "1", "3", "100000"] {
            let filter = [filter, &["-n", number]].concat();
            let inbox = printed(&daemon, &[&["--json", "inbox"], &filter[..]].concat());
            assert_eq!(printed(&daemon, &[&["export"], &filter[..]].concat()), inbox, "{filter:?}");
        }
    }
    for number in ["0", "1", "7", "100000"] {
        let inbox = printed(&daemon, &["--json", "inbox", "-n", number]);
        assert_eq!(printed(&daemon, &["export", "-n", number]), inbox, "{number}");
    }
}

#[test]
fn the_last_matches_are_found_over_several_pages() {
    let daemon = with_many(5_000);
    for number in ["999", "1000", "1001", "2500", "4000"] {
        let args = ["--grep", "[1-5]$", "-n", number];
        let inbox = printed(&daemon, &[&["--json", "inbox"], &args[..]].concat());
        assert_eq!(printed(&daemon, &[&["export"], &args[..]].concat()), inbox, "{number}");
    }
    let inbox = printed(&daemon, &["--json", "inbox", "-n", "3333"]);
    assert_eq!(printed(&daemon, &["export", "-n", "3333"]), inbox);
}

#[test]
fn pages_of_large_messages_stay_in_order() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    for number in 0..60 {
        let length = if number % 3 == 0 { 60_000 + number } else { number * 97 };
        daemon.receive_from(&peer, [vec![b'a' + (number % 26) as u8; length]]);
    }
    daemon.receive_from(&peer, (0..1_500).map(|number| number.to_string()));
    for number in 0..20 {
        daemon.receive_from(&peer, [vec![number; 30_000]]);
    }
    assert_eq!(printed(&daemon, &["export"]), printed(&daemon, &["--json", "inbox", "--all"]));
}

/// Messages that arrive meanwhile may or may not be included, but none twice or out of order, and the export ends.
#[test]
fn an_export_ends_while_messages_keep_arriving() {
    let daemon = with_many(5_000);
    let (peer, to) = (Peer::new(), daemon.address());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        // A steady stream, not a flood that overloads the daemon.
        while stopped.recv_timeout(Duration::from_millis(2)).is_err() {
            (0..10).for_each(|_| peer.send(to, "more"));
        }
    });
    let exports: Vec<_> = (0..5).map(|_| printed(&daemon, &["export"])).collect();
    stop.send(()).unwrap();
    sender.join().unwrap();
    let inbox = printed(&daemon, &["--json", "inbox", "--all"]);
    for export in &exports {
        assert!(export.lines().count() >= 5_000 && inbox.starts_with(export));
    }
    assert!(exports.is_sorted_by_key(String::len));
}

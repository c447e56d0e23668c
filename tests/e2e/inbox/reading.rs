//! Reading the inbox: every entry is shown at least once, shown entries count as read, consumers are independent.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, Rpc, eventually, id, ids, scaled, texts};

/// Starts a daemon that has received these messages from one peer.
fn having_received(messages: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Daemon {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), messages);
    daemon
}

/// Returns the texts of what `udpchatctl --json inbox` prints with these arguments; notes about new consumers are not wanted.
#[track_caller]
fn read(daemon: &Daemon, args: &[&str]) -> Vec<String> {
    let entries = daemon.ctl(&[&["-q", "--json", "inbox"], args].concat()).json();
    texts(&entries).into_iter().map(str::to_owned).collect()
}

/// Returns how many messages a consumer has not read.
fn unread(rpc: &mut Rpc, consumer: &str) -> Value {
    rpc.call("inbox", json!({ "consumer": consumer, "limit": 1 }))["unread"].take()
}

#[test]
fn inbox_shows_each_message_once_oldest_first() {
    let peer = Peer::new();
    let daemon = Daemon::start();
    daemon.receive_from(&peer, ["one", "two"]);
    assert_eq!(read(&daemon, &[]), ["one", "two"]);
    assert!(read(&daemon, &[]).is_empty());
    daemon.receive_from(&peer, ["three"]);
    daemon.ctl(&["-q", "send", &peer.name(), "what we say is not news to us"]).ok();
    assert_eq!(read(&daemon, &[]), ["three"]);
    assert_eq!(daemon.ctl(&["inbox"]).ok(), "");
}

#[test]
fn consumers_have_read_marks_of_their_own() {
    let daemon = having_received(["one", "two"]);
    assert_eq!(read(&daemon, &["--consumer", "backup"]), ["one", "two"]);
    daemon.receive_from(&Peer::new(), ["three"]);
    assert_eq!(read(&daemon, &["--consumer", "alarm"]), ["one", "two", "three"]);
    assert_eq!(read(&daemon, &["--consumer", "backup"]), ["three"]);
    let mut rpc = daemon.rpc();
    let left = ["default", "backup", "alarm", "nobody"].map(|consumer| unread(&mut rpc, consumer));
    assert_eq!(left, [3, 0, 0, 3]);
    assert_eq!(read(&daemon, &[]), ["one", "two", "three"]);
}

#[test]
fn peeking_and_history_keep_the_read_mark() {
    let daemon = having_received(["one", "two"]);
    let leaves_it_alone: [&[&str]; 9] = [
        &["--peek"],
        &["--peek", "--hex"],
        &["-n", "5"],
        &["-a"],
        &["-a", "-r"],
        &["--from", "127.0.0.1"],
        &["--direction", "in"],
        &["--since", "1h"],
        &["--grep", "."],
    ];
    for args in leaves_it_alone {
        assert_eq!(read(&daemon, args).len(), 2, "{args:?}");
        assert_eq!(unread(&mut daemon.rpc(), "default"), 2, "{args:?}");
    }
    assert_eq!(read(&daemon, &[]), ["one", "two"]);
}

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

/// A daemon with a conversation: bob, who is named, and a stranger on the same machine, and our answers.
struct Conversation {
    daemon: Daemon,
    stranger: Peer,
}

impl Conversation {
    fn held() -> Self {
        let (bob, stranger) = (Peer::new(), Peer::at("127.0.0.2:0"));
        let config = format!("[peers.bob]\naddress = \"{}\"\n", bob.name());
        let daemon = Daemon::start_with(&config, &["--listen", "0.0.0.0:0"]);
        daemon.receive_from(&bob, ["1 你好"]);
        daemon.receive_from(&bob, ["2 ERROR in\nline two"]);
        daemon.ctl(&["-q", "send", "bob", "3 你好，bob"]).ok();
        daemon.receive_from(&stranger, ["4 error 404"]);
        daemon.ctl(&["-q", "send", &stranger.name(), "5 what?"]).ok();
        daemon.receive_from(&bob, ["6 再见"]);
        Self { daemon, stranger }
    }

    /// Checks which entries are shown, identified by the digits that their texts begin with.
    #[track_caller]
    fn shows(&self, args: &[&str], digits: &str) {
        let shown: String = read(&self.daemon, args).iter().map(|text| &text[..1]).collect();
        assert_eq!(shown, digits, "{args:?}");
    }
}

#[test]
fn history_has_a_limit_and_either_order() {
    let conversation = Conversation::held();
    conversation.shows(&["-n", "2"], "56");
    conversation.shows(&["-n", "0"], "");
    conversation.shows(&["-n", "100"], "123456");
    conversation.shows(&["-a"], "123456");
    conversation.shows(&["-a", "-r"], "654321");
    conversation.shows(&["-n", "2", "-r"], "65");
    conversation.daemon.receive_from(&conversation.stranger, (0..30).map(|_| "7"));
    conversation.shows(&["-n", "20", "-r"], &"7".repeat(20));
}

#[test]
fn history_filters_by_peer_and_direction() {
    let conversation = Conversation::held();
    let stranger = conversation.stranger.name();
    conversation.shows(&["--from", "bob"], "1236");
    conversation.shows(&["--from", "127.0.0.2"], "45");
    conversation.shows(&["--from", &stranger], "45");
    conversation.shows(&["--from", "127.0.0.2:1"], "");
    conversation.shows(&["--direction", "in"], "1246");
    conversation.shows(&["--direction", "out"], "35");
    conversation.shows(&["--direction", "both"], "123456");
    conversation.shows(&["--from", "bob", "--direction", "in", "-n", "2"], "26");
    let unknown = conversation.daemon.ctl(&["inbox", "--from", "nobody"]);
    unknown.fails(2, &["nobody", "udpchatctl peers"]);
}

#[test]
fn history_filters_by_time() {
    let conversation = Conversation::held();
    let entries = conversation.daemon.entries();
    let at = |number: usize| entries[number - 1]["at"].as_str().unwrap();
    conversation.shows(&["--since", at(3)], "3456");
    conversation.shows(&["--until", at(3)], "12");
    conversation.shows(&["-S", at(2), "-U", at(5), "-r"], "432");
    conversation.shows(&["--since", "2h"], "123456");
    conversation.shows(&["--until", "2h"], "");
    conversation.shows(&["--since", "1d", "--until", "now", "-n", "1"], "6");
    conversation.daemon.ctl(&["inbox", "--since", "soon"]).fails(2, &["invalid time 'soon'", "yesterday"]);
}

#[test]
fn history_can_be_searched() {
    let conversation = Conversation::held();
    conversation.shows(&["--grep", "你好"], "13");
    conversation.shows(&["--grep", "[再时]见$"], "6");
    conversation.shows(&["--grep", "(?i)error"], "24");
    conversation.shows(&["--grep", "^line"], "2");
    conversation.shows(&["--grep", "nothing like it"], "");
    conversation.shows(&["--grep", "你好", "--from", "bob", "--direction", "out"], "3");
    conversation.shows(&["--grep", "error|ERROR", "-r", "-n", "1", "--since", "1h"], "4");
    conversation.daemon.ctl(&["inbox", "--grep", "("]).fails(2, &["regular expression"]);
}

const FLOOD: u64 = 500;

/// Starts a daemon that has lost messages of a flood, which it could not fetch since it was stopped.
fn with_a_gap() -> Daemon {
    let daemon = Daemon::start_with("receive_buffer = \"4KiB\"\n", &[]);
    let peer = Peer::new();
    daemon.signal(Signal::SIGSTOP);
    (0..FLOOD).for_each(|_| peer.send(daemon.address(), [b'x'; 500]));
    daemon.signal(Signal::SIGCONT);
    let count = |entry: &Value| entry["lost"].as_u64().unwrap_or(1);
    eventually("every message to be there or in a gap", || {
        (daemon.entries().iter().map(count).sum::<u64>() == FLOOD).then_some(())
    });
    daemon
}

#[test]
fn gaps_are_shown_but_match_no_search() {
    let daemon = with_a_gap();
    let gaps = |args: &[&str]| {
        let entries = daemon.ctl(&[&["--json", "inbox"], args].concat()).json();
        entries.into_iter().filter(|entry| entry["type"] == "gap").collect::<Vec<_>>()
    };
    let all = gaps(&["-a"]);
    assert!(!all.is_empty() && all.iter().all(|gap| gap["reason"] == "receive_buffer_full"));
    assert_eq!(gaps(&["-a", "--direction", "in"]), all);
    assert_eq!(gaps(&["--peek"]), all);
    for args in [["-a", "--grep", ".*"], ["-a", "--from", "127.0.0.1"], ["-a", "--direction", "out"]] {
        assert_eq!(gaps(&args), [] as [Value; 0], "{args:?}");
    }
    let text = daemon.ctl(&["inbox"]).ok();
    assert!(text.contains("lost here: the receive buffer was full"), "{text}");
}

#[test]
fn gaps_can_be_included_with_a_peer() {
    let daemon = with_a_gap();
    // The block with the gap is indexed, and the index has no message of 127.0.0.9 in it.
    let peer = Peer::new();
    eventually("the index", || {
        (0..5).for_each(|_| peer.send(daemon.address(), "x"));
        (daemon.status()["index"]["newest_id"].as_u64() >= Some(1_023)).then_some(())
    });
    let gaps = |params: Value| {
        let entries = daemon.rpc().entries(params).into_iter();
        ids(&entries.filter(|entry| entry["type"] == "gap").collect::<Vec<_>>())
    };
    let all = gaps(json!({}));
    assert!(!all.is_empty());
    for from in ["127.0.0.1", "127.0.0.9"] {
        assert_eq!(gaps(json!({ "from": from, "gaps": true })), all);
        assert_eq!(gaps(json!({ "from": from })), [] as [u64; 0]);
    }
    assert_eq!(gaps(json!({ "grep": "no such text", "gaps": true })), all);
    assert_eq!(gaps(json!({ "from": "127.0.0.9", "gaps": true, "direction": "out" })), [] as [u64; 0]);
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 0, "from": "127.0.0.9", "gaps": true }));
    assert_eq!(all.iter().map(|_| id(&follower.entry())).collect::<Vec<_>>(), all);
}

#[test]
fn pages_of_one_entry_are_complete_in_both_orders() {
    let daemon = having_received((0..50).map(|number| number.to_string()));
    let mut rpc = daemon.rpc();
    let mut pages = |order: &str, bound: &str| {
        let mut params = json!({ "limit": 1, "order": order });
        let mut read = Vec::new();
        loop {
            let page = rpc.call("inbox", params.clone());
            read.extend(ids(page["entries"].as_array().unwrap()));
            params[bound] = page["next"].clone();
            if page["more"] == false {
                return read;
            }
        }
    };
    assert!(pages("asc", "after").into_iter().eq(1..=50));
    assert!(pages("desc", "before").into_iter().eq((1..=50).rev()));
}

#[test]
fn a_search_in_pages_finds_everything_exactly_once() {
    let daemon = having_received((0..500).map(|number| number.to_string()));
    let params = json!({ "after": 0, "limit": 3, "grep": "7$" });
    let found = daemon.rpc().entries(params);
    assert!(
        texts(&found)
            .into_iter()
            .map(str::to_owned)
            .eq((7..500).step_by(10).map(|number| number.to_string()))
    );
}

#[test]
fn the_read_mark_moves_only_forward_to_existing_entries() {
    let daemon = having_received(["one", "two", "three"]);
    let mut rpc = daemon.rpc();
    let first = rpc.call("ack", json!({ "consumer": "c", "id": 2 }));
    assert_eq!(first, json!({ "read": 2, "unread": 1, "new": true }));
    assert_eq!(rpc.call("ack", json!({ "consumer": "c", "id": 1 })), json!({ "read": 2, "unread": 1 }));
    let error = rpc.error("ack", json!({ "consumer": "c", "id": 4 }));
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32602), &json!("invalid_params")));
    assert_eq!(unread(&mut rpc, "c"), 1);
    let page = rpc.call("inbox", json!({ "consumer": "c" }));
    assert_eq!(texts(page["entries"].as_array().unwrap()), ["three"]);
}

#[test]
fn the_number_of_consumers_is_limited() {
    let daemon = having_received(["one"]);
    let mut rpc = daemon.rpc();
    rpc.call("ack", json!({ "consumer": "early", "id": 0 }));
    let others = "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                  INSERT INTO consumer (name, read_id) SELECT 'c' || i, 1 FROM n";
    Connection::open(daemon.database()).unwrap().execute(others, []).unwrap();
    let error = rpc.error("ack", json!({ "consumer": "late", "id": 1 }));
    assert_eq!(error["data"]["kind"], "busy", "{error}");
    for consumer in ["early", "default"] {
        assert_eq!(rpc.call("ack", json!({ "consumer": consumer, "id": 1 }))["read"], 1);
    }
}

#[test]
fn a_read_mark_survives_a_crash() {
    let daemon = having_received(["one", "two"]);
    assert_eq!(read(&daemon, &[]), ["one", "two"]);
    let daemon = daemon.start_again();
    assert!(read(&daemon, &[]).is_empty());
    daemon.receive_from(&Peer::new(), ["three"]);
    assert_eq!(read(&daemon, &[]), ["three"]);
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

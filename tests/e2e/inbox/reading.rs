//! Reading the inbox: every entry is shown at least once, shown entries count as read, consumers are independent.

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, Rpc, eventually, id, ids, texts};

/// Starts a daemon that has received these messages from one peer.
pub(super) fn having_received(messages: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Daemon {
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
pub(super) fn unread(rpc: &mut Rpc, consumer: &str) -> Value {
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

//! `recode`: the encoding of stored messages is corrected everywhere, and nothing else changes.

use encoding_rs::GBK;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, eventually, ids, raw, texts};

/// More entries than one step of the daemon changes, and more than its index leaves out.
const MANY: usize = 2_500;

/// Text in Windows-1251, which a Chinese fallback decodes as something else.
const RUSSIAN: &str = "Привет, мир";

/// Starts a daemon that has received Russian from two peers.
fn having_heard_russian() -> (Daemon, [Peer; 2]) {
    let peers = [Peer::new(), Peer::new()];
    let config = format!("[peers.ivan]\naddress = \"{}\"\n", peers[0].name());
    let daemon = Daemon::start_with(&config, &[]);
    for peer in &peers {
        peer.send_text(daemon.address(), RUSSIAN, encoding_rs::WINDOWS_1251);
    }
    let _status = daemon.stored(2);
    (daemon, peers)
}

/// Returns the entries without what recoding changes.
fn without_reading(mut entries: Vec<Value>) -> Vec<Value> {
    for entry in &mut entries {
        for field in ["text", "encoding", "encoding_by"] {
            entry.as_object_mut().unwrap().remove(field);
        }
    }
    entries
}

#[track_caller]
fn grep(daemon: &Daemon, expression: &str) -> Vec<u64> {
    ids(&daemon.ctl(&["--json", "inbox", "--all", "--grep", expression]).json())
}

#[test]
fn recoded_messages_read_so_everywhere() {
    let (daemon, _peers) = having_heard_russian();
    let before = daemon.entries();
    assert_ne!(texts(&before), [RUSSIAN, RUSSIAN]);
    assert_eq!(grep(&daemon, "мир"), [0; 0]);
    let told = daemon.ctl(&["recode", "--as", "cp1251", "--from", "ivan"]).ok();
    assert_eq!(told, "1 message recoded as windows-1251\n");
    let check = |daemon: &Daemon| {
        let entries = daemon.entries();
        assert_eq!((&entries[0]["text"], &entries[1]), (&json!(RUSSIAN), &before[1]));
        assert_eq!(entries[0]["encoding"], "windows-1251");
        assert_eq!(entries[0]["encoding_by"], "given");
        assert_eq!(grep(daemon, "мир"), [1]);
        assert_eq!(daemon.ctl(&["--json", "export", "--grep", "мир"]).json(), entries[..1]);
        let shown = daemon.ctl(&["inbox", "-n", "2"]).ok();
        assert!(shown.contains(RUSSIAN), "{shown}");
        assert_eq!(without_reading(entries), without_reading(before.clone()));
    };
    check(&daemon);
    let daemon = daemon.start_again();
    check(&daemon);
    daemon.ctl(&["-q", "recode", "--as", "auto", "--all"]).ok();
    assert_eq!(daemon.entries(), before);
}

#[test]
fn many_messages_are_recoded_and_reindexed() {
    let peer = Peer::new();
    let daemon = Daemon::start();
    let say = |number: usize| encoding_rs::KOI8_R.encode(&format!("слово{number} да")).0.into_owned();
    daemon.receive_from(&peer, (0..MANY).map(say));
    eventually("the index", || (daemon.status()["index"]["newest_id"].as_u64() > Some(2_000)).then_some(()));
    assert!(grep(&daemon, "слово1500").is_empty());
    // A step of the daemon is bounded, and returns where to continue.
    let step = daemon.rpc().call("recode", json!({ "as": "big5" }));
    assert_eq!((&step["recoded"], &step["next"], &step["more"]), (&json!(256), &json!(256), &json!(true)));
    let report = daemon.ctl(&["--json", "recode", "--as", "koi8-r", "--all"]).json();
    assert_eq!(report[0]["recoded"], MANY);
    assert_eq!(grep(&daemon, "слово1500 "), [1501]);
    assert_eq!(grep(&daemon, "слово10[01]7"), [1008, 1018]);
    let again = daemon.ctl(&["recode", "--as", "koi8-r", "--all"]).ok();
    assert_eq!(again, "0 messages recoded as koi8-r; 2,500 messages unchanged\n");
}

#[test]
fn filters_and_ids_select_messages() {
    let (daemon, peers) = having_heard_russian();
    daemon.ctl(&["-q", "send", &peers[0].name(), "gesendet"]).ok();
    daemon.receive_from(&peers[0], ["plain", "plain too"]);
    let recoded = |args: &[&str]| {
        let all = [&["--json", "recode", "--as", "koi8-r", "--dry-run"], args].concat();
        daemon.ctl(&all).json()[0]["recoded"].as_u64().unwrap()
    };
    for (args, messages) in [
        (&["--all"][..], 4),
        (&["--from", "ivan"], 3),
        (&["--from", "ivan", "--direction", "both"], 4),
        (&["--direction", "out"], 1),
        (&["--grep", "^plain"], 2),
        (&["--since", "1h"], 4),
        (&["--until", "1h"], 0),
        (&["-n", "1"], 1),
        (&["-n", "2", "--from", "ivan"], 2),
        (&["3"], 1),
        (&["1-2", "#4"], 3),
    ] {
        assert_eq!(recoded(args), messages, "{args:?}");
    }
    daemon.ctl(&["-q", "recode", "--as", "koi8-r", "2-3"]).ok();
    let entries = daemon.entries();
    let given: Vec<u64> =
        entries.iter().filter(|entry| entry["encoding_by"] == "given").map(crate::support::id).collect();
    assert_eq!(given, [2, 3]);
}

#[test]
fn without_a_selection_nothing_is_recoded() {
    let (daemon, _peers) = having_heard_russian();
    let before = daemon.entries();
    daemon.ctl(&["recode", "--as", "koi8-r"]).fails(2, &["no messages are selected", "`--all`"]);
    daemon.ctl(&["recode", "--as", "klingon", "--all"]).fails(2, &["unknown encoding `klingon`", "utf-8"]);
    daemon.ctl(&["recode", "--as", "koi8-r", "99"]).fails(1, &["there is no message #99"]);
    assert_eq!(daemon.ctl(&["recode", "--as", "koi8-r", "--grep", "nowhere"]).ok(), "no message matches\n");
    assert_eq!(daemon.entries(), before);
}

#[test]
fn what_is_remembered_of_a_whole_host_is_said() {
    let config = "[peers.pupil]\naddress = '127.0.0.9'\n";
    let daemon = Daemon::start_with(config, &[]);
    let (one, other) = (Peer::at("127.0.0.9:0"), Peer::at("127.0.0.9:0"));
    let texts: Vec<_> = (0..7).map(|number| format!("联通 {number}")).collect();
    daemon.receive_from(&one, texts.iter().map(|text| GBK.encode(text).0.into_owned()).collect::<Vec<_>>());
    daemon.receive_from(&other, [GBK.encode("好的").0]);
    let recode = |args: &[&str]| {
        daemon.ctl(&[&["recode", "--as", "big5", "--from", &one.name(), "--remember"], args].concat())
    };
    let note = "note: --remember is for all ports of pupil, which is configured without one; so are messages to it\n";
    for (args, summary) in [
        (&["--dry-run"][..], "7 messages would be recoded as big5; only the first 5 are shown\n"),
        (&[], "7 messages recoded as big5; 1 peer remembered\n"),
    ] {
        let told = recode(args);
        assert!(told.stdout.ends_with(summary), "{told:?}");
        told.fails(0, &[note]);
    }
    assert_eq!(daemon.entries().pop().unwrap()["encoding"], "big5", "it is of another port");
    let named = daemon.ctl(&["recode", "--as", "gbk", "--from", "pupil", "--remember"]);
    assert!(!named.stderr.contains("--remember"), "{}", named.stderr);
}

#[test]
fn a_dry_run_shows_examples_and_changes_nothing() {
    let (daemon, _peers) = having_heard_russian();
    let before = daemon.entries();
    let told = daemon.ctl(&["recode", "--as", "windows-1251", "--all", "--dry-run", "--remember"]).ok();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 7, "{told}");
    assert!(lines[0] == "#1" && lines[1].starts_with("  - "), "{told}");
    assert!(lines[2].starts_with("  + windows-1251 (given)") && lines[2].ends_with(RUSSIAN), "{told}");
    assert_eq!(lines[6], "2 messages would be recoded as windows-1251");
    assert_eq!(daemon.entries(), before);
    assert_eq!(daemon.rpc().call("peers", json!({}))["peers"][0]["encoding_by"], "configured");
}

#[test]
fn nothing_is_remembered_where_the_configuration_decides() {
    let peer = Peer::new();
    let table = format!("[peers.\"李雷\"]\naddress = '{}'\nencoding = 'gbk'\n", peer.name());
    let daemon = Daemon::start_with(&table, &[]);
    peer.send_text(daemon.address(), "привет", encoding_rs::WINDOWS_1251);
    eventually("the message", || (daemon.entries().len() == 1).then_some(()));
    let recode = ["recode", "--as", "windows-1251", "--from", "李雷", "--remember"];
    let told = daemon.ctl(&recode);
    assert_eq!(told.stdout, "1 message recoded as windows-1251\n");
    let note = "nothing is remembered of 李雷: `[peers.\"李雷\"] encoding` in the configuration decides";
    told.fails(0, &[note]);
    let told = daemon.ctl(&[&["--json"][..], &recode].concat()).json();
    assert_eq!((&told[0]["remembered"], &told[0]["configured"]), (&json!(0), &json!(["李雷"])));
}

#[test]
fn the_encoding_is_remembered_on_request() {
    let (daemon, [ivan, other]) = having_heard_russian();
    let told = daemon.ctl(&["recode", "--as", "windows-1251", "--from", "ivan", "--remember"]).ok();
    assert_eq!(told, "1 message recoded as windows-1251; 1 peer remembered\n");
    let check = |daemon: &Daemon, remembered: bool| {
        let next = daemon.status()["inbox"]["newest_id"].as_u64().unwrap() as usize;
        for peer in [&ivan, &other] {
            peer.send_text(daemon.address(), "ещё раз", encoding_rs::WINDOWS_1251);
        }
        eventually("both messages", || (daemon.entries().len() == next + 2).then_some(()));
        let entries = daemon.entries();
        assert_eq!(entries[next]["text"] == "ещё раз", remembered, "{:?}", entries[next]);
        assert_eq!(entries[next]["encoding_by"] == "remembered", remembered);
        assert_ne!(entries[next + 1]["text"], "ещё раз");
        daemon.ctl(&["-q", "send", &ivan.name(), "да"]).ok();
        let expected = if remembered { &b"\xe4\xe0"[..] } else { "да".as_bytes() };
        assert_eq!(raw(daemon.entries().last().unwrap()), expected);
    };
    check(&daemon, true);
    let daemon = daemon.start_again();
    check(&daemon, true);
    let told = daemon.ctl(&["recode", "--as", "auto", "--from", "ivan", "--remember"]).ok();
    assert_eq!(told, "1 message recoded by the usual rules; 2 messages unchanged; 1 peer forgotten\n");
    check(&daemon, false);
}

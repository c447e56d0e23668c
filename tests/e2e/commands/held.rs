//! `send --when-seen`, `held` and `peers --silent`.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Daemon, Peer, eventually, eventually_within, texts};

/// How long a notice of silence may take: ten seconds, on a machine that has other work.
const SILENCE: Duration = Duration::from_secs(40);

/// Starts a daemon with two peers.
fn with_peers(bob: &Peer, ann: &Peer) -> Daemon {
    let (bob, ann) = (bob.name(), ann.name());
    let config = format!(
        "[peers.bob]\naddress = '{bob}'\nencoding = 'gbk'\n[peers.ann]\naddress = '{ann}'\n[peers.both]\nmembers = ['bob', 'ann']\n"
    );
    Daemon::start_with(&config, &[])
}

/// Returns what is held: destination and text of each.
fn held(daemon: &Daemon) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    daemon
        .ctl(&["--json", "held"])
        .json()
        .iter()
        .map(|held| (text(&held["to"]), text(&held["text"])))
        .collect()
}

#[test]
fn a_held_message_goes_out_when_its_peer_speaks() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    let receipt = daemon.ctl(&["send", "bob", "你好", "--when-seen", "--for", "2d"]).ok();
    assert!(
        receipt.starts_with("held 1 for bob in gbk, until 20") && receipt.lines().count() == 1,
        "{receipt}"
    );
    let held = daemon.ctl(&["--json", "send", "bob", "again", "--when-seen"]).json();
    assert_eq!((&held[0]["held"], &held[0]["to"]), (&2.into(), &"bob".into()));
    let list = daemon.ctl(&["held"]).ok();
    assert!(list.starts_with("NUMBER  FOR  UNTIL ") && list.contains("你好"), "{list}");
    let peers = daemon.ctl(&["--json", "peers"]).json();
    assert_eq!(peers.iter().find(|peer| peer["name"] == "bob").unwrap()["held"], 2);
    assert!(daemon.ctl(&["status"]).ok().contains("\nheld:            2 messages, "));
    daemon.receive_from(&bob, ["awake"]);
    // In GBK, as it was encoded at once.
    assert_eq!(bob.receive().0, b"\xc4\xe3\xba\xc3");
    assert_eq!(bob.receive().0, b"again");
    eventually("nothing to be held", || (daemon.ctl(&["held"]).ok() == "no message is held\n").then_some(()));
    let text = daemon.ctl(&["inbox", "-a"]).ok();
    assert!(text.lines().nth(1).unwrap().contains("你好  (held "), "{text}");
}

#[test]
fn what_is_held_for_the_members_of_a_list_is_found_by_its_name() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    daemon.ctl(&["send", "both", "hi", "--when-seen"]).ok();
    let found = daemon.ctl(&["--json", "held", "--to", "both"]).json();
    assert_eq!(found.iter().map(|held| held["to"].as_str().unwrap()).collect::<Vec<_>>(), ["bob", "ann"]);
    assert_eq!(daemon.ctl(&["held", "--to", "both", "--cancel", "all"]).ok(), "2 messages cancelled\n");
    assert!(held(&daemon).is_empty());
    assert_eq!(daemon.ctl(&["held", "--to", "both"]).ok(), "no message is held for both\n");
}

#[test]
fn every_form_of_a_message_can_be_held() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(to, text)| ((*to).to_owned(), (*text).to_owned())).collect()
    };
    let cancel_all = || {
        let numbers: Vec<String> =
            daemon.ctl(&["--json", "held"]).json().iter().map(|held| held["held"].to_string()).collect();
        daemon.ctl(&["held", "--cancel", &numbers.join(",")]).ok();
    };
    let file = daemon.path("letter");
    std::fs::write(&file, "a letter").unwrap();
    let file = file.to_str().unwrap();
    let long = "x".repeat(30);
    for (args, input, expected) in [
        (&["bob,ann", "hi"][..], "", &[("bob", "hi"), ("ann", "hi")][..]),
        (&["both", "hi"], "", &[("bob", "hi"), ("ann", "hi")]),
        (&["bob", "--lines"], "one\ntwo\n", &[("bob", "one"), ("bob", "two")]),
        (&["bob"], "from a pipe", &[("bob", "from a pipe")]),
        (&["bob", "--file", file], "", &[("bob", "a letter")]),
        (&["bob", "--hex", "41 42"], "", &[("bob", "AB")]),
        (&["bob", "--fill", "no {{n:03}}"], "", &[("bob", "no 001")]),
        (&["bob", "A", "--append", "xor8"], "", &[("bob", "AA")]),
        (&["bob", "--split=16", &long], "", &[("bob", &long[..16]), ("bob", &long[16..])]),
    ] {
        let ran = daemon.ctl_with_input(&[&["send", "--when-seen"], args].concat(), input.as_bytes());
        assert_eq!(ran.stdout.lines().count(), expected.len(), "{args:?}: {ran:?}");
        assert_eq!(held(&daemon), pairs(expected), "{args:?}");
        cancel_all();
    }
    let sent = daemon.ctl(&["--json", "send", "ann", "once"]).json()[0]["id"].to_string();
    daemon.ctl(&["send", "--again", &sent, "--when-seen"]).ok();
    daemon.ctl(&["send", "bob", "--again", &sent, "--when-seen"]).ok();
    assert_eq!(held(&daemon), pairs(&[("ann", "once"), ("bob", "once")]));
    assert_eq!(texts(&daemon.entries()), ["once"], "nothing else was sent");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    let send = |args: &[&str]| daemon.ctl(&[&["send", "bob", "x"], args].concat());
    send(&["--when-seen", "--every", "1s"]).fails(2, &["--when-seen", "--every"]);
    send(&["--for", "2d"]).fails(2, &["--when-seen"]);
    send(&["--when-seen", "--for", "91d"]).fails(2, &["expected 1s to 90 days"]);
    daemon.ctl(&["send", "nobody", "x", "--when-seen"]).fails(5, &["no peer is called"]);
    daemon.ctl(&["send", "bob", "-e", "gbk", "😀", "--when-seen"]).fails(5, &["cannot hold"]);
    assert!(held(&daemon).is_empty());
}

#[test]
fn held_messages_are_cancelled_by_number() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    daemon.ctl_with_input(&["send", "bob", "--lines", "--when-seen"], b"1\n2\n3\n4\n").ok();
    daemon.ctl(&["send", "ann", "x", "--when-seen"]).ok();
    assert_eq!(daemon.ctl(&["held", "--to", "ann"]).ok().lines().count(), 2);
    daemon.ctl(&["--json", "held", "--to", "anm"]).fails(2, &["`anm` is not a configured peer"]);
    for cancel in [&[][..], &["--cancel", "all"]] {
        let misspelt = daemon.ctl(&[&["held", "--to", "anm"], cancel].concat());
        misspelt.fails(2, &["`anm` is not a configured peer", "did you mean `ann`?"]);
    }
    assert_eq!(daemon.ctl(&["held", "--cancel", "1,2"]).ok(), "2 messages cancelled\n");
    daemon.ctl(&["held", "--cancel", "2"]).fails(1, &["2"]);
    let twice = daemon.ctl(&["held", "--cancel", "2,2"]);
    assert_eq!(twice.stderr.matches("error: ").count(), 1, "{twice:?}");
    let both = daemon.ctl(&["held", "--cancel", "1,2"]);
    both.fails(1, &["2 of 2 messages could not be cancelled", "hint: `udpchatctl held` lists them"]);
    let some = daemon.ctl(&["held", "--cancel", "2", "3"]);
    assert_eq!((some.stdout.as_str(), some.code), ("1 message cancelled\n", Some(1)), "{some:?}");
    assert_eq!(held(&daemon), [("bob".to_owned(), "4".to_owned()), ("ann".to_owned(), "x".to_owned())]);
}

#[test]
fn all_held_messages_are_cancelled_at_once() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    daemon.ctl_with_input(&["send", "both", "--lines", "--when-seen"], b"1\n2\n").ok();
    assert_eq!(daemon.ctl(&["held", "--to", "ann", "--cancel", "all"]).ok(), "2 messages cancelled\n");
    assert_eq!(daemon.ctl(&["held", "--to", "ann", "--cancel", "all"]).ok(), "no message is held for ann\n");
    daemon.ctl(&["held", "--to", "bob", "--cancel", "1"]).fails(2, &["--to TO --cancel all"]);
    daemon.ctl(&["held", "--cancel", "all,1"]).fails(2, &["with `all`"]);
    daemon.ctl(&["held", "--cancel", "0"]).fails(2, &["the number of a held message, or `all`"]);
    assert_eq!(held(&daemon).len(), 2);
    assert_eq!(daemon.ctl(&["held", "--cancel", "all"]).ok(), "2 messages cancelled\n");
    assert!(held(&daemon).is_empty());
}

#[test]
fn a_text_held_in_the_default_encoding_has_a_note() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let daemon = with_peers(&bob, &ann);
    let hold = |args: &[&str]| daemon.ctl(&[&["send", "--when-seen"], args].concat());
    let unknown = hold(&["ann", "你好"]);
    assert!(unknown.stdout.starts_with("held 1 for ann in utf-8, until "), "{unknown:?}");
    assert!(unknown.stderr.starts_with("note: the text is held in utf-8, the default: the encoding of ann "));
    assert!(hold(&["both", "你好"]).stderr.contains("the encoding of ann is unknown now"));
    for known in [&["bob", "你好"][..], &["ann", "-e", "gbk", "你好"], &["ann", "hello"]] {
        assert_eq!(hold(known).stderr, "", "{known:?}");
    }
    let json = daemon.ctl(&["--json", "send", "--when-seen", "ann", "你好"]).json().remove(0);
    assert_eq!((&json["encoding"], &json["encoding_is_default"]), (&"utf-8".into(), &true.into()));
    assert_eq!(daemon.ctl(&["--json", "held"]).json()[1]["encoding"], "gbk");
}

#[test]
fn silent_peers_are_told_by_the_exit_code() {
    let bob = Peer::new();
    let config = format!(
        "[peers.bob]\naddress = '{}'\nsilent_after = '10s'\n[peers.ann]\naddress = '127.0.0.77'\n",
        bob.name()
    );
    let mut daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&bob, ["one"]);
    assert_eq!(daemon.ctl(&["peers", "--silent"]).ok(), "no peer is silent\n");
    // Ann was never heard.
    let quiet = daemon.ctl(&["peers", "--silent", "1h"]);
    assert!(quiet.stdout.contains("ann ") && !quiet.stdout.contains("bob "), "{quiet:?}");
    quiet.fails(1, &["1 peer is silent"]);
    daemon.ctl(&["peers", "--silent", "0s"]).fails(2, &["every peer has sent nothing for 0 s"]);
    daemon.ctl(&["peers", "--silent", "soon"]).fails(2, &["expected a duration"]);
    let silent = eventually_within(SILENCE, "the silence", || {
        let ran = daemon.ctl(&["--json", "peers", "--silent"]);
        (ran.code == Some(1)).then_some(ran)
    });
    let row: Value = serde_json::from_str(silent.stdout.trim()).unwrap();
    assert_eq!(row["name"], "bob");
    let text = daemon.ctl(&["peers", "--silent"]);
    assert!(text.stdout.contains("  silent, "), "{text:?}");
    text.fails(1, &["1 peer is silent"]);
    assert!(daemon.ctl(&["inbox", "-a"]).ok().contains("  ! bob is silent, for 10s, since #1\n"));
    assert!(daemon.ctl(&["status"]).ok().contains("\nsilent:          bob since "));
    assert!(daemon.ctl(&["doctor"]).stdout.contains("bob is silent since "));
    // What is unread is the message alone; the notice comes with it, once.
    let new = daemon.ctl(&["inbox"]).ok();
    assert_eq!(new.lines().count(), 2, "{new}");
    assert_eq!(daemon.ctl(&["inbox"]).ok(), "");
    daemon.receive_from(&bob, ["two"]);
    eventually("bob to be back", || {
        daemon.ctl(&["peers", "--silent"]).stdout.contains("no peer").then_some(())
    });
    assert!(daemon.ctl(&["inbox"]).ok().contains("  ! bob is back, after "));
    daemon.log_line("a peer is silent");
    daemon.log_line("a silent peer is back");
}

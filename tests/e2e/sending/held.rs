//! Messages that are held until their peers send one (`when_seen`).

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Injection, Network, Peer, Rpc, command_in, eventually, finish};

fn hold(rpc: &mut Rpc, to: &str, text: &str) -> Vec<u64> {
    numbers(&rpc.call("send", json!({ "to": to, "text": text, "when_seen": true })))
}

fn numbers(answer: &Value) -> Vec<u64> {
    answer["held"].as_array().unwrap().iter().map(|held| held["held"].as_u64().unwrap()).collect()
}

/// Returns the numbers of all held messages.
fn held(daemon: &Daemon) -> Vec<u64> {
    numbers(&daemon.rpc().call("held", json!({})))
}

fn receive_texts(peer: &Peer, number: usize) -> Vec<String> {
    (0..number).map(|_| String::from_utf8(peer.receive().0).unwrap()).collect()
}

/// Waits until so many messages are held.
fn remain(daemon: &Daemon, number: usize) -> Vec<u64> {
    eventually("the held messages to be sent", || {
        let held = held(daemon);
        (held.len() == number).then_some(held)
    })
}

fn notices(daemon: &Daemon) -> Vec<Value> {
    let entries = daemon.rpc().call("inbox", json!({ "notices": true, "limit": 1_000 }));
    entries["entries"].as_array().unwrap().iter().filter(|entry| entry["type"] == "notice").cloned().collect()
}

#[test]
fn held_messages_go_out_in_order_with_the_next_message_of_their_peer() {
    let (bob, ann) = (Peer::new(), Peer::new());
    let config =
        format!("[peers.bob]\naddress = '{}'\n[peers.ann]\naddress = '{}'\n", bob.name(), ann.name());
    let daemon = Daemon::start_with(&config, &[]);
    let mut rpc = daemon.rpc();
    let texts: Vec<_> = (0..20).map(|n| format!("message {n}")).collect();
    let ids: Vec<_> = texts.iter().flat_map(|text| hold(&mut rpc, "bob", text)).collect();
    assert!(ids.is_sorted() && ids.len() == 20, "{ids:?}");
    let all = rpc.call("held", json!({}));
    let first = &all["held"][0];
    assert_eq!(
        (&first["to"], &first["text"], &first["bytes"]),
        (&json!("bob"), &json!("message 0"), &json!(9))
    );
    assert_eq!(daemon.status()["held"], json!({ "messages": 20, "bytes": 10 * 9 + 10 * 10 }));
    daemon.receive_from(&ann, ["I am somebody else"]);
    daemon.receive_from(&bob, ["awake"]);
    assert_eq!(receive_texts(&bob, 16), texts[..16]);
    assert_eq!(remain(&daemon, 4), ids[16..]);
    daemon.receive_from(&bob, ["still awake"]);
    assert_eq!(receive_texts(&bob, 4), texts[16..]);
    remain(&daemon, 0);
    let sent: Vec<_> = daemon.entries().into_iter().filter(|entry| entry["direction"] == "out").collect();
    assert_eq!(sent.iter().map(|entry| entry["text"].as_str().unwrap()).collect::<Vec<_>>(), texts);
    assert!(sent.iter().all(|entry| entry["held_seconds"].is_u64() && entry["by"].is_string()));
}

#[test]
fn an_address_without_a_port_is_sent_to_the_port_that_it_spoke_from() {
    let (one, other) = (Peer::at("127.0.0.2:0"), Peer::at("127.0.0.2:0"));
    let config = "[peers.dev]\naddress = '127.0.0.2'\n";
    let daemon = Daemon::start_with(config, &[]);
    let mut rpc = daemon.rpc();
    hold(&mut rpc, &one.name(), "exact");
    hold(&mut rpc, "127.0.0.2", "any port");
    hold(&mut rpc, "dev", "by name");
    assert_eq!(daemon.rpc().call("peers", json!({}))["peers"][0]["held"], 3);
    daemon.receive_from(&other, ["from another port"]);
    assert_eq!(receive_texts(&other, 2), ["any port", "by name"]);
    remain(&daemon, 1);
    daemon.receive_from(&one, ["from this port"]);
    assert_eq!(receive_texts(&one, 1), ["exact"]);
    remain(&daemon, 0);
    // An answer is held for exactly the sender.
    let id = daemon.entries()[0]["id"].as_u64().unwrap();
    let answer = rpc.call("send", json!({ "reply_to": id, "text": "answer", "when_seen": true }));
    assert_eq!(answer["held"][0]["to"], other.name());
    daemon.receive_from(&one, ["not the sender"]);
    daemon.receive_from(&other, ["the sender"]);
    assert_eq!(receive_texts(&other, 1), ["answer"]);
}

#[test]
fn a_link_local_address_is_released_on_its_interface_whatever_number_that_has() {
    let Some(network) = Network::new() else { return };
    network.connect("usb0", 1);
    let (here, there) = (
        Daemon::start_on(&network.here, "listen = ['[::]:7788']\n"),
        Daemon::start_on(&network.there, "listen = ['[::]:7788']\n"),
    );
    let board = "fe80::1:2%usb0";
    let receipt = here.ctl(&["send", board, "interval=60", "--when-seen"]).ok();
    assert!(receipt.contains(&format!(" for {board} in utf-8, until")), "{receipt}");
    network.here.ip("link delete usb0");
    network.connect("usb0", 1);
    assert!(here.ctl(&["held", "--to", board]).ok().contains("interval=60"));
    eventually("the held message to be sent", || {
        there.ctl(&["send", "fe80::1:1%usb0", "awake"]).ok();
        held(&here).is_empty().then_some(())
    });
    eventually("the message to arrive", || {
        there.entries().iter().any(|entry| entry["text"] == "interval=60").then_some(())
    });
}

#[test]
fn bytes_that_are_no_text_are_listed_as_hex_digits() {
    let daemon = Daemon::start_with("", &[]);
    let text_of = |arguments: &[&str]| {
        let receipt = daemon.ctl(&[&["send", "127.0.0.9", "--when-seen"], arguments].concat()).ok();
        assert!(receipt.starts_with("held "), "{receipt}");
        daemon.rpc().call("held", json!({}))["held"].as_array().unwrap().last().unwrap()["text"].clone()
    };
    assert_eq!(text_of(&["--hex", "aa 55 00 0d"]), "aa 55 00 0d");
    assert_eq!(text_of(&["--hex", &"d5c5 ".repeat(60)]), "d5 c5 ".repeat(17)[..100].to_owned());
    assert_eq!(text_of(&["--hex", "c4 e3"]), "c4 e3", "no encoding is known");
    assert_eq!(text_of(&["--hex", "41 0d 0a 42"]), "A\r\nB");
}

#[test]
fn a_peer_with_a_port_gets_held_messages_there_wherever_it_has_moved() {
    let (old, new) = (Peer::new(), Peer::new());
    let config = |peer: &Peer| format!("[peers.bob]\naddress = '{}'\n", peer.name());
    let daemon = Daemon::start_with(&config(&old), &[]);
    hold(&mut daemon.rpc(), "bob", "follows the name");
    std::fs::write(daemon.path("config.toml"), config(&new)).unwrap();
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    daemon.receive_from(&old, ["I am nobody now"]);
    daemon.receive_from(&new, ["I am bob"]);
    assert_eq!(receive_texts(&new, 1), ["follows the name"]);
    remain(&daemon, 0);
}

#[test]
fn a_held_message_survives_a_kill_and_is_sent_once() {
    let bob = Peer::new();
    let mut daemon = Daemon::start();
    let ids = hold(&mut daemon.rpc(), &bob.name(), "kept");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    let daemon = daemon.start_again();
    assert_eq!(held(&daemon), ids);
    daemon.receive_from(&bob, ["awake"]);
    assert_eq!(receive_texts(&bob, 1), ["kept"]);
    remain(&daemon, 0);
    let daemon = daemon.start_again();
    assert_eq!(hold(&mut daemon.rpc(), &bob.name(), "next"), [ids[0] + 1], "no number is used again");
}

#[test]
fn a_cancelled_message_is_not_sent() {
    let bob = Peer::new();
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    let ids = [hold(&mut rpc, &bob.name(), "no"), hold(&mut rpc, &bob.name(), "yes")].concat();
    rpc.call("cancel", json!({ "held": ids[0] }));
    assert!(daemon.log_with("removed a held message").contains("INFO"));
    let error = rpc.error("cancel", json!({ "held": ids[0] }));
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32018), &json!("no_such_held")));
    assert_eq!(held(&daemon), [ids[1]]);
    daemon.receive_from(&bob, ["awake"]);
    assert_eq!(receive_texts(&bob, 1), ["yes"]);
}

#[test]
fn an_expired_message_leaves_a_notice_within_a_second() {
    let bob = Peer::new();
    let config = format!("[peers.bob]\naddress = '{}'\n", bob.name());
    let daemon = Daemon::start_with(&config, &[]);
    let params = json!({ "to": "bob", "text": "too late", "when_seen": true, "for_seconds": 1 });
    let ids = numbers(&daemon.rpc().call("send", params));
    let notice = eventually("the notice", || notices(&daemon).pop());
    assert_eq!(
        (&notice["notice"], &notice["held"], &notice["name"]),
        (&json!("expired"), &json!(ids[0]), &json!("bob"))
    );
    assert_eq!(held(&daemon), Vec::<u64>::new());
    hold(&mut daemon.rpc(), "bob", "in time");
    daemon.receive_from(&bob, ["awake"]);
    assert_eq!(receive_texts(&bob, 1), ["in time"]);
}

#[test]
fn a_permanent_refusal_is_an_entry_with_the_error_and_a_warning() {
    let bob = Peer::new();
    let mut daemon = Daemon::start();
    let ids = hold(&mut daemon.rpc(), &bob.name(), "never");
    let injection = Injection::start(daemon.pid(), "sendmsg", "EMSGSIZE", "1+");
    daemon.receive_from(&bob, ["awake"]);
    remain(&daemon, 0);
    drop(injection);
    let sent = daemon.entries().pop().unwrap();
    assert!(sent["error"].as_str().unwrap().contains("too long"), "{sent}");
    assert!(sent["held_seconds"].is_u64(), "{sent}");
    let line = daemon.log_with("a held message could not be sent");
    assert!(line.contains(&format!("\"held\":{}", ids[0])) && line.contains("too long"), "{line}");
}

#[test]
fn what_cannot_be_held_is_refused_at_once() {
    let daemon = Daemon::start_with("[peers.lab]\nmembers = ['127.0.0.2']\n", &[]);
    let mut rpc = daemon.rpc();
    for (to, text) in [
        ("lab", "is a list of peers"),
        ("239.1.2.3", "is a group or a broadcast address"),
        ("255.255.255.255", "is a group or a broadcast address"),
    ] {
        let error = rpc.error("send", json!({ "to": to, "text": "x", "when_seen": true }));
        assert!(error["message"].as_str().unwrap().contains(text), "{error}");
    }
    for seconds in [0, 90 * 86_400 + 1] {
        let params = json!({ "to": "127.0.0.2", "text": "x", "when_seen": true, "for_seconds": seconds });
        assert!(rpc.error("send", params)["message"].as_str().unwrap().contains("must be 1 to 7776000"));
    }
    let error = rpc.error("send", json!({ "to": "127.0.0.2", "text": "x", "for_seconds": 9 }));
    assert!(error["message"].as_str().unwrap().contains("goes with `when_seen` only"), "{error}");
    let params = json!({ "to": "127.0.0.2", "text": "中", "encoding": "gbk", "when_seen": true });
    assert_eq!(numbers(&rpc.call("send", params)).len(), 1);
    let params = json!({ "to": "127.0.0.2", "text": "𝄞", "encoding": "gbk", "when_seen": true });
    assert_eq!(rpc.error("send", params)["data"]["kind"], "not_encodable");
}

#[test]
fn the_limit_of_a_peer_is_an_error_and_holds_no_part() {
    let bob = Peer::new();
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    let params =
        |bytes: usize| json!({ "to": bob.name(), "text": "x".repeat(bytes), "split": 16, "when_seen": true });
    (0..10).for_each(|_| assert_eq!(numbers(&rpc.call("send", params(99 * 16))).len(), 99));
    let error = rpc.error("send", params(11 * 16));
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(-32017), &json!("held_full")));
    assert_eq!(daemon.status()["held"]["messages"], 990);
    let first = rpc.call("held", json!({}));
    assert_eq!((numbers(&first).len(), &first["more"]), (200, &json!(true)));
    let last = rpc.call("held", json!({ "after": 800, "to": bob.name() }));
    assert_eq!((numbers(&last).len(), &last["more"]), (190, &json!(false)));
}

#[test]
fn denied_messages_and_the_self_test_release_nothing() {
    let (denied, bob) = (Peer::at("127.0.0.4:0"), Peer::new());
    let daemon = Daemon::start_with("[access]\ndeny = ['127.0.0.4']\n", &[]);
    let mut rpc = daemon.rpc();
    hold(&mut rpc, "127.0.0.4", "for the denied");
    hold(&mut rpc, "127.0.0.1", "for the first message of this host");
    denied.send(daemon.address(), "let me in");
    eventually("the denial", || (daemon.status()["dropped"]["denied"] == 1).then_some(()));
    let tests = rpc.call("self_test", json!({}));
    assert_eq!(tests["tests"][0]["outcome"], "received", "{tests}");
    assert_eq!(held(&daemon).len(), 2);
    bob.send(daemon.address(), "a real one");
    assert_eq!(receive_texts(&bob, 1), ["for the first message of this host"]);
    remain(&daemon, 1);
}

#[test]
fn a_backup_has_the_held_messages() {
    let bob = Peer::new();
    let daemon = Daemon::start();
    let ids = hold(&mut daemon.rpc(), &bob.name(), "kept");
    let copy = daemon.path("copy.db");
    let _line = finish(command_in(daemon.folder.path()).arg("--backup").arg(&copy), b"").ok();
    let copy = rusqlite::Connection::open(copy).unwrap();
    let row = copy.query_row("SELECT id, payload FROM held", [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(row.unwrap(), (ids[0], b"kept".to_vec()));
}

#[test]
fn messages_released_together_are_twenty_milliseconds_apart() {
    let bob = Peer::new();
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    (0..6).for_each(|n| drop(hold(&mut rpc, &bob.name(), &n.to_string())));
    daemon.receive_from(&bob, ["awake"]);
    assert_eq!(receive_texts(&bob, 6), ["0", "1", "2", "3", "4", "5"]);
    remain(&daemon, 0);
    let time = |entry: &Value| entry["at"].as_str().unwrap().parse::<udpchat_api::Timestamp>().unwrap();
    let sent: Vec<_> =
        daemon.entries().iter().filter(|entry| entry["direction"] == "out").map(time).collect();
    let spaces = sent.windows(2).map(|pair| Duration::try_from(pair[1].duration_since(pair[0])).unwrap());
    assert!(
        spaces.clone().all(|space| space >= Duration::from_millis(19)),
        "{:?}",
        spaces.collect::<Vec<_>>()
    );
}

#[test]
fn a_report_that_one_was_not_delivered_keeps_the_others_for_the_next_message() {
    let device = Peer::new();
    let address = device.name();
    let daemon = Daemon::start_with(&format!("[peers.dev]\naddress = '{address}'\n"), &[]);
    let mut rpc = daemon.rpc();
    let ids: Vec<_> = (0..12).flat_map(|n| hold(&mut rpc, "dev", &n.to_string())).collect();
    // It speaks and closes its port at once.
    daemon.receive_from(&device, ["awake"]);
    drop(device);
    let is_bounce = |notice: &Value| notice["notice"] == "bounced";
    eventually("a bounce", || notices(&daemon).iter().any(is_bounce).then_some(()));
    // What is being sent cannot be cancelled.
    eventually("the last one to be held again", || {
        rpc.reply("cancel", json!({ "held": ids[11] })).get("result").cloned()
    });
    let rest = held(&daemon);
    assert_eq!(rest, ids[12 - 1 - rest.len()..11], "those before it are held, too");
    let device = Peer::at(&address);
    daemon.receive_from(&device, ["awake again"]);
    let texts: Vec<_> = (11 - rest.len()..11).map(|n| n.to_string()).collect();
    assert_eq!(receive_texts(&device, rest.len()), texts);
    remain(&daemon, 0);
}

//! Real peers exchange messages with the daemon in both directions at once: other programs, a second
//! daemon, IPv4 and IPv6.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use encoding_rs::GBK;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, Rpc, Running, available, id, texts};

/// The peer of the tutorial: GBK, and 1,024 bytes at most. Prints its port, then each message and its source.
const PYTHON_PEER: &str = r#"
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
print(udp.getsockname()[1], flush=True)
for text in ["你好，我是小明", "一"]:
    udp.sendto(text.encode("gbk"), ("127.0.0.1", int(sys.argv[1])))
    data, source = udp.recvfrom(1024)
    print(source[0], source[1], data.decode("gbk"), flush=True)
"#;

#[test]
fn a_tutorial_python_peer_works_both_ways() {
    if !available("python3") {
        return;
    }
    let daemon = Daemon::start();
    let port = daemon.address().port().to_string();
    let mut command = Command::new("python3");
    let mut python =
        Running::start(command.args(["-c", PYTHON_PEER, &port]).env("PYTHONIOENCODING", "utf-8"));
    let peer = format!("127.0.0.1:{}", python.line());
    for (received, (said, answer)) in (1..).zip([("你好，我是小明", "收到，谢谢"), ("一", "二")])
    {
        daemon.stored(received);
        let new = daemon.ctl(&["--json", "inbox"]).json();
        assert_eq!((texts(&new), &new[0]["peer"]), (vec![said], &json!(peer)));
        daemon.ctl(&["-q", "send", &peer, answer]).ok();
        assert_eq!(python.line(), format!("127.0.0.1 {port} {answer}"));
    }
    assert!(python.wait().success());
}

/// Exchanges messages with a program that connects its standard streams with the daemon's port.
fn talks_both_ways(program: &str, args: &[&str]) {
    if !available(program) {
        return;
    }
    let daemon = Daemon::start();
    let port = daemon.address().port().to_string();
    let mut received = listening(&daemon);
    let mut running =
        Running::start(Command::new(program).args(args.iter().map(|arg| arg.replace("PORT", &port))));
    for (said, answer) in [("hello\n", "and hello to you\n"), ("你好\n", "你也好\n")] {
        running.type_in(said);
        let received = received.entry();
        assert_eq!(received["text"], said);
        let reply = ["-q", "reply", &id(&received).to_string()];
        daemon.ctl_with_input(&reply, answer.as_bytes()).ok();
        assert_eq!(running.line(), answer.trim_end());
    }
}

/// Subscribes to messages received from now on.
fn listening(daemon: &Daemon) -> Rpc {
    let mut received = daemon.rpc();
    received.call("subscribe", json!({ "direction": "in" }));
    received
}

#[test]
fn netcat_works_both_ways() {
    talks_both_ways("nc", &["-u", "127.0.0.1", "PORT"]);
}

#[test]
fn socat_works_both_ways() {
    talks_both_ways("socat", &["-", "UDP4:127.0.0.1:PORT"]);
}

#[test]
fn two_daemons_exchange_messages() {
    let (one, other) = (Daemon::start(), Daemon::start());
    one.ctl(&["-q", "send", &other.address().to_string(), "从一到二"]).ok();
    other.stored(1);
    let received = &other.entries()[0];
    assert_eq!((&received["text"], &received["peer"]), (&json!("从一到二"), &json!(one.address())));
    other.ctl(&["-q", "reply", &id(received).to_string(), "从二到一"]).ok();
    one.stored(1);
    let answer = &one.entries()[1];
    assert_eq!((&answer["text"], &answer["peer"]), (&json!("从二到一"), &json!(other.address())));
}

/// Checks that a daemon receives from a peer that sends to `ip`, and that its answer comes from there.
fn is_heard_and_answered(daemon: &Daemon, peer: &Peer, ip: &str) {
    let spoken_to = SocketAddr::new(ip.parse().unwrap(), daemon.address().port());
    let mut received = listening(daemon);
    peer.send(spoken_to, "hello");
    let received = received.entry();
    assert_eq!(received["peer"], peer.name());
    assert_eq!(received["local"], spoken_to.to_string());
    daemon.ctl(&["-q", "reply", &id(&received).to_string(), "welcome"]).ok();
    assert_eq!(peer.receive(), (b"welcome".to_vec(), spoken_to));
    daemon.ctl(&["-q", "send", &peer.name(), "unasked"]).ok();
    let (unasked, source) = peer.receive();
    assert_eq!((unasked.as_slice(), source.port()), (&b"unasked"[..], spoken_to.port()));
}

#[test]
fn replies_leave_from_the_listening_port() {
    is_heard_and_answered(&Daemon::start(), &Peer::new(), "127.0.0.1");
    let daemon = Daemon::start_with("", &["--listen", "[::1]:0"]);
    is_heard_and_answered(&daemon, &Peer::at("[::1]:0"), "::1");
}

#[test]
fn a_dual_stack_socket_shows_ipv4_as_ipv4() {
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    is_heard_and_answered(&daemon, &Peer::new(), "127.0.0.1");
    is_heard_and_answered(&daemon, &Peer::at("[::1]:0"), "::1");
}

#[test]
fn a_reply_leaves_from_the_address_sent_to() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let daemon = Daemon::start_with("", &["--listen", listen]);
        is_heard_and_answered(&daemon, &Peer::new(), "127.0.0.7");
    }
}

/// Few enough to fit into the smallest receive buffer, so that timing does not matter.
const PER_DIRECTION: usize = 200;

#[test]
fn both_directions_at_once_keep_their_order() {
    let daemon = Daemon::start();
    let peers = [Peer::new(), Peer::new()];
    let mut all = daemon.ctl_running(&["--json", "inbox", "-a", "-f"]);
    let mut new = daemon.ctl_running(&["--json", "inbox", "-f"]);
    let mut senders = peers.each_ref().map(|peer| {
        let mut sender = daemon.ctl_running(&["-q", "send", &peer.name(), "--lines"]);
        sender.type_in(&numbered("to").map(|text| text + "\n").collect::<String>());
        sender.end_input();
        sender
    });
    let to = daemon.address();
    thread::scope(|scope| {
        for peer in &peers {
            scope.spawn(move || numbered("from").for_each(|text| peer.send(to, text)));
        }
    });
    assert!(senders.iter_mut().all(|sender| sender.wait().success()));
    let followed: Vec<_> = (0..4 * PER_DIRECTION).map(|_| all.json()).collect();
    for peer in &peers {
        let received: Vec<_> =
            (0..PER_DIRECTION).map(|_| String::from_utf8(peer.receive().0).unwrap()).collect();
        assert!(received.iter().map(String::as_str).eq(numbered("to")));
        assert_eq!(of(&followed, peer, "in"), numbered("from").collect::<Vec<_>>());
        assert_eq!(of(&followed, peer, "out"), numbered("to").collect::<Vec<_>>());
    }
    let received: Vec<_> = followed.iter().filter(|entry| entry["direction"] == "in").collect();
    assert!(received.iter().all(|entry| **entry == new.json()));
}

fn numbered(word: &str) -> impl Iterator<Item = String> {
    (0..PER_DIRECTION).map(move |number| format!("{word} {number}"))
}

/// Returns the texts of one peer in one direction, in the order of the entries.
fn of<'a>(entries: &'a [Value], peer: &Peer, direction: &str) -> Vec<&'a str> {
    let of_both = |entry: &&Value| entry["peer"] == peer.name() && entry["direction"] == direction;
    entries.iter().filter(of_both).map(|entry| entry["text"].as_str().unwrap()).collect()
}

#[test]
fn an_answer_has_a_higher_id_than_its_message() {
    const ROUNDS: u64 = 200;
    let daemon = Daemon::start();
    let peer = Peer::new();
    let to = peer.name();
    let echo = thread::spawn(move || {
        for _ in 0..ROUNDS {
            let (payload, from) = peer.receive();
            peer.send(from, payload);
        }
    });
    let mut rpc = daemon.rpc();
    for round in 0..ROUNDS {
        rpc.call("send", json!({ "to": to, "text": round.to_string() }));
    }
    echo.join().unwrap();
    daemon.stored(ROUNDS);
    let entries = daemon.entries();
    let place = |direction: &str, round: u64| {
        let text = round.to_string();
        entries.iter().position(|entry| entry["direction"] == direction && entry["text"] == text).unwrap()
    };
    assert_eq!(entries.len() as u64, 2 * ROUNDS);
    assert!((0..ROUNDS).all(|round| place("out", round) < place("in", round)));
}

#[test]
fn peers_lists_named_and_seen_peers_with_encodings() {
    let (bob, chinese, silent) = (Peer::new(), Peer::new(), Peer::new());
    let config = format!(
        "[peers.bob]\naddress = \"{}\"\nencoding = \"big5\"\n[peers.silent]\naddress = \"{}\"\n",
        bob.name(),
        silent.name()
    );
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&bob, ["one", "two"]);
    daemon.ctl(&["inbox"]).ok();
    daemon.receive_from(&bob, ["three"]);
    chinese.send_text(daemon.address(), "你好", GBK);
    daemon.stored(4);

    let rows = daemon.ctl(&["--json", "peers"]).json();
    let brief = |row: &Value| json!([row["name"], row["address"], row["encoding"], row["encoding_by"]]);
    let expected = [
        json!(["bob", bob.name(), "big5", "configured"]),
        json!(["silent", silent.name(), "utf-8", "configured"]),
        json!([null, chinese.name(), "gbk", "remembered"]),
    ];
    assert_eq!(rows.iter().map(brief).collect::<Vec<_>>(), expected);
    let defaults: Vec<_> = rows.iter().map(|row| &row["encoding_is_default"]).collect();
    assert_eq!(defaults, [&Value::Null, &json!(true), &Value::Null]);
    let sources: Vec<_> = rows.iter().map(|row| &row["last_from"]).collect();
    assert_eq!(sources, [&json!(bob.name()), &Value::Null, &json!(chinese.name())]);
    let counts: Vec<_> = rows.iter().map(|row| json!([row["messages"], row["unread"]])).collect();
    assert_eq!(counts, [json!([3, 1]), json!([0, 0]), json!([1, 1])]);
    let entries = daemon.entries();
    let received: Vec<_> = rows.iter().map(|row| &row["last_heard"]).collect();
    assert_eq!(received, [&entries[2]["at"], &Value::Null, &entries[3]["at"]]);

    let table = daemon.ctl(&["peers"]).ok();
    for text in ["bob", "silent", &bob.name(), &chinese.name(), "big5", "gbk", "remembered", "default"] {
        assert!(table.contains(text), "{text} is not in\n{table}");
    }
}

#[test]
fn talkers_rank_senders_and_continue_from_a_mark() {
    let (third, other) = (Peer::new(), Peer::new());
    // By its address alone: messages from any of its ports are its own.
    let daemon = Daemon::start_with("[peers.bob]\naddress = \"127.0.0.2\"\n", &[]);
    let bobs = [Peer::at("127.0.0.2:0"), Peer::at("127.0.0.2:0")];
    daemon.receive_from(&other, ["four", "four", "four"]);
    for peer in &bobs {
        daemon.receive_from(peer, ["one", "one"]);
    }
    daemon.receive_from(&third, ["1"]);
    let mut rpc = daemon.rpc();
    let all = rpc.call("talkers", json!({}));
    let expected = json!({
        "talkers": [
            { "name": "bob", "address": "127.0.0.2", "messages": 4, "bytes": 12 },
            { "address": other.name(), "messages": 3, "bytes": 12 },
            { "address": third.name(), "messages": 1, "bytes": 1 },
        ],
        "after": 0, "next": 8, "messages": 8,
    });
    assert_eq!(all, expected);
    daemon.receive_from(&other, ["again"]);
    let next = rpc.call("talkers", json!({ "after": all["next"], "limit": 1 }));
    let again = json!([{ "address": other.name(), "messages": 1, "bytes": 5 }]);
    assert_eq!((&next["talkers"], &next["after"], &next["next"]), (&again, &json!(8), &json!(9)));
    let first = rpc.call("talkers", json!({ "limit": 1 }));
    assert_eq!((first["talkers"].as_array().unwrap().len(), &first["messages"]), (1, &json!(9)));
    for limit in [0, 101] {
        assert_eq!(rpc.error("talkers", json!({ "limit": limit }))["data"]["kind"], "invalid_params");
    }
}

//! Where a message goes, and what is said about it: ports that a user did not write, and encodings that a broadcast may need.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, ctl_without_daemon, new_folder};

#[test]
fn a_peer_without_a_port_was_heard_elsewhere() {
    let daemon = Daemon::start_with("[peers.board]\naddress = \"127.0.0.51\"\n", &[]);
    let board = Peer::at("127.0.0.51:0");
    let notes = |args: &[&str], input: &[u8]| daemon.ctl_with_input(args, input).stderr;
    assert_eq!(notes(&["send", "board", "x"], b""), "", "nothing is known of it");
    daemon.receive_from(&board, ["hello"]);
    let from = board.name();
    let expected = format!(
        "note: `board` has no port in the configuration, so the message went to port 7788; the last message of `board` \
         came from {from}: `udpchatctl send board TEXT --last-port` sends there\n"
    );
    assert_eq!(notes(&["send", "board", "x"], b""), expected);
    assert_eq!(notes(&["send", "127.0.0.51", "x"], b""), expected);
    assert_eq!(notes(&["send", "board", "--lines"], b"1\n2\n3\n"), expected, "once");
    let received = daemon.ctl(&["--json", "inbox", "-a", "--direction", "in"]).json()[0]["id"].to_string();
    for quiet in [
        &["-q", "send", "board", "x"][..],
        &["--json", "send", "board", "x"],
        &["send", "127.0.0.51:7788", "x"],
        &["send", &from, "x"],
        &["reply", &received, "x"],
    ] {
        assert_eq!(notes(quiet, b""), "", "{quiet:?}");
    }
    // Nobody listens there.
    let ran = daemon.ctl(&["ask", "board", "x", "--timeout", "100ms"]);
    ran.fails(5, &["no port in the configuration", "`udpchatctl ask board TEXT --last-port`"]);
}

#[test]
fn a_host_without_a_port_was_heard_elsewhere() {
    let daemon = Daemon::start();
    let board = Peer::at("127.0.0.51:0");
    daemon.receive_from(&board, ["hello"]);
    let from = board.name();
    let note = format!(
        "note: 127.0.0.51 has no port, so the message went to port 7788; that host was last heard from {from}: \
         `udpchatctl send 127.0.0.51 TEXT --last-port` sends there\n"
    );
    // Each form of `send`; nobody listens at the default port.
    for args in [&[][..], &["--eol", "lf"], &["--confirm", "1ms"], &["--every", "1ms", "-c", "2"]] {
        let ran = daemon.ctl(&[&["send", "127.0.0.51", "x"], args].concat());
        assert_eq!(ran.stderr.matches(&note).count(), 1, "{args:?} {ran:?}");
    }
    // Whether the network reports the question as bounced first does not matter.
    let asked = daemon.ctl(&["ask", "127.0.0.51", "x", "--timeout", "1h"]);
    assert!(asked.stderr.contains("`udpchatctl ask 127.0.0.51 TEXT --last-port` sends there"), "{asked:?}");
}

/// Answers the requests of a `send`, and returns the methods.
fn methods(listener: &UnixListener) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let mut methods = Vec::new();
    for line in BufReader::new(&stream).lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let method = request["method"].as_str().unwrap().to_owned();
        let result = match method.as_str() {
            "send" => json!({
                "type": "message", "id": 1, "at": "2026-11-22T12:00:00Z", "direction": "out", "peer": "127.0.0.1:7788",
                "text": "x", "encoding": "utf-8", "encoding_by": "fallback", "bytes": 1, "raw": "eA==",
            }),
            _ => json!({ "peers": [] }),
        };
        methods.push(method);
        let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result });
        writeln!(&stream, "{answer}").unwrap();
    }
    methods
}

#[test]
fn all_notes_on_a_message_need_one_question() {
    let folder = new_folder();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let daemon = thread::spawn(move || methods(&listener));
    ctl_without_daemon(&["--socket", socket.to_str().unwrap(), "send", "127.0.0.1", "one", "two"], &[]).ok();
    assert_eq!(daemon.join().unwrap(), ["send", "peers"]);
}

#[test]
fn a_destination_behind_the_text_is_recognised() {
    let daemon = Daemon::start_with("[peers.board]\naddress = \"127.0.0.51\"\n", &[]);
    for text in [&["board"][..], &["hello", "board"]] {
        let ran = daemon.ctl(&[&["send", "nobody-of-this-name"], text].concat());
        ran.fails(5, &["hint: the destination stands before the text: `udpchatctl send board TEXT`"]);
    }
    let near = daemon.ctl(&["send", "boart", "board"]);
    near.fails(5, &["hint: did you mean `board`?"]);
}

#[test]
fn other_peers_of_an_address_are_named() {
    let (one, two) = (Peer::at("127.0.0.51:0"), Peer::at("127.0.0.51:0"));
    let config =
        format!("[peers.one]\naddress = '{}'\n[peers.two]\naddress = '{}'\n", one.name(), two.name());
    let daemon = Daemon::start_with(&config, &[]);
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let (_question, from) = one.receive();
            two.send(from, "not asked");
        });
        daemon.ctl(&["ask", "one", "x", "--timeout", "2s"])
    });
    ran.fails(4, &[&format!("#2 came from `two` ({}), another peer at that address", two.name())]);
    // What the asked peer has answered comes first.
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let (_question, from) = one.receive();
            one.send(from, "another answer");
            two.send(from, "temp=20");
        });
        daemon.ctl(&["ask", "one", "x", "--grep", "temp", "--timeout", "2s"])
    });
    ran.fails(4, &["hint: 1 message came that does not match, #4\n"]);
}

#[test]
fn a_broadcast_in_the_default_encoding_has_a_note() {
    // Port 9 (discard) has no receiver.
    let config = "[peers.all]\naddress = '127.255.255.255:8'\nencoding = 'gbk'\n\
                  [peers.plc]\naddress = '127.0.0.52:502'\nencoding = 'hex'\n";
    let daemon = Daemon::start_with(config, &["--listen", "0.0.0.0:0"]);
    let notes = |args: &[&str]| daemon.ctl(args).stderr;
    let note = "note: the text was sent in utf-8, the default: ";
    for all in ["127.255.255.255:9", "239.1.2.4%lo:9"] {
        assert!(notes(&["send", all, "你好"]).starts_with(note), "{all}");
        assert_eq!(notes(&["send", all, "ASCII is the same in all of them"]), "");
        assert_eq!(notes(&["send", all, "-e", "gbk", "你好"]), "");
        assert_eq!(notes(&["send", all, "--hex", "e4 bd a0"]), "");
    }
    assert_eq!(notes(&["send", "all", "你好"]), "", "the configuration has its encoding");
    let ask = daemon.ctl(&["ask", "239.1.2.4%lo:9", "你好", "--timeout", "10ms"]);
    assert!(ask.stderr.starts_with(note), "{ask:?}");
}

#[test]
fn a_text_to_an_unknown_peer_in_the_default_encoding_has_a_note() {
    let config = "[peers.plc]\naddress = '127.0.0.52:502'\n[peers.gbk]\naddress = '127.0.0.53:9'\nencoding = 'gbk'\n\
                  [peers.hall]\nmembers = ['plc', 'gbk', '127.0.0.54:9']\n";
    let daemon = Daemon::start_with(config, &[]);
    let notes = |args: &[&str], input: &str| daemon.ctl_with_input(args, input.as_bytes()).stderr;
    let of = |peer| {
        format!(
            "note: the text was sent in utf-8, the default: the encoding of {peer} is unknown; `-e ENC` chooses another\n"
        )
    };
    assert_eq!(notes(&["send", "127.0.0.55:9", "你好"], ""), of("127.0.0.55:9"));
    assert_eq!(notes(&["send", "plc", "--lines"], "你\n好\n"), of("plc"), "once");
    let several = notes(&["send", "hall", "你好"], "");
    assert!(several.contains("to 2 peers whose encoding is unknown: 127.0.0.54:9, plc;"), "{several}");
    for args in [
        &["send", "gbk", "你好"][..],
        &["send", "plc", "-e", "utf-8", "你好"],
        &["send", "plc", "hello"],
        &["-q", "send", "plc", "你好"],
        &["--json", "send", "plc", "你好"],
    ] {
        assert_eq!(notes(args, ""), "", "{args:?}");
    }
    let is_default =
        |to: &str| daemon.ctl(&["--json", "send", to, "你好"]).json()[0]["encoding_is_default"].clone();
    assert_eq!((is_default("plc"), is_default("gbk")), (true.into(), Value::Null));
    // Who has configured another default knows what the devices read.
    let daemon = Daemon::start_with("[text]\nencoding = 'gbk'\n", &[]);
    assert_eq!(daemon.ctl(&["send", "127.0.0.55:9", "你好"]).stderr, "");
}

#[test]
fn each_member_of_a_list_that_was_heard_elsewhere_has_a_note() {
    let config = "[peers.board]\naddress = '127.0.0.51'\n[peers.lab]\nmembers = ['board', '127.0.0.54:9']\n";
    let daemon = Daemon::start_with(config, &[]);
    let board = Peer::at("127.0.0.51:0");
    daemon.receive_from(&board, ["hello"]);
    let sent = daemon.ctl(&["send", "lab", "x"]).stderr;
    assert_eq!(sent.matches("`board` has no port in the configuration").count(), 1, "{sent}");
    assert!(sent.contains("`udpchatctl send board TEXT --last-port` sends there"), "{sent}");
}

#[test]
fn a_second_destination_in_the_text_has_a_note() {
    let config =
        "[peers.board]\naddress = '127.0.0.51:9'\n[peers.lab]\nmembers = ['board', '127.0.0.54:9']\n";
    let daemon = Daemon::start_with(config, &[]);
    let notes = |args: &[&str]| daemon.ctl(args).stderr;
    for (to, word) in [("lab", "board,lab"), ("board", "127.0.0.1:9"), ("lab", "board")] {
        let note = notes(&["send", to, word, "x"]);
        assert!(
            note.starts_with(&format!("note: `{word}`, which names a destination, was sent as a part")),
            "{note}"
        );
    }
    for args in [
        &["send", "board", "hello", "board"][..],
        &["send", "board", "nobody,board", "x"],
        &["send", "board", "board"],
        &["send", "board", "lab is here"],
    ] {
        assert_eq!(notes(args), "", "{args:?}");
    }
}

#[test]
fn a_command_for_one_peer_refuses_several() {
    let daemon = Daemon::start_with("[peers.board]\naddress = '127.0.0.51:9'\n", &[]);
    let ran = daemon.ctl(&["ask", "board,127.0.0.1:9", "x"]);
    ran.fails(2, &["`board,127.0.0.1:9` names several destinations; a message has one", "`udpchatctl send`"]);
}

#[test]
fn lists_stand_below_the_peers_for_programs_too() {
    let config =
        "[peers.board]\naddress = '127.0.0.51:9'\n[peers.lab]\nmembers = ['board', '127.0.0.54:9']\n";
    let daemon = Daemon::start_with(config, &[]);
    let text = daemon.ctl(&["peers"]).ok();
    assert!(text.ends_with("\nLIST  MEMBERS\nlab   board, 127.0.0.54:9\n"), "{text}");
    let json = daemon.ctl(&["--json", "peers"]).json();
    assert_eq!(json[1], serde_json::json!({ "list": "lab", "members": ["board", "127.0.0.54:9"] }));
}

#[test]
fn a_hung_daemon_is_given_up_in_time() {
    let daemon = Daemon::start();
    let began = Instant::now();
    daemon.signal(Signal::SIGSTOP);
    for command in ["status", "version", "peers"] {
        daemon
            .ctl(&[command, "--timeout", "100ms"])
            .fails(4, &["the daemon did not answer within 100ms", "hint: "]);
    }
    let metrics = daemon.ctl(&["status", "--format", "prometheus", "--timeout", "100ms"]);
    assert!(metrics.stdout.ends_with("udpchat_up 0\n"), "{metrics:?}");
    daemon.signal(Signal::SIGCONT);
    assert!(began.elapsed().as_secs() < 30, "the time without the option");
    daemon.ctl(&["status", "--timeout", "30s"]).ok();
}

#[test]
fn a_message_leaves_from_the_address_of_its_route() {
    let daemon = Daemon::start_with("", &["--listen", "127.0.0.5:0", "--listen", "127.0.0.1:0"]);
    let peer = Peer::at("127.0.0.9:0");
    daemon.ctl(&["send", &peer.name(), "x"]).ok();
    // The route to every address of the loopback interface has this source.
    assert_eq!(peer.receive().1.ip().to_string(), "127.0.0.1");
}

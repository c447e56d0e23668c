//! `send` to several destinations, at an interval, with fields and checksums, and once more; `ask --retry`; lists of peers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, from_str, json};

use crate::support::{Daemon, Peer, Running, closed, ctl_command, eventually, id, new_folder, raw, texts};

/// Starts a daemon that knows two peers as members of a list, with a third address.
fn with_list() -> (Daemon, [Peer; 3]) {
    let peers = [Peer::new(), Peer::new(), Peer::new()];
    let [bob, eve, other] = [0, 1, 2].map(|place: usize| peers[place].name());
    let config = format!(
        "[peers.bob]\naddress = '{bob}'\nencoding = 'gbk'\n[peers.eve]\naddress = '{eve}'\n\
         [peers.lab]\nmembers = ['bob', 'eve', '{other}']\n"
    );
    (Daemon::start_with(&config, &[]), peers)
}

#[test]
fn each_destination_gets_a_datagram_of_its_own() {
    let (daemon, [bob, eve, other]) = with_list();
    let to = format!("eve,bob,{}", other.name());
    let sent = daemon.ctl(&["--json", "send", &to, "你好"]).json();
    assert_eq!(
        sent.iter().map(|entry| entry["name"].as_str()).collect::<Vec<_>>(),
        [Some("eve"), Some("bob"), None]
    );
    for (peer, bytes) in [(&eve, "你好".as_bytes()), (&bob, b"\xc4\xe3\xba\xc3"), (&other, "你好".as_bytes())]
    {
        assert_eq!(peer.receive(), (bytes.to_vec(), daemon.address()));
    }
    // Each line goes to each of them, and each of them gets it once.
    daemon.ctl_with_input(&["-q", "send", "eve,lab,bob", "--lines"], b"one\n\ntwo\n").ok();
    for peer in [&eve, &bob, &other] {
        assert_eq!([peer.receive().0, peer.receive().0], [b"one", b"two"]);
    }
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 9, "failed": 0, "bounced": 0 }));
}

#[test]
fn one_unknown_destination_prevents_all_sends() {
    let (daemon, _peers) = with_list();
    daemon.ctl(&["send", "bob,evee,eve", "x"]).fails(2, &["`evee`", "did you mean `eve`?"]);
    daemon.ctl(&["send", "bob,,eve", "x"]).fails(2, &["is not a peer"]);
    daemon.ctl(&["send", "lob", "x"]).fails(5, &["did you mean `bob`?"]);
    daemon.ctl(&["ask", "lab", "x"]).fails(2, &["`lab` is a list of peers"]);
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 0, "bounced": 0 }));
}

#[test]
fn the_exit_code_tells_how_many_failed() {
    let (daemon, [bob, ..]) = with_list();
    // The daemon listens on loopback only, which reaches no other machine.
    let far = "192.0.2.1:9";
    daemon.ctl(&["send", far, "x", "--append", "lrc"]).fails(5, &["cannot send"]);
    daemon
        .ctl(&["send", &format!("{far},bob"), "x"])
        .fails(1, &["192.0.2.1:9: cannot send", "1 of 2 messages could not be sent"]);
    assert_eq!(bob.receive().0, b"x");
    daemon
        .ctl(&["send", "bob", "€🦀", "--every", "1ms", "-c", "3"])
        .fails(5, &["gbk cannot hold", "3 of 3 messages could not be sent"]);
}

#[test]
fn a_list_selects_and_reaches_its_members() {
    let (daemon, [bob, eve, other]) = with_list();
    let stranger = Peer::new();
    for (peer, text) in [(&bob, "1"), (&stranger, "2"), (&eve, "3"), (&other, "4")] {
        daemon.receive_from(peer, [text]);
    }
    let from = |from: &str| texts(&daemon.ctl(&["--json", "inbox", "--from", from]).json()).join(",");
    assert_eq!((from("lab"), from("bob")), ("1,3,4".to_owned(), "1".to_owned()));
    let lists = daemon.rpc().call("peers", json!({}))["lists"].clone();
    assert_eq!(lists, json!([{"name": "lab", "members": ["bob", "eve", other.name()]}]));
    let shown = daemon.ctl(&["send", "lab", "5"]).ok();
    assert_eq!(shown.lines().count(), 3, "{shown}");
    for peer in [&bob, &eve, &other] {
        assert_eq!(peer.receive().0, b"5");
    }
}

#[test]
fn what_fails_each_message_ends_a_loop() {
    let (daemon, _peers) = with_list();
    for more in [&["--every", "1ms"][..], &["--every", "1ms", "--append", "sum8"], &[]] {
        for to in ["bob", "bob,eve"] {
            let args = [&["send", to, "x", "-e", "nonsense"], more].concat();
            daemon.ctl(&args).fails(2, &["nonsense"]);
        }
        let args = [&["send", "eve", "--lines", "-e", "nonsense"], more].concat();
        daemon.ctl_with_input(&args, b"one\ntwo\n").fails(2, &["nonsense"]);
    }
    daemon.ctl(&["send", "eve", r"\q", "--escape", "--every", "1ms"]).fails(2, &[r"\q"]);
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 0, "bounced": 0 }));
}

#[test]
fn a_line_that_is_too_long_ends_no_loop() {
    let (daemon, [bob, ..]) = with_list();
    let input = [b"a\n", &vec![b'x'; 600 * 1024][..], b"\nb\n"].concat();
    let sent = daemon.ctl_with_input(&["send", "bob", "--lines", "--every", "1ms"], &input);
    sent.fails(1, &["line 2", "1 of 3 messages could not be sent"]);
    assert_eq!([bob.receive().0, bob.receive().0], [b"a", b"b"]);
}

#[test]
fn no_late_line_is_left_out() {
    const LINES: usize = 300;
    let (daemon, [bob, ..]) = with_list();
    let file = daemon.path("lines");
    std::fs::write(&file, "x\n".repeat(LINES)).unwrap();
    let lines = ["--lines", "--file", file.to_str().unwrap(), "--every", "1ms"];
    let mut sender = daemon.ctl_running(&[&["--json", "send", "bob"], &lines[..]].concat());
    assert_eq!(bob.receive().0, b"x");
    // As long as it is stopped, its lines become late.
    sender.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_millis(100));
    sender.signal(Signal::SIGCONT);
    let summary = sender.json();
    assert_eq!((&summary["sent"], &summary["left_out"]), (&json!(LINES), &json!(0)), "{summary}");
    assert!(sender.wait().success());
}

#[test]
fn a_size_behind_split_is_not_sent() {
    let (daemon, _peers) = with_list();
    for args in [&["x", "--split", "500"][..], &["--split", "500", "x"]] {
        let refused = daemon.ctl(&[&["send", "bob"], args].concat());
        refused.fails(2, &["`--split 500` does not set the size", "`--split=500`"]);
    }
    assert!(daemon.entries().is_empty());
}

#[test]
fn a_time_to_hold_goes_with_what_is_held() {
    let (daemon, _peers) = with_list();
    for more in [&["--every", "1s"][..], &["--every", "1s", "-c", "3"]] {
        let args = [&["send", "bob", "x", "--for", "5"], more].concat();
        daemon.ctl(&args).fails(2, &["--for goes with --when-seen only"]);
    }
    assert!(daemon.entries().is_empty());
}

#[test]
fn a_list_that_is_named_twice_counts_once() {
    let members: Vec<String> = (1..=20).map(|port| format!("'127.0.0.1:{port}'")).collect();
    let daemon = Daemon::start_with(&format!("[peers.lab]\nmembers = [{}]\n", members.join(", ")), &[]);
    let found = daemon.rpc().call("targets", json!({ "to": vec!["lab"; 64] }));
    assert_eq!(found["targets"].as_array().map(Vec::len), Some(20), "{found}");
}

#[test]
fn an_interval_sends_the_filled_text_in_order() {
    let (daemon, [bob, eve, _]) = with_list();
    let args =
        ["--json", "send", "bob,eve", "--every", "2ms", "-c", "20", "--fill", "{{n:03}}/{{n}} {{{{n}}"];
    let summary = daemon.ctl(&args).json();
    let [summary] = &summary[..] else { panic!("{summary:?}") };
    assert_eq!((&summary["sent"], &summary["failed"]), (&json!(40), &json!(0)));
    assert_eq!(summary["to"], json!(["bob", "eve"]));
    for peer in [&bob, &eve] {
        for number in 1..=20 {
            let expected = format!("{number:03}/{number} {{{{n}}}}");
            assert_eq!(String::from_utf8(peer.receive().0).unwrap(), expected);
        }
    }
    daemon.ctl(&["send", "bob", "--fill", "{{m}}"]).fails(2, &["unknown field `m`", "n, time, unix"]);
    daemon.ctl(&["send", "bob", "x", "--every", "0.1ms"]).fails(2, &["1ms"]);
    daemon.ctl(&["send", "bob", "x", "-c", "3"]).fails(2, &["--every"]);
}

#[test]
fn a_loop_that_ends_early_tells_how_many_were_sent() {
    let (daemon, [bob, ..]) = with_list();
    let args = ["send", "bob", "--hex", "--fill", "{{n:02}}", "--every", "1ms", "-c", "200"];
    daemon.ctl(&args).fails(2, &["it ended after 99 messages", "hex"]);
    assert!((1..=99).all(|_| bob.receive().0.len() == 1));
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 99, "failed": 0, "bounced": 0 }));
}

#[test]
fn lines_are_sent_at_the_interval_until_they_end() {
    let (daemon, [bob, ..]) = with_list();
    let args = ["send", "bob", "--lines", "--every", "1ms", "--fill"];
    let input = b"a {{n}}\nb\n{{x}}\n\nc {{n}}\n";
    let said = daemon.ctl_with_input(&args, input);
    let empty = "1 empty line was skipped";
    said.fails(1, &["line 3", "unknown field `x`", empty, "1 of 4 messages could not be sent"]);
    // A number is that of a message that is sent.
    for expected in ["a 1", "b", "c 3"] {
        assert_eq!(bob.receive().0, expected.as_bytes());
    }
    daemon.ctl_with_input(&[&args[..], &["-c", "2"]].concat(), b"a\n\n{{x}}\nb\nc\n").fails(1, &["line 3"]);
    assert_eq!([bob.receive().0, bob.receive().0], [b"a", b"b"]);
}

#[test]
fn an_interrupted_loop_ends_with_its_summary() {
    let (daemon, [bob, ..]) = with_list();
    let mut running = daemon.ctl_running(&["send", "bob", "tick", "--every", "10ms"]);
    for _ in 0..3 {
        assert_eq!(bob.receive().0, b"tick");
    }
    running.signal(Signal::SIGINT);
    let summary = running.line();
    assert!(summary.contains(" sent to bob in "), "{summary}");
    assert_eq!(running.wait().code(), Some(0));
    let sent = summary.split(' ').next().unwrap().replace(',', "");
    assert_eq!(daemon.status()["sent"]["datagrams"].to_string(), sent, "{summary}");
}

#[test]
fn a_loop_that_waits_for_the_daemon_can_be_interrupted() {
    let folder = new_folder();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let args = ["--json", "send", "lab", "x", "--every", "1h"];
    let mut running = Running::start(ctl_command(&socket).args(args));
    let (stream, _) = listener.accept().unwrap();
    let mut requests = BufReader::new(&stream).lines().map(|line| from_str::<Value>(&line.unwrap()).unwrap());
    // It answers the question for the destinations, and no message.
    let request = requests.next().unwrap();
    assert_eq!(request["method"], "targets");
    let target = |port: u16| {
        let to = format!("127.0.0.1:{port}");
        json!({ "to": to, "peer": to, "encoding": "utf-8", "list": "lab" })
    };
    // One more than may be in flight: its message waits.
    let targets: Vec<Value> = (1..=65).map(target).collect();
    let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": { "targets": targets } });
    writeln!(&stream, "{answer}").unwrap();
    assert_eq!(requests.by_ref().take(64).filter(|request| request["method"] == "send").count(), 64);
    eventually("the loop to end", || {
        running.signal(Signal::SIGINT);
        running.ended()
    });
    let summary = running.json();
    assert_eq!((&summary["sent"], &summary["unanswered"]), (&json!(0), &json!(64)), "{summary}");
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn checksums_cover_the_bytes_that_are_sent() {
    let (daemon, [bob, eve, _]) = with_list();
    let frame = ["send", "eve", "--hex", "01 03 00 0a 00 02", "--append", "crc16-modbus"];
    daemon.ctl(&frame).ok();
    assert_eq!(eve.receive().0, b"\x01\x03\x00\x0a\x00\x02\xe4\x09");
    // Each peer has its own encoding.
    daemon.ctl(&["send", "bob,eve", "你", "--append", "sum8"]).ok();
    assert_eq!((bob.receive().0, eve.receive().0), (b"\xc4\xe3\xa7".to_vec(), b"\xe4\xbd\xa0\x41".to_vec()));
    daemon.ctl(&["send", "eve", "--escape", r"$PING,1\r\n", "--append", "nmea"]).ok();
    assert_eq!(eve.receive().0, b"$PING,1*0D\r\n");
    daemon.ctl(&["send", "eve", "x", "--append", "crc17"]).fails(2, &["crc16-modbus"]);
}

#[test]
fn a_counter_in_a_frame_has_a_fixed_size() {
    let daemon = Daemon::start();
    let to = Peer::new().name();
    let args = ["send", &to, "--lines", "--hex", "--fill", "--append", "sum8"];
    let lines = "aa {{n:02x}} {{n:04X}}\n".repeat(300);
    assert_eq!(daemon.ctl_with_input(&args, lines.as_bytes()).code, Some(0));
    let frames: Vec<Vec<u8>> = daemon.entries().iter().map(raw).collect();
    assert_eq!(frames.len(), 300);
    for (number, frame) in (1_u16..).zip(frames) {
        let [high, low] = number.to_be_bytes();
        let sum = [0xaa, low, high, low].iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
        assert_eq!(frame, [0xaa, low, high, low, sum], "{number}");
    }
}

#[test]
fn an_entry_is_sent_once_more_byte_for_byte() {
    let (daemon, [bob, eve, _]) = with_list();
    let bytes = b"\xff\x00\xc4\xe3\r\n";
    daemon.receive_from(&eve, [bytes]);
    let received = id(&daemon.entries()[0]).to_string();
    daemon.ctl(&["send", "--again", &received]).fails(2, &["was received", "TO --again"]);
    daemon.ctl(&["send", "bob", "--again", &received]).ok();
    assert_eq!(bob.receive().0, bytes);
    let sent = id(&daemon.entries()[1]).to_string();
    daemon.ctl(&["send", "--again", &sent, "--every", "1ms", "-c", "2"]).ok();
    for _ in 0..2 {
        assert_eq!(bob.receive(), (bytes.to_vec(), daemon.address()));
    }
    let entries = daemon.entries();
    assert!(entries.iter().all(|entry| raw(entry) == bytes), "{entries:?}");
    daemon.ctl(&["send", "--again", "99"]).fails(1, &["entry 99 does not exist"]);
    daemon.ctl(&["send", "bob", "text", "--again", &sent]).fails(2, &["--again"]);
}

#[test]
fn a_question_is_asked_again_until_it_is_answered() {
    let daemon = Daemon::start();
    let (bob, to) = (Peer::new(), daemon.address());
    let name = bob.name();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The first two are lost.
            let questions = [bob.receive().0, bob.receive().0, bob.receive().0];
            assert!(questions.iter().all(|question| question == b"T?\x93"), "{questions:?}");
            bob.send(to, "22");
        });
        let args = ["ask", &name, "T?", "--append", "sum8", "--retry", "29", "--timeout", "30s"];
        assert_eq!(daemon.ctl(&args).ok(), "22\n");
    });
    daemon.ctl(&["ask", &name, "T?", "--retry", "2", "--timeout", "300ms"]).fails(4, &["no message"]);
    let sent: Vec<Value> = daemon.entries().into_iter().filter(|entry| entry["direction"] == "out").collect();
    assert_eq!(texts(&sent[sent.len() - 3..]), ["T?"; 3]);
}

#[test]
fn a_loop_to_a_list_names_whose_messages_bounced() {
    let (one, other) = (closed("127.0.0.41"), closed("127.0.0.42"));
    let config = format!(
        "[peers.one]\naddress = '{one}'\n[peers.other]\naddress = '{other}'\n[peers.both]\nmembers = ['one', 'other']\n"
    );
    let daemon = Daemon::start_with(&config, &[]);
    let args = ["send", "both", "x", "--every", "20ms", "-c", "3", "--confirm", "20s"];
    daemon.ctl(&args).fails(5, &["6 bounced: port unreachable (one 3, other 3)"]);
    let summary = daemon.ctl(&[&["--json"], &args[..]].concat()).stdout;
    let summary: Value = from_str(&summary).unwrap();
    assert_eq!(summary["bounced_by"], json!({ "one": 3, "other": 3 }), "{summary}");
}

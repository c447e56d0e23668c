//! `wait` and `ask`: no answer is missed, however early it comes, and nothing else counts as one.

use std::io::{BufRead, BufReader};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, closed, eventually, id, scaled, texts};

/// Makes a peer answer the next question as soon as it arrives, with the result of `answers`.
fn answering<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    peer: &'scope Peer,
    answers: impl FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'scope,
) {
    scope.spawn(move || {
        let (question, from) = peer.receive();
        for answer in answers(&question) {
            peer.send(from, answer);
        }
    });
}

/// Runs `ask` with a peer that answers with the result of `answers`; returns the output.
#[track_caller]
fn asked(daemon: &Daemon, args: &[&str], input: &[u8], answers: fn(&[u8]) -> Vec<Vec<u8>>) -> String {
    let bob = Peer::new();
    let name = bob.name();
    thread::scope(|scope| {
        answering(scope, &bob, answers);
        daemon.ctl_with_input(&[&["ask", &name, "--timeout", "30s"], args].concat(), input).ok()
    })
}

/// Returns the question as the only answer.
fn echo(question: &[u8]) -> Vec<Vec<u8>> {
    vec![question.to_vec()]
}

#[test]
fn an_immediate_answer_is_never_missed() {
    let daemon = Daemon::start();
    for round in 0..scaled(40, 1_000) {
        let question = format!("question {round}");
        assert_eq!(asked(&daemon, &[&question], b"", echo), format!("{question}\n"));
    }
}

#[test]
fn only_the_text_of_the_answer_is_printed() {
    let daemon = Daemon::start();
    let gbk = |_: &[u8]| vec![encoding_rs::GBK.encode("二十三度\r\n今天\n\0").0.into_owned()];
    assert_eq!(asked(&daemon, &["T?"], b"", gbk), "二十三度\n今天\n");
    let hostile = |_: &[u8]| vec![b"\x1b[2Jx\x07".to_vec()];
    assert_eq!(asked(&daemon, &["T?"], b"", hostile), "\\u{1b}[2Jx\\u{7}\n");
    let entry: Value = serde_json::from_str(&asked(&daemon, &["--json", "T?"], b"", echo)).unwrap();
    assert_eq!((&entry["text"], &entry["direction"]), (&json!("T?"), &json!("in")));
}

#[test]
fn a_pattern_is_matched_against_the_shown_text() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    for text in ["done\r\n", "done\n", "done", "done\0", "done\r", "done\r\n\0", "\u{feff}done\r\n"] {
        let newest = daemon.entries().len();
        daemon.receive_from(&peer, [text]);
        let after = newest.to_string();
        let waited =
            daemon.ctl(&["--json", "wait", "--after", &after, "--grep", "^done$", "--timeout", "30s"]);
        assert_eq!(id(&waited.json()[0]), newest as u64 + 1, "{text:?}");
    }
    let found = daemon.ctl(&["--json", "recode", "--as", "gbk", "--grep", "^done$", "--dry-run"]).json();
    assert_eq!(found[0]["matched"], 7);
}

#[test]
fn an_answer_is_selected_by_its_bytes() {
    let daemon = Daemon::start();
    let answers = |_: &[u8]| vec![b"report".to_vec(), b"\x01\x03\x02".to_vec()];
    assert_eq!(asked(&daemon, &["--hex", "01 03", "--grep-hex", "01 03"], b"", answers), "01 03 02\n");
    let answers = |_: &[u8]| vec![b"report".to_vec(), b"OK".to_vec()];
    assert_eq!(asked(&daemon, &["T?", "-i", "--grep", "^ok"], b"", answers), "OK\n");
}

#[test]
fn a_timeout_says_what_came_and_does_not_match() {
    let daemon = Daemon::start();
    let (bob, other) = (Peer::new(), Peer::new());
    daemon.receive_from(&bob, ["one", "two"]);
    let newest = id(daemon.entries().last().unwrap());
    let to = bob.name();
    // Messages before the wait do not count, nor do those of others.
    for args in [&["--grep", "x"][..], &["--after", "0", "--from", &other.name(), "--grep", "x"]] {
        let ended = daemon.ctl(&[&["wait", "--timeout", "1ms"], args].concat());
        assert!(!ended.stderr.contains("hint"), "{ended:?}");
        ended.fails(4, &["matches `x`"]);
    }
    let wait = ["wait", "--after", "0", "--timeout", "1ms"];
    let came = format!("2 messages came that do not match, the last message is #{newest}\n");
    daemon.ctl(&[&wait[..], &["--grep", "x", "--from", &to]].concat()).fails(4, &[&came]);
    // The one that matches has to come within the timeout.
    let one_of_two = ["--grep", "one", "-c", "2", "--timeout", "1s"];
    daemon.ctl(&[&["wait", "--after", "0"], &one_of_two[..]].concat()).fails(4, &["1 message came"]);
    daemon.ctl(&[&wait[..], &["--grep-hex", "01 03"]].concat()).fails(4, &["matches `01 03`", &came]);
    daemon
        .ctl(&[&wait[..], &["--hex", "--grep", "^01 03"]].concat())
        .fails(4, &["--grep-hex searches the bytes"]);
    thread::scope(|scope| {
        answering(scope, &bob, |_| vec![b"report".to_vec()]);
        let asked = daemon.ctl(&["ask", &to, "T?", "--grep", "^[0-9]", "--timeout", "2s"]);
        asked.fails(4, &["1 message came that does not match, #"]);
    });
    let chinese = daemon.ctl_in_chinese(&[&wait[..], &["--grep", "x"]].concat());
    assert!(chinese.stderr.contains("收到 3 条消息，不匹配，最后一条消息是 #"), "{}", chinese.stderr);
}

#[test]
fn wait_ends_with_a_notice() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    let mut any = daemon.ctl_running(&["--json", "wait", "--notices", "--after", "0"]);
    let mut kind = daemon.ctl_running(&[
        "wait",
        "--notices",
        "--after",
        "0",
        "--from",
        "127.0.0.79",
        "--grep",
        "^bounced$",
    ]);
    daemon.receive_from(&bob, ["no notice"]);
    daemon.rpc().call("send", json!({ "to": "127.0.0.79:9", "text": "hello" }));
    assert_eq!(any.json()["notice"], "bounced");
    assert!(kind.line().contains("does not listen on port 9"));
    assert!(any.wait().success() && kind.wait().success());
    let again = ["wait", "--notices", "--after", "0", "--timeout", "1ms"];
    daemon.ctl(&[&again[..], &["--grep", "silent"]].concat()).fails(4, &["no such notice came within 1ms"]);
    daemon.ctl(&["wait", "--notices", "--after", "0", "--grep", "port 9"]).ok();
    daemon.ctl(&[&again[..], &["--grep", "("]].concat()).fails(2, &["invalid pattern `(`"]);
}

#[test]
fn the_port_of_the_last_message_is_sent_to() {
    let old = closed("127.0.0.23");
    let daemon = Daemon::start_with(
        &format!("peers.board = {{ address = '127.0.0.22' }}\npeers.plc = {{ address = '{old}' }}"),
        &[],
    );
    let (board, plc) = (Peer::at("127.0.0.22:0"), Peer::at("127.0.0.23:0"));
    daemon.ctl(&["send", "board", "x", "--last-port"]).fails(5, &["no message from board is known"]);
    daemon.receive_from(&board, ["up"]);
    daemon.receive_from(&plc, ["up, with another port"]);
    for (to, peer) in [("board", &board), ("127.0.0.22", &board), ("plc", &plc)] {
        let sent = daemon.ctl(&["send", to, "hi", "--last-port"]);
        assert!(sent.code == Some(0) && sent.stderr.is_empty(), "{sent:?}");
        assert_eq!(peer.receive().0, b"hi", "{to}");
        daemon.ctl(&["ask", to, "T?", "--last-port", "--timeout", "1ms"]).fails(4, &[]);
        assert_eq!(peer.receive().0, b"T?", "{to}");
    }
    let both = daemon.ctl(&["send", "board,plc", "all", "--last-port"]);
    assert_eq!((both.code, board.receive().0, plc.receive().0), (Some(0), b"all".to_vec(), b"all".to_vec()));
    for command in ["send", "ask"] {
        daemon
            .ctl(&[command, "127.0.0.22:9", "x", "--last-port"])
            .fails(2, &["127.0.0.22:9 has a port already"]);
    }
    // Without it, the message goes to the configured port, and the way out is named.
    let hint = format!("came from port {}: `udpchatctl ask plc TEXT --last-port`", plc.address().port());
    daemon.ctl(&["ask", "plc", "T?"]).fails(5, &["plc does not listen on port", &hint]);
}

#[test]
fn the_last_port_is_looked_up_again() {
    let daemon = Daemon::start_with("peers.board = { address = '127.0.0.24' }", &[]);
    let (first, second, third) =
        (Peer::at("127.0.0.24:0"), Peer::at("127.0.0.24:0"), Peer::at("127.0.0.24:0"));
    daemon.receive_from(&first, ["up"]);
    let looped = daemon.ctl_running(&["send", "board", "tick", "--last-port", "--every", "20ms"]);
    assert_eq!(first.receive().0, b"tick");
    daemon.receive_from(&second, ["up again"]);
    assert_eq!(second.receive().0, b"tick");
    looped.signal(Signal::SIGINT);
    let args = ["ask", "board", "T?", "--last-port", "--retry", "400", "--timeout", "40s"];
    let mut asked = daemon.ctl_running(&args);
    while second.receive().0 != b"T?" {}
    daemon.receive_from(&third, ["up for the third time"]);
    let (question, from) = third.receive();
    assert_eq!(question, b"T?");
    third.send(from, "22");
    assert_eq!(asked.line(), "22");
    assert!(asked.wait().success());
}

#[test]
fn bytes_that_are_written_as_text_are_noticed() {
    let peer = Peer::new();
    let daemon = Daemon::start_with(
        &format!("peers.plc = {{ address = \"{}\", encoding = \"hex\" }}", peer.name()),
        &[],
    );
    let to = Peer::new().name();
    let note = "note: the text itself is sent, with its checksum; --hex sends the bytes\n";
    let sent = |args: &[&str]| daemon.ctl(&[&["send", &to][..], args].concat()).stderr;
    assert_eq!(sent(&["01 03 00 0a", "--append", "crc16-modbus"]), note);
    assert_eq!(sent(&["$01 03", "--append", "nmea"]), "");
    assert_eq!(sent(&["01 03 00 0a", "--hex", "--append", "crc16-modbus"]), "");
    let crc = ["01 03 00 0a", "--append", "crc16-modbus"];
    // Text for this peer is its bytes as digits.
    assert_eq!(daemon.ctl(&[&["send", "plc"], &crc[..]].concat()).stderr, "");
    let mixed = format!("plc,{to}");
    let to_some =
        format!("note: the text itself is sent, with its checksum, to {to}; --hex sends the bytes\n");
    assert_eq!(daemon.ctl(&[&["send", &mixed], &crc[..]].concat()).stderr, to_some);
    // So are the bytes that fields and lines make, once.
    let filled = ["--every", "1ms", "-c", "3", "--fill", "01 {{n:04x}}", "--append", "crc16-modbus"];
    let looped = daemon.ctl(&[&["send", &to], &filled[..]].concat()).stderr;
    assert_eq!(looped.matches(&note).count(), 1, "{looped}");
    let lines = ["send", &to, "--lines", "--append", "crc16-modbus"];
    assert_eq!(daemon.ctl_with_input(&lines, b"no\n01 03\n01 04\n").stderr, note);
    assert_eq!(daemon.ctl(&[&["send", "plc", "-e", "ascii"], &crc[..]].concat()).stderr, note);
    let asked = daemon.ctl(&[&["ask", "plc", "--timeout", "1ms"], &crc[..]].concat());
    assert!(asked.code == Some(4) && !asked.stderr.contains("the text itself"), "{asked:?}");
    assert_eq!(peer.receive().0.len(), 6, "four bytes and their checksum");
}

#[test]
fn ask_accepts_every_form_of_message() {
    let daemon = Daemon::start();
    std::fs::write(daemon.path("question"), b"\x01\x02").unwrap();
    let file = daemon.path("question");
    let cases: [(&[&str], &[u8], &[u8]); 5] = [
        (&["--hex", "01 02"], b"", b"\x01\x02"),
        (&["--escape", r"a\x02"], b"", b"a\x02"),
        (&["-e", "gbk", "你好"], b"", b"\xc4\xe3\xba\xc3"),
        (&["--file", file.to_str().unwrap()], b"", b"\x01\x02"),
        (&[], b"from standard input", b"from standard input"),
    ];
    for (args, input, wanted) in cases {
        asked(&daemon, args, input, echo);
        let question = daemon.entries().into_iter().rev().find(|entry| entry["direction"] == "out").unwrap();
        assert_eq!(crate::support::raw(&question), wanted, "{args:?}");
    }
}

#[test]
fn only_later_messages_from_the_target_are_answers() {
    let daemon = Daemon::start();
    let (bob, other) = (Peer::new(), Peer::new());
    daemon.receive_from(&bob, ["said before"]);
    let printed = thread::scope(|scope| {
        scope.spawn(|| {
            let (_, from) = bob.receive();
            // Another port of the same host is another peer, and a message that does not match is no answer.
            other.send(from, "42 from elsewhere");
            for text in ["thinking", "42", "43", "44"] {
                bob.send(from, text);
            }
        });
        // The note on the other port is not of interest here.
        let args = ["-q", "ask", &bob.name(), "what?", "--timeout", "30s", "--grep", "^4", "-c", "2"];
        daemon.ctl(&args).ok()
    });
    assert_eq!(printed, "42\n43\n");
    let unread = daemon.rpc().call("inbox", json!({ "consumer": "default", "limit": 1 }));
    assert!(unread["unread"].as_u64() >= Some(5), "an answer stays unread: {unread}");
}

#[test]
fn the_answer_may_come_from_any_peer() {
    let daemon = Daemon::start();
    let (bob, other) = (Peer::new(), Peer::new());
    let printed = thread::scope(|scope| {
        scope.spawn(|| {
            let (_, from) = bob.receive();
            other.send(from, "here");
        });
        daemon.ctl(&["ask", &bob.name(), "who is there?", "--anyone", "--timeout", "30s"]).ok()
    });
    assert_eq!(printed, "here\n");
}

#[test]
fn an_own_multicast_copy_is_no_answer() {
    let daemon = Daemon::start();
    let other = Peer::new();
    let itself = daemon.address().to_string();
    let mut asking = daemon.ctl_running(&["ask", &itself, "anybody?", "--anyone", "--timeout", "30s"]);
    let ended = eventually("an answer", || {
        other.send(daemon.address(), "here");
        asking.ended()
    });
    assert!(ended.success());
    assert_eq!(asking.line(), "here");
}

/// Some devices answer from another port than the one that they were asked at.
#[test]
fn an_answer_from_another_port_is_named() {
    let (daemon, asked, other) = (Daemon::start(), Peer::new(), Peer::new());
    let mut asking = daemon.ctl_running(&["ask", &asked.name(), "T?", "--timeout", "30s", "--anyone"]);
    let (_question, from) = asked.receive();
    other.send(from, "21");
    assert_eq!(asking.line(), "21");
    // It waits for the answer that counts, and then says nothing of the others.
    let asking = daemon.ctl_start(&["ask", &asked.name(), "T?", "--timeout", "30s"]);
    let (_question, from) = asked.receive();
    other.send(from, "22");
    asked.send(from, "23");
    let ran = asking.wait_with_output().unwrap();
    assert_eq!((&*ran.stdout, &*ran.stderr), (&b"23\n"[..], &b""[..]));
    // Otherwise the last one is named, once.
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            let (_question, from) = asked.receive();
            Peer::at("127.0.0.1:0").send(from, "24");
            other.send(from, "25");
        });
        daemon.ctl(&["ask", &asked.name(), "T?", "--timeout", "2s"])
    });
    let hint = format!(
        "hint: #8 came from {other}, another port of that host; `udpchatctl ask {other}` ",
        other = other.name()
    );
    assert!(
        ran.stderr.lines().nth(1).unwrap().starts_with(&hint) && ran.stderr.lines().count() == 2,
        "{ran:?}"
    );
    ran.fails(4, &[]);
}

#[test]
fn an_answer_to_bytes_is_printed_as_bytes() {
    let daemon = Daemon::start();
    let frame = |_: &[u8]| vec![b"\x01\x03\xe4\x09\x00".to_vec()];
    assert_eq!(asked(&daemon, &["--hex", "01 03"], b"", frame), "01 03 e4 09 00\n");
    let entry: Value = serde_json::from_str(&asked(&daemon, &["--json", "--hex", "01"], b"", frame)).unwrap();
    assert_eq!(entry["hex"], "0103e40900");
}

#[test]
fn ask_without_an_answer_exits_with_4() {
    let mute = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = \"{}\"\n", mute.name()), &[]);
    let text = format!("no message from bob ({}) arrived within 50ms", mute.name());
    daemon.ctl(&["ask", "bob", "hello?", "--timeout", "50ms"]).fails(4, &[&text, "hint: "]);
    let bob = Peer::new();
    let ran = thread::scope(|scope| {
        answering(scope, &bob, |_| vec![b"one".to_vec()]);
        daemon.ctl(&["ask", &bob.name(), "count!", "-c", "2", "--timeout", "2s"])
    });
    assert_eq!(ran.stdout, "one\n");
    ran.fails(4, &["only 1 of 2 messages from 127.0.0.1:"]);
    let ran = daemon.ctl(&["--json", "ask", "bob", "hello?", "--timeout", "10ms"]);
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit"]), (&json!("timed_out"), &json!(4)));
}

#[test]
fn a_question_to_the_daemon_itself_is_not_its_answer() {
    let daemon = Daemon::start();
    let own = daemon.address().to_string();
    let text = format!("{own} is an address of the daemon itself: #");
    daemon.ctl(&["ask", &own, "hi", "--timeout", "30s"]).fails(5, &[&text, "hint: "]);
}

#[test]
fn ask_that_cannot_send_exits_with_5() {
    let daemon = Daemon::start();
    daemon.ctl(&["ask", "[::1]:9", "x"]).fails(5, &["IPv6"]);
    daemon.ctl(&["ask", "nobody-has-this-name", "x"]).fails(5, &["no peer is called"]);
    daemon.ctl(&["ask", "127.0.0.1:9", "-e", "gbk", "😀"]).fails(5, &["cannot hold"]);
    daemon.ctl(&["ask", "127.0.0.1:9", "x", "--grep", "("]).fails(2, &["regular expression"]);
}

#[test]
fn wait_ends_with_the_matching_message() {
    let bob = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = \"{}\"\n", bob.name()), &[]);
    daemon.receive_from(&bob, ["done before"]);
    let mut waiting = daemon.ctl_running(&["--json", "wait", "--from", "bob", "--grep", "^done", "-c", "2"]);
    let other = Peer::new();
    let mut said = 0;
    // The moment from which it waits is not visible outside, so the peers repeat the message until it ends.
    let ended = eventually("the end of the wait", || {
        other.send(daemon.address(), "done elsewhere");
        bob.send(daemon.address(), "not yet");
        bob.send(daemon.address(), format!("done {said}"));
        said += 1;
        waiting.ended()
    });
    assert!(ended.success());
    let (first, second) = (waiting.json(), waiting.json());
    assert_ne!(first["text"], "done before");
    for entry in [&first, &second] {
        assert!(entry["text"].as_str().unwrap().starts_with("done") && entry["name"] == "bob", "{entry}");
    }
    assert!(id(&first) < id(&second));
}

#[test]
fn wait_after_an_id_includes_stored_messages() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one", "two", "three"]);
    let entries = daemon.ctl(&["--json", "wait", "--after", "1", "-c", "2"]).json();
    assert_eq!(texts(&entries), ["two", "three"]);
    let shown = daemon.ctl(&["wait", "--after", "2", "--hex"]).ok();
    assert!(shown.contains("74 68 72 65 65"), "{shown}");
    let unread = daemon.rpc().call("inbox", json!({ "consumer": "default", "limit": 1 }));
    assert_eq!(unread["unread"], 3);
}

#[test]
fn wait_exits_with_4_and_prints_partial_matches() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one", "two"]);
    let args = ["wait", "--after", "1", "-c", "3", "--timeout", "300ms"];
    let ran = daemon.ctl(&args);
    assert!(ran.stdout.starts_with("#2 ") && ran.stdout.ends_with("two\n"), "{ran:?}");
    ran.fails(4, &["only 1 of 3 messages arrived within 300ms"]);
    daemon
        .ctl(&["wait", "--grep", "^ok", "--timeout", "0s"])
        .fails(4, &["no message that matches `^ok` arrived within 0s"]);
    daemon
        .ctl(&["wait", "--from", "nobody"])
        .fails(2, &["`nobody` is not a configured peer, an address, a network or a known host"]);
}

#[test]
fn a_lost_daemon_ends_every_wait() {
    let mut daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one"]);
    let mut waiting = daemon.ctl_start(&["wait", "--after", "0", "-c", "2"]);
    // It has printed the first message, so it waits for the second one.
    let mut line = String::new();
    BufReader::new(waiting.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with("one\n"), "{line}");
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let output = waiting.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no daemon found at"), "{stderr}");
}

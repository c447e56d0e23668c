//! A port that is not written with its host: behind it, beside text from a pipe, or not at all; and numbers that are text.

use std::fs;
use std::io::Write;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Completed, Daemon, Peer, texts};

#[test]
fn a_forgotten_port_is_noticed() {
    let daemon = Daemon::start();
    let board = Peer::at("127.0.0.8:0");
    daemon.receive_from(&board, ["hello"]);
    let from = board.name();
    let sent = daemon.ctl(&["send", "127.0.0.8", "hi"]);
    assert!(
        sent.stderr
            .contains(&format!("last heard from {from}: `udpchatctl send 127.0.0.8 TEXT --last-port`")),
        "{sent:?}"
    );
    assert_eq!(daemon.ctl(&["send", &from, "hi"]).stderr, "");
    let replayed = daemon.ctl(&["replay", "--to", "127.0.0.8", "--speed", "max"]);
    assert!(replayed.stderr.starts_with("note: replaying to 127.0.0.8:7788, of "), "{replayed:?}");
    assert!(replayed.stderr.contains(&format!("`--to {from}` replays to that port")), "{replayed:?}");
    let file = daemon.path("s.csv");
    fs::write(&file, "id,at\n").unwrap();
    let csv = daemon.ctl(&["replay", "--to", &from, "--file", file.to_str().unwrap()]);
    assert!(!csv.stderr.contains("expected value"), "{csv:?}");
    csv.fails(2, &["caused by: the line is not JSON", "a capture (pcap or pcapng)"]);
}

#[test]
fn a_text_may_begin_with_a_number() {
    let peer = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = '{}'", peer.name()), &[]);
    let _receipt = daemon.ctl(&["send", "bob", "9000", "messages"]).ok();
    let _receipt = daemon.ctl(&["send", &peer.name(), "20 degrees"]).ok();
    let _receipt = daemon.ctl(&["send", &peer.name(), "20", "degrees"]).ok();
    let _receipt = daemon.ctl(&["send", "bob", "--hex", "20", "41"]).ok();
    for expected in [&b"9000 messages"[..], b"20 degrees", b"20 degrees", b" A"] {
        assert_eq!(peer.receive().0, expected);
    }
}

/// Runs a command line in a shell, where `$ctl` reaches the daemon, and a pipe at standard input holds these bytes.
fn in_a_shell(daemon: &Daemon, line: &str, input: &[u8]) -> Completed {
    let ctl = format!("{} --socket {}", env!("CARGO_BIN_EXE_udpchatctl"), daemon.socket().display());
    let (stdin, mut writer) = std::io::pipe().unwrap();
    writer.write_all(input).unwrap();
    drop(writer);
    Command::new("sh").args(["-c", line]).env("ctl", ctl).stdin(stdin).output().unwrap().into()
}

#[test]
fn a_port_beside_text_from_a_pipe_is_sent_with_a_note() {
    let daemon = Daemon::start();
    let send = in_a_shell(&daemon, "$ctl send 127.0.0.1 9000", b"hi\n");
    let note = "9000 was sent as the text, and standard input was not read; a port stands behind its host: 127.0.0.1:9000";
    assert_eq!((send.code, send.stderr.as_str()), (Some(0), &*format!("note: {note}\n")), "{send:?}");
    let ask = in_a_shell(&daemon, "$ctl ask 127.0.0.1 9000 --timeout 30s", b"hi\n");
    ask.fails(5, &["note: 9000 was sent as the text", "127.0.0.1:9000", "does not listen on port 7788"]);
    let json = in_a_shell(&daemon, "$ctl --json send 127.0.0.1 9000", b"hi\n");
    let object: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(object, json!({"note": {"message": note, "kind": "input_unread"}}));
    assert_eq!(texts(&daemon.entries()), ["9000"; 3]);
}

#[test]
fn the_numbers_of_a_loop_are_messages() {
    let daemon = Daemon::start();
    let line = "while read n; do $ctl -q send 127.0.0.1 $n || exit; done";
    let ran = in_a_shell(&daemon, line, b"2000\n2001\n2002\n");
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    assert_eq!(texts(&daemon.entries()), ["2000", "2001", "2002"]);
}

#[test]
fn a_number_without_unread_text_has_no_note() {
    let peer = Peer::new();
    let config = format!("[peers.bob]\naddress = '{}'", peer.name());
    let daemon = Daemon::start_with(&config, &[]);
    for (line, input) in [
        (format!("$ctl send {} 9000", peer.name()), &b"hi\n"[..]),
        ("$ctl send bob 9000".to_owned(), b"hi\n"),
        ("$ctl send 127.0.0.1 20".to_owned(), b"30\n40\n"),
        ("$ctl send 127.0.0.1 9000".to_owned(), b""),
        ("$ctl send 127.0.0.1 9000 < /dev/null".to_owned(), b"hi\n"),
    ] {
        let ran = in_a_shell(&daemon, &line, input);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{line}: {ran:?}");
    }
    assert_eq!(texts(&daemon.entries()), ["9000", "9000", "20", "9000", "9000"]);
}

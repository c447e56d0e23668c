//! `replay`: the same bytes in the same order, at the requested pace; each omission is reported.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Background, Completed, Daemon, Peer, ctl_without_daemon, ids, raw, texts};

/// Every kind of datagram.
fn everything() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0\0".to_vec(),
        b"\xc4\xe3\xba\xc3".to_vec(),
        "你好\u{202e}".as_bytes().to_vec(),
        b"\xff\x00\x80\r\n".to_vec(),
        vec![0xab; 65_507],
        b"last".to_vec(),
    ];
    all.extend((0..200).map(|number| format!("number {number}").into_bytes()));
    all
}

/// Returns the bytes of all messages of a daemon, in their order.
fn payloads(daemon: &Daemon) -> Vec<Vec<u8>> {
    daemon.entries().iter().map(raw).collect()
}

/// Replays with these arguments, at once, to a new second daemon; returns the messages that it has stored.
#[track_caller]
fn replayed(daemon: &Daemon, args: &[&str], input: &[u8], count: u64) -> Vec<Vec<u8>> {
    let second = Daemon::start();
    let to = second.address().to_string();
    let ran = daemon.ctl_with_input(&[&["replay", "--speed", "max", "--to", &to], args].concat(), input);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("{count} message")), "{ran:?}");
    assert!(ran.stdout.contains(&format!(" sent to {to} in ")), "{ran:?}");
    let _status = second.stored(count);
    payloads(&second)
}

#[test]
fn inbox_and_file_replay_the_same_bytes() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), everything());
    let count = everything().len() as u64;
    let export = daemon.ctl(&["export"]).ok();
    let file = daemon.path("inbox.jsonl");
    std::fs::write(&file, &export).unwrap();

    assert_eq!(replayed(&daemon, &[], b"", count), everything());
    let other = Daemon::start();
    assert_eq!(replayed(&other, &["--file", file.to_str().unwrap()], b"", count), everything());
    assert_eq!(replayed(&other, &["--file", "-"], export.as_bytes(), count), everything());
    // The sending daemon has recorded each message once for each replay.
    assert_eq!(payloads(&other), [everything(), everything()].concat());
}

#[test]
fn filters_and_directions_select_what_is_replayed() {
    let (daemon, bob, eve) = (Daemon::start(), Peer::new(), Peer::at("127.0.0.2:0"));
    daemon.receive_from(&bob, ["1 from bob"]);
    daemon.receive_from(&eve, ["2 from eve"]);
    daemon.ctl(&["-q", "send", &bob.name(), "3 to bob"]).ok();
    daemon.receive_from(&bob, ["4 from bob"]);
    let export = daemon.ctl(&["export"]).ok();

    let first_digits =
        |payloads: Vec<Vec<u8>>| -> String { payloads.iter().map(|bytes| bytes[0] as char).collect() };
    // A replayed message is a new sent entry: later rounds must not replay it.
    let until = daemon.ctl(&["--json", "inbox", "-n", "1"]).json()[0]["at"].as_str().unwrap().to_owned();
    let before = ["-U", &until];
    let check = |args: &[&str], digits: &str| {
        let count = digits.len() as u64;
        assert_eq!(first_digits(replayed(&daemon, args, b"", count)), digits, "{args:?}");
    };
    check(&["-n", "1"], "4");
    check(&["--from", "127.0.0.2"], "2");
    check(&["--grep", "from bob"], "14");
    check(&[&["--direction", "out"], &before[..]].concat(), "3");
    check(&[&["--direction", "both"], &before[..]].concat(), "123");
    check(&[], "124");
    for (direction, digits) in [("in", "124"), ("out", "3"), ("both", "1234")] {
        let args = ["--file", "-", "--direction", direction];
        let found = replayed(&daemon, &args, export.as_bytes(), digits.len() as u64);
        assert_eq!(first_digits(found), digits, "{direction}");
    }
}

/// Messages that a daemon sends to itself arrive during the replay, and are not replayed again.
#[test]
fn a_replay_to_itself_ends() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..500).map(|number| number.to_string()));
    let to = daemon.address().to_string();
    let ran = daemon.ctl(&["replay", "--to", &to, "--speed", "max"]);
    assert!(ran.ok().starts_with("500 messages sent"));
    let _status = daemon.stored(1_000);
    let received = daemon.ctl(&["export", "--direction", "in"]).json();
    let numbers: Vec<_> = (0..500).chain(0..500).map(|number| number.to_string()).collect();
    assert_eq!(texts(&received), numbers);
}

/// A recording with these times, in milliseconds.
fn recording(times: &[u64]) -> String {
    let line = |(number, time): (usize, &u64)| {
        let at = format!("2026-11-22T14:00:{:02}.{:03}Z", time / 1_000, time % 1_000);
        let entry = json!({ "type": "message", "id": number, "at": at, "direction": "in", "raw": "eA==" });
        format!("{entry}\n")
    };
    times.iter().enumerate().map(line).collect()
}

/// Replays a recording to a peer; returns how long that took.
#[track_caller]
fn time_of(daemon: &Daemon, times: &[u64], args: &[&str]) -> Duration {
    let peer = Peer::new();
    let began = Instant::now();
    let to = peer.name();
    let args = [&["-q", "replay", "--file", "-", "--to", &to], args].concat();
    assert_eq!(daemon.ctl_with_input(&args, recording(times).as_bytes()).ok(), "");
    let took = began.elapsed();
    times.iter().for_each(|_| assert_eq!(peer.receive().0, b"x"));
    took
}

#[test]
fn the_pace_follows_the_recording_and_speed() {
    let daemon = Daemon::start();
    let millis = Duration::from_millis;
    let times = [5_000, 5_200, 5_200, 5_800];
    assert!(time_of(&daemon, &times, &[]) >= millis(800));
    assert!(time_of(&daemon, &times, &["--speed", "2"]) >= millis(400));
    assert!(time_of(&daemon, &times, &["--speed", "0.5"]) >= millis(1_600));
    assert!(time_of(&daemon, &times, &["--max-pause", "150ms"]) >= millis(300));
    // A clock that stepped back: later messages keep their distances.
    assert!(time_of(&daemon, &[9_000, 100, 600], &[]) >= millis(500));
}

/// If the pauses of a minute were not skipped, the test would fail at its deadline.
#[test]
fn pauses_can_be_left_out() {
    let daemon = Daemon::start();
    let times = [0, 59_000];
    for args in [["--speed", "max"], ["--speed", "0"], ["--max-pause", "0s"]] {
        assert!(time_of(&daemon, &times, &args) < Duration::from_secs(59));
    }
}

/// The recording jumps by 56 years. Otherwise the program would look as if it did nothing.
#[test]
fn a_long_pause_is_announced() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let file = daemon.path("recording");
    let message = recording(&[0]);
    std::fs::write(&file, message.replace("2026", "1970") + &message).unwrap();
    let file = file.display().to_string();
    let mut replay =
        Background::start(&mut daemon.ctl_command(&["replay", "--file", &file, "--to", &peer.name()]));
    let note = replay.line_with("note: ");
    assert!(
        note.contains("2026-11-22") && note.contains("sent in 59m") && note.contains("--max-pause"),
        "{note}"
    );
    assert_eq!(peer.receive().0, b"x");
}

#[test]
fn an_exported_capture_is_replayed() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let payloads: Vec<&[u8]> = vec![b"one", b"", b"\xc4\xe3\xba\xc3", &[7; 1_472]];
    for payload in &payloads {
        peer.send(daemon.address(), payload);
    }
    let _status = daemon.stored(payloads.len() as u64);
    let capture = daemon.path("c.pcap").display().to_string();
    let _written = daemon.ctl(&["-q", "export", "--format", "pcap", "-o", &capture]).ok();
    let found = replayed(&daemon, &["--file", &capture], b"", payloads.len() as u64);
    assert_eq!(found, payloads);
    let piped = replayed(&daemon, &["--file", "-"], &std::fs::read(&capture).unwrap(), payloads.len() as u64);
    assert_eq!(piped, payloads);
    daemon
        .ctl(&["replay", "--file", &capture, "--to", &peer.name(), "--direction", "in"])
        .fails(2, &["--direction does not apply to a capture"]);
}

#[test]
fn a_growing_capture_is_sent_as_it_arrives() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    daemon.receive_from(&peer, ["one", "two"]);
    let capture = daemon.ctl_command(&["export", "--format", "pcap"]).output().unwrap().stdout;
    let mut command = daemon.ctl_command(&["-q", "replay", "--file", "-", "--to", &peer.name()]);
    let mut replay = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = replay.stdin.take().unwrap();
    // The header of the file; the header of the packet, and those of IP and UDP.
    let first = 24 + 16 + 20 + 8 + "one".len();
    for part in [&capture[..3], &capture[3..40], &capture[40..first]] {
        pipe.write_all(part).unwrap();
    }
    assert_eq!(peer.receive().0, b"one");
    pipe.write_all(&capture[first..]).unwrap();
    assert_eq!(peer.receive().0, b"two");
    drop(pipe);
    assert!(replay.wait().unwrap().success());
}

#[test]
fn a_file_of_another_format_is_named() {
    let daemon = Daemon::start();
    let file = daemon.path("recording");
    for (bytes, text) in [
        (&b"\x1f\x8b\x08\0\0"[..], "with gunzip"),
        (b"SQLite format 3\0...", "database"),
        (b"hello\n", "JSON Lines of `udpchatctl export`"),
        (b"\xd4\xc3\xb2\xa1\0", "it ends within a packet"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let file = file.display().to_string();
        let ran = daemon.ctl(&["replay", "--file", &file, "--to", "127.0.0.1:9"]);
        assert!(ran.code != Some(0) && ran.stderr.contains(text), "{ran:?}");
    }
}

#[test]
fn a_growing_recording_is_sent_as_it_arrives() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let mut replay = daemon.ctl_running(&["replay", "--file", "-", "--to", &peer.name()]);
    for _ in 0..3 {
        replay.type_in(&recording(&[0]));
        assert_eq!(peer.receive().0, b"x");
    }
    replay.end_input();
    assert!(replay.line().starts_with("3 messages sent to "));
    assert!(replay.wait().success());
}

/// It ends although its standard input stays open.
#[test]
fn an_error_ends_a_waiting_replay() {
    let daemon = Daemon::start();
    let nobody = "nobody".repeat(11);
    let mut replay = daemon.ctl_running(&["replay", "--file", "-", "--to", &nobody]);
    replay.type_in(&recording(&[0]));
    assert_eq!(replay.wait().code(), Some(5));
}

#[test]
fn gaps_and_failed_sends_are_skipped_with_a_note() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let gap = r#"{"type":"gap","id":813,"at":"2026-11-22T06:03:06Z","lost":37,"reason":"queue_full"}"#;
    let message = recording(&[0]);
    let out = message.replace(r#""in""#, r#""out""#);
    let refused = out.replacen('{', r#"{"error":"no route","#, 1);
    let input = format!("{gap}\n{message}\r\n{gap}\n\n{refused}{out}");
    let replay = |args: &[&str]| {
        daemon.ctl_with_input(
            &[&["replay", "--file", "-", "--to", &peer.name()], args].concat(),
            input.as_bytes(),
        )
    };
    let ran = replay(&["--direction", "both"]);
    assert!(ran.code == Some(0) && ran.stdout.starts_with("2 messages sent"), "{ran:?}");
    let notes =
        "note: 2 gaps were skipped\nnote: 1 message that the kernel had refused to send was skipped\n";
    assert_eq!(ran.stderr, notes);
    let ran = replay(&[]);
    assert!(ran.stdout.starts_with("1 message sent"), "{ran:?}");
    assert!(
        ran.stderr.ends_with(
            "note: 2 messages of the other direction were skipped; `--direction both` includes them\n"
        ),
        "{ran:?}"
    );
    assert_eq!(replay(&["-q"]).ok(), "");

    let output = replay(&["--json"]).json();
    assert_eq!(output.len(), 1);
    assert_eq!(
        (&output[0]["sent"], &output[0]["gaps"], &output[0]["failed"]),
        (&json!(1), &json!(2), &json!(0))
    );
    assert_eq!(output[0]["to"], peer.name());
    assert!(output[0]["seconds"].is_f64());
}

/// The kernel refuses to send from 127.0.0.1 to another machine, whatever its routes are.
#[test]
fn a_message_refused_by_the_kernel_is_skipped() {
    let daemon = Daemon::start();
    let ran = daemon
        .ctl_with_input(&["replay", "--file", "-", "--to", "192.0.2.1"], recording(&[0; 100]).as_bytes());
    assert!(ran.stdout.starts_with("0 messages sent to 192.0.2.1 in "), "{ran:?}");
    ran.fails(5, &["100 of 100 messages could not be sent", "line 1: cannot send to 192.0.2.1:7788"]);
    assert_eq!(daemon.status()["sent"], json!({ "datagrams": 0, "failed": 100, "bounced": 0 }));

    let peer = Peer::new();
    let long: Value = json!({
        "type": "message", "at": "2026-11-22T14:00:00Z", "direction": "in", "raw": "eHh4".repeat(22_000),
    });
    let input = format!("{}{long}\n{}", recording(&[0]), recording(&[0]));
    let ran =
        daemon.ctl_with_input(&["--json", "replay", "--file", "-", "--to", &peer.name()], input.as_bytes());
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((ran.code, &error["error"]["kind"]), (Some(5), &json!("too_long")), "{ran:?}");
    assert_eq!(error["error"]["message"], "1 of 3 messages could not be sent");
    assert_eq!([peer.receive().0, peer.receive().0], [b"x", b"x"]);
}

#[test]
fn a_replay_to_a_host_that_talks_from_another_port_notes_it() {
    let board = Peer::at("127.0.0.8:0");
    let daemon = Daemon::start_with("[peers.board]\naddress = '127.0.0.8'\n", &[]);
    daemon.receive_from(&board, ["one", "two"]);
    let replay = ["replay", "--from", "board", "--speed", "max", "--to"];
    let ran = daemon.ctl(&[&replay[..], &["board"]].concat());
    let expected = format!("`--to {}` replays to that port", board.name());
    assert!(ran.stderr.contains(&expected), "{ran:?}");
    let ran = daemon.ctl(&[&replay[..], &[&board.name()]].concat());
    assert!(!ran.stderr.contains("replays to that port"), "{ran:?}");
}

#[test]
fn a_permanent_error_ends_the_replay_at_once() {
    let daemon = Daemon::start();
    let replay = |to: &str| -> Completed {
        daemon.ctl_with_input(&["replay", "--file", "-", "--to", to], recording(&[0; 50]).as_bytes())
    };
    let nobody = "nobody".repeat(11);
    replay(&nobody).fails(5, &[&nobody, "udpchatctl peers"]);
    replay("[::1]:9").fails(5, &["IPv6", "listen"]);
    replay("127.0.0.1:0").fails(2, &["port 0 is out of range"]);
    assert!(daemon.entries().is_empty());
}

#[test]
fn a_lost_daemon_ends_the_replay() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let socket = daemon.socket();
    let file = daemon.path("inbox.jsonl");
    // One every two seconds, for a minute: it has not ended when the daemon stops.
    std::fs::write(&file, recording(&std::array::from_fn::<_, 30, _>(|number| 2_000 * number as u64)))
        .unwrap();
    let mut replay = daemon.ctl_running(&["replay", "--file", file.to_str().unwrap(), "--to", &peer.name()]);
    assert_eq!(peer.receive().0, b"x");
    let (_folder, _) = daemon.into_folder();
    assert_eq!(replay.wait().code(), Some(1));
    let args = ["--socket", socket.to_str().unwrap(), "replay", "--file", "-", "--to", "127.0.0.1:9"];
    ctl_without_daemon(&args, &[]).fails(3, &["no daemon"]);
}

#[test]
fn an_invalid_line_is_named() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let replay = |input: &str| {
        daemon.ctl_with_input(&["replay", "--file", "-", "--to", &peer.name()], input.as_bytes())
    };
    let good = recording(&[0, 0]);
    for bad in ["hello", "{}", r#"{"type":"message"}"#, "\u{feff}"] {
        replay(&format!("{good}\n{bad}\n{good}")).fails(2, &["line 4", "invalid entry", "caused by: "]);
    }
    replay(&format!("{good}{}", "x".repeat(600_000))).fails(2, &["line 3", "longer than"]);
    daemon.ctl(&["replay", "--file", "/no/such/file", "--to", "x"]).fails(1, &["cannot read /no/such/file"]);
    daemon.ctl(&["replay", "--file", "/", "--to", "x"]).fails(1, &["cannot read /"]);
    daemon.ctl(&["replay", "--file", "f", "--grep", "x", "--to", "x"]).fails(2, &["--grep", "--file"]);
    assert!(ids(&daemon.entries()).into_iter().eq(1..=10));
}

//! The daemon's log: one line for each message, up to a limit, and the fields of a line.

use std::time::Instant;

use encoding_rs::GBK;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Background, Daemon, Peer, command_in, eventually, new_folder};

/// Returns the log lines about messages as JSON: those with a message, and those that count omitted ones.
fn message_lines(lines: &[String]) -> (Vec<Value>, Vec<Value>) {
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line["message"] == "received" || line.get("left_out").is_some());
    lines.partition(|line| line["message"] == "received")
}

/// Stops a daemon and returns all that it has logged.
fn stopped(mut daemon: Daemon) -> Vec<String> {
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    // Its last line but for none: now all others are there.
    daemon.log_line("stopped");
    daemon.log()
}

#[test]
fn every_message_is_logged_or_counted() {
    const SENT: u64 = 500;
    const LIMIT: u64 = 10;
    let mut daemon = Daemon::start_with(&format!("log.messages_per_second = {LIMIT}"), &[]);
    let began = Instant::now();
    daemon.receive_from(&Peer::new(), (0..SENT).map(|number| number.to_string()));
    let (shown, left_out) = eventually("the log to report every message", || {
        let (shown, left_out) = message_lines(&daemon.log());
        let sum: u64 = left_out.iter().map(|line| line["left_out"].as_u64().unwrap()).sum();
        assert!(shown.len() as u64 + sum <= SENT, "{left_out:#?}");
        (shown.len() as u64 + sum == SENT).then_some((shown, left_out))
    });
    // One window for each second begun, at most, and the first of them is full.
    let windows = began.elapsed().as_secs() + 2;
    assert!((LIMIT..=LIMIT * windows).contains(&(shown.len() as u64)), "{} lines", shown.len());
    assert!((1..=windows).contains(&(left_out.len() as u64)), "{left_out:#?}");
    assert!(
        left_out[0]["message"].as_str().unwrap().contains("log.messages_per_second = 10"),
        "{left_out:#?}"
    );
    let texts: Vec<u64> = shown.iter().map(|line| line["text"].as_str().unwrap().parse().unwrap()).collect();
    assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
    assert!(texts.iter().copied().take(LIMIT as usize).eq(0..LIMIT), "{texts:?}");
}

#[test]
fn a_limit_of_0_logs_no_messages() {
    let daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    daemon.receive_from(&Peer::new(), ["a", "b"]);
    assert_eq!(message_lines(&stopped(daemon)), (vec![], vec![]));
}

#[test]
fn the_last_messages_are_logged_before_the_end() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.signal(Signal::SIGSTOP);
    (0..50).for_each(|number| peer.send(daemon.address(), number.to_string()));
    daemon.signal(Signal::SIGTERM);
    daemon.signal(Signal::SIGCONT);
    assert_eq!(message_lines(&stopped(daemon)).0.len(), 50);
}

#[test]
fn a_line_has_peer_text_and_encoding() {
    let peer = Peer::new();
    let config = format!("[peers.'小明']\naddress = '{}'\nencoding = 'gbk'", peer.name());
    let mut daemon = Daemon::start_with(&config, &[]);
    peer.send_text(daemon.address(), "你好\r\n", GBK);
    let line = daemon.log_line("received");
    let fields = json!({
        "timestamp": line["timestamp"], "level": "INFO", "message": "received", "id": 1, "peer": peer.name(),
        "name": "小明", "bytes": 6, "encoding": "gbk", "text": "你好",
    });
    assert_eq!(line, fields);
}

#[test]
fn a_multiline_message_is_one_log_line() {
    let mut daemon = Daemon::start();
    Peer::new().send(daemon.address(), "a\nb\r\nc\u{1b}[31m\u{2028}d\n");
    assert_eq!(daemon.log_line("received")["text"], r"a\u{a}b\u{d}\u{a}c\u{1b}[31m\u{2028}d");
    assert_eq!(message_lines(&stopped(daemon)).0.len(), 1);
}

#[test]
fn a_long_message_is_cut_in_the_log() {
    let mut daemon = Daemon::start();
    Peer::new().send(daemon.address(), "好".repeat(2_000));
    let line = daemon.log_line("received");
    assert_eq!((&line["bytes"], &line["cut"]), (&json!(6_000), &json!(true)));
    assert_eq!(line["text"], "好".repeat(256));
}

#[test]
fn the_text_format_has_one_line_a_message() {
    let folder = new_folder();
    let mut daemon = text_daemon(&folder);
    let peer = Peer::new();
    let status = daemon.answers_on(&folder.path().join("s")).call("status", json!({}));
    peer.send(status["listen"][0].as_str().unwrap().parse().unwrap(), "a\nb\u{1b}\"c\n");
    let line = daemon.line_with("received");
    let fields = [" INFO ", "id=1", &format!("peer={}", peer.name()), "bytes=7", "encoding=\"utf-8\""];
    assert!(fields.iter().all(|field| line.contains(field)), "{line}");
    assert!(line.contains(r#"text="a\\u{a}b\\u{1b}\"c""#), "{line}");
    daemon.signal(Signal::SIGTERM);
    let (_, lines) = daemon.wait();
    assert_eq!(lines.iter().filter(|line| line.contains("received")).count(), 1, "{lines:#?}");
    assert!(lines.iter().all(|line| line.starts_with("20") && line.contains("Z ")), "{lines:#?}");
}

/// Starts a daemon that logs text, which is the default.
fn text_daemon(folder: &tempfile::TempDir) -> Background {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("HOME", folder.path()).args(["--listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(folder.path().join("data")).arg("--socket").arg(folder.path().join("s"));
    Background::start(&mut command)
}

#[test]
fn at_level_warn_no_message_is_logged() {
    let folder = new_folder();
    std::fs::write(folder.path().join("config.toml"), "").unwrap();
    let mut command = command_in(folder.path());
    let mut daemon = Background::start(command.args(["--listen", "127.0.0.1:0", "--log-level", "warn"]));
    let mut rpc = daemon.answers_on(&folder.path().join("s"));
    let status = rpc.call("status", json!({}));
    Peer::new().send(status["listen"][0].as_str().unwrap().parse().unwrap(), "unheard");
    daemon.signal(Signal::SIGTERM);
    let (ended, lines) = daemon.wait();
    assert!(ended.success());
    assert!(!lines.iter().any(|line| line.contains("unheard") || line.contains("INFO")), "{lines:#?}");
    let inbox = rusqlite::Connection::open(folder.path().join("data/inbox.db")).unwrap();
    let stored: u64 = inbox.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 1, "it did come");
}

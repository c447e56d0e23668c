//! daemon/api/PROTOCOL.md: runs its examples in order, and compares its table of errors with the code.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use udpchat_api::ErrorKind;

use super::layering::root;
use crate::support::{Daemon, Peer, Rpc, available, path_with_programs};

const TEXT: &str = include_str!("../../../daemon/api/PROTOCOL.md");

const IN_CHINESE: &str = include_str!("../../../daemon/api/PROTOCOL.zh-CN.md");

/// The addresses of bob and of the daemon in the text.
const BOB: &str = "127.0.0.1:8080";
const DAEMON: &str = "127.0.0.1:7788";

/// Fields that vary between runs; all others must equal the text.
const VARYING: [&str; 12] = [
    "at",
    "until",
    "started",
    "last_heard",
    "pid",
    "version",
    "socket",
    "data_dir",
    "receive_buffer",
    "wal_bytes",
    "by",
    "disk_free_bytes",
];

/// Starts a daemon and bob as the text describes them.
fn as_in_the_text() -> (Daemon, Peer) {
    let bob = Peer::new();
    let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = \"{}\"\n", bob.name()), &[]);
    bob.send_text(daemon.address(), "你好", encoding_rs::GBK);
    let _status = daemon.stored(1);
    (daemon, bob)
}

/// Returns the lines of the examples.
fn example_lines() -> impl Iterator<Item = &'static str> {
    let blocks = TEXT.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines)
}

#[test]
fn the_examples_get_the_documented_answers() {
    let (daemon, bob) = as_in_the_text();
    let (bob_now, daemon_now) = (bob.name(), daemon.address().to_string());
    let mut rpc = daemon.rpc();
    let mut compared = 0;
    for line in example_lines() {
        if let Some(request) = line.strip_prefix("--> ") {
            rpc.write(format!("{}\n", request.replace(BOB, &bob_now)).as_bytes());
        } else if let Some(text) = line.strip_prefix("# bob sends ") {
            bob.send_text(daemon.address(), text, encoding_rs::GBK);
        } else if let Some(reply) = line.strip_prefix("<-- ") {
            let actual = rpc.line().expect("a line").to_string();
            let actual = actual.replace(&bob_now, BOB).replace(&daemon_now, DAEMON);
            let (mut actual, mut wanted) = (parse(&actual), parse(reply));
            blank(&mut actual);
            blank(&mut wanted);
            assert_eq!(actual, wanted, "documented: {reply}");
            compared += 1;
        } else {
            let entry: udpchat_api::Entry = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&entry).unwrap(), line);
        }
    }
    assert!(rpc.line().is_none(), "the last example stops the daemon");
    assert!(compared > 15, "only {compared} answers were found in the text");
}

/// Returns what must be the same in both languages: the examples, the names of methods, and the names and numbers in the
/// first columns of the tables.
fn names(text: &'static str) -> Vec<&'static str> {
    let is_method =
        |line: &str| line.strip_prefix("### ").is_some_and(|title| title.starts_with(char::is_lowercase));
    let is_same = |line: &&str| is_method(line) || line.starts_with("| `");
    // A table of roles or kinds ends with a column of prose.
    let name = |line: &'static str| line.rsplit_once(" | ").map_or(line, |(names, _prose)| names);
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let is_fence = line.starts_with("```");
        if in_block || is_fence {
            found.push(line);
        } else if is_same(&line) {
            found.push(name(line));
        }
        in_block ^= is_fence;
    }
    found
}

#[test]
fn both_languages_document_the_same_protocol() {
    let (english, chinese) = (names(TEXT), names(IN_CHINESE));
    let missing: Vec<_> = english.iter().filter(|name| !chinese.contains(name)).collect();
    assert!(missing.is_empty(), "PROTOCOL.zh-CN.md lacks {missing:#?}");
    assert_eq!(english, chinese);
    assert!(english.len() > 100, "only {} names were found", english.len());
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// Replaces the values that vary by their type.
fn blank(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if VARYING.contains(&key.as_str()) || (key == "bytes" && value.as_u64() > Some(50_000)) {
                    *value = json!(if value.is_string() { "text" } else { "other" });
                } else {
                    blank(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}

#[test]
fn every_method_and_error_is_documented() {
    for kind in ErrorKind::ALL {
        let row = format!("| `{}` | {} |", json!(kind).as_str().unwrap(), kind.code());
        assert!(TEXT.contains(&row), "the table of errors lacks {row}");
    }
    let (daemon, _bob) = as_in_the_text();
    let error = daemon.rpc().error("none", json!({}));
    for method in error["data"]["hint"].as_str().unwrap().split(", ") {
        assert!(TEXT.contains(&format!("\"method\":\"{method}\"")), "no example of {method}");
    }
}

#[test]
fn every_status_field_is_documented() {
    let (daemon, _bob) = as_in_the_text();
    let Value::Object(status) = daemon.status() else { panic!("the status is an object") };
    for field in status.keys() {
        assert!(TEXT.contains(&format!("\"{field}\":")), "{field}");
    }
}

/// Runs the line of each document that uses the control socket by hand.
#[test]
fn nothing_but_nc_is_needed() {
    if !available("nc") || !available("jq") {
        return;
    }
    let (daemon, bob) = as_in_the_text();
    for (document, text, id) in [
        ("daemon/api/PROTOCOL.md", "你好", 2),
        ("daemon/docs/usage.md", "hello", 3),
        ("daemon/docs/usage.zh-CN.md", "你好", 4),
    ] {
        let lines = std::fs::read_to_string(root().join(document)).unwrap();
        let line = lines.lines().find(|line| line.starts_with("echo ") && line.contains("nc -U")).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).env_clear().env("PATH", path_with_programs());
        let output = shell.env("UDPCHAT_SOCKET", daemon.socket()).stderr(Stdio::inherit()).output().unwrap();
        assert_eq!(
            bob.receive(),
            (encoding_rs::GBK.encode(text).0.into_owned(), daemon.address()),
            "{document}"
        );
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(reply["result"]["id"], id, "{document}: {reply}");
    }
}

#[test]
fn the_projects_own_client_agrees_with_the_wire() {
    let (daemon, _bob) = as_in_the_text();
    let status: udpchat_api::call::Status = serde_json::from_value(daemon.status()).unwrap();
    assert_eq!(serde_json::to_value(&status).unwrap()["stored"], 1);
    let mut rpc = Rpc::connect(&status.socket);
    let page: udpchat_api::call::InboxAnswer = serde_json::from_value(rpc.call("inbox", json!({}))).unwrap();
    assert_eq!((page.entries.len(), page.unread, page.more), (1, 1, false));
}

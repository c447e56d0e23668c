//! What `udpchatctl` shows of bounces: notices, the end of `ask`, the marks of the chat, and what `doctor` says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Daemon, Peer, eventually};

/// An address of this host where no program listens.
const CLOSED: &str = "127.0.0.77:9";

/// Sends a message that bounces, and waits for its notice; returns the ids of both.
fn bounced(daemon: &Daemon, to: &str) -> (u64, u64) {
    let sent = daemon.ctl(&["--json", "send", to, "hello"]).json()[0]["id"].as_u64().unwrap();
    let notice = eventually("the notice", || {
        let entries = daemon.ctl(&["--json", "inbox", "-a", "--notices"]).json();
        entries
            .iter()
            .find(|entry| entry["about"].as_u64() == Some(sent))
            .and_then(|entry| entry["id"].as_u64())
    });
    (sent, notice)
}

fn types(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect()
}

#[test]
fn ask_ends_with_the_bounce() {
    let daemon = Daemon::start_with(&format!("[peers.plc]\naddress = '{CLOSED}'\n"), &[]);
    // Nothing but the bounce ends it within the time of the test.
    let ask = |args: &[&str]| daemon.ctl(&[&["ask"], args, &["--timeout", "1h"]].concat());
    let text = "plc does not listen on port 9: port unreachable, says 127.0.0.77";
    ask(&["plc", "T?"]).fails(5, &[text, "hint: is the program running there? `udpchatctl send plc TEXT"]);
    ask(&[CLOSED, "T?"]).fails(5, &[text]);
    ask(&["plc", "T?", "--grep", "x"]).fails(5, &[text]);
    ask(&["plc", "T?", "--split=16", "--anyone"]).fails(5, &[text]);
    let error = daemon.ctl(&["--json", "ask", "plc", "T?", "--timeout", "1h"]);
    let json: Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!((error.code, &json["error"]["kind"]), (Some(5), &"bounced".into()), "{json}");
}

#[test]
fn ask_ends_with_a_bounce_that_has_no_notice() {
    let daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let mut ask = None;
    // So many bounces in each second that hardly one of them gets a notice.
    let (mut rpc, mut code) = (daemon.rpc(), None);
    while code.is_none() {
        for number in 0..50 {
            rpc.call("send", json!({ "to": "127.0.0.78:9", "text": format!("{number}") }));
        }
        let ask = ask.get_or_insert_with(|| daemon.ctl_running(&["ask", CLOSED, "T?", "--timeout", "2s"]));
        code = ask.ended();
    }
    assert_eq!(code.and_then(|ended| ended.code()), Some(5));
}

#[test]
fn with_retry_only_the_last_question_ends_ask() {
    let daemon = Daemon::start();
    let began = Instant::now();
    let asked = daemon.ctl(&["ask", CLOSED, "T?", "--retry", "2", "--timeout", "1500ms"]);
    asked.fails(5, &["does not listen on port 9"]);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(daemon.ctl(&["--json", "inbox", "-a", "--direction", "out"]).json().len(), 3);
}

#[test]
fn a_bounce_of_another_message_does_not_end_ask() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    let mut ask = daemon.ctl_running(&["ask", &bob.name(), "T?", "--timeout", "1h", "--anyone"]);
    let (_, from) = bob.receive();
    bounced(&daemon, CLOSED);
    assert!(ask.ended().is_none());
    bob.send(from, "22");
    assert_eq!(ask.line(), "22");
    assert!(ask.wait().success());
}

#[test]
fn a_loop_and_a_replay_say_how_many_bounced() {
    let daemon = Daemon::start_with(&format!("[peers.gone]\naddress = '{CLOSED}'\n"), &[]);
    let summed = daemon.ctl(&["send", "gone", "--every", "10ms", "-c", "3", "X", "--confirm", "30s"]);
    assert!(summed.stdout.contains("3 messages sent to gone"), "{summed:?}");
    assert!(summed.stdout.contains("; 3 bounced: port unreachable\n"), "{summed:?}");
    summed.fails(5, &["3 bounced: port unreachable"]);
    // Without --confirm, what is known in time is printed, and the exit code stays.
    let some_bounced = |args: &[&str]| {
        eventually("bounces in a summary", || {
            (daemon.ctl(&[&["--json"], args].concat()).json()[0]["bounced"].as_u64() > Some(0)).then_some(())
        });
    };
    some_bounced(&["send", "gone", "--every", "1ms", "-c", "20", "X"]);
    some_bounced(&["replay", "--direction", "out", "-n", "9", "--to", CLOSED, "--speed", "max"]);
    let bob = Peer::new();
    let to_bob = daemon.ctl(&["send", &bob.name(), "--every", "1ms", "-c", "2", "X"]).ok();
    assert!(!to_bob.contains("bounced"), "{to_bob}");
}

#[test]
fn send_waits_for_a_report() {
    let daemon = Daemon::start_with(&format!("[peers.gone]\naddress = '{CLOSED}'\n"), &[]);
    let bob = Peer::new();
    let to = bob.name();
    let gone = daemon.ctl(&["send", "gone", "X", "--confirm", "30s"]);
    assert!(gone.stdout.ends_with("\nbounced: port unreachable\n"), "{gone:?}");
    gone.fails(5, &["1 of 1 message bounced"]);
    assert!(daemon.ctl(&["send", &to, "X", "--confirm", "1ms"]).ok().ends_with("\nno report\n"));
    let several = daemon.ctl(&["send", &format!("gone,{to}"), "X", "--confirm", "1s"]);
    let reports = format!("gone: bounced: port unreachable\n{to}: no report\n");
    assert!(several.stdout.ends_with(&reports), "{several:?}");
    several.fails(5, &["1 of 2 messages bounced"]);
    let mut answered = daemon.ctl_running(&["--json", "send", &to, "Q", "--confirm", "30s"]);
    let from = loop {
        match bob.receive() {
            (text, from) if text == b"Q" => break from,
            _ => {}
        }
    };
    bob.send(from, "A");
    assert_eq!(answered.json()["type"], "message");
    let report = answered.json();
    assert_eq!((&report["type"], &report["delivery"]), (&json!("delivery"), &json!("answered")), "{report}");
    assert!(answered.wait().success());
}

#[test]
fn programs_get_notices_only_if_they_ask() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    daemon.receive_from(&bob, ["one"]);
    let (sent, notice) = bounced(&daemon, CLOSED);
    daemon.receive_from(&bob, ["two"]);
    let json = |args: &[&str]| daemon.ctl(&[&["--json", "inbox"], args].concat()).json();
    assert_eq!(types(&json(&["-a"])), ["message", "message", "message"]);
    assert_eq!(types(&json(&["-a", "--notices"])), ["message", "message", "notice", "message"]);
    // A notice counts as an entry only where it is shown.
    assert_eq!(types(&json(&["-n", "2"])), ["message", "message"]);
    assert_eq!(types(&json(&["-n", "2", "--notices"])), ["notice", "message"]);
    let text = daemon.ctl(&["inbox", "-a"]).ok();
    assert!(text.contains("  hello  [bounced: port unreachable]\n"), "{text}");
    assert!(text.contains(&format!("  ! #{sent} bounced: 127.0.0.77 does not listen on port 9\n")), "{text}");
    let chinese = daemon.ctl_in_chinese(&["inbox", "-a"]).ok();
    assert!(chinese.contains(&format!("  ! #{sent} 被退回：127.0.0.77 没有监听端口 9\n")), "{chinese}");
    let id = notice.to_string();
    assert!(daemon.ctl(&["inbox", &id]).ok().contains("bounced"));
    assert_eq!(types(&json(&[&id, "--notices"])), ["notice"]);
    daemon.ctl(&["--json", "inbox", &id]).fails(1, &[&format!("entry #{id} is a notice")]);
    // The same in forms that have no line for a notice.
    assert_eq!(daemon.ctl(&["inbox", "-a", "-F", "{{text}}"]).ok(), "one\nhello\ntwo\n");
    daemon.ctl(&["inbox", "--notices"]).fails(2, &["text has notices in any case", "hint: `--only notices`"]);
    daemon.ctl(&["inbox", "-F", "{{text}}", "--notices"]).fails(2, &["--notices"]);
    // New messages: the notice of a sent message is none.
    assert_eq!(types(&json(&[])), ["message", "message"]);
    assert!(json(&["--notices"]).is_empty());
}

#[test]
fn exports_have_notices_only_if_they_are_asked_for() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    daemon.receive_from(&bob, ["one"]);
    bounced(&daemon, CLOSED);
    daemon.receive_from(&bob, ["two"]);
    let lines = |args: &[&str]| daemon.ctl(&[&["export"], args].concat()).json();
    assert_eq!(types(&lines(&[])), ["message", "message", "message"]);
    assert_eq!(types(&lines(&["--notices"])), ["message", "message", "notice", "message"]);
    assert_eq!(types(&lines(&["-n", "2"])), ["message", "message"]);
    assert_eq!(types(&lines(&["-n", "2", "--notices"])), ["notice", "message"]);
    let csv = daemon.ctl(&["export", "--format", "csv"]);
    assert!(!csv.stderr.contains("removed"), "{}", csv.stderr);
    assert_eq!(csv.ok().lines().count(), 4);
    daemon.ctl(&["export", "--format", "csv", "--notices"]).fails(2, &["--format jsonl"]);
    // A recording with notices can be replayed.
    let file = daemon.path("all.jsonl");
    let file = file.to_str().unwrap();
    daemon.ctl(&["export", "--notices", "-o", file]).ok();
    let replayed = daemon.ctl(&["replay", "--file", file, "--to", &bob.name(), "--speed", "max"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!([bob.receive().0, bob.receive().0], [b"one", b"two"]);
    // Nothing was removed, which a missing id would mean.
    let whole = daemon.ctl(&["export"]);
    assert!(!whole.stderr.contains("removed"), "{}", whole.stderr);
}

#[test]
fn a_follower_prints_the_notice() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    daemon.receive_from(&bob, ["first"]);
    let mut text = daemon.ctl_running(&["inbox", "-f", "-a"]);
    let mut json = daemon.ctl_running(&["--json", "inbox", "-f", "-a"]);
    let mut all = daemon.ctl_running(&["--json", "inbox", "-f", "-a", "--notices"]);
    assert!(text.line().ends_with("first"));
    assert_eq!((&json.json()["text"], &all.json()["text"]), (&"first".into(), &"first".into()));
    let (sent, _) = bounced(&daemon, CLOSED);
    daemon.receive_from(&bob, ["next"]);
    assert!(text.line().contains("> 127.0.0.77:9  hello"));
    assert!(text.line().contains(&format!("! #{sent} bounced: 127.0.0.77 does not listen on port 9")));
    let next: Vec<Value> = (0..2).map(|_| json.json()).collect();
    assert_eq!(types(&next), ["message", "message"]);
    let next: Vec<Value> = (0..3).map(|_| all.json()).collect();
    assert_eq!(types(&next), ["message", "notice", "message"]);
}

#[test]
fn what_bounced_is_new_and_can_be_selected() {
    let daemon = Daemon::start();
    let bob = Peer::new();
    let (sent, notice) = bounced(&daemon, CLOSED);
    daemon.ctl(&["send", &bob.name(), "arrived"]).ok();
    let known = format!("#{sent} bounced: 127.0.0.77 does not listen on port 9");
    // A sent message is not new, what became known of it is.
    let new = daemon.ctl(&["inbox"]).ok();
    assert!(new.contains(&known) && !new.contains("hello") && !new.contains("arrived"), "{new}");
    assert_eq!(daemon.ctl(&["inbox"]).ok(), "");
    let ids = |args: &[&str]| {
        let entries = daemon.ctl(&[&["--json"], args].concat()).json();
        entries.iter().map(|entry| entry["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for command in ["inbox", "export"] {
        assert_eq!(ids(&[command, "--delivery", "bounced"]), [sent]);
        assert_eq!(ids(&[command, "--only", "gaps,notices"]), [notice]);
        assert_eq!(ids(&[command, "--not-from", "127.0.0.77", "--direction", "out"]), [notice + 1]);
    }
    let table = daemon.ctl(&["export", "--format", "csv", "--delivery", "bounced"]).ok();
    assert!(table.ends_with(",hello,bounced,port_unreachable\r\n"), "{table}");
    daemon.ctl(&["inbox", "--delivery", "lost"]).fails(2, &["`bounced` (reported as not delivered)"]);
}

#[test]
fn peers_status_and_doctor_name_a_bounce() {
    let daemon = Daemon::start_with(&format!("[peers.plc]\naddress = '{CLOSED}'\n"), &[]);
    let (sent, _) = bounced(&daemon, "plc");
    let peers = daemon.ctl(&["peers"]).ok();
    assert!(peers.contains("  bounces, "), "{peers}");
    let status = daemon.ctl(&["status"]).ok();
    assert!(status.contains("1 datagram, 0 failed, 1 bounced\n"), "{status}");
    let doctor = daemon.ctl(&["doctor", "plc"]);
    let problem = format!("plc does not listen on port 9: #{sent} bounced at ");
    let seen: String = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        seen.contains(&problem) && seen.contains("`udpchatctl send plc TEXT --when-seen`"),
        "{}",
        doctor.stdout
    );
    assert_eq!(doctor.code, Some(1));
}

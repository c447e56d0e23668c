//! The audit: log lines that name the user of a request, their limits, and the user recorded with sent messages.

use std::fs;

use serde_json::{Value, json};

use super::roles::{ADMINS, READERS, UID, account, config, start};
use crate::support::{Account, Background, Daemon, OtherUser, Peer, Rpc, command_in, eventually, new_folder};

/// Returns those of a daemon's log lines that name a user.
fn deeds(daemon: &mut Daemon) -> Vec<Value> {
    let lines = daemon.log().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    lines.filter(|line| line.get("user").is_some()).collect()
}

#[test]
fn the_log_and_sent_entries_name_the_user() {
    let Some(_) = OtherUser::get() else { return };
    let (mut daemon, peer) = (start(&config(), &[]), Peer::new());
    daemon.receive_from(&peer, ["received"]);
    let mut caller = account(&[ADMINS]).connect(&daemon.socket());
    let steps = [
        ("send", json!({ "to": peer.name(), "text": "s\u{1b}ecret" })),
        ("send", json!({ "to": peer.name(), "text": "0123456789abcdef0123", "split": 16 })),
        ("inbox", json!({})),
        ("inbox", json!({ "grep": "\u{1b}[31m" })),
        ("recode", json!({ "as": "GBK", "dry_run": true })),
        ("recode", json!({ "as": "GBK" })),
        ("\u{1b}[31m", json!({})),
        ("reload", json!({})),
        ("stop", json!({})),
    ];
    for (method, params) in steps {
        let _reply = caller.reply(method, params);
    }
    assert!(daemon.wait().success());
    let _last = daemon.log_line("stopped");
    let lines = deeds(&mut daemon);
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    let asked = ["reload", "stop"].map(|what| format!("asked to {what} through the control socket"));
    assert_eq!(messages, ["sent", "sent", "reads", "recoded", &asked[0], &asked[1]]);
    let user = UID.to_string();
    for line in &lines {
        assert_eq!(
            (&line["user"], &line["uid"], &line["level"]),
            (&json!(user), &json!(UID), &json!("INFO"))
        );
        assert!(line["pid"].as_u64() > Some(0), "{line}");
    }
    let wanted = json!({ "id": 2, "bytes": 7, "peer": peer.name() });
    assert!(wanted.as_object().unwrap().iter().all(|(key, value)| lines[0][key] == *value), "{}", lines[0]);
    let wanted = json!({ "id": 3, "bytes": 20, "datagrams": 2 });
    assert!(wanted.as_object().unwrap().iter().all(|(key, value)| lines[1][key] == *value), "{}", lines[1]);
    assert_eq!(lines[2]["method"], "inbox");
    assert_eq!((&lines[3]["encoding"], &lines[3]["recoded"]), (&json!("gbk"), &json!(1)));
    let log = daemon.log().join("\n");
    assert!(!log.contains("ecret") && !log.contains("[31m"), "{log}");

    let daemon = daemon.start_again();
    let by: Vec<_> = daemon.entries().iter().map(|entry| entry["by"].clone()).collect();
    assert_eq!(by, [Value::Null, json!(user), json!(user), json!(user)]);
}

#[test]
fn the_log_names_a_changed_read_mark_and_what_it_was() {
    let mut daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["1", "2", "3"]);
    let mut rpc = daemon.rpc();
    for id in 1..=2 {
        rpc.call("ack", json!({ "consumer": "shared", "id": id }));
    }
    rpc.call("set_mark", json!({ "consumer": "shared", "id": 1 }));
    rpc.call("ack", json!({ "id": 3 }));
    rpc.call("remove_mark", json!({ "consumer": "shared" }));
    let line = daemon.log_line("removed a read mark");
    assert_eq!((&line["consumer"], &line["before"]), (&json!("shared"), &json!(1)), "{line}");
    let lines = deeds(&mut daemon);
    let moved = lines.iter().filter(|line| line["message"] == "moved a read mark");
    let moved: Vec<_> = moved.map(|line| (line["before"].as_u64(), line["after"].as_u64())).collect();
    assert_eq!(moved, [(None, Some(1)), (Some(2), Some(1))], "{lines:?}");
    assert!(lines.iter().all(|line| line["user"].is_string()), "{lines:?}");
}

#[test]
fn no_user_hides_the_refusals_of_another() {
    let Some(_) = OtherUser::get() else { return };
    let mut daemon = start(&config(), &[]);
    let [mut one, mut other] =
        [UID, UID + 1].map(|uid| Account::new(uid, &[READERS]).connect(&daemon.socket()));
    for _ in 0..20 {
        assert!(one.reply("stop", json!({})).get("error").is_some());
    }
    assert!(other.reply("reload", json!({})).get("error").is_some());
    eventually("a line about each", || {
        let refused = |uid: u32| move |line: &Value| line["level"] == "WARN" && line["uid"] == uid;
        let lines = deeds(&mut daemon);
        (lines.iter().any(refused(UID)) && lines.iter().any(refused(UID + 1))).then_some(())
    });
}

#[test]
fn the_log_names_who_sent_a_refused_message() {
    let mut daemon = Daemon::start();
    // A socket on loopback reaches no other network.
    let error = daemon.rpc().error("send", json!({ "to": "192.0.2.1:9", "text": "x" }));
    assert_eq!(error["data"]["kind"], "send_failed");
    let line = daemon.log_line("could not be sent");
    assert_eq!(line["id"], error["data"]["entry"]);
    assert!(line["error"].is_string() && line["user"].is_string(), "{line}");
    assert_eq!(daemon.entries()[0]["by"], line["user"]);
}

#[test]
fn sends_without_a_reply_are_logged_too() {
    const SENT: usize = 50;
    let mut daemon = Daemon::start();
    let (peer, mut rpc) = (Peer::new(), daemon.rpc());
    // As long as nothing can be stored, nothing is answered.
    let lock = rusqlite::Connection::open(daemon.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let params = json!({ "to": peer.name(), "text": "x" });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "send", "params": params });
    rpc.write(format!("{request}\n").repeat(SENT).as_bytes());
    (0..SENT).for_each(|_| drop(peer.receive()));
    drop((rpc, lock));
    eventually("the log to report all of them", || {
        let log = daemon.log();
        (log.iter().filter(|line| line.contains("\"sent\"")).count() == SENT).then_some(())
    });
    assert_eq!(daemon.entries().len(), SENT);
}

#[test]
fn lines_over_the_limit_are_counted() {
    const SENT: u64 = 200;
    let mut daemon = Daemon::start_with("log.messages_per_second = 5", &[]);
    let peer = Peer::new();
    let mut rpc = daemon.rpc();
    for _ in 0..SENT {
        rpc.call("send", json!({ "to": peer.name(), "text": "x" }));
    }
    eventually("the log to report every message", || {
        let lines = daemon.log().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let (mut sent, mut left_out) = (0, 0);
        for line in lines {
            sent += u64::from(line["message"] == "sent");
            if line["message"].as_str().unwrap().starts_with("sent more messages") {
                left_out += line["left_out"].as_u64().unwrap();
            }
        }
        assert!(sent >= 5 && sent + left_out <= SENT, "{sent} and {left_out}");
        (sent + left_out == SENT).then_some(())
    });
}

#[test]
fn a_stopping_daemon_logs_the_last_count() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "log.messages_per_second = 1").unwrap();
    let mut daemon = Background::start(command_in(folder.path()).args(["--listen", "127.0.0.1:0"]));
    let mut rpc: Rpc = daemon.answers_on(&folder.path().join("s"));
    let peer = Peer::new();
    for _ in 0..9 {
        rpc.call("send", json!({ "to": peer.name(), "text": "x" }));
    }
    rpc.call("stop", json!({}));
    let (ended, lines) = daemon.wait();
    assert!(ended.success());
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let counts =
        lines.map(|line| u64::from(line["message"] == "sent") + line["left_out"].as_u64().unwrap_or(0));
    assert_eq!(counts.sum::<u64>(), 9);
}

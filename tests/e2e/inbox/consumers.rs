//! Read marks: they move over what a reader has taken, new ones say where they begin, and each user has one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use serde_json::{Value, json};

use crate::support::{
    Account, Completed, DEADLINE, Daemon, OtherUser, Peer, available, eventually, read_lines, texts,
};

/// As many messages as fit into a pipe.
const MESSAGES: u64 = 52;

fn having_received(messages: u64) -> Daemon {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (1..=messages).map(|number| number.to_string()));
    daemon
}

/// Returns up to which entry a consumer has read; none if it has no read mark.
fn mark(daemon: &Daemon, consumer: &str) -> Option<u64> {
    let consumers = daemon.rpc().call("consumers", json!({}));
    let consumers = consumers["consumers"].as_array().unwrap();
    consumers.iter().find(|one| one["consumer"] == consumer)?["read"].as_u64()
}

/// Runs a command line in a shell, where `$inbox` reads as the consumer `c`.
fn shell(daemon: &Daemon, line: &str) -> String {
    let inbox = format!(
        "{} -q --socket {} --json inbox --consumer c",
        env!("CARGO_BIN_EXE_udpchatctl"),
        daemon.socket().display()
    );
    let ran = Command::new("sh").args(["-c", line]).env("inbox", inbox).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn a_reader_that_takes_one_message_leaves_the_others_unread() {
    let daemon = having_received(MESSAGES);
    for number in 1..=3 {
        let line: Value = serde_json::from_str(&shell(&daemon, "$inbox | head -1")).unwrap();
        assert_eq!((&line["id"], mark(&daemon, "c")), (&json!(number), Some(number)));
    }
    assert_eq!(shell(&daemon, "$inbox | (read -r a; read -r b; echo 2)"), "2\n");
    assert_eq!(mark(&daemon, "c"), Some(5));
    assert_eq!(shell(&daemon, "$inbox | wc -l").trim(), (MESSAGES - 5).to_string());
    assert_eq!(mark(&daemon, "c"), Some(MESSAGES));
}

#[test]
fn a_reader_that_fails_at_once_leaves_all_unread() {
    let daemon = having_received(MESSAGES);
    for reader in ["false", "no-such-program", "exec 0<&-"] {
        shell(&daemon, &format!("$inbox | {reader}"));
        assert_eq!(mark(&daemon, "c"), Some(0), "{reader}");
    }
}

#[test]
fn a_late_reader_gets_all_and_what_it_takes_counts() {
    let daemon = having_received(MESSAGES);
    let mut inbox = daemon.ctl_start(&["-q", "inbox", "--consumer", "c"]);
    let stdout = inbox.stdout.take().unwrap();
    // It reads nothing before everything is in the pipe.
    eventually("everything to be in the pipe", || {
        let waiting = bytes_in(&stdout);
        (waiting > 1_500).then_some(())
    });
    assert_eq!(mark(&daemon, "c"), Some(0));
    assert!(inbox.try_wait().unwrap().is_none(), "it waits until its reader has taken everything");
    let mut lines = BufReader::with_capacity(1, stdout).lines();
    let line = |text: &str| text.ends_with(" 1");
    assert!(line(&lines.next().unwrap().unwrap()));
    eventually("the first message to count as read", || (mark(&daemon, "c") == Some(1)).then_some(()));
    drop(lines);
    assert!(inbox.wait().unwrap().success());
    assert_eq!(mark(&daemon, "c"), Some(1));
}

#[test]
fn bytes_of_others_in_the_pipe_count_as_nothing_read() {
    const OTHERS: usize = 10_000;
    let daemon = having_received(MESSAGES);
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; OTHERS]).unwrap();
    let mut inbox = daemon.ctl_command(&["-q", "inbox", "--consumer", "c"]).stdout(writer).spawn().unwrap();
    eventually("everything to be in the pipe", || (bytes_in(&reader) > OTHERS as u64 + 1_500).then_some(()));
    assert_eq!(mark(&daemon, "c"), Some(0));
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert!(inbox.wait().unwrap().success());
    assert_eq!((all.lines().count() as u64, mark(&daemon, "c")), (MESSAGES, Some(MESSAGES)));
}

/// Returns how many bytes wait in a pipe.
fn bytes_in(pipe: &impl std::os::fd::AsFd) -> u64 {
    rustix::io::ioctl_fionread(pipe).unwrap()
}

#[test]
fn a_follower_counts_only_what_its_reader_takes() {
    let daemon = having_received(2);
    let mut follower = daemon.ctl_start(&["-q", "--json", "inbox", "-f", "--consumer", "c"]);
    let mut lines = BufReader::with_capacity(1, follower.stdout.take().unwrap()).lines();
    let _two = (lines.next(), lines.next());
    eventually("two messages to count as read", || (mark(&daemon, "c") == Some(2)).then_some(()));
    daemon.receive_from(&Peer::new(), ["3", "4"]);
    let _third = lines.next();
    eventually("three messages to count as read", || (mark(&daemon, "c") == Some(3)).then_some(()));
    // The fourth is in the pipe for longer than the follower waits for a reader.
    sleep(Duration::from_millis(700));
    assert_eq!(mark(&daemon, "c"), Some(3));
    drop(lines);
    assert!(follower.wait().unwrap().success());
    assert_eq!(mark(&daemon, "c"), Some(3));
}

#[test]
fn a_follower_that_is_behind_gives_its_reader_several_at_once() {
    const MANY: u64 = 2_000;
    let daemon = having_received(1);
    let mut follower = daemon.ctl_start(&["-q", "--json", "inbox", "-f", "--consumer", "c"]);
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["id"].as_u64();
    assert_eq!(next(), Some(1));
    let pid = Pid::from_raw(follower.id() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    daemon.receive_from(&Peer::new(), (2..=MANY).map(|number| number.to_string()));
    kill(pid, Signal::SIGCONT).unwrap();
    for id in 2..=MANY {
        assert_eq!(next(), Some(id));
    }
    let counters = fs::read_to_string(format!("/proc/{}/io", follower.id())).unwrap();
    let writes = counters.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap();
    assert!(writes.parse::<u64>().unwrap() < MANY / 2, "{counters}");
    eventually("all to count as read", || (mark(&daemon, "c") == Some(MANY)).then_some(()));
    drop(lines);
    assert!(follower.wait().unwrap().success());
}

#[test]
fn a_follower_ends_when_its_reader_does() {
    let daemon = having_received(1);
    for flag in ["--peek", "--consumer=c"] {
        let mut follower = daemon.ctl_start(&["-q", "inbox", "-f", flag]);
        let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
        assert!(lines.next().is_some());
        drop(lines);
        // No other message comes.
        assert!(eventually("its end", || follower.try_wait().unwrap()).success());
    }
}

#[test]
fn ack_marks_what_a_script_has_done() {
    if !available("jq") {
        return;
    }
    let daemon = having_received(4);
    daemon.ctl(&["-q", "ack", "1", "--consumer", "c"]).ok();
    // The script of the help text, which fails at the third message.
    let script = format!(
        "$inbox --peek | while read -r message; do
           test \"$(printf %s \"$message\" | jq -r .text)\" != 3 &&
           {} -q --socket {} ack --consumer c \"$(printf %s \"$message\" | jq .id)\" || break
         done",
        env!("CARGO_BIN_EXE_udpchatctl"),
        daemon.socket().display()
    );
    shell(&daemon, &script);
    assert_eq!(mark(&daemon, "c"), Some(2));
    assert_eq!(texts(&daemon.ctl(&["--json", "inbox", "--consumer", "c"]).json()), ["3", "4"]);
    assert_eq!(daemon.ctl(&["ack", "#3"]).ok(), "read up to #3, 1 message unread\n");
    assert_eq!(daemon.ctl(&["--json", "ack", "2"]).ok(), "{\"read\":3,\"unread\":1}\n");
    daemon.ctl(&["ack", "２"]).fails(0, &["note: the read mark is at #3 already; it never goes back"]);
    daemon.ctl(&["ack", "5"]).fails(2, &["the newest entry is 4"]);
}

#[test]
fn a_new_consumer_says_where_it_begins() {
    let daemon = having_received(5);
    let read = |args: &[&str]| daemon.ctl(&[&["inbox", "--consumer"], args].concat());
    let oldest = read(&["a"]);
    assert_eq!((oldest.code, oldest.stdout.lines().count()), (Some(0), 5));
    let note = "note: consumer `a` is new: it begins at the oldest entry, #1, with 5 messages; `--start now`";
    assert!(oldest.stderr.starts_with(note), "{oldest:?}");
    let now = read(&["b", "--start", "now"]);
    assert!(now.stdout.is_empty() && now.stderr.contains("`b` is new") && now.stderr.contains("5 messages"));
    let third = read(&["c", "--start", "3"]);
    assert!(third.stdout.starts_with("#3 ") && third.stderr.contains("at entry #3"), "{third:?}");
    let json = daemon.ctl(&["--json", "inbox", "--consumer", "d"]);
    let note: Value = serde_json::from_str(&json.stderr).unwrap();
    let note = &note["note"];
    assert_eq!((&note["kind"], &note["first_id"]), (&json!("new_consumer"), &json!(1)), "{note}");
    assert_eq!((&note["consumer"], &note["messages"]), (&json!("d"), &json!(5)), "{note}");
    daemon.receive_from(&Peer::new(), ["6"]);
    for (consumer, start) in [("a", "now"), ("b", "oldest"), ("c", "1"), ("d", "now")] {
        let Completed { code, stdout, stderr } = read(&[consumer, "--start", start]);
        assert!(stdout.starts_with("#6 ") && stdout.lines().count() == 1, "{consumer}: {stdout}");
        let note = format!(
            "note: --start does nothing: consumer `{consumer}` has the read mark #5; \
             `udpchatctl consumers {consumer} --set START` changes it\n"
        );
        assert_eq!((code, stderr), (Some(0), note));
    }
    let json = daemon.ctl(&["--json", "inbox", "--consumer", "a", "--start", "now"]);
    let note: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(
        (&note["note"]["kind"], &note["note"]["read"]),
        (&json!("start_ignored"), &json!(6)),
        "{note}"
    );
    daemon.ctl(&["-q", "ack", "2"]).ok();
    let own = daemon.ctl(&["inbox", "--peek", "--start", "now"]);
    assert!(own.stderr.contains("`default` has the read mark #2; `udpchatctl consumers default"), "{own:?}");
    read(&["e", "--start", "8"]).fails(2, &["there is no entry #8: the newest is #6", "`now`"]);
    let set = |id| daemon.ctl(&["consumers", "a", "--set", id]);
    set("999").fails(2, &["there is no entry #999: the newest is #6", "`now`"]);
    assert_eq!(set("7").code, Some(0), "what arrives next");
    read(&["e", "--start", "soon"]).fails(2, &["`oldest`, `now` or the id"]);
    assert_eq!(mark(&daemon, "e"), None);
}

#[test]
fn a_new_consumer_without_messages_is_new_only_once() {
    let daemon = Daemon::start();
    assert_eq!(daemon.ctl(&["inbox", "--consumer", "a"]).ok(), "");
    daemon.receive_from(&Peer::new(), ["1"]);
    assert_eq!(daemon.ctl(&["inbox", "--consumer", "a"]).ok().lines().count(), 1);
}

#[test]
fn peeking_makes_no_read_mark() {
    let daemon = having_received(3);
    let peeked = daemon.ctl(&["inbox", "--consumer", "a", "--peek", "--start", "2"]);
    assert!(peeked.stdout.starts_with("#2 ") && peeked.stderr.contains("`a` is new"), "{peeked:?}");
    assert_eq!(mark(&daemon, "a"), None);
}

#[test]
fn consumers_are_listed_set_and_removed() {
    let daemon = having_received(5);
    daemon.ctl(&["consumers"]).fails(0, &["note: no consumer has read yet"]);
    daemon.ctl(&["-q", "inbox", "--consumer", "bot"]).ok();
    daemon.ctl(&["-q", "ack", "2"]).ok();
    let listed = daemon.ctl(&["consumers"]).ok();
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["CONSUMER", "USER", "READ", "UNREAD"]);
    assert_eq!(rows[1..], [["bot", "-", "#5", "0"], ["default", "-", "#2", "3"]]);
    let json = daemon.ctl(&["--json", "consumers", "bot"]).json();
    assert_eq!(json, [json!({ "consumer": "bot", "read": 5, "unread": 0 })]);
    let set = |start| daemon.ctl(&["consumers", "bot", "--set", start]).ok();
    assert_eq!(set("4"), "read up to #3, #4 is next; 2 messages unread\n");
    assert!(daemon.ctl(&["consumers", "bot"]).ok().ends_with(" #3       2\n"));
    assert_eq!(daemon.ctl(&["--json", "consumers", "bot"]).json()[0]["read"], 3);
    assert_eq!(set("oldest"), "nothing is read, #1 is next; 5 messages unread\n");
    assert_eq!(set("now"), "read up to #5, #6 is next; 0 messages unread\n");
    assert_eq!(daemon.ctl(&["consumers", "bot", "--remove"]).ok(), "removed\n");
    for gone in [&["consumers", "bot"][..], &["consumers", "bot", "--remove"]] {
        daemon.ctl(gone).fails(1, &["`bot` has no read mark"]);
    }
    daemon.ctl(&["consumers", "--remove"]).fails(2, &["NAME"]);
}

#[test]
fn the_own_mark_of_another_user_is_found_by_its_name() {
    let daemon = having_received(3);
    // A user that every system has.
    let (name, uid) = ("daemon", User::from_name("daemon").unwrap().unwrap().uid);
    let remove = || daemon.ctl(&["consumers", name, "--remove"]);
    let unknown = remove();
    assert!(!unknown.stderr.contains("is called"), "{unknown:?}");
    unknown.fails(1, &["`daemon` has no read mark", "lists those that have one"]);
    let mark = format!("default@{uid}");
    daemon.ctl(&["-q", "consumers", &mark, "--set", "2"]).ok();
    remove().fails(1, &[&format!("the read mark of user {name} is called `{mark}`")]);
}

#[test]
fn a_misspelt_consumer_is_noticed() {
    let daemon = having_received(3);
    daemon.ctl(&["-q", "ack", "1", "--consumer", "backup"]).ok();
    let note = |args: &[&str]| daemon.ctl(args).stderr;
    let expected = "note: consumer `bakcup` is new; if you meant `backup`, `udpchatctl consumers bakcup --remove` \
                    removes it again\n";
    for args in [&["consumers", "bakcup", "--set", "2"][..], &["ack", "2", "--consumer", "bakcup"]] {
        assert_eq!(note(args), expected, "{args:?}");
        assert_eq!(note(args), "", "{args:?}");
        daemon.ctl(&["consumers", "bakcup", "--remove"]).ok();
    }
    daemon.ctl(&["consumers", "bakcup"]).fails(1, &["has no read mark", "did you mean `backup`?"]);
    daemon.ctl(&["consumers", "bakcup", "--remove"]).fails(1, &["did you mean `backup`?"]);
    assert_eq!(note(&["ack", "1", "--consumer", "alarm"]), "note: consumer `alarm` is new\n");
    assert_eq!(note(&["ack", "1"]), "", "the own mark is never new");
    let new = json!({ "read": 1, "unread": 2, "new": true });
    assert_eq!(daemon.ctl(&["--json", "ack", "1", "--consumer", "log"]).json(), [new]);
}

#[test]
fn waiting_for_a_reader_that_reads_nothing_is_explained() {
    let daemon = having_received(MESSAGES);
    let started = ["text", "json"].map(|consumer| {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = daemon.ctl_command(&["inbox", "--consumer", consumer]);
        if consumer == "json" {
            command.arg("--json");
        }
        let mut inbox = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let said = read_lines(inbox.stderr.take().unwrap());
        (reader, inbox, said)
    });
    for (consumer, (reader, mut inbox, said)) in ["text", "json"].into_iter().zip(started) {
        let line = || said.recv_timeout(DEADLINE).expect("a note");
        assert!(line().contains("is new"));
        let note = line();
        assert!(note.contains("has taken 52 entries, which") && note.contains("use --peek"), "{note}");
        if consumer == "json" {
            let note = &serde_json::from_str::<Value>(&note).unwrap()["note"];
            assert_eq!((&note["kind"], &note["entries"]), (&json!("waiting_for_reader"), &json!(52)));
        }
        drop(reader);
        assert!(inbox.wait().unwrap().success());
        assert_eq!(mark(&daemon, consumer), Some(0));
    }
}

/// A group that no account is in.
const READERS: u32 = 4_000_000_001;

#[test]
fn each_user_has_a_read_mark_of_its_own() {
    let Some(other) = OtherUser::get() else { return };
    let config = format!("[control]\nread = [{READERS}]\n");
    let daemon = Daemon::start_with(&config, &[]);
    fs::set_permissions(daemon.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.receive_from(&Peer::new(), ["1", "2", "3"]);
    let (ann, bob) = (Account::new(4_000_000_100, &[READERS]), Account::new(4_000_000_101, &[READERS]));
    let read = |who: &Account| other.ctl(who, &daemon, &["inbox"]);
    let first = read(&ann);
    assert_eq!(first.stdout.lines().count(), 3, "{first:?}");
    assert!(first.stderr.contains("consumer `default@4000000100` is new"), "{first:?}");
    assert_eq!(read(&ann).ok(), "");
    assert_eq!(read(&bob).stdout.lines().count(), 3);
    let unread = |who: &Account| {
        let status = other.ctl(who, &daemon, &["--json", "status"]).json().remove(0);
        status["inbox"]["unread"].as_u64().unwrap()
    };
    daemon.receive_from(&Peer::new(), ["4"]);
    assert_eq!((unread(&ann), unread(&bob), daemon.status()["inbox"]["unread"].as_u64()), (1, 1, Some(4)));
    assert_eq!(daemon.ctl(&["inbox"]).ok().lines().count(), 4, "root and the daemon's user share a mark");
    assert_eq!(mark(&daemon, "default"), Some(4));
    let mine = ["consumers", "default"];
    assert!(other.ctl(&ann, &daemon, &mine).ok().contains("default@4000000100"));
    // Every user sees all rows, each with its owner.
    let listed = other.ctl(&ann, &daemon, &["consumers"]).ok();
    let rows: Vec<Vec<&str>> = listed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        ["default", "-", "#4", "0"],
        ["default@4000000100", "4000000100", "#3", "1"],
        ["default@4000000101", "4000000101", "#3", "1"],
    ];
    assert_eq!(rows, expected);
    // In JSON, the name of a user stands beside the number, if the user has one.
    let with_name = Account::new(65_534, &[READERS]);
    assert_eq!(read(&with_name).stdout.lines().count(), 4);
    let users = daemon.ctl(&["--json", "consumers"]).json();
    let users: Vec<_> = users.iter().map(|consumer| (&consumer["uid"], &consumer["user"])).collect();
    assert_eq!(users[0], (&Value::Null, &Value::Null));
    assert!(users.contains(&(&json!(65_534), &json!("nobody"))), "{users:?}");
    assert!(users.contains(&(&json!(4_000_000_100_u64), &Value::Null)), "{users:?}");
    let others = ["ack", "4", "--consumer", "default@4000000101"];
    other.ctl(&ann, &daemon, &others).fails(6, &["the read mark of another user"]);
    other.ctl(&bob, &daemon, &others).ok();
    daemon.ctl(&["consumers", "default@4000000101", "--remove"]).ok();
}

#[test]
fn a_script_reads_line_by_line_at_any_speed() {
    let daemon = having_received(6);
    // Slower than the time that a reader gets for a line, so that lines wait for it.
    let script =
        "$inbox | while read -r line; do sleep 0.5; echo; test $((n += 1)) -lt 3 || exit; done | wc -l";
    assert_eq!(shell(&daemon, script).trim(), "3");
    assert_eq!(mark(&daemon, "c"), Some(3));
}

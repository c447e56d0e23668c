//! What goes wrong is told clearly, with the exit code promised, and harms nothing.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Daemon, OtherUser, Peer, Ran, Refused, ctl_without_daemon, eventually, new_folder, texts,
};

// The client.

/// Checks that a run fails with this code and these texts, says nothing on standard output, and says the same as one
/// JSON object with `--json`.
#[track_caller]
fn assert_fails(daemon: &Daemon, args: &[&str], code: i32, texts: &[&str]) {
    let ran = daemon.ctl(args);
    assert_eq!(ran.stdout, "", "{args:?}");
    assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.stderr);
    ran.fails(code, texts);
    assert_one_object(&daemon.ctl(&[&["--json"], args].concat()), code);
}

#[track_caller]
fn assert_one_object(ran: &Ran, code: i32) -> Value {
    assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{ran:#?}");
    let mut object: Value = serde_json::from_str(&ran.stderr).unwrap();
    let error = object["error"].take();
    assert_eq!((ran.code, &error["exit"]), (Some(code), &json!(code)), "{ran:#?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{ran:#?}");
    assert!(error["kind"].as_str().is_some_and(|kind| !kind.is_empty()), "{ran:#?}");
    error
}

#[test]
fn a_peer_or_host_that_nobody_knows_cannot_be_sent_to() {
    let daemon = Daemon::start();
    assert_fails(&daemon, &["send", "nobody-of-this-name", "hi"], 5, &["`nobody-of-this-name`", "hint: "]);
    assert_fails(&daemon, &["send", "nosuch.invalid", "hi"], 5, &["`nosuch.invalid`", "hint: "]);
    assert_fails(&daemon, &["send", "nosuch.invalid:8080", "hi"], 5, &["`nosuch.invalid`", "hint: "]);
    assert!(daemon.entries().is_empty(), "nothing was sent");
}

#[test]
fn a_wrong_message_is_refused_before_it_is_sent() {
    let daemon = Daemon::start();
    let to = &*Peer::new().name();
    for (args, texts) in [
        (&["send", "127.0.0.1:0", "hi"][..], &["port 0 is out of range, 1 to 65535"][..]),
        (&["send", "127.0.0.1:70000", "hi"], &["port 70000 is out of range, 1 to 65535"]),
        (&["send", "127.0.0.1:http", "hi"], &["`http` is no port", "hint: "]),
        (&["send", "a b", "hi"], &["`a b` is no peer, host or address", "hint: "]),
        (&["send", to, ""], &["the message is empty", "--allow-empty"]),
        (&["send", to], &["the message is empty", "--allow-empty"]),
        (&["send", to, "-e", "gbkk", "hi"], &["unknown encoding `gbkk`", "did you mean `gbk`?"]),
        (&["send", to, "--hex", "c4 zz"], &["'z' at position 4", "hint: "]),
        (&["send", to, "--hex", "c4e"], &["the last byte is half"]),
        (&["send", to, "--escape", r"a\q"], &[r"`\q`", r"\xHH"]),
        (&["send", to, "--escape", r"a\x1"], &[r"`\x1`"]),
        (&["reply", "abc", "hi"], &["'abc'", "812"]),
        (&["send"], &["<TO>"]),
    ] {
        assert_fails(&daemon, args, 2, texts);
    }
    assert_fails(&daemon, &["send", to, "-e", "gbk", "a😀"], 5, &["`😀` (U+1F600)", "gb18030"]);
    let long = "x".repeat(65_508);
    assert_fails(&daemon, &["send", to, &long], 5, &["65508", "65507", "--split"]);
    assert!(daemon.entries().is_empty(), "nothing was sent");
}

#[test]
fn an_empty_message_is_sent_where_it_is_meant() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let _receipt = daemon.ctl(&["send", "--allow-empty", &peer.name(), ""]).ok();
    assert_eq!(peer.receive().0, b"");
}

#[test]
fn wrong_filters_are_refused() {
    let daemon = Daemon::start();
    for (args, texts) in [
        (&["inbox", "--grep", "a("][..], &["`grep`: invalid regular expression", "unclosed group"][..]),
        (&["inbox", "--since", "whenever"], &["'whenever' is no time", "yesterday"]),
        (&["inbox", "--until", "2026-13-01"], &["'2026-13-01' is no time", "yesterday"]),
        (&["inbox", "--from", "no one"], &["`no one`", "udpchatctl peers"]),
        (&["inbox", "--consumer", "a b"], &["`consumer` must be 1 to 64"]),
        (&["inbox", "-n", "many"], &["'many'"]),
        (&["inbox", "--peek", "--all"], &["--peek", "--all"]),
    ] {
        assert_fails(&daemon, args, 2, texts);
    }
}

#[test]
fn a_wrong_command_line_is_told_with_what_is_near() {
    let daemon = Daemon::start();
    assert_fails(&daemon, &["status", "--frobnicate"], 2, &["'--frobnicate'", "--help"]);
    assert_fails(&daemon, &["statsu"], 2, &["'statsu'", "'status'"]);
    assert_fails(&daemon, &["inbox", "--folow"], 2, &["'--folow'", "--follow"]);
    assert_fails(&daemon, &[], 2, &["command", "--help"]);
    ctl_without_daemon(&[], &[]).fails(2, &["no command is given", "--help"]);
}

#[test]
fn only_a_message_can_be_replied_to() {
    let daemon = Daemon::start_with("receive_buffer = '4KiB'", &[]);
    assert_fails(&daemon, &["reply", "999", "hi"], 1, &["entry 999 does not exist", "hint: "]);
    let gap = make_gap(&daemon);
    assert_fails(&daemon, &["reply", &gap, "hi"], 1, &[&format!("entry {gap} is a gap")]);
}

/// Sends a halted daemon more than its receive buffer holds; returns the id of the gap.
fn make_gap(daemon: &Daemon) -> String {
    daemon.signal(Signal::SIGSTOP);
    let peer = Peer::new();
    (0..500).for_each(|_| peer.send(daemon.address(), "x"));
    daemon.signal(Signal::SIGCONT);
    eventually("a gap", || {
        Some(daemon.entries().iter().find(|entry| entry["type"] == "gap")?["id"].to_string())
    })
}

#[test]
fn without_a_daemon_the_sockets_that_were_tried_are_named() {
    let folder = new_folder();
    let (home, runtime) = (folder.path().join("home"), folder.path().join("run"));
    let environment = [("HOME", &*home), ("XDG_RUNTIME_DIR", &*runtime)];
    let tried = [
        runtime.join("udpchat/control.sock"),
        home.join(".local/share/udpchat/control.sock"),
        PathBuf::from("/run/udpchat/control.sock"),
    ];
    let tried = tried.each_ref().map(|path| path.to_str().unwrap());
    let ran = ctl_without_daemon(&["status"], &environment);
    assert_eq!(ran.stdout, "");
    ran.fails(3, &[&["no daemon was found", "udpchatd"], &tried[..]].concat());
    let error = assert_one_object(&ctl_without_daemon(&["--json", "status"], &environment), 3);
    assert_eq!(error["kind"], "no_daemon");
    // One that was named is the only one.
    let named = folder.path().join("named");
    let ran = ctl_without_daemon(&["status"], &[("HOME", &home), ("UDPCHAT_SOCKET", &named)]);
    assert!(!ran.stderr.contains("/run/udpchat"), "{}", ran.stderr);
    ran.fails(3, &[named.to_str().unwrap()]);
}

#[test]
fn a_socket_of_another_user_is_told_from_none() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = Daemon::start();
    fs::set_permissions(daemon.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for json in [false, true] {
        let mut command = other.command(env!("CARGO_BIN_EXE_udpchatctl"));
        command.args(json.then_some("--json")).arg("--socket").arg(daemon.socket()).arg("status");
        let ran = ran(command.output().unwrap());
        if json {
            assert_eq!(assert_one_object(&ran, 6)["kind"], "not_permitted");
        } else {
            ran.fails(6, &[daemon.socket().to_str().unwrap(), "root"]);
        }
    }
    assert_eq!(daemon.status()["state"], "ok");
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

// The daemon.

/// Runs a daemon that must not start, with these places.
fn refused(data: &Path, socket: &Path) -> Refused {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    Daemon::refused_by(with_places(command.env_clear(), data, socket))
}

fn with_places<'a>(command: &'a mut Command, data: &Path, socket: &Path) -> &'a mut Command {
    let here = ["--listen", "127.0.0.1:0", "--log-level", "error"];
    command.args(here).arg("--data-dir").arg(data).arg("--socket").arg(socket)
}

#[track_caller]
fn assert_refused(refused: &Refused, texts: &[&str]) {
    let all_there = texts.iter().all(|text| refused.stderr.contains(text));
    assert!(refused.code == Some(1) && all_there, "wanted {texts:?}: {refused:#?}");
    assert!(refused.stderr.starts_with("error: "), "{refused:#?}");
}

#[track_caller]
fn assert_unharmed(daemon: &Daemon) {
    let before = daemon.status()["stored"].as_u64().unwrap();
    daemon.hear(&Peer::new(), ["still here"]);
    let status = daemon.status();
    assert_eq!((&status["stored"], &status["state"]), (&json!(before + 1), &json!("ok")));
    assert_eq!(texts(&daemon.entries()).last(), Some(&"still here"));
}

#[test]
fn a_port_in_use_is_named_with_a_way_to_find_its_holder() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let refused = Daemon::refused(folder.path(), &["--listen", &format!("127.0.0.1:{port}")]);
    let (address, finder) = (format!("127.0.0.1:{port}"), format!("ss -lunp 'sport = :{port}'"));
    assert_refused(&refused, &[&address, "in use", "hint: ", &finder]);
    assert!(!folder.path().join("s").exists(), "no socket is left behind");
}

#[test]
fn an_address_that_is_not_of_this_machine_is_named() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    // TEST-NET-1: nobody's.
    let refused = Daemon::refused(folder.path(), &["--listen", "192.0.2.1:7788"]);
    assert_refused(&refused, &["192.0.2.1:7788", "hint: ", "ip address"]);
}

#[test]
fn a_second_daemon_on_the_same_data_names_the_first_and_harms_nothing() {
    let first = Daemon::start();
    let pid = first.pid().to_string();
    let second = refused(&first.path("data"), &first.path("s2"));
    assert_refused(&second, &[first.path("data").to_str().unwrap(), &pid, "hint: ", "--data-dir"]);
    assert!(!first.path("s2").exists());
    assert_unharmed(&first);
}

#[test]
fn a_second_daemon_on_the_same_socket_names_the_first_and_harms_nothing() {
    let first = Daemon::start();
    let pid = first.pid().to_string();
    let second = refused(&first.path("data2"), &first.socket());
    assert_refused(&second, &[first.socket().to_str().unwrap(), &pid, "hint: ", "--socket"]);
    assert_unharmed(&first);
}

#[test]
fn a_file_in_the_place_of_the_data_directory_is_refused_and_kept() {
    let folder = new_folder();
    let place = folder.path().join("data");
    fs::write(&place, "precious").unwrap();
    for data in [&place, &place.join("below")] {
        assert_refused(&refused(data, &folder.path().join("s")), &[data.to_str().unwrap(), "--data-dir"]);
    }
    assert_eq!(fs::read(&place).unwrap(), b"precious");
}

#[test]
fn a_data_directory_that_may_not_be_written_is_refused() {
    let Some(other) = OtherUser::get() else { return };
    let data = other.folder().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = other.command(env!("CARGO_BIN_EXE_udpchatd"));
    let refused = Daemon::refused_by(with_places(&mut command, &data, &data.join("s")));
    let texts = [data.to_str().unwrap(), "denied", "hint: ", "--data-dir"];
    assert_refused(&refused, &texts);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

/// Makes an inbox with a few messages, and changes its file with SQL while no daemon runs.
fn inbox_changed_by(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let daemon = Daemon::start();
    let payloads: Vec<_> = (0..100).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    daemon.hear(&Peer::new(), &payloads);
    let (folder, _) = daemon.into_folder();
    let path = folder.path().join("data/inbox.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{sql}; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
    // The last one to close takes the write-ahead log away.
    connection.close().unwrap();
    (folder, path)
}

#[track_caller]
fn assert_refused_and_left_as_it_was(folder: &Path, path: &Path, texts: &[&str]) {
    let before = fs::read(path).unwrap();
    let listing = |folder: &Path| -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let names = listing(path.parent().unwrap());
    assert_refused(&refused(path.parent().unwrap(), &folder.join("s")), texts);
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    assert_eq!(listing(path.parent().unwrap()), names);
}

#[test]
fn an_inbox_of_a_newer_version_is_refused_and_left_as_it_was() {
    let (folder, path) = inbox_changed_by("PRAGMA user_version = 99");
    let texts = [path.to_str().unwrap(), "newer", "99", "hint: ", "--data-dir"];
    assert_refused_and_left_as_it_was(folder.path(), &path, &texts);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_was() {
    let (folder, path) = inbox_changed_by("PRAGMA application_id = 77");
    let texts = [path.to_str().unwrap(), "another program", "hint: ", "--data-dir"];
    assert_refused_and_left_as_it_was(folder.path(), &path, &texts);
}

#[test]
fn a_database_with_other_tables_is_refused_and_left_as_it_was() {
    let folder = new_folder();
    let path = folder.path().join("data/inbox.db");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(path.with_file_name("lock"), "").unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE bookmark (url TEXT); INSERT INTO bookmark VALUES ('x')").unwrap();
    other.close().unwrap();
    assert_refused_and_left_as_it_was(folder.path(), &path, &[path.to_str().unwrap(), "another program"]);
}

/// Starts a daemon on a damaged inbox, and checks that it works, says so, and keeps the damaged file.
#[track_caller]
fn assert_set_aside(folder: tempfile::TempDir, damaged: &[u8]) {
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let mut daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let status = daemon.status();
    let problem = status["problems"][0].as_str().unwrap_or_else(|| panic!("{status}")).to_owned();
    assert_eq!(status["state"], "degraded");
    assert!(daemon.log().iter().any(|line| line.contains("damaged")), "{:#?}", daemon.log());
    let kept = fs::read_dir(daemon.path("data")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = kept.filter(|path| problem.contains(path.to_str().unwrap())).collect();
    let kept = kept.iter().max_by_key(|path| path.as_os_str().len()).expect("the problem names the file");
    assert_ne!(*kept, daemon.database());
    assert!(fs::read(kept).unwrap() == damaged, "the file was changed");
    daemon.hear(&Peer::new(), ["anew"]);
    assert_eq!(texts(&daemon.entries()), ["anew"]);
}

#[test]
fn garbage_in_the_place_of_the_inbox_is_set_aside() {
    let garbage = b"no database at all ".repeat(5_000);
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/inbox.db"), &garbage).unwrap();
    assert_set_aside(folder, &garbage);
}

#[test]
fn a_truncated_inbox_is_set_aside() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let whole = fs::read(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    fs::write(&path, half).unwrap();
    assert_set_aside(folder, half);
}

#[test]
fn an_inbox_with_a_damaged_page_is_set_aside() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    assert_set_aside(folder, &bytes);
}

#[test]
fn who_goes_on_behind_a_damaged_inbox_misses_nothing() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let inbox = |daemon: &Daemon| daemon.status()["inbox"].take();
    let begun = inbox(&daemon);
    assert_eq!((&begun["entries"], &begun["oldest_id"], &begun["unread"]), (&json!(0), &json!(0), &json!(0)));
    assert!(begun["newest_id"].as_u64() > Some(100), "{begun}");
    // Also if the daemon is started again before anything has come.
    let daemon = daemon.start_again();
    assert_eq!(inbox(&daemon)["newest_id"], begun["newest_id"]);
    // The one who had read all there was, at the damaged inbox.
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 100 }));
    daemon.hear(&Peer::new(), ["anew"]);
    assert_eq!(follower.entry()["text"], "anew");
    assert_eq!(texts(&daemon.rpc().entries(json!({ "after": 100 }))), ["anew"]);
    let after = inbox(&daemon);
    assert_eq!(
        (&after["entries"], &after["unread"], &after["oldest_id"]),
        (&json!(1), &json!(1), &after["newest_id"])
    );
    assert_eq!(after["newest_id"].as_u64(), begun["newest_id"].as_u64().map(|newest| newest + 1));
}

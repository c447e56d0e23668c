//! `udpchatd --backup`: a copy of the inbox with and without a running daemon, and its restoration.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Background, Completed, Daemon, OtherUser, Peer, available, command_in, eventually, ids, new_folder, texts,
};

const NOBODY: u32 = 65_534;

/// Copies the inbox of a folder to a file.
fn backup(folder: &Path, file: &Path) -> Completed {
    ran(command_in(folder).arg("--backup").arg(file))
}

fn ran(command: &mut Command) -> Completed {
    let output = command.stdout(std::process::Stdio::piped()).output().unwrap();
    Completed {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Starts a daemon on a copy.
fn restored(copy: &Path) -> Daemon {
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    fs::copy(copy, folder.path().join("data/inbox.db")).unwrap();
    start_in(folder)
}

fn start_in(folder: tempfile::TempDir) -> Daemon {
    Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()])
}

fn pragma(copy: &Path, name: &str) -> i64 {
    let connection = Connection::open(copy).unwrap();
    connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[test]
fn a_backup_under_load_is_consistent_and_restorable() {
    let daemon = Daemon::start();
    let (peer, other) = (Peer::new(), Peer::new());
    other.send_text(daemon.address(), "你好，世界", encoding_rs::GBK);
    daemon.stored(1);
    daemon.receive_from(&peer, (0..3_000).map(|number| format!("message {number}")));
    daemon.rpc().call("ack", json!({ "consumer": "script", "id": 1_500 }));
    daemon.rpc().call("ack", json!({ "id": 2_000 }));
    let before = daemon.status()["inbox"]["newest_id"].as_u64().unwrap();
    let copy = daemon.path("copy.db");
    let line = std::thread::scope(|scope| {
        let copying = scope.spawn(|| backup(daemon.folder.path(), &copy).ok());
        while !copying.is_finished() {
            daemon.receive_from(&peer, (0..50).map(|number| format!("meanwhile {number}")));
        }
        copying.join().unwrap()
    });
    let entries = daemon.entries();
    let restored = restored(&copy);
    let put_back = restored.entries();
    assert!(put_back.len() as u64 >= before && put_back[..] == entries[..put_back.len()]);
    let last = put_back.len();
    assert!(line.starts_with(&format!("{last} entries, the newest #{last}, ")), "{line}");
    let source = format!("iB, from {}: {}\n", daemon.database().display(), copy.display());
    assert!(line.ends_with(&source), "{line}");
    let unread = |params: Value| restored.rpc().call("inbox", params)["unread"].as_u64().unwrap();
    assert_eq!(unread(json!({ "consumer": "script", "limit": 1 })), last as u64 - 1_500);
    assert_eq!(unread(json!({ "limit": 1 })), last as u64 - 2_000);
    // Learned encodings are in it too: two of these bytes alone would not be detected.
    let peers = restored.rpc().call("peers", json!({}));
    let known =
        peers["peers"].as_array().unwrap().iter().find(|peer| peer["address"] == other.name()).unwrap();
    assert_eq!(known["encoding_by"], "remembered");
    restored.receive_from(&peer, ["after"]);
    assert_eq!(ids(&restored.entries()).last(), Some(&(last as u64 + 1)));
    assert_eq!(daemon.status()["state"], "ok");
}

#[test]
fn a_backup_is_private_and_has_the_inbox_format() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), ["one", "two"]);
    let copy = daemon.path("copy.db");
    let _line = backup(daemon.folder.path(), &copy).ok();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    for name in ["application_id", "user_version", "page_size", "auto_vacuum"] {
        assert_eq!(pragma(&copy, name), pragma(&daemon.database(), name), "{name}");
    }
    let left = names(daemon.folder.path());
    assert!(left.iter().all(|name| name == "copy.db" || !name.starts_with("copy.db")), "{left:?}");
    // A relative path is enough.
    let short =
        ran(command_in(daemon.folder.path()).current_dir(daemon.folder.path()).args(["--backup", "c"]));
    assert_eq!(short.ok().split(": ").last(), Some("c\n"));
}

#[test]
fn the_copy_of_an_empty_inbox_has_no_newest_entry() {
    let daemon = Daemon::start();
    let line = backup(daemon.folder.path(), &daemon.path("copy.db")).ok();
    assert!(line.starts_with("no entries, "), "{line}");
}

#[test]
fn a_gap_for_several_ids_is_no_hole() {
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..30).map(|number| number.to_string()));
    let (folder, _) = daemon.into_folder();
    let inbox = Connection::open(folder.path().join("data/inbox.db")).unwrap();
    let gap = "DELETE FROM entry WHERE id BETWEEN 1 AND 5 OR id BETWEEN 11 AND 20;
        INSERT INTO entry (id, at_ns, kind, detail) VALUES
            (5, 1, 2, '{\"lost\":5,\"reason\":\"damaged\",\"first_id\":1}'),
            (20, 1, 2, '{\"lost\":10,\"reason\":\"damaged\",\"first_id\":11}')";
    inbox.execute_batch(gap).unwrap();
    let copy = folder.path().join("copy.db");
    assert!(backup(folder.path(), &copy).ok().starts_with("17 entries, the newest #30"));
    inbox.execute("DELETE FROM entry WHERE id = 25", []).unwrap();
    backup(folder.path(), &folder.path().join("other.db")).fails(1, &["of 30 ids it has 29"]);
}

#[test]
fn a_backup_replaces_no_file() {
    let daemon = Daemon::start();
    let copy = daemon.path("copy.db");
    fs::write(&copy, "precious").unwrap();
    backup(daemon.folder.path(), &copy).fails(1, &["copy.db is already there", "hint: "]);
    assert_eq!(fs::read(&copy).unwrap(), b"precious");
    let link = daemon.path("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    backup(daemon.folder.path(), &link).fails(1, &["link is already there"]);
    let missing = daemon.path("no/folder");
    let error = format!("cannot write {}\n", missing.display());
    backup(daemon.folder.path(), &missing).fails(1, &[&error, "No such file"]);
}

#[test]
fn a_refused_inbox_is_neither_copied_nor_changed() {
    for (sql, texts) in [
        ("PRAGMA user_version = 99", &["newer", "99", "hint: "][..]),
        ("PRAGMA application_id = 77", &["another program", "hint: "]),
    ] {
        let folder = Daemon::start().into_folder().0;
        let connection = Connection::open(folder.path().join("data/inbox.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let before =
            (fs::read(folder.path().join("data/inbox.db")).unwrap(), names(&folder.path().join("data")));
        backup(folder.path(), &folder.path().join("copy")).fails(1, texts);
        let after =
            (fs::read(folder.path().join("data/inbox.db")).unwrap(), names(&folder.path().join("data")));
        assert!(after == before, "{sql}");
        assert!(!names(folder.path()).iter().any(|name| name.starts_with("copy")));
    }
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    backup(folder.path(), &folder.path().join("copy")).fails(1, &["there is no ", "inbox.db", "hint: "]);
    assert_eq!(names(folder.path()), ["config.toml"], "nothing is made");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/inbox.db"), "garbage").unwrap();
    backup(folder.path(), &folder.path().join("copy")).fails(1, &["damaged", "hint: "]);
}

#[test]
fn an_older_schema_is_copied_unchanged() {
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/inbox/databases/schema-1");
    for suffix in ["", "-wal"] {
        let name = format!("data/inbox.db{suffix}");
        fs::copy(old.join(format!("killed.db{suffix}")), folder.path().join(name)).unwrap();
    }
    let copy = folder.path().join("copy.db");
    let line = backup(folder.path(), &copy).ok();
    let entries = fs::read_to_string(old.join("entries.jsonl")).unwrap().lines().count();
    assert!(line.starts_with(&format!("{entries} entries, the newest #{entries}, ")), "{line}");
    assert_eq!(pragma(&copy, "user_version"), 1);
    let read = |name: &str| fs::read(folder.path().join("data").join(name)).unwrap();
    for suffix in ["", "-wal"] {
        let original = fs::read(old.join(format!("killed.db{suffix}"))).unwrap();
        assert!(read(&format!("inbox.db{suffix}")) == original, "inbox.db{suffix} was changed");
    }
}

/// An inbox of another user, and whether its daemon runs.
struct Theirs {
    other: OtherUser,
    daemon: Option<Background>,
}

impl Theirs {
    /// Makes another user's daemon receive a message.
    fn with_message() -> Option<Self> {
        let other = OtherUser::get()?;
        let folder = other.folder().join("theirs");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.toml"), "").unwrap();
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut daemon = Background::start(&mut Self::command(&other, &["--listen", "127.0.0.1:0"]));
        let mut rpc = daemon.answers_on(&folder.join("s"));
        let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
        Peer::new().send(address, "theirs");
        eventually("the message", || (rpc.call("status", json!({}))["stored"] == 1).then_some(()));
        Some(Self { other, daemon: Some(daemon) })
    }

    /// Prepares a daemon of that user.
    fn command(other: &OtherUser, flags: &[&str]) -> Command {
        let prepared = command_in(&other.folder().join("theirs"));
        let mut command = other.command(env!("CARGO_BIN_EXE_udpchatd"));
        command.args(prepared.get_args()).args(flags);
        command
    }

    fn folder(&self) -> PathBuf {
        self.other.folder().join("theirs")
    }

    fn end(&mut self, signal: Signal) {
        let daemon = self.daemon.take().unwrap();
        daemon.signal(signal);
        let _ended = daemon.wait();
    }

    /// Makes a copy as root, and one as that user; checks both, and that nothing in the data directory is root's.
    #[track_caller]
    fn copied_by_both(&self, case: &str) {
        let by_root = self.folder().join(format!("root-{case}"));
        let line = backup(&self.folder(), &by_root).ok();
        assert!(line.starts_with("1 entry, the newest #1, "), "{line}");
        assert_eq!(fs::metadata(&by_root).unwrap().uid(), 0);
        self.nothing_is_roots(case);
        let own = self.folder().join(format!("own-{case}"));
        let line = ran(&mut Self::command(&self.other, &["--backup", own.to_str().unwrap()])).ok();
        assert!(line.starts_with("1 entry, the newest #1, "), "{line}");
        self.nothing_is_roots(case);
        for copy in [by_root, own] {
            assert_eq!(texts(&restored(&copy).entries()), ["theirs"], "{case}");
        }
    }

    #[track_caller]
    fn nothing_is_roots(&self, case: &str) {
        for name in names(&self.folder().join("data")) {
            let owner = fs::metadata(self.folder().join("data").join(&name)).unwrap().uid();
            assert_eq!(owner, NOBODY, "{name}, {case}");
        }
    }
}

#[test]
fn a_backup_by_root_leaves_no_root_files() {
    let Some(mut theirs) = Theirs::with_message() else { return };
    let data = theirs.folder().join("data");
    theirs.copied_by_both("running");
    theirs.end(Signal::SIGKILL);
    theirs.copied_by_both("killed");
    fs::remove_file(data.join("inbox.db-shm")).unwrap();
    theirs.copied_by_both("killed, without the index of its log");
    // After another daemon has used it and was stopped.
    theirs.daemon =
        Some(Background::start(&mut Theirs::command(&theirs.other, &["--listen", "127.0.0.1:0"])));
    let socket = theirs.folder().join("s");
    let _rpc = theirs.daemon.as_mut().unwrap().answers_on(&socket);
    theirs.end(Signal::SIGTERM);
    theirs.copied_by_both("stopped");
    for suffix in ["-wal", "-shm"] {
        // The second one is there only as long as the first.
        let _none = fs::remove_file(data.join(format!("inbox.db{suffix}")));
    }
    let before = names(&data);
    theirs.copied_by_both("moved here");
    assert_eq!(names(&data), before, "files created by reading are removed");
    // And the daemon can still use it.
    let mut daemon = Background::start(&mut Theirs::command(&theirs.other, &["--listen", "127.0.0.1:0"]));
    let mut rpc = daemon.answers_on(&theirs.folder().join("s"));
    assert_eq!(texts(&rpc.entries(json!({ "after": 0 }))), ["theirs"]);
}

#[test]
fn a_restored_inbox_ignores_an_old_write_ahead_log() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    daemon.receive_from(&peer, ["one", "two"]);
    let copy = daemon.path("copy.db");
    let _line = backup(daemon.folder.path(), &copy).ok();
    daemon.receive_from(&peer, (0..500).map(|number| format!("later {number}")));
    let (folder, _) = daemon.into_folder();
    assert!(fs::metadata(folder.path().join("data/inbox.db-wal")).unwrap().len() > 0);
    fs::rename(folder.path().join("copy.db"), folder.path().join("data/inbox.db")).unwrap();
    let mut daemon = start_in(folder);
    assert_eq!(texts(&daemon.entries()), ["one", "two"]);
    assert!(daemon.log().iter().any(|line| line.contains("was moved to")), "{:?}", daemon.log());
    assert!(
        names(&daemon.path("data")).iter().any(|name| name.contains(".stray-") && name.ends_with("-wal"))
    );
}

#[test]
fn an_interrupted_backup_leaves_no_file() {
    if !available("strace") {
        return;
    }
    let daemon = Daemon::start();
    daemon.receive_from(&Peer::new(), (0..100).map(|number| format!("{number:5000}")));
    let folder = daemon.folder.path();
    let prepared = command_in(folder);
    // It writes some 40 pages, each as if the disk were slow: it has seconds to go when it is interrupted.
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(folder.join("trace"));
    strace.args(["-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=200000"]);
    strace.arg(prepared.get_program()).args(prepared.get_args()).arg("--backup").arg(folder.join("copy"));
    let running = Background::start(strace.env_clear().env("HOME", folder));
    let pid = eventually("the copy to be begun", || {
        let names = names(folder);
        let writing = names.iter().any(|name| name.starts_with("copy.part-") && name.ends_with("-journal"));
        let part = names.iter().find_map(|name| name.strip_prefix("copy.part-")?.parse().ok());
        part.filter(|_| writing)
    });
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let (_ended, lines) = running.wait();
    assert!(lines.iter().any(|line| line.contains("interrupted; there is no backup")), "{lines:?}");
    assert!(!names(folder).iter().any(|name| name.starts_with("copy")), "{:?}", names(folder));
}

#[test]
fn a_copy_that_takes_the_place_of_the_inbox_keeps_what_is_held_and_is_not_logged_as_received() {
    let (other, mut daemon) = (Daemon::start(), Daemon::start());
    let peer = Peer::new();
    other.receive_from(&peer, ["old 1", "old 2", "old 3"]);
    other.ctl(&["send", "127.0.0.77:9", "kept", "--when-seen"]).ok();
    let copy = other.path("copy.db");
    backup(other.folder.path(), &copy).ok();
    for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
        let _may_be_absent = fs::remove_file(daemon.path("data").join(name));
    }
    // Whole at once: half a copy is a damaged inbox.
    let beside = daemon.path("data").join("copy.db");
    fs::copy(&copy, &beside).unwrap();
    fs::rename(beside, daemon.database()).unwrap();
    // The file is compared with its name once a second at most, before something is stored.
    eventually("the copy to be noticed", || {
        peer.send(daemon.address(), "new");
        daemon.status()["problems"].to_string().contains("removed or replaced").then_some(())
    });
    let held = daemon.ctl(&["held"]);
    assert!(held.stdout.contains("127.0.0.77:9"), "{held:?}");
    peer.send(daemon.address(), "last");
    let received = daemon.log_with("\"last\"");
    assert!(received.contains("received"), "{received}");
    let log = daemon.log().join("\n");
    assert!(!log.contains("old 1") && !log.contains("18446744"), "{log}");
    let entries = daemon.entries();
    let old: Vec<_> = entries.iter().filter_map(|entry| entry["text"].as_str()).take(3).collect();
    assert_eq!(old, ["old 1", "old 2", "old 3"]);
    // Numbers of held messages are not used twice.
    daemon.ctl(&["send", "127.0.0.77:9", "another", "--when-seen"]).ok();
    assert_eq!(daemon.start_again().rpc().call("held", json!({}))["held"].as_array().map(Vec::len), Some(2));
}

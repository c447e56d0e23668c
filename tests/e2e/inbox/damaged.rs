//! Foreign, newer and damaged files at the path of the inbox.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Daemon, Peer, new_folder, texts};

/// Creates an inbox with a few messages, and changes its file with SQL while no daemon runs.
fn inbox_changed_by(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let daemon = Daemon::start();
    let payloads: Vec<_> = (0..100).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    daemon.receive_from(&Peer::new(), &payloads);
    let (folder, _) = daemon.into_folder();
    let path = folder.path().join("data/inbox.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{sql}; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
    // Closing the last connection removes the write-ahead log.
    connection.close().unwrap();
    (folder, path)
}

#[track_caller]
fn assert_refused_unchanged(folder: &Path, path: &Path, texts: &[&str]) {
    let before = fs::read(path).unwrap();
    let listing = |folder: &Path| -> Vec<_> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let names = listing(path.parent().unwrap());
    Daemon::refused_at(path.parent().unwrap(), &folder.join("s")).fails(texts);
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    assert_eq!(listing(path.parent().unwrap()), names);
}

#[test]
fn an_inbox_of_a_newer_version_is_refused_unchanged() {
    let (folder, path) = inbox_changed_by("PRAGMA user_version = 99");
    let texts = [path.to_str().unwrap(), "newer", "99", "hint: ", "--data-dir"];
    assert_refused_unchanged(folder.path(), &path, &texts);
}

#[test]
fn a_database_of_another_program_is_refused_unchanged() {
    let (folder, path) = inbox_changed_by("PRAGMA application_id = 77");
    let texts = [path.to_str().unwrap(), "another program", "hint: ", "--data-dir"];
    assert_refused_unchanged(folder.path(), &path, &texts);
}

#[test]
fn a_database_with_other_tables_is_refused_unchanged() {
    let folder = new_folder();
    let path = folder.path().join("data/inbox.db");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(path.with_file_name("lock"), "").unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE bookmark (url TEXT); INSERT INTO bookmark VALUES ('x')").unwrap();
    other.close().unwrap();
    assert_refused_unchanged(folder.path(), &path, &[path.to_str().unwrap(), "another program"]);
}

/// Starts a daemon on a damaged inbox, and checks that it works, reports the damage, and keeps the damaged file.
#[track_caller]
fn assert_quarantined(folder: tempfile::TempDir, damaged: &[u8]) {
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
    daemon.receive_from(&Peer::new(), ["new"]);
    assert_eq!(texts(&daemon.entries()), ["new"]);
}

#[test]
fn a_file_that_is_no_database_is_quarantined() {
    let garbage = b"no database at all ".repeat(5_000);
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/inbox.db"), &garbage).unwrap();
    assert_quarantined(folder, &garbage);
}

#[test]
fn a_truncated_inbox_is_quarantined() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let whole = fs::read(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    fs::write(&path, half).unwrap();
    assert_quarantined(folder, half);
}

#[test]
fn an_inbox_with_a_damaged_page_is_quarantined() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    assert_quarantined(folder, &bytes);
}

#[test]
fn readers_continue_after_a_damaged_inbox() {
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
    // A consumer that had read all of the damaged inbox.
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 100 }));
    daemon.receive_from(&Peer::new(), ["new"]);
    assert_eq!(follower.entry()["text"], "new");
    assert_eq!(texts(&daemon.rpc().entries(json!({ "after": 100 }))), ["new"]);
    let after = inbox(&daemon);
    assert_eq!(
        (&after["entries"], &after["unread"], &after["oldest_id"]),
        (&json!(1), &json!(1), &after["newest_id"])
    );
    assert_eq!(after["newest_id"].as_u64(), begun["newest_id"].as_u64().map(|newest| newest + 1));
}

//! An inbox that is damaged again after it was recovered. Its ids continue far behind those of the damaged log, and the ones between
//! were never used.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::damaged::inbox_changed_by;
use crate::support::{Daemon, Peer, eventually};

/// Starts a daemon on a damaged inbox. Returns how many entries its problem says are lost.
#[track_caller]
fn recovered(folder: tempfile::TempDir) -> (Daemon, u64) {
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let problem = eventually("the recovery", || {
        let problems = daemon.status()["problems"].to_string();
        problems.contains("were recovered").then_some(problems)
    });
    let lost = problem.split("were recovered, ").nth(1).and_then(|rest| rest.split(' ').next());
    let lost = lost.and_then(|lost| lost.parse().ok()).unwrap_or_else(|| panic!("{problem}"));
    (daemon, lost)
}

/// Stops a daemon after it has received messages 101 to 150.
fn stopped(daemon: Daemon) -> tempfile::TempDir {
    let payloads: Vec<_> = (100..150).map(|number| format!("{number} {}", "x".repeat(1_000))).collect();
    daemon.receive_from(&Peer::new(), &payloads);
    assert!(daemon.status()["inbox"]["newest_id"].as_u64() > Some(1_000_000));
    with_whole_file(daemon)
}

/// Stops a daemon, whose write-ahead log is copied into the file.
fn with_whole_file(daemon: Daemon) -> tempfile::TempDir {
    let (folder, _) = daemon.into_folder();
    let connection = Connection::open(folder.path().join("data/inbox.db")).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    connection.close().unwrap();
    folder
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, &bytes).unwrap();
}

/// Returns how many messages an inbox has, and for how many its gaps stand.
fn messages_and_lost(daemon: &Daemon) -> (u64, u64) {
    let entries = daemon.entries();
    let messages = entries.iter().filter(|entry| entry["type"] == "message").count() as u64;
    (messages, entries.iter().filter_map(|entry| entry["lost"].as_u64()).sum())
}

#[test]
fn a_second_damage_counts_no_unused_id_as_lost() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    // As on a copy, whose newest id is not certain.
    fs::remove_file(path.with_file_name("books")).unwrap();
    change(&path, |bytes| {
        // Behind the first pages of all tables.
        let start = bytes.len() / 3 * 2;
        bytes[start..start + 40_000].fill(0x5a);
    });
    let (daemon, first) = recovered(folder);
    assert!((1..80).contains(&first), "{first}");
    // Only the schema is damaged, which holds no entry.
    let folder = stopped(daemon);
    let path = folder.path().join("data/inbox.db");
    change(&path, |bytes| bytes[..8_192].fill(0xa5));
    let (daemon, second) = recovered(folder);
    assert_eq!((second, messages_and_lost(&daemon)), (0, (150 - first, first)));
    let entries = daemon.status()["inbox"]["entries"].as_u64();
    assert_eq!(entries, Some(daemon.entries().len() as u64));
    // The first messages behind the ids that were not used.
    let folder = with_whole_file(daemon);
    let has = |page: &[u8]| page[0] == 13 && page.windows(6).any(|part| part == b"100 xx");
    change(&path, |bytes| bytes.chunks_mut(16_384).find(|page| has(page)).unwrap().fill(0));
    let (daemon, third) = recovered(folder);
    assert!((1..40).contains(&third), "{third}");
    assert_eq!(messages_and_lost(&daemon), (150 - first - third, first + third));
}

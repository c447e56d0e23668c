//! Foreign, newer and damaged files at the path of the inbox.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::json;

use crate::support::{
    Background, DEADLINE, Daemon, Peer, can_mount, command_in, eventually, eventually_within, id, new_folder,
    texts,
};

/// Creates an inbox with a few messages, and changes its file with SQL while no daemon runs.
pub(super) fn inbox_changed_by(sql: &str) -> (tempfile::TempDir, PathBuf) {
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

/// Starts a daemon on a damaged inbox that had the messages 1 to 100, waits for the end of the recovery, and checks that each id
/// has its message or a gap, and that no id is used again. Returns how many messages are missing.
#[track_caller]
fn assert_recovered(folder: tempfile::TempDir) -> (Daemon, u64) {
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let problems = eventually("the recovery", || {
        let problems = daemon.status()["problems"].to_string();
        (problems.contains("were recovered") || problems.contains("has lost its newest")).then_some(problems)
    });
    assert!(problems.contains("recovered") == kept_files(&daemon), "{problems}");
    daemon.receive_from(&Peer::new(), ["new"]);
    let (mut next, mut lost) = (1, 0);
    let mut entries = daemon.entries();
    let new = entries.pop().unwrap();
    assert_eq!((&new["text"], &new["id"]), (&json!("new"), &json!(101)));
    for entry in entries {
        let first = entry["first_id"].as_u64().unwrap_or(id(&entry));
        assert_eq!(first, next, "{entry}");
        next = id(&entry) + 1;
        if entry["type"] == "gap" {
            assert_eq!((&entry["reason"], entry["lost"].as_u64()), (&json!("damaged"), Some(next - first)));
            lost += next - first;
        } else {
            assert!(entry["text"].as_str().unwrap().starts_with(&format!("{} x", first - 1)), "{entry}");
        }
    }
    assert_eq!(next, 101);
    assert_eq!(daemon.status()["inbox"]["unread"].as_u64(), Some(101 - lost));
    (daemon, lost)
}

fn kept_files(daemon: &Daemon) -> bool {
    let names = fs::read_dir(daemon.path("data")).unwrap().map(|file| file.unwrap().file_name());
    names.into_iter().any(|name| name.to_str().unwrap().contains(".damaged-"))
}

#[test]
fn a_truncated_inbox_is_recovered() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 4 * 3]).unwrap();
    let (daemon, lost) = assert_recovered(folder);
    assert!((1..80).contains(&lost), "{lost}");
    let shown = daemon.ctl(&["inbox", "-a"]).ok();
    assert!(shown.contains("lost here: the inbox was damaged (#"), "{shown}");
}

#[test]
fn an_inbox_with_damaged_pages_is_recovered_around_them() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let mut bytes = fs::read(&path).unwrap();
    // Behind the first pages of all tables.
    let start = bytes.len() / 3 * 2;
    bytes[start..start + 40_000].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let (daemon, lost) = assert_recovered(folder);
    assert!((20..70).contains(&lost), "{lost}");
    // What was recovered is the inbox of the next daemon, which has no problem.
    let entries = daemon.entries();
    let daemon = daemon.start_again();
    assert_eq!((daemon.entries(), &daemon.status()["state"]), (entries, &json!("ok")));
}

#[test]
fn a_changed_bit_in_the_header_loses_nothing() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    let sound = fs::read(&path).unwrap();
    let data = path.parent().unwrap();
    for (byte, bit) in [(18, 0), (47, 0), (55, 0), (59, 1), (62, 0), (63, 1), (63, 2), (68, 5), (71, 7)] {
        let copy = new_folder();
        fs::create_dir(copy.path().join("data")).unwrap();
        for file in ["inbox.db", "books"] {
            fs::copy(data.join(file), copy.path().join("data").join(file)).unwrap();
        }
        let mut changed = sound.clone();
        changed[byte] ^= 1 << bit;
        fs::write(copy.path().join("data/inbox.db"), changed).unwrap();
        fs::write(copy.path().join("config.toml"), "").unwrap();
        let (daemon, lost) = assert_recovered(copy);
        assert_eq!(lost, 0, "byte {byte}, bit {bit}");
        drop(daemon);
    }
    drop(folder);
}

#[test]
fn an_id_within_a_damaged_range_is_lost() {
    let gap = r#"{"lost":11,"reason":"damaged","first_id":40}"#;
    let (folder, _) = inbox_changed_by(&format!(
        "DELETE FROM entry WHERE id BETWEEN 40 AND 50 OR id BETWEEN 60 AND 70;
         INSERT INTO entry (id, at_ns, kind, detail) VALUES (50, 1, 2, '{gap}')"
    ));
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    for (ids, id) in [("40", 40), ("45", 45), ("41-44", 41)] {
        let lost = format!("entry #{id} is lost: the inbox was damaged up to #50");
        let gap = format!("`udpchatctl inbox {id}-50` shows the gap");
        let ran = daemon.ctl(&["inbox", ids]);
        assert_eq!(ran.stdout, "", "{ids}");
        ran.fails(1, &[&lost, &gap]);
    }
    let gap = daemon.ctl(&["inbox", "40-50"]).ok();
    assert!(gap.contains("11 datagrams lost here: the inbox was damaged (#40 to #50)"), "{gap}");
    assert!(daemon.ctl(&["inbox", "39-44"]).ok().starts_with("#39 "));
    // Nothing has noticed these yet.
    daemon.ctl(&["inbox", "65"]).fails(1, &["entry #65 is lost: the inbox was damaged up to #70"]);
}

#[test]
fn an_emptied_inbox_leaves_a_gap_and_reuses_no_id() {
    let (folder, path) = inbox_changed_by("SELECT 1");
    fs::write(&path, b"").unwrap();
    let (_daemon, lost) = assert_recovered(folder);
    assert_eq!(lost, 100);
}

#[test]
fn an_older_copy_leaves_a_gap_up_to_the_newest_id() {
    let (folder, path) = inbox_changed_by("DELETE FROM entry WHERE id > 60");
    let copy = fs::metadata(&path).unwrap().ino();
    let (daemon, lost) = assert_recovered(folder);
    let entries = daemon.entries();
    let gap = &entries[60];
    assert_eq!((lost, entries.len(), &gap["first_id"], id(gap)), (40, 62, &json!(61), 100));
    assert_eq!(fs::metadata(&path).unwrap().ino(), copy, "the daemon continues with the copy");
}

#[test]
fn a_changed_bit_in_the_write_ahead_log_loses_one_page_at_most() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    for number in 0..100 {
        daemon.receive_from(&peer, [format!("{number} {}", "x".repeat(1_000))]);
    }
    daemon.signal(Signal::SIGKILL);
    let _ended = daemon.wait();
    let log = daemon.path("data").join("inbox.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, bytes).unwrap();
    let (folder, _) = daemon.into_folder();
    let (daemon, lost) = assert_recovered(folder);
    assert!(lost < 20, "{lost}");
    drop(daemon);
}

/// An inbox of the messages 1 to 100 that was damaged and moved away; the data directory has a new one.
struct MovedAway {
    folder: tempfile::TempDir,
    flags: Vec<String>,
    aside: PathBuf,
}

impl MovedAway {
    /// Zeroes one of the pages, which `choose` chooses by its number among all of them.
    fn new(choose: impl FnOnce(&[&[u8]]) -> usize) -> Self {
        let (folder, path) = inbox_changed_by("SELECT 1");
        let aside = folder.path().join("old.db");
        let mut bytes = fs::read(&path).unwrap();
        let page = choose(&bytes.chunks(16_384).collect::<Vec<_>>());
        bytes[page * 16_384..(page + 1) * 16_384].fill(0);
        fs::write(&aside, bytes).unwrap();
        // As if an older version had started a new inbox.
        for name in ["inbox.db", "books"] {
            fs::remove_file(path.with_file_name(name)).unwrap();
        }
        fs::write(path.with_file_name("inbox.db.damaged-before"), "nothing").unwrap();
        fs::write(folder.path().join("config.toml"), "").unwrap();
        let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        daemon.receive_from(&Peer::new(), ["new"]);
        let (folder, flags) = daemon.into_folder();
        Self { folder, flags, aside }
    }

    fn recover(&self, file: &Path) -> Output {
        let mut command = command_in(self.folder.path());
        command.arg("--recover").arg(file).stdout(Stdio::piped()).output().unwrap()
    }

    fn start(self) -> Daemon {
        Daemon::start_in(self.folder, self.flags)
    }
}

#[test]
fn a_file_moved_away_earlier_is_recovered_by_hand() {
    let moved = MovedAway::new(|pages| pages.len() * 3 / 4);
    let output = moved.recover(&moved.aside);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && printed.contains("entries recovered from"),
        "{printed} {:?}",
        output.stderr
    );
    let again = moved.recover(&moved.aside);
    assert!(String::from_utf8(again.stdout).unwrap().starts_with("0 entries recovered"));
    for (file, error) in [
        (Path::new("/nowhere"), "cannot read /nowhere"),
        (Path::new("/etc/passwd"), "nothing of an inbox can be read in /etc/passwd"),
        (&moved.folder.path().join("data/inbox.db"), "is the inbox into which a damaged one is recovered"),
    ] {
        let output = moved.recover(file);
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && printed.contains(error), "{printed}");
    }
    let daemon = moved.start();
    let entries = daemon.entries();
    let texts: Vec<_> = entries.iter().filter_map(|entry| entry["text"].as_str()).collect();
    assert!(texts.len() > 80 && texts[0].starts_with("0 x") && texts.last() == Some(&"new"), "{texts:.20?}");
    let lost: u64 = entries.iter().filter_map(|entry| entry["lost"].as_u64()).sum();
    assert_eq!(lost, 101 - texts.len() as u64);
}

#[test]
fn a_recovery_by_hand_leaves_a_gap_before_the_first_readable_entry() {
    let holds = |page: &[u8], text: &str| page.windows(text.len()).any(|part| part == text.as_bytes());
    let is_first = |page: &&[u8]| holds(page, "0 xxx") && page[0] == 13;
    let moved = MovedAway::new(|pages| pages.iter().position(is_first).unwrap());
    let output = moved.recover(&moved.aside);
    assert!(output.status.success(), "{output:?}");
    let entries = moved.start().entries();
    let gap = &entries[0];
    assert_eq!((&gap["reason"], &gap["first_id"]), (&json!("damaged"), &json!(1)), "{gap}");
    assert_eq!(gap["lost"].as_u64(), Some(id(gap)));
    assert_eq!(id(&entries[1]), id(gap) + 1);
}

/// Fills an inbox with more than 32 MiB while no daemon runs, so that a start does not check all of it, and zeroes a page.
fn large_damaged_inbox() -> tempfile::TempDir {
    let (folder, path) = inbox_changed_by(
        "WITH RECURSIVE number (id) AS (SELECT 101 UNION ALL SELECT id + 1 FROM number WHERE id < 40000)
         INSERT INTO entry (id, at_ns, kind, peer, payload)
         SELECT id, id, 0, x'7f0000010009', CAST(printf('%d %.*c', id, 900, 'x') AS BLOB) FROM number",
    );
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 34 << 20);
    let middle = bytes.len() / 2 / 16_384 * 16_384;
    bytes[middle..middle + 16_384].fill(0);
    fs::write(&path, bytes).unwrap();
    fs::write(folder.path().join("config.toml"), "[log]\nmessages_per_second = 0\n").unwrap();
    folder
}

#[test]
fn everybody_passes_over_a_damaged_page() {
    let daemon =
        Daemon::start_in(large_damaged_inbox(), vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 0 }));
    daemon.receive_from(&Peer::new(), ["new"]);
    let (mut next, mut gap) = (1, None);
    while next <= 40_001 {
        let entry = follower.entry();
        assert_eq!(entry["first_id"].as_u64().unwrap_or(id(&entry)), next, "{entry}");
        next = id(&entry) + 1;
        if entry["type"] == "gap" {
            assert_eq!((&gap, &entry["reason"]), (&None, &json!("damaged")));
            gap = Some(entry);
        }
    }
    let gap = gap.expect("a gap for the page");
    let lost = gap["lost"].as_u64().unwrap();
    assert!(lost < 25, "{gap}");
    let pages = daemon.entries();
    assert_eq!(pages.len() as u64, 40_001 - lost + 1);
    assert!(pages.contains(&gap));
    let exported = daemon.ctl(&["export"]).ok();
    assert_eq!(exported.lines().count() as u64, 40_001 - lost + 1);
    let found = daemon.ctl(&["inbox", "-a", "--grep", "^39999 "]).ok();
    assert!(found.contains("39999 x"), "{found}");
    let status = daemon.status();
    let problem = status["problems"].to_string();
    assert!(problem.contains(&format!("{lost} entries cannot be read")), "{problem}");
    assert_eq!(
        (&status["state"], status["inbox"]["entries"].as_u64()),
        (&json!("degraded"), Some(40_001 - lost))
    );
}

#[test]
fn retention_goes_on_past_a_damaged_page() {
    let folder = large_damaged_inbox();
    fs::write(
        folder.path().join("config.toml"),
        "[log]\nmessages_per_second = 0\n[inbox]\nmax_size = '16MiB'\n",
    )
    .unwrap();
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    eventually_within(2 * DEADLINE, "the inbox to fit", || {
        let status = daemon.status();
        let problems = status["problems"].to_string();
        let fits = status["inbox"]["bytes"].as_u64() < Some(18 << 20);
        (fits && problems.contains("were recovered") && !problems.contains("cannot be removed")).then_some(())
    });
    daemon.receive_from(&Peer::new(), ["new"]);
    let entries = daemon.entries();
    assert_eq!((id(entries.last().unwrap()), entries[0]["type"].as_str()), (40_001, Some("message")));
}

/// Runs a daemon on a small disk, which never has much room, with a copy of a folder and nearly no room.
const LITTLE_ROOM: &str = "mount -t tmpfs -o size=60m,mode=700 udpchat \"$1\" && cp -a \"$FROM/.\" \"$1\" && \
    head -c \"$BALLAST\" /dev/zero >\"$1/ballast\" && shift && exec \"$@\"";

/// Returns how much the files of a folder take, in bytes.
fn folder_bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_recovery_leaves_room_for_new_messages() {
    if !can_mount() {
        return;
    }
    let (folder, path) = inbox_changed_by("SELECT 1");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let (data, outside) = (new_folder(), new_folder());
    let socket = outside.path().join("s");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", LITTLE_ROOM, "sh"]).arg(data.path());
    // A tenth of the disk is 6 MiB.
    let ballast = (60 << 20) - folder_bytes(path.parent().unwrap()) - (5 << 20);
    command.env("BALLAST", ballast.to_string());
    command.env("FROM", path.parent().unwrap()).arg(env!("CARGO_BIN_EXE_udpchatd"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path()).arg("--socket").arg(&socket);
    let mut daemon = Background::start(&mut command);
    let mut rpc = daemon.answers_on(&socket);
    let mut problems = || rpc.call("status", json!({}))["problems"].to_string();
    eventually("the recovery to wait", || problems().contains("waits for room").then_some(()));
    let address = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    Peer::new().send(address, "new");
    eventually("it to be stored", || (rpc.call("status", json!({}))["stored"] == 1).then_some(()));
    fs::remove_file(format!("/proc/{}/root{}/ballast", daemon.pid(), data.path().display())).unwrap();
    eventually("the recovery", || {
        let problems = rpc.call("status", json!({}))["problems"].to_string();
        (problems.contains("were recovered") && !problems.contains("waits")).then_some(())
    });
    let entries = rpc.entries(json!({ "after": 0 }));
    let readable = entries.iter().filter(|entry| entry["type"] == "message").count() as u64;
    let lost: u64 = entries.iter().filter_map(|entry| entry["lost"].as_u64()).sum();
    assert_eq!((readable + lost, readable > 30, id(entries.last().unwrap())), (101, true, 101));
    drop(folder);
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
    // Also if the daemon is started again before anything has come, or before all is recovered.
    let daemon = daemon.start_again();
    assert_eq!(daemon.status()["inbox"]["newest_id"], 100);
    // A consumer that had read all of the damaged inbox.
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 100 }));
    daemon.receive_from(&Peer::new(), ["new"]);
    assert_eq!(follower.entry()["text"], "new");
    assert_eq!(texts(&daemon.rpc().entries(json!({ "after": 100 }))), ["new"]);
}

//! `udpchatd --recover` with a sound inbox, as after a restored backup that was the wrong one: neither what retention has removed
//! nor the ids between the two is damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::damaged::inbox_changed_by;
use crate::support::{Daemon, command_in, id, ids, new_folder};

/// Copies an inbox with the messages 1 to 100, and keeps these ids of it, as retention and a backup do.
fn part(inbox: &Path, copy: &Path, (first, last): (u64, u64)) {
    fs::copy(inbox, copy).unwrap();
    let connection = Connection::open(copy).unwrap();
    let others = format!("DELETE FROM entry WHERE id NOT BETWEEN {first} AND {last}");
    // The rows of held messages look like entries.
    let held = "INSERT INTO held (name, payload, detail, at_ns, until_ns) VALUES ('bob', x'61', '{}', 1, 4000000000000000000)";
    connection.execute_batch(&format!("{others}; {held}; {held}; DELETE FROM held WHERE id = 1")).unwrap();
    connection.close().unwrap();
}

/// Creates a data directory with a part of an inbox.
fn with_part(inbox: &Path, ids: (u64, u64)) -> tempfile::TempDir {
    let folder = new_folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    part(inbox, &folder.path().join("data/inbox.db"), ids);
    folder
}

fn recover(folder: &Path, file: &Path) -> String {
    let mut command = command_in(folder);
    let output = command.arg("--recover").arg(file).stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Starts a daemon on a merged inbox, checks that all of it can be read and nothing counts as damaged, and returns its ids.
#[track_caller]
fn sound_ids(folder: tempfile::TempDir) -> (tempfile::TempDir, Vec<u64>) {
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let entries: Vec<_> = daemon.entries();
    let messages =
        ids(&entries.iter().filter(|entry| entry["type"] == "message").cloned().collect::<Vec<_>>());
    let gaps: Vec<_> = entries.iter().filter(|entry| entry["type"] == "gap").collect();
    assert!(gaps.iter().all(|gap| gap["reason"] == "retention"), "{gaps:?}");
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": messages[0] - 1 }));
    let followed: Vec<_> = messages.iter().map(|_| id(&follower.entry())).collect();
    assert_eq!(followed, messages);
    let status = daemon.status();
    let count = Some(messages.len() as u64);
    let number = |name: &str| status["inbox"][name].as_u64();
    assert_eq!((number("entries"), number("unread")), (count, count), "{status}");
    let problems = status["problems"].as_array().map_or(0, Vec::len);
    assert_eq!((problems, &status["state"]), (0, &Value::from("ok")), "{status}");
    (daemon.into_folder().0, messages)
}

fn joined(ranges: &[(u64, u64)]) -> Vec<u64> {
    ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
}

/// Creates an inbox with the messages 1 to 100.
fn whole() -> (tempfile::TempDir, PathBuf) {
    inbox_changed_by("SELECT 1")
}

#[test]
fn ids_between_two_sound_inboxes_are_no_damage() {
    let (whole_folder, inbox) = whole();
    let interim = whole_folder.path().join("interim.db");
    for (own, other) in [((81, 100), (21, 60)), ((21, 60), (81, 100))] {
        let folder = with_part(&inbox, own);
        part(&inbox, &interim, other);
        let printed = recover(folder.path(), &interim);
        let count = other.1 - other.0 + 1;
        let expected = format!("{count} entries recovered from {}; 0 are not readable", interim.display());
        assert!(printed.starts_with(&expected), "{printed}");
        let (folder, ids) = sound_ids(folder);
        assert_eq!(ids, joined(&[(21, 60), (81, 100)]));
        // Another file has what is between.
        part(&inbox, &interim, (65, 90));
        assert!(recover(folder.path(), &interim).starts_with("16 entries recovered"));
        let (folder, ids) = sound_ids(folder);
        assert_eq!(ids, joined(&[(21, 60), (65, 100)]));
        assert!(recover(folder.path(), &inbox).starts_with("24 entries recovered"));
        assert_eq!(sound_ids(folder).1, joined(&[(1, 100)]));
    }
}

#[test]
fn damage_within_a_merged_inbox_is_counted_exactly() {
    let (whole_folder, inbox) = whole();
    let interim = whole_folder.path().join("interim.db");
    let folder = with_part(&inbox, (81, 100));
    part(&inbox, &interim, (1, 70));
    let mut bytes = fs::read(&interim).unwrap();
    let has = |page: &[u8]| page[0] == 13 && page.windows(6).any(|part| part == b"40 xxx");
    let page = bytes.chunks_mut(16_384).find(|page| has(page)).unwrap();
    page.fill(0);
    fs::write(&interim, &bytes).unwrap();
    let printed = recover(folder.path(), &interim);
    let daemon = Daemon::start_in(folder, vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    let entries = daemon.entries();
    let messages = entries.iter().filter(|entry| entry["type"] == "message").count() as u64;
    let gaps: Vec<_> = entries.iter().filter(|entry| entry["reason"] == "damaged").collect();
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert!(gap["first_id"].as_u64() <= Some(41) && id(gap) >= 41 && id(gap) < 70, "{gap}");
    assert_eq!(gap["lost"].as_u64(), Some(90 - messages));
    assert!(printed.contains(&format!("; {} are not readable", 90 - messages)), "{printed}");
}

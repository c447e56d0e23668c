//! Transactions that fail.

use std::path::Path;

use super::{
    filled, gaps, lock, next_id, open, open_with_journal, receive, received, recover_all, store_all,
    zero_page,
};
use crate::inbox::file::FILE_NAME;
use crate::inbox::queue::RecoveredItem;
use crate::inbox::recovery::segment;
use crate::inbox::writer::*;

#[test]
fn no_inbox_begins_on_another_disk_while_there_is_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    next_id(&mut writer, &queue, &commits);
    for name in ["inbox.db", "inbox.db-wal", "inbox.db-shm"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let disk = writer.disk.replace(u64::MAX);
    assert!(writer.reopen().unwrap_err().to_string().contains("cannot use"));
    assert!(!folder.path().join(FILE_NAME).exists());
    while !queue.is_filling() {
        receive(&queue, &[7; 60_000]);
    }
    writer.reopen().unwrap();
    assert_eq!((writer.disk, writer.used.newest.id), (disk, 1));
}

#[test]
fn what_did_not_count_is_not_stored_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    next_id(&mut writer, &queue, &commits);
    let [path, away] = ["inbox.db", "away"].map(|name| folder.path().join(name));
    receive(&queue, b"once");
    let mut batch = Batch::default();
    assert!(queue.take(&mut batch, None));
    // The transaction ends in a file that is not in its place, and no other can be opened.
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(writer.attempt(&batch.items, &batch.bytes).is_err());
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    writer.has_failed = true;
    assert!(writer.store(&mut batch.items, &batch.bytes));
    assert_eq!(received(&writer), [(1, b"next".to_vec()), (2, b"once".to_vec())]);
}

fn copy_files(from: &Path, to: &Path) {
    for name in [FILE_NAME, "inbox.db-wal", "books"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Appends the frames of a transaction of several pages to the write-ahead log, which SQLite does not know: as a commit leaves them
/// whose `fsync` has failed.
fn leave_remains(data_dir: &Path) {
    let copy = tempfile::tempdir().unwrap();
    copy_files(data_dir, copy.path());
    let log = data_dir.join("inbox.db-wal");
    let before = std::fs::read(&log).unwrap();
    let (mut writer, queue, ..) = open(copy.path());
    receive(&queue, &[7; 65_000]);
    store_all(&mut writer, &queue);
    let after = std::fs::read(copy.path().join("inbox.db-wal")).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len() + 6 * 16_384);
    std::fs::write(&log, after).unwrap();
}

/// Checks that a daemon that starts after a kill takes nothing for damage.
#[track_caller]
fn assert_undamaged_after_a_kill(data_dir: &Path) {
    let copy = tempfile::tempdir().unwrap();
    copy_files(data_dir, copy.path());
    let (writer, ..) = open_with_journal(copy.path());
    assert_eq!(writer.parts.health.problems(), Vec::<String>::new());
}

#[test]
fn remains_of_a_failed_commit_are_not_taken_for_lost_entries() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits, _lost) = open_with_journal(folder.path());
    next_id(&mut writer, &queue, &commits);
    leave_remains(folder.path());
    let (lock, health) = (lock(folder.path()), Arc::clone(&writer.parts.health));
    let release = std::thread::spawn(move || {
        while health.problems().is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(lock);
    });
    next_id(&mut writer, &queue, &commits);
    release.join().unwrap();
    assert_undamaged_after_a_kill(folder.path());
}

#[test]
fn a_failing_recovered_chunk_does_not_hold_up_reception() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, _commits, _lost) = open_with_journal(folder.path());
    receive(&queue, b"first");
    store_all(&mut writer, &queue);
    receive(&queue, b"waiting");
    // A daemon that stops gives up after some failures; one that runs would try for ever.
    queue.close();
    let plan = writer.parts.reader.recovery_plan().unwrap();
    let lock = lock(folder.path());
    let stored = |chunk| {
        let item = RecoveredItem { chunk, stored: None };
        writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    assert!(!segment::recover(&plan, &|| true, stored).unwrap());
    assert!(!writer.given_up);
    drop(lock);
    leave_remains(folder.path());
    store_all(&mut writer, &queue);
    assert_undamaged_after_a_kill(folder.path());
    recover_all(&mut writer);
    assert_eq!(received(&writer).last().unwrap().1, b"waiting");
    assert_eq!(gaps(&writer).len(), 1);
}

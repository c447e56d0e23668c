//! How a log continues: no id is used twice.

use std::path::Path;

use super::{
    filled, gaps, lock, next_id, open, open_with_journal, receive, received, recover_all, store_all,
    zero_page,
};
use crate::clock::simulated::{self, Clocks};
use crate::inbox::commit_watch::CommitWatch;
use crate::inbox::file::FILE_NAME;
use crate::inbox::reader::Bounds;
use crate::inbox::recovery::plan::Segment;
use crate::inbox::writer::*;

/// Stores a message, damages the file, and opens it again.
fn damaged_while_running(data_dir: &Path) -> (Writer, Arc<Queue>, CommitWatch) {
    let (mut writer, queue, commits) = open(data_dir);
    receive(&queue, b"before");
    store_all(&mut writer, &queue);
    std::fs::write(data_dir.join(FILE_NAME), [7; 100_000]).unwrap();
    writer.reopen().unwrap();
    (writer, queue, commits)
}

/// Recovers what is planned, and checks that both messages are there: the write-ahead log was sound.
#[track_caller]
fn assert_nothing_is_lost(writer: &mut Writer) {
    recover_all(writer);
    assert_eq!(writer.parts.reader.bounds().unwrap(), Bounds { oldest: 1, newest: 2 });
    assert_eq!(received(writer), [(1, b"before".to_vec()), (2, b"after".to_vec())]);
}

#[test]
fn an_inbox_damaged_while_running_is_replaced_and_ids_continue() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = damaged_while_running(folder.path());
    receive(&queue, b"after");
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 2);
    assert_nothing_is_lost(&mut writer);
    assert!(writer.parts.health.problems()[0].contains("was moved to"));
}

#[test]
fn ids_continue_after_a_damaged_inbox_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    drop(damaged_while_running(folder.path()));
    let (mut writer, queue, commits) = open(folder.path());
    assert_eq!(commits.now().newest_id, 1);
    receive(&queue, b"after");
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 2);
    assert_nothing_is_lost(&mut writer);
}

/// Removes the newest entries while no daemon runs, as an older copy of the file does.
fn lose_behind(data_dir: &Path, newest: u64) {
    let log = Connection::open(data_dir.join(FILE_NAME)).unwrap();
    log.execute("DELETE FROM entry WHERE id > ?1", [newest]).unwrap();
    log.close().unwrap();
}

/// Stores messages, and leaves two received ones unstored.
fn filled_with_journal(data_dir: &Path, messages: usize, bytes: usize) {
    let (mut writer, queue, ..) = open_with_journal(data_dir);
    for number in 1..=messages {
        receive(&queue, &vec![7; bytes]);
        if number % 100 == 0 || number == messages {
            store_all(&mut writer, &queue);
        }
    }
    receive(&queue, b"not stored");
    receive(&queue, b"not stored");
}

fn boot(boot_id: u128) {
    simulated::set(Clocks { wall_ns: 1 << 60, boottime_ns: 1 << 40, boot_id });
}

#[test]
fn a_log_that_ends_early_gets_a_gap_and_reuses_no_id() {
    let folder = tempfile::tempdir().unwrap();
    boot(1);
    filled_with_journal(folder.path(), 10, 100);
    lose_behind(folder.path(), 6);
    let (mut writer, queue, commits, lost) = open_with_journal(folder.path());
    assert_eq!((gaps(&writer), commits.now().newest_id, lost), (vec![(7, 10, 4)], 10, 2));
    store_all(&mut writer, &queue);
    assert_eq!(next_id(&mut writer, &queue, &commits), 12);
}

#[test]
fn ids_jump_where_a_log_ends_early_after_a_restart_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    boot(1);
    filled_with_journal(folder.path(), 10, 100);
    lose_behind(folder.path(), 6);
    boot(2);
    let (mut writer, queue, commits, _lost) = open_with_journal(folder.path());
    // Newer ids than the journal knows may have been shown.
    assert_eq!(gaps(&writer), [(7, 2_000_000, 4)]);
    assert_eq!(next_id(&mut writer, &queue, &commits), 2_000_001);
    assert_eq!(writer.parts.reader.summary(0).unwrap().1, 7);
    assert_eq!(received(&writer).len(), 7);
    let mut after = 0;
    while let Some(end) = writer.parts.reader.check(after).unwrap() {
        after = end;
    }
    assert_eq!(writer.parts.reader.damage().news(), None);
}

#[test]
fn damage_met_at_the_end_of_a_log_reuses_no_id() {
    for (boot_id, next) in [(1, 601), (2, 2_000_001)] {
        let folder = tempfile::tempdir().unwrap();
        boot(1);
        // Larger than what is checked completely.
        filled_with_journal(folder.path(), 600, 60_000);
        lose_behind(folder.path(), 590);
        let log = Connection::open(folder.path().join(FILE_NAME)).unwrap();
        let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'entry_not_received'";
        let root: usize = log.query_row(root, [], |row| row.get(0)).unwrap();
        log.close().unwrap();
        zero_page(folder.path(), root - 1);
        boot(boot_id);
        let (mut writer, queue, commits, _lost) = open_with_journal(folder.path());
        assert_eq!(next_id(&mut writer, &queue, &commits), next);
        recover_all(&mut writer);
        assert_eq!(gaps(&writer), [(591, 600, 10)]);
        assert_eq!(received(&writer).len(), 591);
    }
}

#[test]
fn a_start_that_cannot_write_adds_the_gap_later() {
    let folder = tempfile::tempdir().unwrap();
    filled_with_journal(folder.path(), 10, 100);
    lose_behind(folder.path(), 6);
    let lock = lock(folder.path());
    let (mut writer, queue, commits, lost) = open_with_journal(folder.path());
    assert_eq!((writer.connection.is_none(), commits.now().newest_id, lost), (true, 6, 2));
    assert_eq!(received(&writer).len(), 6);
    drop(lock);
    writer.idle();
    assert_eq!((gaps(&writer), commits.now().newest_id), (vec![(7, 10, 4)], 10));
    store_all(&mut writer, &queue);
    assert_eq!(next_id(&mut writer, &queue, &commits), 12);
}

#[test]
fn an_older_copy_put_in_place_while_running_reuses_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    for _ in 0..6 {
        next_id(&mut writer, &queue, &commits);
    }
    let copy = folder.path().join("copy");
    writer.connection.as_ref().unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    for _ in 0..4 {
        next_id(&mut writer, &queue, &commits);
    }
    assert_eq!(received(&writer).len(), 10, "a reader has the file open");
    std::fs::rename(copy, folder.path().join(FILE_NAME)).unwrap();
    assert_eq!(next_id(&mut writer, &queue, &commits), 11);
    assert_eq!((gaps(&writer), received(&writer).len()), (vec![(7, 10, 4)], 7));
}

#[test]
fn ids_jump_only_once_for_a_recovered_log() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, ..) = open(folder.path());
    recover_all(&mut writer);
    drop(writer);
    // Nothing came meanwhile: the log has entries of the damaged one only.
    let (mut writer, queue, commits) = open(folder.path());
    assert_eq!(commits.now().newest_id, 2_000_000);
    assert_eq!(next_id(&mut writer, &queue, &commits), 2_000_001);
    assert_eq!(writer.parts.reader.damage().missing(501..=2_000_000), 2_000_000 - 500);
}

#[test]
fn ids_of_a_planned_recovery_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    next_id(&mut writer, &queue, &commits);
    // As a recovery by hand that was interrupted.
    let segment = Segment { first: 2, last: 20, file: folder.path().join("other") };
    plan::add(writer.connection.as_ref().unwrap(), folder.path(), &[segment]).unwrap();
    drop(writer);
    let (mut writer, queue, commits) = open(folder.path());
    assert_eq!(next_id(&mut writer, &queue, &commits), 21);
    recover_all(&mut writer);
    assert_eq!(gaps(&writer), [(2, 20, 19)]);
}

#[test]
fn losses_are_reported_of_a_log_with_recovered_entries_only() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, _commits, _lost) = open_with_journal(folder.path());
    recover_all(&mut writer);
    receive(&queue, b"not stored");
    receive(&queue, b"not stored");
    drop(writer);
    assert_eq!(open_with_journal(folder.path()).3, 2);
}

use std::net::SocketAddr;
use std::path::Path;

use crate::clock::simulated::{self, Clocks};
use crate::inbox::commit_watch::CommitWatch;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::file::FILE_NAME;
use crate::inbox::inflight::InflightJournal;
use crate::inbox::queue::{RUN_BYTES, RUN_MESSAGES, RecodeItem, RecoveredItem};
use crate::inbox::reader::{Bounds, Range};
use crate::inbox::recovery::plan::Segment;
use crate::inbox::recovery::segment;
use crate::inbox::writer::clock::ages::old_up_to;
use crate::inbox::writer::*;
use crate::index::Order;

fn open(data_dir: &Path) -> (Writer, Arc<Queue>, CommitWatch) {
    let (writer, queue, commits, _journal) = open_with(data_dir, InflightJournal::default);
    (writer, queue, commits)
}

/// Opens a writer without running it.
pub(super) fn open_with(
    data_dir: &Path,
    open_journal: impl FnOnce() -> InflightJournal,
) -> (Writer, Arc<Queue>, CommitWatch, InflightJournal) {
    let queue = Arc::new(Queue::default());
    let (_sender, settings) = watch::channel(Arc::new(Settings::default_in(data_dir)));
    let parts = Parts {
        data_dir: Arc::new(DataDir::take_over(data_dir)),
        queue: Arc::clone(&queue),
        reader: Arc::new(Reader::new(data_dir)),
        learned: Arc::default(),
        health: Arc::default(),
        settings,
        heartbeat: Heartbeat::unwatched(),
    };
    let (writer, commits, journal) = Writer::open(parts, open_journal).unwrap();
    (writer, queue, commits, journal)
}

#[test]
fn a_transaction_has_at_most_one_recoding() {
    let item = || RecodeItem { ids: vec![1], encoding: None, peers: Vec::new(), stored: None };
    let mut batch = Batch::default();
    batch.items.extend((0..3).map(|_| Item::Recode(Box::new(item()))));
    assert_eq!(next_commit(&batch, 0, 0, usize::MAX).0, 0..1);
    assert_eq!(next_commit(&batch, 1, 0, usize::MAX).0, 1..2);
}

fn receive(queue: &Queue, payload: &[u8]) {
    queue.intake(|intake| intake.datagram(1, "127.0.0.1:5".parse().unwrap(), None, payload));
}

fn store_all(writer: &mut Writer, queue: &Queue) {
    let mut batch = Batch::default();
    assert!(queue.take(&mut batch, None));
    let bytes = std::mem::take(&mut batch.bytes);
    assert!(writer.store(&mut batch.items, &bytes));
}

/// Recovers what the plan has, as the repair thread does.
pub(super) fn recover_all(writer: &mut Writer) {
    while let Some(segment) = writer.parts.reader.recovery_plan().unwrap().first().cloned() {
        let stored = |chunk| {
            let item = RecoveredItem { chunk, stored: None };
            writer.store(&mut [Item::Recovered(Box::new(item))], &[])
        };
        assert!(segment::recover(&segment, &|| true, stored).unwrap());
    }
}

/// Returns first id, last id and number of each gap of damaged entries.
fn gaps(writer: &Writer) -> Vec<(u64, u64, u64)> {
    let (mut gaps, range) = (Vec::new(), Range { gaps: true, ..Range::default() });
    let visit = |entry: Stored| {
        let Body::Gap(gap) = entry.body else { panic!("no gap") };
        assert_eq!(gap.reason, "damaged");
        gaps.push((gap.first_id.unwrap(), entry.id, gap.lost));
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    gaps
}

fn received(writer: &Writer) -> Vec<(u64, Vec<u8>)> {
    let (mut all, range) = (Vec::new(), Range { received: true, ..Range::default() });
    let visit = |entry: Stored| {
        if let Body::Received { payload, .. } = entry.body {
            all.push((entry.id, payload));
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&range, visit, || true).unwrap();
    all
}

/// Opens an inbox with messages of 1,000 bytes, and returns them.
fn filled(data_dir: &Path, messages: u64) -> Vec<(u64, Vec<u8>)> {
    let (mut writer, queue, _commits) = open(data_dir);
    let all: Vec<_> = (1..=messages).map(|id| (id, vec![id as u8; 1_000])).collect();
    all.iter().for_each(|(_, payload)| receive(&queue, payload));
    store_all(&mut writer, &queue);
    checkpoint(writer.connection.as_ref().unwrap());
    all
}

fn zero_page(data_dir: &Path, page: usize) {
    let path = data_dir.join(FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[page * 16_384..(page + 1) * 16_384].fill(0);
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_inbox_is_recovered_with_its_ids_and_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, _commits) = open(folder.path());
    receive(&queue, b"meanwhile");
    store_all(&mut writer, &queue);
    assert_eq!(received(&writer), [], "readers wait for what is still to be recovered");
    recover_all(&mut writer);
    let [(first, last, lost)] = gaps(&writer)[..] else { panic!("one gap") };
    assert_eq!(lost, last - first + 1);
    let mut expected = all;
    expected.retain(|(id, _)| !(first..=last).contains(id));
    let found = received(&writer);
    assert!(lost < 20 && found[..found.len() - 1] == expected);
    let (id, payload) = found.last().unwrap();
    assert_eq!((payload.as_slice(), *id > 500), (&b"meanwhile"[..], true));
    let damage = writer.parts.reader.damage();
    assert_eq!((damage.awaited(), damage.is_irreparable()), (None, false));
    let mut after = 0;
    while let Some(end) = writer.parts.reader.check(after).unwrap() {
        after = end;
    }
    assert_eq!(damage.news(), None);
}

#[test]
fn recovered_entries_are_kept_for_the_whole_age() {
    let folder = tempfile::tempdir().unwrap();
    // Their times are of 1970: of a clock that was set later.
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, _commits) = open(folder.path());
    receive(&queue, b"meanwhile");
    store_all(&mut writer, &queue);
    recover_all(&mut writer);
    drop(writer);
    let (mut writer, ..) = open(folder.path());
    let connection = writer.connection.as_mut().unwrap();
    let (history, reading) = writer.clock.update(connection, writer.used.newest.id, false).unwrap();
    let hour = Duration::from_secs(60 * 60);
    let ids = 1..writer.used.newest.id;
    assert_eq!(old_up_to(connection, history, &reading, hour, &ids), Ok(0));
    let soon = Duration::from_nanos(1);
    assert!(old_up_to(connection, history, &reading, soon, &ids).unwrap() >= 500, "since the recovery began");
}

#[test]
fn a_recovery_continues_after_a_crash_at_any_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 1_000);
    zero_page(folder.path(), 30);
    zero_page(folder.path(), 40);
    let mut chunks = 0;
    loop {
        // Each daemon stores one chunk; a crash loses what comes after its commit.
        let (mut writer, _queue, _commits) = open(folder.path());
        let Some(segment) = writer.parts.reader.recovery_plan().unwrap().first().cloned() else { break };
        let mut is_first = true;
        let stored = |chunk| {
            let item = RecoveredItem { chunk, stored: None };
            is_first && {
                is_first = false;
                writer.commit(&[Item::Recovered(Box::new(item))], &[]).is_ok()
            }
        };
        let _whole = segment::recover(&segment, &|| true, stored).unwrap();
        chunks += 1;
    }
    assert!(chunks > 3, "{chunks}");
    let (writer, ..) = open(folder.path());
    let gaps = gaps(&writer);
    assert_eq!(gaps.len(), 2);
    let mut expected = all;
    expected.retain(|(id, _)| !gaps.iter().any(|(first, last, _)| (first..=last).contains(&id)));
    assert!(received(&writer) == expected);
}

#[test]
fn readers_pass_over_a_damaged_page_in_both_orders() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 3_000);
    let (writer, ..) = open(folder.path());
    // The file was sound when it was opened.
    zero_page(folder.path(), 60);
    writer.parts.reader.reopen();
    let read = |order, gaps| {
        let mut entries = Vec::new();
        let visit = |entry: Stored| {
            entries.push(entry);
            std::ops::ControlFlow::Continue(())
        };
        let range = Range { received: true, gaps, order, ..Range::default() };
        writer.parts.reader.scan(&range, visit, || true).unwrap();
        entries
    };
    let mut falling = read(Order::Desc, true);
    falling.reverse();
    let rising = read(Order::Asc, true);
    assert_eq!(falling, rising);
    let gap = rising.iter().find(|entry| matches!(entry.body, Body::Gap(_))).unwrap();
    let Body::Gap(GapDetail { lost, first_id: Some(first), .. }) = gap.body else { panic!("{gap:?}") };
    assert_eq!(gap.id, first + lost - 1);
    assert_eq!(rising.len() as u64, all.len() as u64 - lost + 1);
    assert_eq!(read(Order::Asc, false).len() as u64, all.len() as u64 - lost);
    // Within the damaged ids, the rest of them is shown.
    let mut seen = Vec::new();
    let visit = |entry: Stored| {
        seen.push((entry.id, entry.body));
        std::ops::ControlFlow::Break(())
    };
    let range = Range { after: first, received: true, gaps: true, ..Range::default() };
    let scanned = writer.parts.reader.scan(&range, visit, || true).unwrap();
    assert_eq!((seen.len(), scanned.cursor), (1, gap.id));
    assert_eq!(seen[0], (gap.id, Body::Gap(GapDetail::damaged(first + 1, gap.id))));
    let heard = writer.parts.reader.heard(0, 100_000).unwrap();
    assert_eq!(heard.values().map(|heard| heard.messages).sum::<u64>(), all.len() as u64 - lost);
    assert!(writer.parts.reader.damage().news().is_some());
    assert!(!writer.parts.reader.damage().is_irreparable());
}

#[test]
fn the_check_finds_damage_and_missing_ids() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3_000);
    let (writer, ..) = open(folder.path());
    let check = || {
        let (mut after, reader) = (0, &writer.parts.reader);
        while let Some(end) = reader.check(after).unwrap() {
            assert!(end > after);
            after = end;
        }
        reader.damage().within(0..=u64::MAX)
    };
    assert_eq!(check(), []);
    writer.connection.as_ref().unwrap().execute("DELETE FROM entry WHERE id = 777", []).unwrap();
    let [hole] = check()[..] else { panic!("one range") };
    assert_eq!((hole.first, hole.last), (777, 777));
    checkpoint(writer.connection.as_ref().unwrap());
    zero_page(folder.path(), 100);
    writer.parts.reader.reopen();
    assert_eq!(check().len(), 2);
    assert!(writer.parts.reader.damage().news().unwrap().contains("2 places"));
}

#[test]
fn a_file_damaged_during_its_recovery_is_recovered_from_both() {
    let folder = tempfile::tempdir().unwrap();
    let all = filled(folder.path(), 3_000);
    let (mut writer, ..) = open(folder.path());
    zero_page(folder.path(), 60);
    writer.reopen().unwrap();
    let segment = writer.parts.reader.recovery_plan().unwrap().remove(0);
    let mut chunks = 0;
    let stored = |chunk| {
        chunks += 1;
        let item = RecoveredItem { chunk, stored: None };
        chunks < 4 && writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    let _whole = segment::recover(&segment, &|| true, stored).unwrap();
    // A reader has met damage that it cannot pass over.
    writer.parts.reader.damage().marker().give_up();
    writer.replaced = None;
    writer.maintain();
    assert!(!writer.parts.reader.damage().is_irreparable());
    assert_eq!(writer.parts.reader.recovery_plan().unwrap().len(), 2);
    recover_all(&mut writer);
    let [(first, last, lost)] = gaps(&writer)[..] else { panic!("one gap: {:?}", gaps(&writer)) };
    assert_eq!(lost, last - first + 1);
    let mut expected = all;
    expected.retain(|(id, _)| !(first..=last).contains(id));
    assert!(received(&writer) == expected);
    assert_eq!(writer.used.newest.id, 3_000);
}

#[test]
fn an_inbox_damaged_while_running_is_replaced_and_ids_continue() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    receive(&queue, b"before");
    store_all(&mut writer, &queue);
    std::fs::write(folder.path().join(FILE_NAME), [7; 100_000]).unwrap();
    writer.reopen().unwrap();
    receive(&queue, b"after");
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 2);
    recover_all(&mut writer);
    assert_eq!(writer.parts.reader.bounds().unwrap(), Bounds { oldest: 1, newest: 2 });
    // The write-ahead log was sound.
    assert_eq!(received(&writer), [(1, b"before".to_vec()), (2, b"after".to_vec())]);
    assert!(writer.parts.health.problems()[0].contains("was moved to"));
}

#[test]
fn ids_continue_after_a_damaged_inbox_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    receive(&queue, b"before");
    store_all(&mut writer, &queue);
    std::fs::write(folder.path().join(FILE_NAME), [7; 100_000]).unwrap();
    writer.reopen().unwrap();
    drop(writer);
    let (mut writer, queue, commits) = open(folder.path());
    assert_eq!(commits.now().newest_id, 1);
    receive(&queue, b"after");
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 2);
    recover_all(&mut writer);
    assert_eq!(writer.parts.reader.bounds().unwrap(), Bounds { oldest: 1, newest: 2 });
    // The write-ahead log was sound.
    assert_eq!(received(&writer), [(1, b"before".to_vec()), (2, b"after".to_vec())]);
}

/// Removes the newest entries while no daemon runs, as an older copy of the file does.
fn lose_behind(data_dir: &Path, newest: u64) {
    let log = Connection::open(data_dir.join(FILE_NAME)).unwrap();
    log.execute("DELETE FROM entry WHERE id > ?1", [newest]).unwrap();
    log.close().unwrap();
}

/// Opens a writer with the in-flight journal of the data directory; returns how many datagrams were lost.
fn open_with_journal(data_dir: &Path) -> (Writer, Arc<Queue>, CommitWatch, u64) {
    let journal = || InflightJournal::open(data_dir, &Arc::default());
    let (writer, queue, commits, journal) = open_with(data_dir, journal);
    let lost = queue.carry_over(journal);
    (writer, queue, commits, lost)
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

fn next_id(writer: &mut Writer, queue: &Queue, commits: &CommitWatch) -> u64 {
    receive(queue, b"next");
    store_all(writer, queue);
    commits.now().newest_id
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
fn readers_of_a_replaced_file_mark_nothing_in_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3_000);
    let (mut writer, ..) = open(folder.path());
    zero_page(folder.path(), 60);
    let reader = Arc::clone(&writer.parts.reader);
    reader.reopen();
    let (mut ids, range) = (0, Range { received: true, gaps: true, ..Range::default() });
    let visit = |entry: Stored| {
        if ids == 0 {
            writer.replace_damaged_or_report();
        }
        ids = entry.id;
        std::ops::ControlFlow::Continue(())
    };
    reader.scan(&range, visit, || true).unwrap();
    assert_eq!(ids, 3_000, "the scan has met the damaged page");
    assert_eq!(reader.damage().within(0..=u64::MAX), []);
    recover_all(&mut writer);
    assert_eq!(gaps(&writer).len(), 1);
}

#[test]
fn ids_of_a_planned_recovery_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    next_id(&mut writer, &queue, &commits);
    // As a recovery by hand that was interrupted.
    let segment = Segment { first: 2, last: 20, file: folder.path().join("other") };
    plan::add(writer.connection.as_ref().unwrap(), &[segment]).unwrap();
    drop(writer);
    let (mut writer, queue, commits) = open(folder.path());
    assert_eq!(next_id(&mut writer, &queue, &commits), 21);
    recover_all(&mut writer);
    assert_eq!(gaps(&writer), [(2, 20, 19)]);
}

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

#[test]
fn a_chunk_that_is_no_longer_planned_is_not_added() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, commits) = open(folder.path());
    let newest = next_id(&mut writer, &queue, &commits);
    let segment = writer.parts.reader.recovery_plan().unwrap().remove(0);
    plan::drop_up_to(writer.connection.as_ref().unwrap(), 400).unwrap();
    let stored = |chunk| {
        let item = RecoveredItem { chunk, stored: None };
        writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    assert!(segment::recover(&segment, &|| true, stored).unwrap());
    assert_eq!(writer.parts.reader.damage().awaited(), Some((401, 500)));
    recover_all(&mut writer);
    let ids: Vec<_> = received(&writer).into_iter().map(|(id, _)| id).collect();
    assert!(ids.iter().copied().eq((401..=500).chain([newest])), "{ids:?}");
}

#[test]
fn the_check_takes_no_removed_entry_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, ..) = open(folder.path());
    let log = writer.connection.as_ref().unwrap();
    let gaps = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 3000)
                INSERT INTO entry (id, at_ns, kind, detail)
                SELECT id, id, 2, '{\"lost\":1,\"reason\":\"queue_full\"}' FROM n";
    log.execute_batch(gaps).unwrap();
    let reader = Arc::clone(&writer.parts.reader);
    reader.publish(3_000);
    for hole in [None, Some(2_500)] {
        log.execute("DELETE FROM entry WHERE id = ?1", [hole]).unwrap();
        let (from, to) = if hole.is_none() { (1, 1_000) } else { (1_001, 2_000) };
        let path = folder.path().join(FILE_NAME);
        let remove = std::thread::spawn(move || {
            let log = Connection::open(path).unwrap();
            log.pragma_update(None, "synchronous", "OFF").unwrap();
            for id in from..=to {
                log.execute("DELETE FROM entry WHERE id <= ?1", [id]).unwrap();
            }
        });
        while !remove.is_finished() {
            reader.check(0).unwrap();
        }
        remove.join().unwrap();
        let found = reader.damage().within(0..=u64::MAX);
        assert!(
            found.iter().map(|range| (range.first, range.last)).eq(hole.map(|hole| (hole, hole))),
            "{found:?}"
        );
    }
}

fn lock(data_dir: &Path) -> Connection {
    let lock = Connection::open(data_dir.join(FILE_NAME)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock
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
    let segment = writer.parts.reader.recovery_plan().unwrap().remove(0);
    let lock = lock(folder.path());
    let stored = |chunk| {
        let item = RecoveredItem { chunk, stored: None };
        writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    assert!(!segment::recover(&segment, &|| true, stored).unwrap());
    assert!(!writer.given_up);
    drop(lock);
    leave_remains(folder.path());
    store_all(&mut writer, &queue);
    assert_undamaged_after_a_kill(folder.path());
    recover_all(&mut writer);
    assert_eq!(received(&writer).last().unwrap().1, b"waiting");
    assert_eq!(gaps(&writer).len(), 1);
}

#[test]
fn opening_the_same_file_again_reads_no_gaps_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    next_id(&mut writer, &queue, &commits);
    let damage = Arc::clone(&writer.parts.reader);
    damage.damage().record(10, 19);
    writer.reopen().unwrap();
    assert_eq!(damage.damage().explained(10), Some(19));
}

#[test]
fn messages_and_gaps_get_rising_ids_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, commits) = open(folder.path());
    let payload = |number: usize| vec![7; (number * 7919) % 5_000];
    for number in 0..3_000 {
        let peer = SocketAddr::from(([127, 0, 0, (number % 3) as u8], 5));
        let local = (number % 2 == 0).then_some(peer);
        queue.intake(|intake| {
            intake.datagram(number as i64, peer, local, &payload(number));
            if number % 100 == 99 {
                intake.kernel_gap(number as i64, 1);
            }
        });
        if number % 700 == 0 {
            store_all(&mut writer, &queue);
        }
    }
    store_all(&mut writer, &queue);
    assert_eq!(commits.now().newest_id, 3_030);
    let (mut id, mut number) = (0, 0);
    let all = Range { received: true, gaps: true, ..Range::default() };
    let visit = |entry: Stored| {
        id += 1;
        assert_eq!(entry.id, id);
        match entry.body {
            Body::Received { peer, local, payload: stored } => {
                assert_eq!((entry.at_ns, stored), (number as i64, payload(number)));
                assert_eq!(peer, SocketAddr::from(([127, 0, 0, (number % 3) as u8], 5)));
                assert_eq!(local, (number % 2 == 0).then_some(peer));
                number += 1;
            }
            Body::Gap(_) => assert_eq!(number % 100, 0),
            Body::Sent { .. } => panic!("nothing was sent"),
        }
        std::ops::ControlFlow::Continue(())
    };
    writer.parts.reader.scan(&all, visit, || true).unwrap();
    assert_eq!((id, number), (3_030, 3_000));
}

#[test]
fn an_entry_inserted_by_another_program_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writer, queue, _commits) = open(folder.path());
    let insert = "INSERT INTO entry (id, at_ns, kind, payload) VALUES (7, 1, 0, x'61')";
    receive(&queue, b"one");
    store_all(&mut writer, &queue);
    writer.connection.as_mut().unwrap().execute(insert, []).unwrap();
    receive(&queue, b"two");
    receive(&queue, b"three");
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let error = writer.commit(&batch.items, &batch.bytes).err().unwrap();
    assert!(error.to_string().contains("another program"), "{error}");
}

#[test]
fn transactions_are_bounded_and_cover_the_batch() {
    let queue = Queue::default();
    for _ in 0..2 * MAX_ENTRIES_PER_COMMIT {
        receive(&queue, b"");
    }
    for _ in 0..100 {
        receive(&queue, &[0; 60_000]);
    }
    let mut batch = Batch::default();
    queue.take(&mut batch, None);
    let (mut first, mut offset, mut commits) = (0, 0, 0);
    while first < batch.items.len() {
        let (items, bytes) = next_commit(&batch, first, offset, MAX_BYTES_PER_COMMIT);
        let entries: usize = batch.items[items.clone()].iter().map(Item::entries).sum();
        assert!(entries < MAX_ENTRIES_PER_COMMIT + RUN_MESSAGES);
        assert!(bytes.len() < MAX_BYTES_PER_COMMIT + RUN_BYTES + 65_536);
        assert_eq!((items.start, bytes.start), (first, offset));
        (first, offset, commits) = (items.end, bytes.end, commits + 1);
    }
    assert_eq!((offset, commits), (batch.bytes.len(), 4));
}

//! Damaged files: recovery, readers and the check.

use super::{filled, gaps, next_id, open, receive, received, recover_all, store_all, zero_page};
use crate::inbox::damage::Damaged;
use crate::inbox::entry::GapDetail;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::file::FILE_NAME;
use crate::inbox::queue::RecoveredItem;
use crate::inbox::reader::Range;
use crate::inbox::recovery::segment;
use crate::inbox::writer::clock::ages::old_up_to;
use crate::inbox::writer::*;
use crate::index::Order;

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
        let plan = writer.parts.reader.recovery_plan().unwrap();
        if plan.is_empty() {
            break;
        }
        let mut is_first = true;
        let stored = |chunk| {
            let item = RecoveredItem { chunk, stored: None };
            is_first && {
                is_first = false;
                writer.commit(&[Item::Recovered(Box::new(item))], &[]).is_ok()
            }
        };
        let _whole = segment::recover(&plan, &|| true, stored).unwrap();
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
    let plan = writer.parts.reader.recovery_plan().unwrap();
    let mut chunks = 0;
    let stored = |chunk| {
        chunks += 1;
        let item = RecoveredItem { chunk, stored: None };
        chunks < 4 && writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    let _whole = segment::recover(&plan, &|| true, stored).unwrap();
    // A reader has met damage that it cannot pass over.
    writer.parts.reader.damage().marker().give_up();
    writer.replaced = Replacements::default();
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
fn damage_of_a_replaced_file_is_no_problem_of_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3_000);
    let (mut writer, ..) = open(folder.path());
    zero_page(folder.path(), 60);
    let (reader, health) = (Arc::clone(&writer.parts.reader), Arc::clone(&writer.parts.health));
    reader.reopen();
    let file = reader.damage().marker();
    let note = || health.note(Component::InboxDamage, "a read of the file before has failed".to_owned());
    file.if_current(note);
    assert_eq!(health.problems().len(), 1);
    writer.replace_damaged_or_report();
    // A read that began before.
    file.if_current(note);
    recover_all(&mut writer);
    let problems = health.problems();
    assert!(problems.len() == 1 && problems[0].contains("was moved to"), "{problems:?}");
}

#[test]
fn damage_of_a_replaced_file_ends_also_at_a_later_attempt() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 100);
    let (mut writer, ..) = open(folder.path());
    let health = Arc::clone(&writer.parts.health);
    health.note(Component::InboxDamage, "a read of the file before has failed".to_owned());
    let away = tempfile::tempdir().unwrap();
    for name in [FILE_NAME, "inbox.db-wal", "inbox.db-shm"] {
        std::fs::rename(folder.path().join(name), away.path().join(name)).unwrap();
    }
    writer.connection = None;
    drop(file::open(folder.path()).unwrap());
    // The first attempt has failed after it knew the new file.
    writer.identity = file::identity(folder.path()).unwrap();
    writer.reopen().unwrap();
    let problems = health.problems();
    assert!(problems.len() == 1 && problems[0].contains("lost its newest entries"), "{problems:?}");
}

#[test]
fn what_readers_find_while_the_disk_fails_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 100);
    let (mut writer, queue, commits) = open(folder.path());
    let (reader, health) = (Arc::clone(&writer.parts.reader), Arc::clone(&writer.parts.health));
    let file = file::identity(folder.path()).unwrap();
    writer.disk_fails = true;
    let marker = reader.damage().marker();
    marker.add(Damaged { first: 5, last: 9, at_ns: 0 });
    marker.give_up();
    health.note(Component::InboxDamage, "a read has failed".to_owned());
    writer.maintain();
    assert_eq!(next_id(&mut writer, &queue, &commits), 101);
    let found = (reader.damage().within(0..=u64::MAX), reader.damage().is_irreparable(), health.problems());
    assert_eq!(found, (Vec::new(), false, Vec::new()));
    // What is found from now on counts.
    assert_eq!(file::identity(folder.path()).unwrap(), file, "the file was replaced");
    reader.damage().marker().give_up();
    writer.maintain();
    assert_ne!(file::identity(folder.path()).unwrap(), file);
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
fn a_chunk_that_is_no_longer_planned_is_not_added() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 500);
    zero_page(folder.path(), 20);
    let (mut writer, queue, commits) = open(folder.path());
    let newest = next_id(&mut writer, &queue, &commits);
    let plan = writer.parts.reader.recovery_plan().unwrap();
    plan::drop_up_to(writer.connection.as_ref().unwrap(), 400).unwrap();
    let stored = |chunk| {
        let item = RecoveredItem { chunk, stored: None };
        writer.store(&mut [Item::Recovered(Box::new(item))], &[])
    };
    assert!(segment::recover(&plan, &|| true, stored).unwrap());
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

use std::ops::ControlFlow;

use rusqlite::params;
use tempfile::TempDir;

use crate::inbox::entry::{Body, Stored};
use crate::inbox::file;
use crate::inbox::reader::{Range, Reader};
use crate::inbox::writer::retention::*;

const MIB: u64 = 1024 * 1024;
const SECOND_NS: i64 = 1_000_000_000;

fn inbox() -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = file::open(folder.path()).unwrap().connection;
    (folder, connection)
}

/// Adds entries of `length` bytes, one a second behind the newest.
fn add(connection: &mut Connection, entries: u64, length: usize) {
    let newest = bounds(connection).unwrap().newest;
    let transaction = connection.transaction().unwrap();
    for id in newest + 1..=newest + entries {
        let at_ns = id.cast_signed() * SECOND_NS;
        let insert = "INSERT INTO entry (id, at_ns, kind, payload) VALUES (?1, ?2, 0, ?3)";
        transaction.prepare_cached(insert).unwrap().execute(params![id, at_ns, vec![7_u8; length]]).unwrap();
    }
    transaction.commit().unwrap();
}

/// Steps until nothing remains to be removed; returns how many steps removed something.
fn run_steps(retention: &mut Retention, connection: &mut Connection, limits: &Limits, now_ns: i64) -> usize {
    let mut steps = 0;
    loop {
        retention.next_age_check = Instant::now();
        let (history, reading) = History::steady(now_ns);
        let step = retention.step(connection, limits, 0, Some((&history, reading))).unwrap();
        assert!(step.removed <= STEP_ENTRIES);
        steps += usize::from(step.removed > 0);
        if step.removed == 0 && !step.more {
            return steps;
        }
    }
}

fn size(max_bytes: u64) -> Limits {
    Limits { max_bytes, max_age: None }
}

#[test]
fn a_stream_into_a_full_inbox_keeps_its_size() {
    let (_folder, mut connection) = inbox();
    let (mut retention, limits) = (Retention::new(), size(8 * MIB));
    for length in [100, 100, 100, 1_400, 1_400, 60_000, 60_000, 100] {
        for _ in 0..40 {
            let entries = (400_000 / (length as u64 + 100)).min(4_096);
            add(&mut connection, entries, length);
            retention.step(&mut connection, &limits, 0, None).unwrap();
        }
        let pages = Pages::of(&connection).unwrap();
        let bytes = pages.file * PAGE_BYTES;
        assert!((8 * MIB * 9 / 10..=8 * MIB * 105 / 100).contains(&bytes), "{length}: {pages:?}");
    }
    let Bounds { oldest, newest } = bounds(&connection).unwrap();
    let entries: u64 = connection.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, newest - oldest + 1, "no holes");
}

#[test]
fn a_lowered_limit_shrinks_the_file_in_bounded_steps() {
    let (folder, mut connection) = inbox();
    add(&mut connection, 100_000, 300);
    let steps = run_steps(&mut Retention::new(), &mut connection, &size(4 * MIB), 0);
    assert!(steps >= 4, "{steps}");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = std::fs::metadata(folder.path().join(file::FILE_NAME)).unwrap().len();
    assert!(bytes <= 4 * MIB + (STEP_PAGES + 1) * PAGE_BYTES, "{bytes}");
}

#[test]
fn steps_are_halved_without_room_and_grow_again() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 30_000, 1_000);
    let (mut retention, limits) = (Retention::new(), size(4 * MIB));
    while retention.take_smaller_steps() {}
    let mut step = || retention.step(&mut connection, &limits, 0, None).unwrap().removed;
    let (first, second) = (step(), step());
    assert!((1..=MIN_STEP_BYTES / 1_000 + 1).contains(&first), "{first}");
    assert!(second > first && second <= 2 * first + 1, "{first} {second}");
    run_steps(&mut retention, &mut connection, &limits, 0);
    assert!(!retention.takes_smaller_steps());
}

#[test]
fn files_beside_the_database_count() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 10_000, 100);
    assert_eq!(Retention::new().step(&mut connection, &size(8 * MIB), 0, None).unwrap(), Step::default());
    assert!(Retention::new().step(&mut connection, &size(8 * MIB), 7 * MIB, None).unwrap().removed > 0);
}

#[test]
fn a_tiny_inbox_keeps_more_than_its_newest_entry() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 5_000, 100);
    // Half of the smallest size that can be configured is taken by what is beside the database.
    let (mut retention, limits) = (Retention::new(), size(MIB));
    while retention.step(&mut connection, &limits, MIB / 2, None).unwrap().more {}
    let Bounds { oldest, newest } = bounds(&connection).unwrap();
    assert!((500..4_000).contains(&(newest - oldest)), "{oldest}-{newest}");
}

#[test]
fn the_default_is_a_larger_part_of_a_small_file_system() {
    const GIB: u64 = 1024 * MIB;
    for (disk, part) in [
        (40 * GIB, 4 * GIB),
        (GIB, GIB / 10),
        (160 * MIB, 16 * MIB),
        (100 * MIB, 16 * MIB),
        (8 * MIB, 2 * MIB),
        (4 * MIB, MIB),
    ] {
        assert_eq!(part_of_file_system(disk), part, "{disk}");
    }
}

#[test]
fn the_newest_entry_stays_at_any_size() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 100, 65_507);
    run_steps(&mut Retention::new(), &mut connection, &size(MIB / 64), 0);
    assert_eq!(bounds(&connection).unwrap(), Bounds { oldest: 100, newest: 100 });
    assert_eq!(run_steps(&mut Retention::new(), &mut connection, &size(0), i64::MAX), 0);
}

#[test]
fn entries_too_old_are_removed_except_the_newest() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 20_000, 10);
    let limits = Limits { max_bytes: u64::MAX, max_age: Some(Duration::from_secs(5_000)) };
    run_steps(&mut Retention::new(), &mut connection, &limits, 20_000 * SECOND_NS);
    assert_eq!(bounds(&connection).unwrap().oldest, 15_000);
    run_steps(&mut Retention::new(), &mut connection, &limits, 90_000 * SECOND_NS);
    assert_eq!(bounds(&connection).unwrap(), Bounds { oldest: 20_000, newest: 20_000 });
}

#[test]
fn an_entry_from_the_future_does_not_stop_removal() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 100, 10);
    connection.execute("UPDATE entry SET at_ns = ?1 WHERE id = 3", [i64::MAX]).unwrap();
    let limits = Limits { max_bytes: u64::MAX, max_age: Some(Duration::from_secs(10)) };
    run_steps(&mut Retention::new(), &mut connection, &limits, 100 * SECOND_NS);
    assert_eq!(bounds(&connection).unwrap().oldest, 90);
}

#[test]
fn nothing_is_too_old_without_a_history() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 100, 10);
    let limits = Limits { max_bytes: u64::MAX, max_age: Some(Duration::from_secs(1)) };
    let mut retention = Retention::new();
    assert_eq!(retention.step(&mut connection, &limits, 0, None).unwrap(), Step::default());
    let (history, reading) = History::steady(1_000 * SECOND_NS);
    assert_eq!(retention.step(&mut connection, &limits, 0, Some((&history, reading))).unwrap().removed, 99);
}

#[test]
fn no_step_is_due_without_an_age_limit() {
    assert_eq!(Retention::new().max_wait(&size(MIB)), None);
    let limits = Limits { max_bytes: MIB, max_age: Some(Duration::from_secs(100)) };
    assert!(Retention::new().max_wait(&limits).is_some());
}

#[test]
fn an_empty_inbox_stays_empty() {
    let (_folder, mut connection) = inbox();
    let limits = Limits { max_bytes: 0, max_age: Some(Duration::from_secs(1)) };
    assert_eq!(run_steps(&mut Retention::new(), &mut connection, &limits, i64::MAX), 0);
}

#[test]
fn what_is_older_than_removed_entries_is_not_recovered() {
    let (folder, mut connection) = inbox();
    add(&mut connection, 200, 10);
    // The first ones are recovered, the next ones planned, and the others are new.
    connection.execute("DELETE FROM entry WHERE id > 40 AND id <= 100", []).unwrap();
    let segment = plan::Segment { first: 41, last: 100, file: folder.path().join("damaged") };
    plan::add(&connection, folder.path(), std::slice::from_ref(&segment)).unwrap();
    let plan = |connection: &Connection| plan::read(connection, folder.path()).unwrap();
    let limits = |seconds| Limits { max_bytes: u64::MAX, max_age: Some(Duration::from_secs(seconds)) };
    run_steps(&mut Retention::new(), &mut connection, &limits(170), 200 * SECOND_NS);
    assert_eq!((bounds(&connection).unwrap().oldest, plan(&connection)), (30, vec![segment]));
    run_steps(&mut Retention::new(), &mut connection, &limits(50), 200 * SECOND_NS);
    assert_eq!((bounds(&connection).unwrap().oldest, plan(&connection)), (150, Vec::new()));
}

/// Replaces entries by the gap of a recovery.
fn lose(connection: &Connection, first: u64, last: u64) {
    connection.execute("DELETE FROM entry WHERE id BETWEEN ?1 AND ?2", [first, last]).unwrap();
    let detail = format!(r#"{{"lost":{},"reason":"damaged","first_id":{first}}}"#, last - first + 1);
    let gap = "INSERT INTO entry (id, at_ns, kind, detail) VALUES (?1, 1, 2, ?2)";
    connection.execute(gap, params![last, detail]).unwrap();
}

/// Returns reason, first and last id of each gap that a reader behind an id gets.
fn gaps_behind(folder: &TempDir, after: u64) -> Vec<(String, u64, u64)> {
    let log = Connection::open(folder.path().join(file::FILE_NAME)).unwrap();
    // Without a sender a received message cannot be read.
    log.execute("UPDATE entry SET peer = x'010203040005' WHERE kind = 0", []).unwrap();
    let reader = Reader::new(folder.path());
    reader.publish(1_000_000);
    let mut gaps = Vec::new();
    let visit = |entry: Stored| {
        if let Body::Gap(gap) = entry.body {
            gaps.push((gap.reason, gap.first_id.unwrap(), entry.id));
        }
        ControlFlow::Continue(())
    };
    let range = Range { after, received: true, gaps: true, removed: true, ..Range::default() };
    reader.scan(&range, visit, || true).unwrap();
    gaps
}

fn gap(reason: &str, first: u64, last: u64) -> (String, u64, u64) {
    (reason.to_owned(), first, last)
}

#[test]
fn readers_behind_a_recovery_get_each_gap_once() {
    let (folder, mut connection) = inbox();
    add(&mut connection, 600, 10);
    // Those before 501 are recovered.
    connection.execute("UPDATE log SET first_id = 501", []).unwrap();
    lose(&connection, 1, 40);
    lose(&connection, 201, 300);
    let damaged = || gap("damaged", 201, 300);
    assert_eq!(gaps_behind(&folder, 10), [gap("damaged", 1, 40), damaged()]);
    remove(&mut connection, 100).unwrap();
    assert_eq!(gaps_behind(&folder, 10), [gap("retention", 11, 100), damaged()]);
    assert_eq!(gaps_behind(&folder, 100), [damaged()]);
    remove(&mut connection, 200).unwrap();
    assert_eq!(gaps_behind(&folder, 150), [gap("retention", 151, 200), damaged()]);
    assert_eq!(gaps_behind(&folder, 250), [damaged()]);
    remove(&mut connection, 550).unwrap();
    assert_eq!(gaps_behind(&folder, 10), [gap("retention", 11, 550)]);
    assert_eq!(gaps_behind(&folder, 550), []);
    assert_eq!(bounds(&connection).unwrap(), Bounds { oldest: 551, newest: 600 });
}

#[test]
fn ids_before_a_new_log_are_no_gap() {
    let (folder, mut connection) = inbox();
    add(&mut connection, 600, 10);
    connection.execute_batch("UPDATE log SET first_id = 501; DELETE FROM entry WHERE id < 501").unwrap();
    assert_eq!(gaps_behind(&folder, 10), []);
    remove(&mut connection, 550).unwrap();
    assert_eq!(gaps_behind(&folder, 10), [gap("retention", 501, 550)]);
}

#[test]
fn the_newest_recovered_entry_stays() {
    let (folder, mut connection) = inbox();
    add(&mut connection, 500, 10);
    connection.execute("UPDATE log SET first_id = 1001", []).unwrap();
    remove(&mut connection, 500).unwrap();
    assert_eq!(bounds(&connection).unwrap().oldest, 500);
    add(&mut connection, 100, 10);
    remove(&mut connection, 1_050).unwrap();
    assert_eq!(gaps_behind(&folder, 10), [gap("retention", 11, 1_050)]);
}

#[test]
fn only_received_messages_that_nobody_had_read_are_counted() {
    let (_folder, mut connection) = inbox();
    add(&mut connection, 100, 10);
    connection.execute("UPDATE entry SET kind = 1 WHERE id % 10 = 0", []).unwrap();
    lose(&connection, 55, 55);
    let removed = |connection: &mut Connection, up_to| {
        let removed = remove(connection, up_to).unwrap();
        (removed.entries, removed.unread)
    };
    assert_eq!(removed(&mut connection, 20), (20, 18));
    connection.execute("INSERT INTO consumer (name, read_id) VALUES ('a', 35), ('b', 3)", []).unwrap();
    assert_eq!(removed(&mut connection, 30), (10, 0));
    // #40, #50 and #60 were sent, and #55 is a gap.
    assert_eq!(removed(&mut connection, 60), (30, 25 - 4));
}

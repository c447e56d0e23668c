use std::os::unix::fs::FileExt;

use super::*;
use crate::inbox::file::format::{PAGE_SIZE_BYTES, newest_id, suffixed};
use crate::inbox::queries;
use crate::index::Anchor;

fn database(folder: &Path) -> PathBuf {
    folder.join(FILE_NAME)
}

#[test]
fn a_newer_inbox_is_refused_and_left_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path()).unwrap();
    opened.connection.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(opened);
    let before = fs::read(database(folder.path())).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found, .. } if found == SCHEMA_VERSION + 1), "{error}");
    assert_eq!(fs::read(database(folder.path())).unwrap(), before);
}

#[test]
fn a_changed_bit_in_the_header_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let sound = fs::read(database(folder.path())).unwrap();
    for byte in [0, 16, 17, 18, 19, 20, 21, 22, 23, 44, 45, 46, 47, 56, 59, 60, 61, 62, 63, 68, 69, 70, 71] {
        // With this bit it has the number of the next version, which is refused.
        for bit in (0..8).filter(|bit| (byte, *bit) != (63, 0)) {
            let folder = tempfile::tempdir().unwrap();
            let mut changed = sound.clone();
            changed[byte] ^= 1 << bit;
            fs::write(database(folder.path()), changed).unwrap();
            let opened = open(folder.path());
            let replaced = opened.as_ref().is_ok_and(|opened| opened.quarantined.is_some());
            assert!(replaced, "byte {byte}, bit {bit}: {opened:?}");
        }
    }
}

#[test]
fn a_damaged_first_page_is_no_other_program() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let sound = fs::read(database(folder.path())).unwrap();
    // The identification, the schema behind it, or both.
    for range in [16..13_522, 46..7_217, 60..72, 65..15_527, 68..100, 71..6_787] {
        for filler in [0, 0x5a] {
            let folder = tempfile::tempdir().unwrap();
            let mut changed = sound.clone();
            changed[range.clone()].fill(filler);
            fs::write(database(folder.path()), changed).unwrap();
            let opened = open(folder.path());
            let replaced = opened.as_ref().is_ok_and(|opened| opened.quarantined.is_some());
            assert!(replaced, "{filler} in {range:?}: {opened:?}");
        }
    }
}

#[test]
fn an_empty_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = Connection::open(database(folder.path())).unwrap();
    other.pragma_update(None, "application_id", 77).unwrap();
    drop(other);
    assert!(matches!(open(folder.path()), Err(OpenError::Foreign { .. })));
}

fn of(plan: &[plan::Segment]) -> create::Lost {
    create::Lost { plan: plan.to_vec(), ..Default::default() }
}

#[test]
fn an_interrupted_replacement_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let opened = open(folder.path()).unwrap();
    opened.connection.execute("INSERT INTO entry (at_ns, kind) VALUES (1, 9)", []).unwrap();
    let target = quarantine::target(&path);
    let lost = create::plan_recovery(&path, &target, 7, true);
    let plan = &lost.plan;
    assert_eq!((plan.len(), plan[0].first, plan[0].last), (1, 1, 7));
    create::create(&path, 8, &lost, &Default::default()).unwrap();
    fs::rename(&path, &target).unwrap();
    let log = fs::read(suffixed(&path, "-wal")).unwrap();
    std::mem::forget(opened);
    let again = open(folder.path()).unwrap();
    assert_eq!(bounds(&again.connection), (8, 7));
    assert!(!plan::read(&again.connection, folder.path()).unwrap().is_empty());
    assert!(fs::read(suffixed(&target, "-wal")).unwrap() == log, "the log stays with its file");
}

#[test]
fn an_interrupted_replacement_leaves_earlier_damaged_files_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let opened = open(folder.path()).unwrap();
    opened.connection.execute("INSERT INTO entry (at_ns, kind) VALUES (1, 9)", []).unwrap();
    let earlier = suffixed(&path, ".damaged-99990101T000000.000000Z");
    fs::write(&earlier, "earlier").unwrap();
    fs::write(suffixed(&earlier, ".bak"), "a copy").unwrap();
    let target = quarantine::target(&path);
    assert!(target > earlier, "also where the clock was set back");
    // Everything is still to be recovered from the earlier one.
    let plan = [plan::Segment { first: 1, last: 7, file: earlier.clone() }];
    create::create(&path, 8, &of(&plan), &Default::default()).unwrap();
    fs::rename(&path, &target).unwrap();
    let log = fs::read(suffixed(&path, "-wal")).unwrap();
    std::mem::forget(opened);
    let again = open(folder.path()).unwrap();
    assert_eq!(plan::read(&again.connection, folder.path()).unwrap(), plan);
    assert!(fs::read(suffixed(&target, "-wal")).unwrap() == log, "the log stays with its file");
    assert!(!suffixed(&earlier, "-wal").exists());
}

#[test]
fn an_interrupted_replacement_keeps_what_is_held_without_entries_to_recover() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let opened = open(folder.path()).unwrap();
    opened.connection.execute("INSERT INTO entry (at_ns, kind) VALUES (1, 9)", []).unwrap();
    let hold = "INSERT INTO held (name, payload, detail, at_ns, until_ns) VALUES ('bob', x'61', '{}', 1, 2)";
    opened.connection.execute(hold, []).unwrap();
    let target = quarantine::target(&path);
    create::create(&path, 8, &of(&[]), &recovery::kept_rows(&path)).unwrap();
    fs::rename(&path, &target).unwrap();
    std::mem::forget(opened);
    let again = open(folder.path()).unwrap();
    assert_eq!(
        again.connection.query_row("SELECT payload FROM held", [], |row| row.get(0)),
        Ok(b"a".to_vec())
    );
}

#[test]
fn a_lost_plan_is_made_again_of_the_files_that_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let create = |ids: std::ops::RangeInclusive<u64>, plan: &[plan::Segment]| {
        create::create(&path, *ids.start(), &of(plan), &Default::default()).unwrap();
        create::rename(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        let insert = "INSERT INTO entry (id, at_ns, kind, peer) VALUES (?1, 1, 0, x'7f0000010009')";
        for id in ids {
            connection.execute(insert, [id]).unwrap();
        }
        connection
    };
    let quarantined = |name: &str, ids| {
        create(ids, &[]).close().unwrap();
        let file = suffixed(&path, &format!(".damaged-{name}"));
        fs::rename(&path, &file).unwrap();
        file
    };
    // One that is recovered since long, and two that are not.
    quarantined("2026-1", 1..=10);
    let earlier = quarantined("2026-2", 5_000_001..=5_000_010);
    let last = quarantined("2026-3", 5_000_011..=5_000_020);
    let plan = [
        plan::Segment { first: 5_000_001, last: 5_000_010, file: earlier },
        plan::Segment { first: 5_000_011, last: 5_000_020, file: last },
    ];
    let connection = create(5_000_021..=5_000_030, &plan);
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'recovery'";
    let root: u32 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    connection.close().unwrap();
    let target = quarantine::target(&path);
    let rest = plan::Segment { first: 5_000_021, last: 5_000_030, file: target.clone() };
    let whole = [plan.to_vec(), vec![rest.clone()]].concat();
    let planned = |has_our_tables| create::plan_recovery(&path, &target, 5_000_030, has_our_tables).plan;
    assert_eq!(planned(true), whole);
    assert_eq!(planned(false), whole, "what could be read is not taken twice");
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 16_384], u64::from(root - 1) * 16_384).unwrap();
    assert_eq!(planned(true), whole);
    fs::remove_file(&plan[1].file).unwrap();
    assert_eq!(planned(true), [rest], "the others do not end where this one begins");
}

#[test]
fn a_replacement_that_was_not_needed_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let opened = open(folder.path()).unwrap();
    opened.connection.execute("INSERT INTO entry (at_ns, kind) VALUES (1, 9)", []).unwrap();
    // The daemon was killed before it moved the damaged file, which then could be read after all.
    let lost = create::plan_recovery(&path, &quarantine::target(&path), 7, true);
    create::create(&path, 8, &lost, &Default::default()).unwrap();
    drop(opened);
    let again = open(folder.path()).unwrap();
    assert_eq!((bounds(&again.connection), again.quarantined), ((1, 1), None));
    assert!(!suffixed(&path, ".new").exists());
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = Connection::open(database(folder.path())).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(other);
    assert!(matches!(open(folder.path()), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_damaged_inbox_is_moved_away_whole_and_replaced() {
    let garbage = vec![7; 100_000];
    for damage in [&garbage[..], b"short", b"SQLite format 3\0 and then nothing sensible"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(database(folder.path()), damage).unwrap();
        for companion in ["-wal", "-journal"] {
            fs::write(suffixed(&database(folder.path()), companion), companion).unwrap();
        }
        let opened = open(folder.path()).unwrap();
        let kept = opened.quarantined.expect("a damaged file is moved away");
        assert_eq!(fs::read(&kept).unwrap(), damage);
        for companion in ["-wal", "-journal"] {
            assert_eq!(fs::read(suffixed(&kept, companion)).unwrap(), companion.as_bytes());
        }
        assert_eq!(opened.connection.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)), Ok(0));
    }
}

#[test]
fn an_interrupted_creation_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = suffixed(&database(folder.path()), ".new");
    drop(Connection::open(&unfinished).unwrap().execute_batch("CREATE TABLE entry (a)"));
    fs::write(database(folder.path()), b"").unwrap();
    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.connection.query_row("SELECT count(*) FROM entry", [], |r| r.get(0)), Ok(0));
    assert!(!unfinished.exists() && opened.quarantined.is_none());
}

#[test]
fn a_truncated_inbox_is_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path()).unwrap();
    let insert = "INSERT INTO entry (at_ns, kind, payload) VALUES (1, 0, zeroblob(50000))";
    for _ in 0..10 {
        opened.connection.execute(insert, []).unwrap();
    }
    drop(opened);
    let file = fs::OpenOptions::new().write(true).open(database(folder.path())).unwrap();
    file.set_len(200_000).unwrap();
    assert!(open(folder.path()).unwrap().quarantined.is_some());
}

#[test]
fn unread_messages_are_counted_from_a_covering_index() {
    let folder = tempfile::tempdir().unwrap();
    let connection = open(folder.path()).unwrap().connection;
    let plan: String = connection
        .query_row(&format!("EXPLAIN QUERY PLAN {}", queries::COUNT_NOT_RECEIVED), [0, 9], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("COVERING INDEX entry_not_received"), "{plan}");
}

/// Creates an inbox of schema 1 with some entries.
fn of_schema_1(folder: &Path, entries: u64) {
    let connection = open(folder).unwrap().connection;
    for id in 1..=entries {
        let insert = "INSERT INTO entry (id, at_ns, kind, payload) VALUES (?1, 7, 0, x'61')";
        connection.execute(insert, [id]).unwrap();
    }
    connection
        .execute_batch(
            "DROP TABLE log; DROP TABLE clock; DROP TABLE held; DROP TABLE silent; PRAGMA user_version = 1",
        )
        .unwrap();
    connection.close().unwrap();
}

fn bounds(connection: &Connection) -> (u64, u64) {
    let bounds = queries::bounds(connection).unwrap();
    (bounds.oldest, bounds.newest)
}

#[test]
fn a_migrated_inbox_has_version_and_first_id_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path(), 20);
    let calls = std::cell::Cell::new(0);
    let opened = open_behind(folder.path(), Known::default(), &|| calls.set(calls.get() + 1)).unwrap();
    assert!(calls.get() > 2, "the service manager is notified");
    let head = fs::read(database(folder.path())).unwrap();
    assert_eq!(head[60..64], SCHEMA_VERSION.to_be_bytes());
    let log = "SELECT first_id, begun_ns, begun_by FROM log";
    let log = opened.connection.query_row(log, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(log, Ok((1, 7, "schema 1".to_owned())));
    let mode = opened.connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
    assert_eq!((mode, bounds(&opened.connection)), (Ok("wal".to_owned()), (1, 20)));
}

#[test]
fn a_failed_migration_leaves_the_inbox_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path(), 20);
    let connection = Connection::open(database(folder.path())).unwrap();
    connection.execute_batch("CREATE VIEW log AS SELECT 1").unwrap();
    connection.close().unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Migration { from: 1, .. }), "{error}");
    assert!(error.hint().unwrap().contains("can still use it"));
    let connection = Connection::open(database(folder.path())).unwrap();
    assert_eq!(version(&connection), Ok(1));
    assert_eq!(newest_id(&connection), Ok(20));
    connection.execute_batch("DROP VIEW log").unwrap();
    connection.close().unwrap();
    assert_eq!(bounds(&open(folder.path()).unwrap().connection), (1, 20));
}

#[test]
fn a_version_without_its_tables_is_damage() {
    let set_version = |folder: &Path, version: u32| {
        let connection = Connection::open(database(folder)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        connection.close().unwrap();
    };
    for version in 1..SCHEMA_VERSION {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        set_version(folder.path(), version);
        assert!(open(folder.path()).unwrap().quarantined.is_some(), "{version}");
    }
    for version in 2..=SCHEMA_VERSION {
        let folder = tempfile::tempdir().unwrap();
        of_schema_1(folder.path(), 20);
        set_version(folder.path(), version);
        assert!(open(folder.path()).unwrap().quarantined.is_some(), "{version} from 1");
    }
}

#[test]
fn an_inbox_in_use_is_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path(), 20);
    let reader = open_unowned(folder.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(error.hint().unwrap().contains("perhaps a backup"), "{error}");
    drop(reader);
    assert_eq!(bounds(&open(folder.path()).unwrap().connection), (1, 20));
}

#[test]
fn ids_continue_in_a_new_log_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        // Only the first call creates it.
        let used = Used { newest: Anchor { id: 500, at_ns: 1 }, is_certain: true };
        let opened = open_behind(folder.path(), Known { used, ..Known::default() }, &|| ()).unwrap();
        assert_eq!(bounds(&opened.connection), (501, 500));
    }
    assert_eq!(bounds(&open(folder.path()).unwrap().connection), (501, 500));
}

#[test]
fn a_log_after_a_damaged_one_reuses_no_ids() {
    for (damage, first_id) in [
        // None of its ids can be read.
        ("unreadable", 1_000_001),
        // Its ids can be read; the number shows the break.
        ("broken elsewhere", 3_000_001),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(folder.path()).unwrap().connection;
        let insert = "INSERT INTO entry (id, at_ns, kind, payload) VALUES (?1, 1, 0, zeroblob(50000))";
        for id in 1_999_990..2_000_000 {
            connection.execute(insert, [id]).unwrap();
        }
        connection.close().unwrap();
        let path = database(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        if damage == "unreadable" {
            bytes.fill(7);
        } else {
            let damaged = bytes.len() / 2..bytes.len() / 2 + PAGE_SIZE_BYTES as usize;
            bytes[damaged].fill(7);
        }
        fs::write(&path, bytes).unwrap();
        assert!(open(folder.path()).unwrap().quarantined.is_some());
        for _ in 0..2 {
            assert_eq!(
                bounds(&open(folder.path()).unwrap().connection),
                (first_id, first_id - 1),
                "{damage}"
            );
        }
    }
}

#[test]
fn an_empty_inbox_of_schema_1_after_a_damaged_one_reuses_no_ids() {
    let folder = tempfile::tempdir().unwrap();
    of_schema_1(folder.path(), 0);
    assert_eq!(bounds(&open(folder.path()).unwrap().connection), (1, 0));
    let folder = tempfile::tempdir().unwrap();
    fs::write(database(folder.path()), "garbage").unwrap();
    quarantine::quarantine(&database(folder.path()), &quarantine::target(&database(folder.path()))).unwrap();
    of_schema_1(folder.path(), 0);
    assert_eq!(bounds(&open(folder.path()).unwrap().connection), (1_000_001, 1_000_000));
}

#[test]
fn a_write_ahead_log_of_another_file_is_moved_away() {
    let folder = tempfile::tempdir().unwrap();
    let killed = tempfile::tempdir().unwrap();
    let connection = open(killed.path()).unwrap().connection;
    connection.execute("INSERT INTO entry (at_ns, kind, payload) VALUES (1, 0, x'61')", []).unwrap();
    // A killed daemon leaves its write-ahead log behind.
    let log = fs::read(suffixed(&database(killed.path()), "-wal")).unwrap();
    drop(open(folder.path()).unwrap());
    let copy = Connection::open(database(folder.path())).unwrap();
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    copy.close().unwrap();
    fs::write(suffixed(&database(folder.path()), "-wal"), &log).unwrap();
    let opened = open(folder.path()).unwrap();
    assert_eq!((bounds(&opened.connection), opened.quarantined), ((1, 0), None));
    let names = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let stray: Vec<_> = names.filter(|path| path.to_str().unwrap().contains(".stray-")).collect();
    assert_eq!(stray.len(), 1, "{stray:?}");
    assert!(fs::read(&stray[0]).unwrap() == log);
}

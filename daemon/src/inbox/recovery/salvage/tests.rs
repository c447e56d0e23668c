use std::path::PathBuf;

use rusqlite::Connection;

use crate::inbox::file;
use crate::inbox::recovery::salvage::*;
use crate::inbox::recovery::{LogEnd, known_ids, log_end};

/// Creates an inbox with this many messages, of lengths up to four pages, and returns its path.
fn inbox(folder: &Path, messages: u64) -> PathBuf {
    let connection = file::open(folder).unwrap().connection;
    append(&connection, 1..=messages);
    folder.join(file::FILE_NAME)
}

fn payload(id: u64) -> Vec<u8> {
    let length = if id.is_multiple_of(50) { 60_000 } else { id * 37 % 600 };
    (0..length).map(|at| (id + at) as u8).collect()
}

fn append(connection: &Connection, ids: std::ops::RangeInclusive<u64>) {
    let insert = "INSERT INTO entry (id, at_ns, kind, peer, payload, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for id in ids {
        let detail = (id.is_multiple_of(9)).then_some(r#"{"by":"me"}"#);
        let values = rusqlite::params![
            id,
            id * 7,
            u8::from(detail.is_some()),
            [127_u8, 0, 0, 1, 0, 9],
            payload(id),
            detail
        ];
        connection.execute(insert, values).unwrap();
    }
}

fn rows(path: &Path, wanted: (u64, u64)) -> Vec<Row> {
    let mut salvage = Salvage::open(path, wanted, &|| true).unwrap().unwrap();
    let mut all = Vec::new();
    loop {
        let rows = salvage.next_rows(10_000, &|| true).unwrap();
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
    }
}

#[track_caller]
fn assert_true(rows: &[Row]) {
    assert!(rows.is_sorted_by(|one, next| one.id < next.id));
    for row in rows {
        assert!(row.payload.as_deref() == Some(payload(row.id).as_slice()), "{}", row.id);
        assert_eq!(row.at_ns.cast_unsigned(), row.id * 7);
    }
}

#[test]
fn a_sound_file_is_read_completely() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let all = rows(&path, (1, u64::MAX));
    assert_true(&all);
    assert_eq!(all.len(), 1_000);
    assert_true(&rows(&path, (300, 400)));
    assert_eq!(rows(&path, (300, 400)).len(), 101);
    let known = known_ids(&path);
    assert_eq!((known.oldest, known.first, known.newest), (Some(1), Some(1), 1_000));
}

#[test]
fn a_damaged_pointer_map_hides_no_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let sound = std::fs::read(&path).unwrap();
    let map = 16_384;
    let short = |rows: &[Row]| rows.iter().filter(|row| row.id % 50 != 0).count();
    // A bit of each use, and numbers that mean nothing.
    for at in (map..map + 5 * 60).step_by(5) {
        for bit in 0..8 {
            let mut changed = sound.clone();
            changed[at] ^= 1 << bit;
            std::fs::write(&path, changed).unwrap();
            assert_eq!(short(&rows(&path, (1, u64::MAX))), 980, "byte {at}, bit {bit}");
        }
    }
    let mut changed = sound.clone();
    (map..map + 8_000).for_each(|at| changed[at] = ((at * 167) >> 3) as u8);
    std::fs::write(&path, changed).unwrap();
    let all = rows(&path, (1, u64::MAX));
    assert_true(&all);
    assert_eq!(short(&all), 980);
}

#[test]
fn removed_entries_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 2_000);
    Connection::open(&path).unwrap().execute("DELETE FROM entry WHERE id <= 1500", []).unwrap();
    let left = rows(&path, (1, u64::MAX));
    assert_eq!((left.first().unwrap().id, left.len()), (1_501, 500));
    assert_eq!(known_ids(&path).oldest, Some(1_501));
}

#[test]
fn each_damaged_page_costs_only_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let sound = std::fs::read(&path).unwrap();
    for page in 0..sound.len() / 16_384 {
        let mut bytes = sound.clone();
        bytes[page * 16_384..(page + 1) * 16_384].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let left = rows(&path, (1, 1_000));
        assert_true(&left);
        assert!(left.len() > 800, "page {page}: {}", left.len());
    }
}

#[test]
fn changed_bits_invent_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 60);
    let sound = std::fs::read(&path).unwrap();
    // Bits of headers and pointers; those of the content cannot be told from others.
    for page in 0..sound.len() / 16_384 {
        for bit in (0..100 * 8).step_by(31) {
            let mut bytes = sound.clone();
            bytes[page * 16_384 + bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            let left = rows(&path, (1, 60));
            assert!(left.is_sorted_by(|one, next| one.id < next.id));
            let is_wrong = |row: &&Row| row.payload.as_deref() != Some(payload(row.id).as_slice());
            // Overflow pages begin with content behind their first four bytes.
            assert!(left.iter().filter(is_wrong).count() <= 1, "page {page}, bit {bit}");
        }
    }
}

#[test]
fn frames_behind_a_damaged_one_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let opened = file::open(folder.path()).unwrap().connection;
    opened.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(())).unwrap();
    opened.close().unwrap();
    let opened = file::open(folder.path()).unwrap().connection;
    opened.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(())).unwrap();
    append(&opened, 1..=399);
    let path = folder.path().join(file::FILE_NAME);
    let log = folder.path().join("inbox.db-wal");
    let last_begins = std::fs::metadata(&log).unwrap().len() as usize;
    append(&opened, 400..=400);
    let sound = std::fs::read(&log).unwrap();
    assert_eq!(log_end(&path, Some(400), true), LogEnd::Nothing);
    let mut changed = sound.clone();
    changed[sound.len() / 2] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    for durable in [None, Some(1), Some(400)] {
        assert_eq!(log_end(&path, durable, true), LogEnd::Lost);
        assert_eq!(log_end(&path, durable, false), LogEnd::Lost, "many transactions are behind the damage");
    }
    let left = rows(&path, (1, u64::MAX));
    assert_true(&left);
    assert_eq!(left.len(), 400, "each page has a later frame");
    // The last transaction.
    let mut changed = sound.clone();
    changed[sound.len() - 100] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    assert_eq!(log_end(&path, Some(400), true), LogEnd::Lost);
    assert_eq!(known_ids(&path).newest, 399);
    assert_eq!(log_end(&path, None, false), LogEnd::Remains, "its end was not written");
    // The last transaction, whose end was written.
    let mut changed = sound.clone();
    changed[last_begins + 100] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    assert_eq!(log_end(&path, Some(399), false), LogEnd::Remains, "nothing that was durable is missing");
    assert_eq!(log_end(&path, Some(400), false), LogEnd::Lost);
    assert_eq!(
        log_end(&path, Some(399), true),
        LogEnd::Lost,
        "within a boot each transaction is written in order"
    );
    assert_eq!(log_end(&path, None, false), LogEnd::Lost, "nothing shows that it was not durable");
}

#[test]
fn an_unreadable_end_of_the_log_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 100);
    let opened = file::open(folder.path()).unwrap().connection;
    append(&opened, 101..=102);
    let log = folder.path().join("inbox.db-wal");
    let mut frames = std::fs::read(&log).unwrap();
    let last = frames.len() - 100;
    frames[last] ^= 1;
    std::fs::write(&log, &frames).unwrap();
    assert_eq!(log_end(&path, Some(1), false), LogEnd::Remains);
    let mut pages = std::fs::read(&path).unwrap();
    pages[16_384..].fill(0);
    std::fs::write(&path, pages).unwrap();
    assert_eq!(log_end(&path, Some(1), false), LogEnd::Lost);
}

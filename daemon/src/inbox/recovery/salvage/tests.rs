use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::inbox::entry::GapDetail;
use crate::inbox::file;
use crate::inbox::recovery::plan::{self, Segment};
use crate::inbox::recovery::salvage::*;
use crate::inbox::recovery::{KnownIds, LogEnd, MAX_PLAUSIBLE_ID, known_ids, log_end, segment, survey};

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
    rows_with(path, wanted, LIMITS)
}

fn rows_with(path: &Path, (mut first, last): (u64, u64), limits: Limits) -> Vec<Row> {
    let opened = Salvage::with_limits(path, vec![(first, last)], limits, &|| true);
    let mut salvage = opened.unwrap().unwrap();
    let mut all = Vec::new();
    while first <= last {
        let Rows { rows, next } = salvage.next_rows((first, last), 10_000, &|| true).unwrap();
        assert!(next > first && rows.last().is_none_or(|row| row.id < next));
        all.extend(rows);
        first = next;
    }
    all
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
fn notices_are_entries_like_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let connection = Connection::open(&path).unwrap();
    let detail = r#"{"notice":"silent","name":"bob","seconds":600,"last_id":1000}"#;
    let insert = "INSERT INTO entry (id, at_ns, kind, detail) VALUES (1001, 7007, 3, ?1)";
    connection.execute(insert, [detail]).unwrap();
    drop(connection);
    // The root of the table: no page is found through it.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 16_384], 16_384 * 2).unwrap();
    let all = rows(&path, (1, MAX_PLAUSIBLE_ID));
    let last = all.last().unwrap();
    assert_eq!((last.id, last.kind, last.detail.as_deref()), (1_001, 3, Some(detail)));
}

#[test]
fn a_sound_file_is_read_completely() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let all = rows(&path, (1, MAX_PLAUSIBLE_ID));
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
            assert_eq!(short(&rows(&path, (1, MAX_PLAUSIBLE_ID))), 980, "byte {at}, bit {bit}");
        }
    }
    let mut changed = sound.clone();
    (map..map + 8_000).for_each(|at| changed[at] = ((at * 167) >> 3) as u8);
    std::fs::write(&path, changed).unwrap();
    let all = rows(&path, (1, MAX_PLAUSIBLE_ID));
    assert_true(&all);
    assert_eq!(short(&all), 980);
}

/// A sound page, whose first entry comes before gaps whose ids are far apart.
#[test]
fn gaps_show_that_the_ids_beside_them_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let connection = file::open(folder.path()).unwrap().connection;
    append(&connection, 100..=100);
    let insert = "INSERT INTO entry (id, at_ns, kind, detail) VALUES (?1, 1, 2, ?2)";
    for (first, last) in [(101, 5_000), (5_001, 7_000), (7_001, 9_000)] {
        let gap = serde_json::to_string(&GapDetail::damaged(first, last)).unwrap();
        connection.execute(insert, rusqlite::params![last, gap]).unwrap();
    }
    append(&connection, 9_001..=9_002);
    connection.close().unwrap();
    let left = rows(&folder.path().join(file::FILE_NAME), (1, MAX_PLAUSIBLE_ID));
    let ids: Vec<u64> = left.iter().map(|row| row.id).collect();
    assert_eq!(ids, [100, 5_000, 7_000, 9_000, 9_001, 9_002]);
}

#[test]
fn removed_entries_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 2_000);
    Connection::open(&path).unwrap().execute("DELETE FROM entry WHERE id <= 1500", []).unwrap();
    let left = rows(&path, (1, MAX_PLAUSIBLE_ID));
    assert_eq!((left.first().unwrap().id, left.len()), (1_501, 500));
    assert_eq!(known_ids(&path).oldest, Some(1_501));
}

/// Returns which rows each page has a part of.
fn rows_of_pages(path: &Path) -> Vec<BTreeSet<u64>> {
    let pages = Pages::open(path).unwrap();
    let numbers: Vec<u32> = pages.numbers().collect();
    let mut of_pages = vec![BTreeSet::new(); numbers.len() + 1];
    for number in numbers {
        let page = pages.read(number).unwrap();
        for cell in btree::entry_cells(&page) {
            let id = cell.rowid.cast_unsigned();
            let (mut next, mut left) = (number, cell.length - cell.local.len());
            of_pages[number as usize].insert(id);
            while left > 0 {
                let at = if next == number { cell.overflow } else { first_word(&pages.read(next).unwrap()) };
                of_pages[at as usize].insert(id);
                (next, left) = (at, left.saturating_sub(pages.page_bytes - 4));
            }
        }
    }
    of_pages
}

fn first_word(page: &[u8]) -> u32 {
    u32::from_be_bytes([page[0], page[1], page[2], page[3]])
}

#[test]
fn each_damaged_page_costs_only_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let sound = std::fs::read(&path).unwrap();
    let of_pages = rows_of_pages(&path);
    assert!(of_pages.iter().filter(|rows| !rows.is_empty()).count() > 50);
    for page in 0..sound.len() / 16_384 {
        let mut bytes = sound.clone();
        bytes[page * 16_384..(page + 1) * 16_384].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let left = rows(&path, (1, 1_000));
        assert_true(&left);
        let lost: BTreeSet<u64> = (1..=1_000).filter(|id| left.iter().all(|row| row.id != *id)).collect();
        assert_eq!(lost, of_pages[page + 1], "page {}", page + 1);
    }
}

#[test]
fn a_file_with_more_leaves_than_are_remembered_is_read_completely() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    for limits in [Limits { leaves: 1, ..LIMITS }, Limits { leaves: 7, pages: 1 }] {
        let all = rows_with(&path, (1, MAX_PLAUSIBLE_ID), limits);
        assert_true(&all);
        assert_eq!(all.len(), 1_000);
    }
    // Leaves whose rows this program does not write.
    Connection::open(&path).unwrap().execute("UPDATE entry SET kind = 9", []).unwrap();
    for limits in [Limits { leaves: 1, ..LIMITS }, Limits { leaves: 7, pages: 1 }] {
        assert_eq!(rows_with(&path, (1, MAX_PLAUSIBLE_ID), limits), []);
    }
}

#[test]
fn rows_that_cannot_be_read_do_not_delay_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    Connection::open(&path).unwrap().execute("UPDATE entry SET kind = 9 WHERE id < 1000", []).unwrap();
    let limits = Limits { pages: 3, ..LIMITS };
    let opened = Salvage::with_limits(&path, vec![(1, 1_000)], limits, &|| true);
    let found = opened.unwrap().unwrap().next_rows((1, 1_000), 10_000, &|| true).unwrap();
    assert_eq!(found.rows, []);
    assert!((2..500).contains(&found.next), "{}", found.next);
}

#[test]
fn a_file_is_visited_once_for_all_segments_of_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let connection = file::open(folder.path()).unwrap().connection;
    append(&connection, 1..=100);
    let insert = "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, 1, 0, x'7f0000010009', zeroblob(60000))";
    (101..=240).for_each(|id| assert_eq!(connection.execute(insert, [id]).unwrap(), 1));
    connection.close().unwrap();
    let file = folder.path().join(file::FILE_NAME);
    let steps = u32::try_from(std::fs::metadata(&file).unwrap().len() / 16_384).unwrap() / PAGES_PER_STEP;
    assert!(steps > 0);
    let segment = |first: u64| Segment { first, last: first + 1, file: file.clone() };
    let plan: Vec<_> = (0..30).map(|number| segment(number * 3 + 1)).collect();
    let (visits, mut ids) = (std::cell::Cell::new(0), Vec::new());
    let count = || {
        visits.set(visits.get() + 1);
        true
    };
    let whole = segment::recover(&plan, &count, |chunk| {
        ids.extend(chunk.rows.iter().map(|row| row.id));
        true
    });
    assert!(whole.unwrap());
    assert_eq!(visits.get(), steps);
    assert!(ids.into_iter().eq((1..=90).filter(|id| id % 3 != 0)));
}

#[test]
fn a_file_that_cannot_be_read_has_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    // It can be opened, and reading it fails.
    assert_eq!(rows(folder.path(), (1, 100)), []);
    assert_eq!(known_ids(folder.path()), KnownIds::default());
}

#[test]
fn a_wrong_pointer_to_the_first_page_shows_no_oldest_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 1_000);
    let mut bytes = std::fs::read(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'entry'";
    let root: usize = connection.query_row(root, [], |row| row.get(0)).unwrap();
    let page = &mut bytes[(root - 1) * 16_384..root * 16_384];
    // The first child becomes the second one.
    let cell = |page: &[u8], number: usize| {
        usize::from(u16::from_be_bytes([page[12 + 2 * number], page[13 + 2 * number]]))
    };
    let (first, second) = (cell(page, 0), cell(page, 1));
    page.copy_within(second..second + 4, first);
    std::fs::write(&path, &bytes).unwrap();
    let known = known_ids(&path);
    assert_eq!((known.oldest, known.newest), (None, 1_000));
}

#[test]
fn a_plan_of_many_segments_is_found_in_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let connection = file::open(folder.path()).unwrap().connection;
    let file = folder.path().join("inbox.db.damaged-1");
    let segments = (0..3_000).map(|number| Segment {
        first: number * 10 + 1,
        last: number * 10 + 5,
        file: file.clone(),
    });
    let segments: Vec<_> = segments.collect();
    plan::add(&connection, folder.path(), &segments).unwrap();
    connection.close().unwrap();
    let path = folder.path().join(file::FILE_NAME);
    assert_eq!(survey(&path, folder.path()).unfinished, segments);
    // Also where a part of the page that says where it is, or all of it, is damaged.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let page = std::fs::read(&path).unwrap()[..16_384].to_vec();
    let tables = page[104];
    let pointers = (0..usize::from(tables)).map(|table| (108 + 2 * table, vec![0, 0]));
    let fewer = (104, vec![tables - 1]);
    for (at, bytes) in pointers.chain([fewer, (0, vec![0; 16_384])]) {
        file.write_all_at(&bytes, at as u64).unwrap();
        assert_eq!(survey(&path, folder.path()).unfinished, segments, "{} bytes at {at}", bytes.len());
        file.write_all_at(&page, 0).unwrap();
    }
}

#[test]
fn a_gap_for_ids_that_it_cannot_have_is_no_row() {
    let gap = |first: u64| Row {
        id: 7,
        at_ns: 1,
        kind: 2,
        peer: None,
        local: None,
        payload: None,
        detail: Some(format!(r#"{{"lost":3,"reason":"damaged","first_id":{first}}}"#)),
    };
    assert_eq!([0, 1, 7, 8].map(|first| gap(first).is_valid()), [false, true, true, false]);
}

#[test]
fn a_pointer_into_the_locked_bytes_is_no_overflow_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 60);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16..18].copy_from_slice(&1024_u16.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    // The page of these bytes would be one of the pointer map, which is the next one instead.
    assert_eq!(Pages::open(&path).unwrap().use_of((1 << 30) / 1024 + 1), Use::Free);
}

#[test]
fn changed_bits_invent_no_rows() {
    const MAP: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 60);
    let (sound, of_pages) = (rows(&path, (1, 60)), rows_of_pages(&path));
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    // Bits of headers and pointers; those of the content cannot be told from others.
    for page in 1..of_pages.len() {
        for bit in (0..100 * 8).step_by(7) {
            let at = (page - 1) * 16_384 + bit / 8;
            file.write_all_at(&[bytes[at] ^ 1 << (bit % 8)], at as u64).unwrap();
            let left = rows(&path, (1, 60));
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
            let what = format!("page {page}, bit {bit}");
            // Overflow pages begin with content behind their first four bytes.
            let is_content = bit >= 32 && bytes[(page - 1) * 16_384] == 0 && page != MAP;
            for row in &left {
                let same = &sound[usize::try_from(row.id).unwrap() - 1];
                let is_own = of_pages[page].contains(&row.id) && is_content;
                let row = if is_own { &Row { payload: same.payload.clone(), ..row.clone() } } else { row };
                assert!(row == same, "{what}: {} is wrong", row.id);
            }
            let is_left = |id: u64| left.iter().any(|row| row.id == id);
            let mut lost = (1..=60).filter(|id| !is_left(*id));
            // A changed owner of an overflow page costs the row of that page.
            match page {
                MAP => assert!(lost.all(|id| id == 50), "{what}"),
                _ => assert!(lost.all(|id| of_pages[page].contains(&id)), "{what}"),
            }
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
    let left = rows(&path, (1, MAX_PLAUSIBLE_ID));
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

#[test]
fn pages_in_the_log_survive_a_file_that_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = inbox(folder.path(), 700);
    // A daemon that was killed leaves its log.
    let opened = file::open(folder.path()).unwrap().connection;
    opened.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(())).unwrap();
    append(&opened, 701..=900);
    for bytes in [1, 50, 99, 100, 20_000] {
        std::fs::File::options().write(true).open(&path).unwrap().set_len(bytes).unwrap();
        let left = rows(&path, (1, MAX_PLAUSIBLE_ID));
        assert_true(&left);
        assert!((750..=900).all(|id| left.iter().any(|row| row.id == id)), "{bytes}: {}", left.len());
    }
}

#[test]
fn pages_in_the_log_behind_the_end_of_the_file_are_counted() {
    // One of them leaves out all pages whose number is even.
    for remainder in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let connection = file::open(folder.path()).unwrap().connection;
        let insert = "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, 1, 0, x'7f0000010009', zeroblob(12000))";
        connection.execute_batch("BEGIN").unwrap();
        (1..=600).for_each(|id| assert_eq!(connection.execute(insert, [id]).unwrap(), 1, "a page for each"));
        connection.execute_batch("COMMIT").unwrap();
        connection.close().unwrap();
        let opened = file::open(folder.path()).unwrap().connection;
        opened.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(())).unwrap();
        opened.execute("UPDATE entry SET at_ns = 2 WHERE id % 2 = ?1", [remainder]).unwrap();
        let path = folder.path().join(file::FILE_NAME);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(16_384).unwrap();
        let asked = std::cell::Cell::new(0);
        let go_on = || {
            asked.set(asked.get() + 1);
            true
        };
        assert!(Salvage::open(&path, vec![(1, 600)], &go_on).unwrap().is_some());
        assert_eq!(asked.get(), 1, "{remainder}");
        assert!(Salvage::open(&path, vec![(1, 600)], &|| false).unwrap().is_none(), "{remainder}");
    }
}

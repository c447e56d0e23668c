//! The index as a reader uses it: in any state of its file, answers are those of a plain scan.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use regex::Regex;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use udpchat_config::PeerAddress;

use super::indexer::{Indexer, Step};
use super::predicate::Predicate;
use crate::inbox::address::pack;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::file;
use crate::inbox::reader::{Range, Reader};
use crate::index::*;

/// The log begins in the middle of a block, fills a segment, and ends in the middle of another block.
const OLDEST: u64 = 700;
const NEWEST: u64 = (1 << 16) + 5_000;

/// Pseudo-random numbers, the same in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}

/// Creates a log. The clock is set back in its middle; one peer, one word and sent messages are rare.
fn log(seed: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file::open(folder.path()).unwrap().connection;
    let transaction = connection.transaction().unwrap();
    let mut chance = Chance(seed);
    let mut insert = transaction
        .prepare("INSERT INTO entry (id, at_ns, kind, peer, payload, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .unwrap();
    for id in OLDEST..=NEWEST {
        let at_ns = if id < 40_000 { id * 10 } else { id * 10 - 150_000 } + seed;
        let rare = chance.below(15_000) == 0;
        let (kind, detail) = match chance.below(20_000) {
            0 => (2, Some(r#"{"lost":1,"reason":"queue_full"}"#)),
            1..4 => (1, Some("{}")),
            _ => (0, None),
        };
        let peer = match rare {
            true => "[fe80::9%3]:9000".to_owned(),
            false => format!("10.{}.0.1:{}", id >> 13, 4_000 + chance.below(20)),
        };
        let word = if chance.below(15_000) == 0 { "alarm in 温室" } else { "state is fine" };
        let payload = format!("{{\"node\": {}, {word}}}", chance.below(50));
        let peer = pack(peer.parse().unwrap());
        let peer = (kind != 2).then_some(peer.as_slice());
        insert
            .execute(params![id, at_ns, kind, peer, (kind != 2).then_some(payload.as_bytes()), detail])
            .unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
    folder
}

fn reader(folder: &TempDir) -> Arc<Reader> {
    let reader = Arc::new(Reader::new(folder.path()));
    reader.publish(NEWEST);
    reader
}

fn new_indexer(reader: &Arc<Reader>) -> Indexer {
    Indexer::new(Arc::clone(reader.index()), Arc::<Reader>::clone(reader))
}

/// Does up to `blocks` steps, or all that are to be done.
fn run_steps(indexer: &mut Indexer, blocks: usize) {
    let mut steps = 0;
    while steps < blocks && indexer.has_work(NEWEST) {
        match indexer.step() {
            Ok(Step::Idle) => return,
            Ok(_) => steps += 1,
            // An error after which a new index is needed.
            Err(_) if indexer.has_work(NEWEST) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A log with a complete index.
fn indexed() -> (TempDir, Arc<Reader>, Indexer) {
    let folder = log(7);
    let reader = reader(&folder);
    let mut indexer = new_indexer(&reader);
    run_steps(&mut indexer, usize::MAX);
    assert_eq!(reader.index().newest_id(), whole_ids(NEWEST));
    (folder, reader, indexer)
}

/// A query of a client.
struct Query {
    range: Range,
    from: Option<PeerAddress>,
    grep: Option<Regex>,
}

impl Query {
    fn new(range: Range, from: Option<&str>, grep: Option<&str>) -> Self {
        let from: Option<PeerAddress> = from.map(|from| from.parse().unwrap());
        let predicates = [
            from.as_ref().map(Predicate::of_peer),
            grep.map(|grep| regex_terms::predicate(&regex_syntax::parse(grep).unwrap())),
        ];
        let predicate = Arc::new(Predicate::all(predicates.into_iter().flatten()));
        let range = Range { predicate, ..range };
        Self { range, from, grep: grep.map(|grep| Regex::new(grep).unwrap()) }
    }

    fn random(chance: &mut Chance) -> Self {
        let some = |chance: &mut Chance, end| (chance.below(3) == 0).then(|| chance.below(end));
        let kinds = [(true, true, true), (true, false, false), (false, true, false), (false, false, true)];
        let (received, sent, gaps) = kinds[chance.below(4) as usize];
        let range = Range {
            after: some(chance, NEWEST).unwrap_or(0),
            before: some(chance, NEWEST + 10),
            since_ns: some(chance, NEWEST * 10).map(u64::cast_signed),
            until_ns: some(chance, NEWEST * 10).map(u64::cast_signed),
            received,
            sent,
            gaps,
            order: if chance.below(2) == 0 { Order::Asc } else { Order::Desc },
            ..Range::default()
        };
        let from = ["fe80::9", "[fe80::9%3]:9000", "fe80::9%4", "10.3.0.1", "10.3.0.1:4007", "10.77.0.1"];
        let grep = ["alarm", "温室", "(?i)ALARM|fire", "node.: 7,", "nothing like it", "[0-9]+"];
        let from = (chance.below(2) == 0).then(|| from[chance.below(6) as usize]);
        let grep = (chance.below(3) == 0).then(|| grep[chance.below(6) as usize]);
        Self::new(range, from, grep)
    }

    fn wants(&self, entry: &Stored) -> bool {
        let (peer, payload) = match &entry.body {
            Body::Received { peer, payload, .. } | Body::Sent { peer, payload, .. } => (peer, payload),
            Body::Gap(_) | Body::Notice(_) => return self.from.is_none() && self.grep.is_none(),
        };
        self.from.as_ref().is_none_or(|from| from.matches(*peer))
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(str::from_utf8(payload).unwrap()))
    }

    /// Reads all pages as a client does; returns the ids, and how many entries were looked at.
    fn answer(&self, reader: &Reader, limit: usize, max_windows: u64) -> (Vec<u64>, usize) {
        let (mut ids, mut looked_at) = (Vec::new(), 0);
        let mut range = self.range.clone();
        loop {
            let (page_end, windows) = (ids.len() + limit, Cell::new(0));
            let visit = |entry: Stored| {
                looked_at += 1;
                if self.wants(&entry) {
                    ids.push(entry.id);
                }
                if ids.len() < page_end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let go_on = || windows.replace(windows.get() + 1) < max_windows;
            let scanned = reader.scan(&range, visit, go_on).unwrap();
            match range.order {
                Order::Asc => range.after = scanned.cursor,
                Order::Desc => range.before = Some(scanned.cursor),
            }
            if !scanned.more {
                return (ids, looked_at);
            }
        }
    }
}

/// Checks that random queries are answered as without an index; returns how many entries were looked at with and without.
#[track_caller]
fn same_answers(folder: &TempDir, reader: &Reader, queries: u64, seed: u64) -> (usize, usize) {
    let plain = self::reader(folder);
    let (mut chance, mut with, mut without) = (Chance(seed), 0, 0);
    for _ in 0..queries {
        let query = Query::random(&mut chance);
        let (wanted, all) = query.answer(&plain, usize::MAX, u64::MAX);
        let limit = [1_000_000, 1_000, 7][chance.below(3) as usize];
        let max_windows = [u64::MAX, 3, 0][chance.below(3) as usize];
        let (ids, looked_at) = query.answer(reader, limit, max_windows);
        assert_eq!(ids, wanted, "{:?} in pages of {limit} with {max_windows} windows", query.range);
        (with, without) = (with + looked_at, without + all);
    }
    (with, without)
}

#[test]
fn answers_are_the_same_and_fewer_entries_are_read() {
    let folder = log(7);
    let reader = reader(&folder);
    let mut indexer = new_indexer(&reader);
    let (with, without) = same_answers(&folder, &reader, 10, 1);
    assert_eq!(with, without, "there is no index yet");
    let mut before = usize::MAX;
    for blocks in [10, 50, usize::MAX] {
        run_steps(&mut indexer, blocks);
        let (with, without) = same_answers(&folder, &reader, 60, 2);
        assert!(with < without && with < before, "{with} of {without} after {blocks} blocks");
        before = with;
    }
    let (with, without) = same_answers(&folder, &reader, 60, 2);
    assert!(with * 3 < without, "{with} of {without}");
    // The file is opened again as it was left.
    drop(indexer);
    let again = self::reader(&folder);
    let mut indexer = new_indexer(&again);
    assert_eq!((indexer.step().unwrap(), indexer.step().unwrap()), (Step::Done, Step::Idle));
    assert_eq!(same_answers(&folder, &again, 60, 2).0, with);
}

#[test]
fn rare_entries_are_found_by_reading_few() {
    let (_folder, reader, _indexer) = indexed();
    let all = Range { received: true, sent: true, ..Range::default() };
    for (from, grep) in [(Some("[fe80::9%3]:9000"), None), (None, Some("alarm")), (None, Some("温室"))] {
        let (ids, looked_at) = Query::new(all.clone(), from, grep).answer(&reader, 100, u64::MAX);
        assert!((1..=20).contains(&ids.len()) && looked_at < 22_000, "{} in {looked_at}", ids.len());
    }
    // Entries above the last whole block are always read.
    let last = NEWEST - whole_ids(NEWEST);
    let (ids, looked_at) = Query::new(all, Some("10.99.0.1"), None).answer(&reader, 100, u64::MAX);
    assert!(ids.is_empty() && looked_at as u64 <= last, "{looked_at}");
}

#[test]
fn a_damaged_index_gives_no_wrong_answer_and_is_recreated() {
    let (folder, reader, indexer) = indexed();
    drop((reader, indexer));
    let file = folder.path().join(store::FILE_NAME);
    let sound = fs::read(&file).unwrap();
    let mut chance = Chance(5);
    for round in 0..12 {
        let mut damaged = sound.clone();
        match round {
            0 => damaged.truncate(sound.len() / 2),
            1 => damaged.truncate(70),
            2 => damaged.clear(),
            3 => damaged.fill(7),
            4 => damaged[16_384..].fill(0),
            5 => damaged[60..64].copy_from_slice(&9u32.to_be_bytes()),
            _ => {
                for _ in 0..4 << (2 * (round - 6)) {
                    damaged[chance.below(sound.len() as u64) as usize] ^= 1 << chance.below(8);
                }
            }
        }
        fs::write(&file, &damaged).unwrap();
        let reader = self::reader(&folder);
        let mut indexer = new_indexer(&reader);
        // The damage is found at the first step, or by a reader, or never where it does no harm.
        let _opened = indexer.step();
        same_answers(&folder, &reader, 25, 100 + round);
        run_steps(&mut indexer, usize::MAX);
        assert_eq!(reader.index().newest_id(), whole_ids(NEWEST), "round {round}");
        same_answers(&folder, &reader, 10, 200 + round);
        for path in store::paths(folder.path()) {
            let _none = fs::remove_file(path);
        }
    }
}

#[test]
fn damage_while_running_is_noticed_by_a_reader() {
    let (folder, reader, mut indexer) = indexed();
    let query = Query::new(Range { received: true, ..Range::default() }, None, Some("alarm"));
    let (wanted, few) = query.answer(&reader, 100, u64::MAX);
    reader.index().shared.lock().idle.clear();
    let connection = Connection::open(folder.path().join(store::FILE_NAME)).unwrap();
    connection.execute("UPDATE segment_chunk SET sealed = zeroblob(2056) WHERE id % 3 = 0", []).unwrap();
    let (ids, looked_at) = query.answer(&reader, usize::MAX, u64::MAX);
    assert_eq!(ids, wanted);
    assert!(looked_at > few && indexer.has_work(NEWEST));
    assert_eq!(indexer.step().unwrap(), Step::Created);
    run_steps(&mut indexer, usize::MAX);
    assert_eq!(query.answer(&reader, usize::MAX, u64::MAX), (wanted, few));
}

#[test]
fn an_index_of_another_log_is_not_used() {
    let (folder, reader, _indexer) = indexed();
    let other = log(11);
    // The other log replaces this one while the index is in use.
    fs::rename(other.path().join(file::FILE_NAME), folder.path().join(file::FILE_NAME)).unwrap();
    reader.reopen();
    same_answers(&folder, &reader, 25, 3);
    // And at the next start.
    let reader = self::reader(&folder);
    let mut indexer = new_indexer(&reader);
    assert_eq!(indexer.step().unwrap(), Step::Created);
    run_steps(&mut indexer, usize::MAX);
    let (with, without) = same_answers(&folder, &reader, 25, 3);
    assert!(with < without);
}

#[test]
fn a_log_replaced_while_running_gets_its_own_index() {
    let (folder, reader, mut indexer) = indexed();
    let connection = Connection::open(folder.path().join(file::FILE_NAME)).unwrap();
    connection.execute("UPDATE entry SET at_ns = at_ns + 1 WHERE id = ?1", [whole_ids(NEWEST)]).unwrap();
    let next = NEWEST + 2_048;
    let insert =
        "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, 1, 0, x'010203040005', x'61')";
    for id in NEWEST + 1..=next {
        connection.execute(insert, [id]).unwrap();
    }
    reader.publish(next);
    assert!(indexer.has_work(next));
    assert_eq!(indexer.step().unwrap(), Step::Created);
}

#[test]
fn segments_below_the_oldest_entry_are_deleted() {
    let (folder, reader, mut indexer) = indexed();
    let connection = Connection::open(folder.path().join(file::FILE_NAME)).unwrap();
    connection.execute("DELETE FROM entry WHERE id < 66000", []).unwrap();
    same_answers(&folder, &reader, 25, 4);
    indexer.step().unwrap();
    let index = Connection::open(folder.path().join(store::FILE_NAME)).unwrap();
    let rows = |table: &str| -> u64 {
        index.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((rows("segment"), rows("segment_chunk")), (0, 0));
    assert!(rows("block") > 0 && rows("block_chunk") > 0);
    same_answers(&folder, &reader, 25, 4);
}

#[test]
fn an_index_of_a_log_that_has_lost_most_is_created_again_and_counts_only_for_what_is_left() {
    let (folder, reader, mut indexer) = indexed();
    let whole = reader.index().bytes_from(1);
    let half = reader.index().bytes_from(NEWEST / 2);
    assert!((whole * 4 / 10..whole * 6 / 10).contains(&half), "{half} of {whole}");
    let connection = Connection::open(folder.path().join(file::FILE_NAME)).unwrap();
    let size = |folder: &TempDir| fs::metadata(folder.path().join(store::FILE_NAME)).unwrap().len();
    // What is not used by blocks is free, as after a lower limit of size.
    let index = Connection::open(folder.path().join(store::FILE_NAME)).unwrap();
    index.execute("CREATE TABLE filler (b)", []).unwrap();
    index.execute("INSERT INTO filler VALUES (zeroblob(16000000))", []).unwrap();
    index.execute("DROP TABLE filler", []).unwrap();
    index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(index);
    assert!(size(&folder) > 16_000_000);
    connection.execute("DELETE FROM entry WHERE id < 66000", []).unwrap();
    assert_eq!(indexer.step().unwrap(), Step::Created);
    assert!(size(&folder) < 1_000_000);
    run_steps(&mut indexer, usize::MAX);
    same_answers(&folder, &reader, 25, 5);
}

#[test]
fn an_index_mostly_of_removed_entries_is_created_again_before_its_segment_is_complete() {
    let (folder, reader, mut indexer) = indexed();
    let index = Connection::open(folder.path().join(store::FILE_NAME)).unwrap();
    // Filters of 8 MiB.
    index.execute("CREATE TABLE filler (b)", []).unwrap();
    index.execute("INSERT INTO filler VALUES (zeroblob(8000000))", []).unwrap();
    drop(index);
    assert_eq!(indexer.step().unwrap(), Step::Idle);
    // Within the first segment, of 64 blocks.
    let connection = Connection::open(folder.path().join(file::FILE_NAME)).unwrap();
    connection.execute("DELETE FROM entry WHERE id < ?1", [NEWEST * 3 / 4]).unwrap();
    assert_eq!(indexer.step().unwrap(), Step::Created);
    run_steps(&mut indexer, usize::MAX);
    same_answers(&folder, &reader, 25, 6);
}

#[test]
fn a_log_without_a_whole_block_has_no_index() {
    let folder = tempfile::tempdir().unwrap();
    drop(file::open(folder.path()).unwrap());
    let reader = Arc::new(Reader::new(folder.path()));
    let mut indexer = new_indexer(&reader);
    assert!(!indexer.has_work(1_022));
    assert_eq!(indexer.step().unwrap(), Step::Idle);
    assert_eq!((reader.index().newest_id(), reader.index().size_bytes()), (0, 0));
}

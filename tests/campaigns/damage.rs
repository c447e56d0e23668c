//! Damage of the files of the data directory: changed bits, overwritten blocks, truncated and emptied files.
//!
//! Each variant starts a daemon on a damaged copy, and demands that it starts, that every entry outside the damaged pages is
//! there as it was written, that each other id has a gap, and that no id is used again. What is expected is computed from
//! the bytes of the undamaged files, not by the code under test. The inbox has received and sent messages, gaps and read marks.
//!
//! The short size is a few variants of each file of a small inbox, after a stop, after a kill, and during a recovery. The full one
//! is 1,000, and some of an inbox above 64 MiB, which a start does not check completely. `UDPCHAT_VARIANT=2/inbox.db/847` runs
//! that variant alone, as a failure names it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::{Range, RangeInclusive};
use std::time::Instant;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::random::{Random, seed};
use crate::support::{Daemon, Peer, eventually, id, new_folder, scaled};

/// How many messages the inbox has.
const MESSAGES: u64 = 1_500;

/// The ids of a gap for messages that were not stored, and of one for damaged entries.
const GAP: u64 = 750;
const DAMAGED: RangeInclusive<u64> = 751..=760;

/// Up to which id a recovery has still to bring the entries, and the file that has them.
const PLANNED: u64 = 600;
const PLANNED_FILE: &str = "inbox.db.damaged-20260101T000000.000000Z";

/// How many consumers have a read mark, and how far these are apart.
const MARKS: u64 = 20;
const MARKS_APART: u64 = 40;

/// How many messages the large inbox has, with more than 64 MiB.
const MESSAGES_OF_LARGE: u64 = 10_000;

/// How many variants of each file, in the short and in the full size, and of the large inbox.
const VARIANTS: (usize, usize) = (6, 1_000);
const VARIANTS_OF_LARGE: (usize, usize) = (0, 30);

/// The page size of the inbox, and the length of a frame of its write-ahead log, in bytes.
const PAGE: usize = 16_384;
const FRAME: usize = PAGE + 24;

/// Returns the text of a message: its id, so that it is found in the files, and content of varied length.
fn text(id: u64) -> String {
    let length = match id {
        _ if id.is_multiple_of(97) => 20_000,
        MESSAGES.. => 7_900,
        _ => (id * 131 % 400) as usize,
    };
    let filler: String = (0..length).map(|at| char::from(b'a' + ((id as usize + at) % 26) as u8)).collect();
    format!("<{id:07}>{filler}")
}

fn is_gap(id: u64) -> bool {
    id == GAP || DAMAGED.contains(&id)
}

fn is_sent(id: u64) -> bool {
    id < MESSAGES && id.is_multiple_of(29) && !is_gap(id)
}

fn consumer(number: u64) -> String {
    format!("mark-{number:02}")
}

/// Adds messages with these ids to an inbox that ends before them.
fn fill(daemon: &Daemon, peer: &Peer, ids: RangeInclusive<u64>) {
    let mut received = Vec::new();
    for id in ids {
        if is_sent(id) {
            daemon.receive_from(peer, received.drain(..));
            daemon.rpc().call("send", json!({ "to": peer.name(), "text": text(id) }));
        } else {
            received.push(text(id));
        }
        if received.len() == 20 {
            daemon.receive_from(peer, received.drain(..));
        }
    }
    daemon.receive_from(peer, received);
}

/// A data directory as a daemon left it.
struct Base {
    folder: tempfile::TempDir,
    messages: u64,
}

impl Base {
    fn new(messages: u64, killed: bool) -> Self {
        let daemon = Daemon::start_with("[log]\nmessages_per_second = 0\n", &[]);
        let peer = Peer::new();
        fill(&daemon, &peer, 1..=GAP - 1);
        let (folder, flags) = daemon.into_folder();
        let inbox = Connection::open(folder.path().join("data/inbox.db")).unwrap();
        let insert = "INSERT INTO entry (id, at_ns, kind, detail) VALUES (?1, ?1, 2, ?2)";
        let damaged = json!({ "lost": 10, "reason": "damaged", "first_id": DAMAGED.start() });
        for (id, detail) in [(GAP, json!({ "lost": 3, "reason": "queue_full" })), (*DAMAGED.end(), damaged)] {
            inbox.execute(insert, (id, detail.to_string())).unwrap();
        }
        inbox.close().unwrap();
        let mut daemon = Daemon::start_in(folder, flags);
        fill(&daemon, &peer, DAMAGED.end() + 1..=messages);
        for number in 1..=MARKS {
            let mark = json!({ "consumer": consumer(number), "id": number * MARKS_APART });
            daemon.rpc().call("ack", mark);
        }
        // A daemon that is stopped empties the write-ahead log; one that is killed leaves it.
        daemon.signal(if killed { Signal::SIGKILL } else { Signal::SIGTERM });
        let _ended = daemon.wait();
        Self { folder: daemon.into_folder().0, messages }
    }

    /// Returns one whose first entries a recovery has still to bring.
    fn recovering() -> Self {
        let base = Self::new(MESSAGES, false);
        let path = base.folder.path().join("data/inbox.db");
        let before = path.with_file_name(PLANNED_FILE);
        fs::copy(&path, &before).unwrap();
        let remove = |path, sql: &str| {
            let inbox = Connection::open(path).unwrap();
            inbox.execute_batch(sql).unwrap();
            inbox.close().unwrap();
        };
        remove(before, &format!("DELETE FROM entry WHERE id > {PLANNED}"));
        let half = PLANNED / 2;
        let plan = format!(
            "DELETE FROM entry WHERE id <= {PLANNED};
             UPDATE log SET first_id = {PLANNED} + 1;
             CREATE TABLE recovery (first_id INTEGER PRIMARY KEY, last_id INTEGER NOT NULL, file TEXT NOT NULL) STRICT;
             INSERT INTO recovery VALUES (1, {half}, '{PLANNED_FILE}'), ({half} + 1, {PLANNED}, '{PLANNED_FILE}');"
        );
        remove(path, &plan);
        base
    }

    /// Returns one with a large inbox.
    fn large() -> Self {
        let base = Self::new(MESSAGES, false);
        let mut inbox = Connection::open(base.folder.path().join("data/inbox.db")).unwrap();
        let transaction = inbox.transaction().unwrap();
        let insert =
            "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, ?1, 0, x'7f0000010009', ?2)";
        for id in MESSAGES + 1..=MESSAGES_OF_LARGE {
            transaction.execute(insert, (id, text(id).into_bytes())).unwrap();
        }
        transaction.commit().unwrap();
        inbox.close().unwrap();
        // The journal of a daemon that has received these messages knows the newest one.
        let mut daemon = start(base.folder).unwrap();
        daemon.signal(Signal::SIGTERM);
        let _ended = daemon.wait();
        Self { folder: daemon.into_folder().0, messages: MESSAGES_OF_LARGE }
    }

    /// Lists the files that are not empty.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("data")).unwrap().map(Result::unwrap);
        let files = files.filter(|file| file.metadata().unwrap().len() > 0);
        let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("data").join(name)).unwrap()
    }

    fn copy(&self) -> tempfile::TempDir {
        let copy = new_folder();
        fs::create_dir(copy.path().join("data")).unwrap();
        for file in fs::read_dir(self.folder.path().join("data")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join("data").join(file.file_name())).unwrap();
        }
        fs::write(copy.path().join("config.toml"), "[log]\nmessages_per_second = 0\n").unwrap();
        copy
    }
}

/// Changes a file; returns what was done, and which bytes are no longer as they were.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) -> (&'static str, Range<usize>) {
    let length = bytes.len();
    let at = if random.below(4) == 0 { random.below(length.min(120)) } else { random.below(length) };
    let block = at..length.min(at + 1 + random.below(PAGE));
    match random.below(8) {
        0..=2 => {
            bytes[at] ^= 1 << random.below(8);
            ("a changed bit", at..at + 1)
        }
        3 => {
            bytes[at] = bytes[at].wrapping_add(1 + random.below(255) as u8);
            ("a changed byte", at..at + 1)
        }
        4 => {
            bytes[block.clone()].fill(0);
            ("a zeroed block", block)
        }
        5 => {
            bytes[block.clone()].iter_mut().for_each(|byte| *byte = random.next() as u8);
            ("a random block", block)
        }
        6 => {
            bytes.truncate(at);
            ("truncated", at..length)
        }
        _ => {
            let page = at / PAGE * PAGE;
            let page = page..length.min(page + PAGE);
            bytes[page.clone()].fill(0);
            ("a zeroed page", page)
        }
    }
}

/// What the damaged pages or frames held.
#[derive(Default)]
struct Touched {
    /// The messages with a part in them.
    ids: BTreeSet<u64>,
    /// Whether there were read marks, and the plan of a recovery.
    marks: bool,
    plan: bool,
    /// Whether it may be any part of a long message: without its beginning, that is in overflow pages.
    long: bool,
}

impl Touched {
    fn new(sound: &[u8], name: &str, range: &Range<usize>) -> Self {
        if !name.starts_with("inbox") {
            return Self::default();
        }
        let (unit, offset) = if name.ends_with("-wal") { (FRAME, 32) } else { (PAGE, 0) };
        let begin = |at: usize| at.saturating_sub(offset) / unit * unit + offset;
        let units = begin(range.start)..(begin(range.end.max(1) - 1) + unit).min(sound.len());
        let has = |text: &str| sound[units.clone()].windows(text.len()).any(|part| part == text.as_bytes());
        let (marks, plan) = (has("mark-"), has(PLANNED_FILE));
        let mut ids = BTreeSet::new();
        for at in units {
            let tag = sound.get(at..at + 9).filter(|tag| tag[0] == b'<' && tag[8] == b'>');
            ids.extend(tag.and_then(|tag| std::str::from_utf8(&tag[1..8]).ok()?.parse::<u64>().ok()));
        }
        Self { ids, marks, plan, long: true }
    }

    /// Returns whether an entry may be missing.
    fn has(&self, id: u64) -> bool {
        self.ids.contains(&id)
            || (self.long && id.is_multiple_of(97))
            || (self.plan && id <= PLANNED)
            // A gap has no text to find it by.
            || (is_gap(id) && self.ids.range(GAP - 20..=DAMAGED.end() + 20).next().is_some())
    }
}

/// Runs a variant; returns what is wrong.
fn run(base: &Base, name: &str, random: &mut Random, again: bool) -> Result<(), String> {
    let sound = base.file(name);
    let mut changed = sound.clone();
    let (what, range) = damage(&mut changed, random);
    let case = format!("{name} of {} bytes, {what} at {range:?}", sound.len());
    let copy = base.copy();
    fs::write(copy.path().join("data").join(name), &changed).unwrap();
    let touched = Touched::new(&sound, name, &range);
    let daemon = start(copy).map_err(|error| format!("{case}: {error}"))?;
    let daemon = check(daemon, base, &touched, 1).map_err(|error| format!("{case}: {error}"))?;
    if again {
        let folder = daemon.into_folder().0;
        let daemon = start(folder).map_err(|error| format!("{case}, again: {error}"))?;
        check(daemon, base, &touched, 2).map_err(|error| format!("{case}, again: {error}"))?;
    }
    Ok(())
}

fn start(folder: tempfile::TempDir) -> Result<Daemon, String> {
    let flags = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
    let start = move || Daemon::start_in(folder, flags);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).map_err(|_| "it does not start".to_owned())
}

/// Checks all entries and read marks; `news` messages have come since the damage.
fn check(daemon: Daemon, base: &Base, touched: &Touched, news: usize) -> Result<Daemon, String> {
    eventually("the end of the recovery", || {
        (!daemon.status()["problems"].to_string().contains("being recovered")).then_some(())
    });
    daemon.receive_from(&Peer::new(), ["new"]);
    let entries = daemon.entries();
    let (mut found, mut gaps, mut last, mut new) = (BTreeMap::new(), BTreeMap::new(), 0, 0);
    for entry in &entries {
        let this = id(entry);
        if this <= last {
            return Err(format!("#{this} follows #{last}"));
        }
        last = this;
        if entry["type"] == "gap" {
            gaps.extend((entry["first_id"].as_u64().unwrap_or(this)..=this).map(|id| (id, entry)));
        } else if entry["text"] == "new" {
            new += usize::from(this > base.messages);
        } else {
            found.insert(this, (entry["direction"] == "out", entry["text"].as_str().unwrap_or_default()));
        }
    }
    if new != news {
        return Err(format!("{new} of {news} new messages have ids above #{}", base.messages));
    }
    for id in 1..=base.messages {
        match (found.get(&id), gaps.get(&id)) {
            (Some(found), None) if *found == (is_sent(id), text(id).as_str()) && !is_gap(id) => {}
            (None, Some(gap)) if is_gap(id) && is_original(id, gap) => {}
            (Some(_), None) | (None, Some(_)) if touched.has(id) => {}
            (Some((_, text)), None) => return Err(format!("#{id} is {text:.40?}")),
            (None, Some(gap)) => return Err(format!("#{id} is not recovered, but {gap}")),
            (None, None) => return Err(format!("#{id} is missing without a gap")),
            (Some(_), Some(gap)) => return Err(format!("#{id} is in {gap}")),
        }
    }
    if let Some(id) = found.keys().find(|id| **id > base.messages) {
        return Err(format!("#{id} is invented"));
    }
    check_marks(&daemon, touched)?;
    Ok(daemon)
}

/// Returns whether a gap is one that the inbox had before the damage.
fn is_original(id: u64, gap: &Value) -> bool {
    match id {
        GAP => gap["reason"] == "queue_full" && gap["lost"] == 3,
        _ => gap["first_id"] == *DAMAGED.start() && gap["id"] == *DAMAGED.end(),
    }
}

/// Checks that each consumer continues where it was.
fn check_marks(daemon: &Daemon, touched: &Touched) -> Result<(), String> {
    for number in 1..=MARKS {
        let next = number * MARKS_APART + 1;
        let page = daemon.rpc().call("inbox", json!({ "consumer": consumer(number), "limit": 1 }));
        let entry = &page["entries"][0];
        let ids = entry["first_id"].as_u64().unwrap_or(id(entry))..=id(entry);
        if !ids.contains(&next) && !touched.marks {
            return Err(format!("`{}` continues at {ids:?}, not at #{next}", consumer(number)));
        }
    }
    Ok(())
}

#[test]
fn damaged_files_lose_only_what_they_held() {
    let (seed, began) = (seed(), Instant::now());
    let (variants, of_large) =
        (scaled(VARIANTS.0, VARIANTS.1), scaled(VARIANTS_OF_LARGE.0, VARIANTS_OF_LARGE.1));
    let bases = [Base::new(MESSAGES, false), Base::new(MESSAGES, true), Base::recovering()];
    let mut bases: Vec<_> = bases.into_iter().map(|base| (base, variants)).collect();
    if of_large > 0 {
        bases.push((Base::large(), of_large));
    }
    let only = std::env::var("UDPCHAT_VARIANT").ok();
    let (mut wrong, mut all) = (Vec::new(), 0);
    for (number, (base, variants)) in bases.iter().enumerate() {
        for (file, name) in base.files().iter().enumerate() {
            let before = wrong.len();
            for variant in 0..*variants {
                let case = format!("{number}/{name}/{variant}");
                if only.as_ref().is_some_and(|only| *only != case) {
                    continue;
                }
                let place = ((number as u64) << 48) ^ ((file as u64) << 40);
                let mut random = Random(seed ^ place ^ variant as u64);
                let run = || run(base, name, &mut random, variant % 8 == 0);
                let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                if let Err(error) = failed.unwrap_or_else(|_| Err("it panicked, as shown above".to_owned())) {
                    eprintln!("wrong: variant {case}: {error}");
                    wrong.push(error);
                }
            }
            all += variants;
            eprintln!("{number}/{name}: {variants} variants, {} wrong", wrong.len() - before);
        }
    }
    eprintln!("damage: seed {seed}, {all} variants in {:.0?}, {} wrong", began.elapsed(), wrong.len());
    assert_eq!(json!(wrong), json!([]));
}

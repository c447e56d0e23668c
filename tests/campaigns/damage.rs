//! Damage of the files of the data directory: changed bits, overwritten blocks, truncated and emptied files.
//!
//! Each variant starts a daemon on a damaged copy, and demands that it starts, that every entry outside the damaged pages is
//! there as it was written, that each other id has a gap, and that no id is used again. What is expected is computed from
//! the bytes of the undamaged files, not by the code under test.
//!
//! The short size is a few variants of each file of a small inbox, after a stop and after a kill. The full one is 1,000, and some
//! of an inbox above 64 MiB, which a start does not check completely.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::time::Instant;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::json;

use crate::random::{Random, seed};
use crate::support::{Daemon, Peer, eventually, id, new_folder, scaled};

/// How many messages the inbox has.
const MESSAGES: u64 = 1_500;

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

/// A data directory as a daemon left it.
struct Base {
    folder: tempfile::TempDir,
    messages: u64,
}

impl Base {
    fn new(messages: u64, killed: bool) -> Self {
        let mut daemon = Daemon::start_with("[log]\nmessages_per_second = 0\n", &[]);
        let peer = Peer::new();
        let ids: Vec<_> = (1..=messages).collect();
        for some in ids.chunks(20) {
            daemon.receive_from(&peer, some.iter().map(|id| text(*id)));
        }
        // A daemon that is stopped empties the write-ahead log; one that is killed leaves it.
        daemon.signal(if killed { Signal::SIGKILL } else { Signal::SIGTERM });
        let _ended = daemon.wait();
        Self { folder: daemon.into_folder().0, messages }
    }

    /// Returns one with a large inbox.
    fn large() -> Self {
        let base = Self { messages: MESSAGES_OF_LARGE, ..Self::new(MESSAGES, false) };
        let mut inbox = Connection::open(base.folder.path().join("data/inbox.db")).unwrap();
        let transaction = inbox.transaction().unwrap();
        let insert =
            "INSERT INTO entry (id, at_ns, kind, peer, payload) VALUES (?1, ?1, 0, x'7f0000010009', ?2)";
        for id in MESSAGES + 1..=MESSAGES_OF_LARGE {
            transaction.execute(insert, (id, text(id).into_bytes())).unwrap();
        }
        transaction.commit().unwrap();
        inbox.close().unwrap();
        base
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

/// Returns the ids of the messages with a part in the pages or frames of these bytes. A message without its beginning there
/// may be in overflow pages: those are the long ones.
fn touched(sound: &[u8], name: &str, range: &Range<usize>) -> BTreeSet<u64> {
    let (unit, offset) = if name.ends_with("-wal") { (FRAME, 32) } else { (PAGE, 0) };
    let begin = |at: usize| at.saturating_sub(offset) / unit * unit + offset;
    let units = begin(range.start)..(begin(range.end.max(1) - 1) + unit).min(sound.len());
    let mut ids = BTreeSet::new();
    for at in units.clone() {
        let tag = sound.get(at..at + 9).filter(|tag| tag[0] == b'<' && tag[8] == b'>');
        ids.extend(tag.and_then(|tag| std::str::from_utf8(&tag[1..8]).ok()?.parse::<u64>().ok()));
    }
    ids
}

/// Runs a variant; returns what is wrong.
fn run(base: &Base, name: &str, random: &mut Random, again: bool) -> Result<(), String> {
    let sound = base.file(name);
    let mut changed = sound.clone();
    let (what, range) = damage(&mut changed, random);
    let case = format!("{name} of {} bytes, {what} at {range:?}", sound.len());
    let copy = base.copy();
    fs::write(copy.path().join("data").join(name), &changed).unwrap();
    let excused = if name.starts_with("inbox") { touched(&sound, name, &range) } else { BTreeSet::new() };
    // The first page, and pages of long messages, hold parts of others.
    let may_touch_long = name.starts_with("inbox");
    let daemon = start(copy).map_err(|error| format!("{case}: {error}"))?;
    let daemon =
        check(daemon, base, &excused, may_touch_long, 1).map_err(|error| format!("{case}: {error}"))?;
    if again {
        let folder = daemon.into_folder().0;
        let daemon = start(folder).map_err(|error| format!("{case}, again: {error}"))?;
        check(daemon, base, &excused, may_touch_long, 2)
            .map_err(|error| format!("{case}, again: {error}"))?;
    }
    Ok(())
}

fn start(folder: tempfile::TempDir) -> Result<Daemon, String> {
    let flags = vec!["--listen".to_owned(), "127.0.0.1:0".to_owned()];
    let start = move || Daemon::start_in(folder, flags);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(start)).map_err(|_| "it does not start".to_owned())
}

/// Checks all entries; `news` messages have come since the damage.
fn check(
    daemon: Daemon,
    base: &Base,
    excused: &BTreeSet<u64>,
    may_touch_long: bool,
    news: usize,
) -> Result<Daemon, String> {
    eventually("the end of the recovery", || {
        (!daemon.status()["problems"].to_string().contains("being recovered")).then_some(())
    });
    daemon.receive_from(&Peer::new(), ["new"]);
    let entries = daemon.entries();
    let (mut found, mut gaps, mut last, mut new) = (BTreeMap::new(), BTreeSet::new(), 0, 0);
    for entry in &entries {
        let this = id(entry);
        if this <= last {
            return Err(format!("#{this} follows #{last}"));
        }
        last = this;
        if entry["type"] == "gap" {
            gaps.extend(entry["first_id"].as_u64().unwrap_or(this)..=this);
        } else if entry["text"] == "new" {
            new += usize::from(this > base.messages);
        } else {
            found.insert(this, entry["text"].as_str().unwrap_or_default().to_owned());
        }
    }
    if new != news {
        return Err(format!("{new} of {news} new messages have ids above #{}", base.messages));
    }
    let is_excused = |id: &u64| excused.contains(id) || (may_touch_long && id.is_multiple_of(97));
    for id in 1..=base.messages {
        match found.get(&id) {
            Some(found) if *found == text(id) || is_excused(&id) => {}
            Some(found) => return Err(format!("#{id} is {found:.40?}")),
            None if !gaps.contains(&id) => return Err(format!("#{id} is missing without a gap")),
            None if is_excused(&id) => {}
            None => return Err(format!("#{id} is not recovered")),
        }
    }
    match found.keys().find(|id| **id > base.messages) {
        Some(id) => Err(format!("#{id} is invented")),
        None => Ok(daemon),
    }
}

#[test]
fn damaged_files_lose_only_what_they_held() {
    let (seed, began) = (seed(), Instant::now());
    let (variants, of_large) =
        (scaled(VARIANTS.0, VARIANTS.1), scaled(VARIANTS_OF_LARGE.0, VARIANTS_OF_LARGE.1));
    let mut bases = vec![(Base::new(MESSAGES, false), variants), (Base::new(MESSAGES, true), variants)];
    if of_large > 0 {
        bases.push((Base::large(), of_large));
    }
    let (mut wrong, mut all) = (Vec::new(), 0);
    for (number, (base, variants)) in bases.iter().enumerate() {
        for (file, name) in base.files().iter().enumerate() {
            let before = wrong.len();
            for variant in 0..*variants {
                let place = ((number as u64) << 48) ^ ((file as u64) << 40);
                let mut random = Random(seed ^ place ^ variant as u64);
                let run = || run(base, name, &mut random, variant % 8 == 0);
                let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                if let Err(error) = failed.unwrap_or_else(|_| Err("it panicked, as shown above".to_owned())) {
                    eprintln!("wrong: variant {number}/{name}/{variant}: {error}");
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

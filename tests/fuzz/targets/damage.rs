//! Any bytes of an inbox may be changed: what recovery reads has rising ids, the new inbox has each id once and no hole, and no
//! id is used again.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use udpchat_daemon::fuzzing::{Log, Row, ids, recover, salvaged_ids, start_and_recover, write_journal};
use udpchat_fuzz::{Input, folder};

/// The files of an inbox: the database, and its write-ahead log.
type Files = [Vec<u8>; 2];

/// The largest file that an input makes, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// Sound inboxes: one without a write-ahead log, one with most of it there, and one into which a recovery runs.
static SOUND: LazyLock<Vec<Files>> = LazyLock::new(|| {
    let files = |folder: &Path| {
        ["inbox.db", "inbox.db-wal"].map(|name| fs::read(folder.join(name)).unwrap_or_default())
    };
    let with = |entries: std::ops::RangeInclusive<u32>, plan: bool, open: bool| {
        let folder = folder();
        let log = Log::create(folder.path());
        entries.for_each(|id| assert!(log.add(&row(id))));
        if plan {
            log.plan_recovery(1, 40, "inbox.db.damaged");
        }
        // Closing it copies the write-ahead log into the database.
        let _kept = open.then_some(log);
        files(folder.path())
    };
    vec![with(1..=60, false, false), with(1..=40, false, true), with(41..=80, true, false)]
});

/// The newest id of each.
const SOUND_NEWEST: [u64; 3] = [60, 40, 80];

fn row(id: u32) -> Row {
    let (kind, detail) = match id % 10 {
        3 => (2, Some(&br#"{"lost":3,"reason":"queue_full"}"#[..])),
        4 => (1, Some(&br#"{"by":"me"}"#[..])),
        _ => (0, None),
    };
    let address = (kind != 2).then(|| vec![127, 0, 0, 1, 0, 9]);
    let length = if id % 20 == 5 { 20_000 } else { id as usize * 37 % 300 };
    let payload = (kind != 2).then(|| vec![id as u8; length]);
    Row {
        id,
        at_ns: id.into(),
        kind,
        peer: address,
        detail: detail.map(<[u8]>::to_vec),
        payload,
        ..Row::default()
    }
}

/// Changes a file as the input says.
fn damage(file: &mut Vec<u8>, input: &mut Input<'_>) {
    let operation = input.byte();
    let at = input.word() as usize % file.len().max(1);
    match operation % 8 {
        // Few bytes, most of all.
        0..=3 => {
            for (old, new) in file[at..].iter_mut().zip(input.part()) {
                *old = *new;
            }
        }
        4 => file.truncate(at),
        5 => {
            let length = input.word() as usize % 20_000;
            file[at..].iter_mut().take(length).for_each(|byte| *byte = operation & 0xf8);
        }
        6 => {
            // A page, or a part of it, at another place.
            let (from, length) = (input.word() as usize % file.len().max(1), input.word() as usize % 20_000);
            let part: Vec<u8> = file[from..].iter().take(length).copied().collect();
            for (old, new) in file[at..].iter_mut().zip(part) {
                *old = new;
            }
        }
        _ => {
            let part = input.part();
            if file.len() + part.len() <= MAX_BYTES {
                file.splice(at..at, part.iter().copied());
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (way, which) = (input.byte(), usize::from(input.byte()));
    let [mut database, mut log] = match which {
        255 => [input.0.to_vec(), Vec::new()],
        _ => SOUND[which % SOUND.len()].clone(),
    };
    for _ in 0..16 {
        if which == 255 || input.0.is_empty() {
            break;
        }
        let file = if input.byte() % 4 == 0 { &mut log } else { &mut database };
        damage(file, &mut input);
    }
    let folder = folder();
    let file = folder.path().join("inbox.db");
    fs::write(&file, &database).expect("a temporary file");
    // The in-flight journal is from before the damage; if not of this boot, the machine was off since then.
    let newest = if which == 255 { 0 } else { SOUND_NEWEST[which % SOUND.len()] };
    if newest > 0 {
        write_journal(folder.path(), newest, way & 4 == 0);
    }
    if !log.is_empty() {
        fs::write(folder.path().join("inbox.db-wal"), &log).expect("a temporary file");
    }

    let found = salvaged_ids(&file, 1, i64::MAX as u64);
    assert!(found.is_sorted_by(|one, next| one < next), "{found:?}");
    match way % 4 {
        1 => check_recovery(&file, &found, newest),
        2 => check_start(folder.path(), newest),
        _ => {}
    }
});

/// Recovers by hand into an empty inbox.
fn check_recovery(file: &Path, found: &[u64], newest: u64) {
    let folder = folder();
    let (entries, _) = recover(folder.path(), file).expect("a recovery");
    let ids = ids(folder.path());
    assert_one_sequence(&ids);
    assert!(entries <= found.len() as u64, "{entries} entries of {}", found.len());
    // A single id beyond the others is perhaps damaged.
    let certain =
        found.windows(2).filter(|pair| pair[1] <= newest && pair[0] + 1 == pair[1]).map(|pair| pair[1]);
    let last = ids.last().map_or(0, |(_, last)| *last).max(certain.max().unwrap_or(0));
    let mut readable = found.iter().filter(|id| **id <= last);
    let missing = readable.find(|id| ids.binary_search_by_key(*id, |(_, last)| *last).is_err());
    assert_eq!(missing, None, "everything that is readable is recovered: {found:?} as {ids:?}");
}

/// Starts on the damaged inbox.
fn check_start(folder: &Path, newest: u64) {
    // What is not ours, or newer, is refused.
    let Some(next) = start_and_recover(folder) else { return };
    assert!(next > newest, "id {next} would be used again; {newest} was the newest");
    assert_one_sequence(&ids(folder));
}

fn assert_one_sequence(ids: &[(u64, u64)]) {
    assert!(ids.iter().all(|(first, last)| first <= last), "{ids:?}");
    assert!(ids.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "{ids:?}");
}

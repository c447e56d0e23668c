//! Finds the valid frames of a write-ahead log, also behind a damaged one.
//!
//! The checksum of a frame continues that of the frame before it, so SQLite stops at the first frame that is damaged. But each
//! frame stores its checksum, from which the next one continues: so the frames behind a damaged one can be verified too. A frame
//! behind a damaged header is used without that, as pages of the database are.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The first word of a log whose checksums are computed over big-endian words; one less for little-endian words.
const MAGIC_BIG_ENDIAN: u32 = 0x377f_0683;

/// The frames of a write-ahead log that can be verified.
#[derive(Debug)]
pub(super) struct Frames<F = File> {
    file: F,
    /// Where the newest verified version of each page begins, in bytes.
    pub(super) newest: HashMap<u32, u64>,
    /// The same of the frames that SQLite accepts: those up to the last commit before the first damaged one.
    pub(super) accepted: HashMap<u32, u64>,
    /// Whether the frames of this log do not end where SQLite stops.
    pub(super) has_more: bool,
    /// How many transactions were committed behind that place.
    pub(super) commits_behind: u32,
}

impl Frames {
    /// Reads the log beside a database with pages of this size; none if there is no log with a frame.
    pub(super) fn read(path: &Path, page_bytes: usize) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let has_frame = length >= (HEADER_BYTES + FRAME_HEADER_BYTES + page_bytes) as u64;
        Ok(has_frame.then(|| Self::verified(file, length, page_bytes)))
    }
}

impl<F: FileExt> Frames<F> {
    /// Verifies the frames of a log of this length, in bytes. What cannot be read is as good as damaged.
    fn verified(file: F, length: u64, page_bytes: usize) -> Self {
        let mut header = [0; HEADER_BYTES];
        read_or_clear(&file, &mut header, 0);
        let said = word(&header, 0) == MAGIC_BIG_ENDIAN;
        let is_magic = word(&header, 0) & !1 == MAGIC_BIG_ENDIAN & !1;
        let own = sum((0, 0), &header[..24], said);
        let mut chain = (word(&header, 24), word(&header, 28));
        let mut intact = is_magic && own == chain && word(&header, 8) as usize == page_bytes;
        // SQLite uses the order of the machine.
        let big_endian = if intact { said } else { cfg!(target_endian = "big") };
        let salt = match intact {
            true => Some((word(&header, 16), word(&header, 20))),
            false => salt_of_frames(&file, length, page_bytes, big_endian),
        };
        let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
        let (mut newest, mut accepted, mut open) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (mut has_more, mut commits_behind) = (false, 0);
        // Behind a damaged header, or a frame that is not of this log, the checksum to continue from is not known.
        let mut has_chain = intact;
        let mut at = HEADER_BYTES as u64;
        while at + frame.len() as u64 <= length {
            let is_read = read_or_clear(&file, &mut frame, at);
            let found = (word(&frame, 8), word(&frame, 12));
            let of_log = is_read && salt == Some(found);
            let seeded = sum(chain, &frame[..8], big_endian);
            let computed = sum(seeded, &frame[FRAME_HEADER_BYTES..], big_endian);
            chain = (word(&frame, 16), word(&frame, 20));
            let (page, is_commit) = (word(&frame, 0), word(&frame, 4) != 0);
            let valid = of_log && page != 0 && (computed == chain || !has_chain);
            has_chain = of_log;
            intact &= valid;
            has_more |= of_log && !intact;
            if valid {
                let content = at + FRAME_HEADER_BYTES as u64;
                newest.insert(page, content);
                commits_behind += u32::from(is_commit && !intact);
                if intact {
                    open.insert(page, content);
                    if is_commit {
                        accepted.extend(open.drain());
                    }
                }
            }
            at += frame.len() as u64;
        }
        // SQLite ignores a transaction whose end is missing.
        has_more |= !open.is_empty();
        Self { file, newest, accepted, has_more, commits_behind }
    }

    /// Reads the content of a frame.
    pub(super) fn content(&self, at: u64, page: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(page, at)
    }
}

/// Returns the salt of a log whose header is damaged: that of the first frame that continues the checksum of the frame before it,
/// since the first frame may be damaged too; or of the first frame at all.
///
/// Frames of older logs follow those of this one, which may be a single frame. SQLite adds 1 to the first half of the salt for each
/// new log (<https://sqlite.org/fileformat2.html#the_write_ahead_log>), so the newer one is known.
fn salt_of_frames(
    file: &impl FileExt,
    length: u64,
    page_bytes: usize,
    big_endian: bool,
) -> Option<(u32, u32)> {
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let (mut first, mut before) = (None, None);
    let mut at = HEADER_BYTES as u64;
    while at + frame.len() as u64 <= length {
        // A frame of zeros has the right checksum behind another one.
        let is_frame = read_or_clear(file, &mut frame, at) && word(&frame, 0) != 0;
        let salt = (word(&frame, 8), word(&frame, 12));
        let own = (word(&frame, 16), word(&frame, 20));
        if let Some((salt_before, chain)) = before.filter(|_| is_frame) {
            let seeded = sum(chain, &frame[..8], big_endian);
            if salt_before == salt && sum(seeded, &frame[FRAME_HEADER_BYTES..], big_endian) == own {
                return first.filter(|first| is_newer(*first, salt)).or(Some(salt));
            }
        }
        before = is_frame.then_some((salt, own));
        first = first.or(is_frame.then_some(salt));
        at += frame.len() as u64;
    }
    first
}

/// Returns whether a salt is of a log that followed another one.
fn is_newer(one: (u32, u32), other: (u32, u32)) -> bool {
    const MOST_LOGS: u32 = 1 << 16;
    (1..MOST_LOGS).contains(&one.0.wrapping_sub(other.0))
}

/// Reads bytes, or makes them 0 where they cannot be read; returns whether they were.
fn read_or_clear(file: &impl FileExt, bytes: &mut [u8], at: u64) -> bool {
    let is_read = file.read_exact_at(bytes, at).is_ok();
    if !is_read {
        bytes.fill(0);
    }
    is_read
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Continues the checksum of a write-ahead log over a number of words that is even.
fn sum(from: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let (pairs, _) = bytes.as_chunks::<8>();
    let (mut one, mut two) = from;
    for [a, b, c, d, e, f, g, h] in pairs {
        let (first, second) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let (first, second) = match big_endian {
            true => (u32::from_be_bytes(first), u32::from_be_bytes(second)),
            false => (u32::from_le_bytes(first), u32::from_le_bytes(second)),
        };
        one = one.wrapping_add(first).wrapping_add(two);
        two = two.wrapping_add(second).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a sector that cannot be read.
    struct Broken(Vec<u8>, u64);

    impl FileExt for Broken {
        fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
            let Self(content, sector) = self;
            if (at..at + bytes.len() as u64).contains(sector) {
                return Err(io::Error::from_raw_os_error(5));
            }
            let from = at as usize;
            bytes.copy_from_slice(&content[from..from + bytes.len()]);
            Ok(bytes.len())
        }

        fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
            unreachable!()
        }
    }

    /// A log with a transaction of one page for each of these numbers.
    fn log(pages: &[u32]) -> Vec<u8> {
        log_with(7, pages)
    }

    /// A log with this first half of the salt.
    fn log_with(salt: u32, pages: &[u32]) -> Vec<u8> {
        let big_endian = cfg!(target_endian = "big");
        let magic = MAGIC_BIG_ENDIAN - u32::from(!big_endian);
        let mut log = [magic, 3_007_000, 512, 0, salt, 9].map(u32::to_be_bytes).concat();
        let mut chain = sum((0, 0), &log, big_endian);
        log.extend([chain.0, chain.1].map(u32::to_be_bytes).concat());
        for page in pages {
            let (head, content) = ([*page, 100].map(u32::to_be_bytes).concat(), [*page as u8; 512]);
            chain = sum(sum(chain, &head, big_endian), &content, big_endian);
            let rest = [salt, 9, chain.0, chain.1].map(u32::to_be_bytes).concat();
            log.extend([&head, &rest, &content[..]].concat());
        }
        log
    }

    fn frames(log: Vec<u8>, unreadable: u64) -> Frames<Broken> {
        let length = log.len() as u64;
        Frames::verified(Broken(log, unreadable), length, 512)
    }

    fn pages<F>(frames: &Frames<F>) -> Vec<u32> {
        let mut pages: Vec<_> = frames.newest.keys().copied().collect();
        pages.sort_unstable();
        pages
    }

    #[test]
    fn a_frame_that_cannot_be_read_is_passed_over() {
        let frames = frames(log(&[2, 3, 4]), (HEADER_BYTES + FRAME_HEADER_BYTES + 512 + 30) as u64);
        assert_eq!(pages(&frames), [2, 4]);
        assert_eq!(frames.accepted.keys().collect::<Vec<_>>(), [&2]);
        assert!(frames.has_more && frames.commits_behind > 0);
    }

    #[test]
    fn a_damaged_header_costs_no_frame() {
        let sound = log(&[2, 3, 4]);
        let changed = |at: usize| {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            frames(changed, u64::MAX)
        };
        // Unreadable; another byte order; another salt; another checksum.
        for frames in [frames(sound.clone(), 0), changed(3), changed(16), changed(24)] {
            assert_eq!((pages(&frames), frames.accepted.len()), (vec![2, 3, 4], 0));
            assert!(frames.has_more && frames.commits_behind > 0);
        }
    }

    #[test]
    fn a_damaged_header_and_first_frame_cost_one_frame() {
        let sound = log(&[2, 3, 4]);
        for value in [0, 7] {
            for end in [HEADER_BYTES + 10, HEADER_BYTES + FRAME_HEADER_BYTES + 512] {
                let mut changed = sound.clone();
                changed[..end].fill(value);
                let frames = frames(changed, u64::MAX);
                assert!(pages(&frames).ends_with(&[3, 4]), "{value} up to {end}: {:?}", pages(&frames));
                assert!(frames.has_more && frames.commits_behind > 0);
            }
        }
    }

    #[test]
    fn frames_of_an_older_log_do_not_count() {
        let mut newer = log_with(7, &[2]);
        let older = log_with(6, &[4, 5, 6, 7]);
        newer.extend(&older[newer.len()..]);
        assert_eq!(pages(&frames(newer.clone(), u64::MAX)), [2]);
        newer[..8].fill(0);
        assert_eq!(pages(&frames(newer, u64::MAX)), [2]);
    }
}

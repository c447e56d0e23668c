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
pub(super) struct Frames {
    file: File,
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
        let mut header = [0; HEADER_BYTES];
        if length < (HEADER_BYTES + FRAME_HEADER_BYTES + page_bytes) as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let mut frames = Self {
            file,
            newest: HashMap::new(),
            accepted: HashMap::new(),
            has_more: false,
            commits_behind: 0,
        };
        frames.verify(&header, length, page_bytes)?;
        Ok(Some(frames))
    }

    fn verify(&mut self, header: &[u8; HEADER_BYTES], length: u64, page_bytes: usize) -> io::Result<()> {
        let big_endian = word(header, 0) == MAGIC_BIG_ENDIAN;
        let is_magic = word(header, 0) & !1 == MAGIC_BIG_ENDIAN & !1;
        let own = sum((0, 0), &header[..24], big_endian);
        let mut chain = (word(header, 24), word(header, 28));
        let mut intact = is_magic && own == chain && word(header, 8) as usize == page_bytes;
        // The salt of the first frame is that of the log, also if the header is damaged.
        let mut salt = intact.then(|| (word(header, 16), word(header, 20)));
        let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
        let mut at = HEADER_BYTES as u64;
        let mut open = HashMap::new();
        // Behind a damaged header the checksum to continue from is not known.
        let mut has_chain = intact;
        while at + frame.len() as u64 <= length {
            self.file.read_exact_at(&mut frame, at)?;
            let found = (word(&frame, 8), word(&frame, 12));
            let of_log = *salt.get_or_insert(found) == found;
            let seeded = sum(chain, &frame[..8], big_endian);
            let computed = sum(seeded, &frame[FRAME_HEADER_BYTES..], big_endian);
            chain = (word(&frame, 16), word(&frame, 20));
            let (page, is_commit) = (word(&frame, 0), word(&frame, 4) != 0);
            let valid = of_log && page != 0 && (computed == chain || !has_chain);
            has_chain = of_log;
            intact &= valid;
            self.has_more |= of_log && !intact;
            if valid {
                let content = at + FRAME_HEADER_BYTES as u64;
                self.newest.insert(page, content);
                self.commits_behind += u32::from(is_commit && !intact);
                if intact {
                    open.insert(page, content);
                    if is_commit {
                        self.accepted.extend(open.drain());
                    }
                }
            }
            at += frame.len() as u64;
        }
        // SQLite ignores a transaction whose end is missing.
        self.has_more |= !open.is_empty();
        Ok(())
    }

    /// Reads the content of a frame.
    pub(super) fn content(&self, at: u64, page: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(page, at)
    }
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

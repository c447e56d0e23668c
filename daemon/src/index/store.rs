//! The index's file, `index.db`: its tables, how they are read, and how changed content is detected.
//!
//! Each table has a rowid `id` and a blob `sealed` (the name is part of the file format), an array of 64-bit words in little-endian order:
//!
//! | word | content |
//! |---|---|
//! | 0 | checksum over all other words, the rowid, the table and the file's salt |
//! | 1 on | content |
//!
//! The salt is a random number of each file. So a row that was changed, moved, or left over from another file is rejected.
//! The row of `state` has the salt 0, since it holds the salt.
//!
//! | table | rowid | content, by word |
//! |---|---|---|
//! | `state` | 0 | 1 salt; 2 first block; 3 the block behind the last; 4, 5 id and time (ns since 1970) of an entry of the last block |
//! | `block` | block | 1, 2 sizes of the filters of origin and content; 3 the number 1; 4, 5 earliest and latest time |
//! | `block_chunk` | block · 128 + filter · 64 + chunk | 1 to 256 the bits of a filter in their order |
//! | `segment` | segment | 1, 2 as above; 3 a bit for each block that is in it; 4 on for each of 64 blocks its two times |
//! | `segment_chunk` | segment · 8,192 + filter · 4,096 + chunk | 1 to 256 for each position of a filter a bit for each block |
//!
//! A size is a power of two in bits a block; 0 means a filter that rules out nothing and is not stored. A block is in
//! `block` until its segment is complete, then in `segment`.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::blocks::{BLOCKS_PER_SEGMENT, SEGMENT_BLOCKS_LOG2};
use super::checksum;
use super::error::IndexError;
use super::log::Anchor;
use super::predicate::{Evidence, Predicate};
use super::term::{MAX_FILTER_BITS_LOG2, Which};

/// The file's name in the data directory.
pub(super) const FILE_NAME: &str = "index.db";

/// How many words of a filter are in one row: 2 KiB, so that a page has seven.
pub(super) const CHUNK_WORDS: usize = 1 << CHUNK_WORDS_LOG2;
const CHUNK_WORDS_LOG2: u32 = 8;

/// How much memory a reader's pages may take, in KiB. A larger cache would not help: reads are spread over the whole file.
const READER_CACHE_KIB: i32 = 256;

/// How long a statement waits for a lock. Only a program other than the daemon can hold one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(250);

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// One row: [`State`].
    State,
    /// The [`Head`] of a block.
    Block,
    /// A part of a block's filter.
    BlockChunk,
    /// The [`Head`] of a segment.
    Segment,
    /// A part of a segment's filter.
    SegmentChunk,
}

impl Table {
    pub(super) const ALL: [(Self, &str); 5] = [
        (Self::State, "state"),
        (Self::Block, "block"),
        (Self::BlockChunk, "block_chunk"),
        (Self::Segment, "segment"),
        (Self::SegmentChunk, "segment_chunk"),
    ];

    fn select(self) -> &'static str {
        match self {
            Self::State => "SELECT sealed FROM state WHERE id = ?1",
            Self::Block => "SELECT sealed FROM block WHERE id = ?1",
            Self::BlockChunk => "SELECT sealed FROM block_chunk WHERE id = ?1",
            Self::Segment => "SELECT sealed FROM segment WHERE id = ?1",
            Self::SegmentChunk => "SELECT sealed FROM segment_chunk WHERE id = ?1",
        }
    }
}

/// The state of the whole index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Goes into the checksums of this file's rows.
    pub(super) salt: u64,
    /// The first indexed block, and the one behind the last.
    pub(super) first: u64,
    pub(super) end: u64,
    /// An entry of the last block, by which the log of this index is recognised.
    pub(super) anchor: Anchor,
}

/// The properties of one block, or of the blocks of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The sizes of the filters as powers of two in bits a block; none where a filter rules out nothing.
    pub(super) sizes: [Option<u32>; 2],
    /// Which of a segment's blocks are in it; 1 for a single block.
    pub(super) present: u64,
    /// The earliest and the latest time of each block.
    pub(super) times: Vec<(i64, i64)>,
}

impl State {
    pub(super) fn to_words(self) -> [u64; 5] {
        [self.salt, self.first, self.end, self.anchor.id, self.anchor.at_ns.cast_unsigned()]
    }

    /// Reads the state of the file behind a connection.
    pub(super) fn read(connection: &Connection) -> Result<Self, IndexError> {
        let state = row(connection, 0, Table::State, 0, |words| match *words {
            [salt, first, end, id, at_ns] => {
                let [salt, first, end, id, at_ns] = [salt, first, end, id, at_ns].map(u64::from_le_bytes);
                Some(Self { salt, first, end, anchor: Anchor { id, at_ns: at_ns.cast_signed() } })
            }
            _ => None,
        })?;
        state.flatten().ok_or(IndexError::Damaged("it has no state"))
    }
}

impl Head {
    pub(super) fn to_words(&self) -> Vec<u64> {
        let size = |size: Option<u32>| u64::from(size.unwrap_or(0));
        let mut words = vec![size(self.sizes[0]), size(self.sizes[1]), self.present];
        words.extend(
            self.times.iter().flat_map(|(oldest, newest)| [oldest, newest].map(|time| time.cast_unsigned())),
        );
        words
    }

    fn of_words(words: &[[u8; 8]]) -> Option<Self> {
        let [origin, content, present, times @ ..] = words else { return None };
        let size = |word: &[u8; 8]| match u64::from_le_bytes(*word) {
            0 => Some(None),
            size => {
                u32::try_from(size).ok().filter(|size| (1..=MAX_FILTER_BITS_LOG2).contains(size)).map(Some)
            }
        };
        let (times, _) = times.as_chunks::<2>();
        Some(Self {
            sizes: [size(origin)?, size(content)?],
            present: u64::from_le_bytes(*present),
            times: times.iter().map(|pair| pair.map(i64::from_le_bytes).into()).collect(),
        })
    }
}

/// Returns the rowid of a chunk of a block's filter.
pub(super) fn block_chunk(block: u64, which: Which, chunk: u64) -> u64 {
    (block << 1 | which as u64) << (MAX_FILTER_BITS_LOG2 - 6 - CHUNK_WORDS_LOG2) | chunk
}

/// Returns the rowid of a chunk of a segment's filter.
pub(super) fn segment_chunk(segment: u64, which: Which, chunk: u64) -> u64 {
    (segment << 1 | which as u64) << (MAX_FILTER_BITS_LOG2 - CHUNK_WORDS_LOG2) | chunk
}

/// Returns the paths of the file and its companions.
pub(super) fn paths(data_dir: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| data_dir.join(format!("{FILE_NAME}{suffix}")))
}

/// Opens the index for reading only.
pub(super) fn open_reader(data_dir: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(data_dir.join(FILE_NAME), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// Reads and verifies a row; none if there is none.
pub(super) fn row<T>(
    connection: &Connection,
    salt: u64,
    table: Table,
    id: u64,
    read: impl FnOnce(&[[u8; 8]]) -> T,
) -> Result<Option<T>, IndexError> {
    let mut statement = connection.prepare_cached(table.select())?;
    let found = statement
        .query_row([id], |row| {
            let bytes = row.get_ref(0)?.as_blob().ok();
            Ok(bytes.and_then(|bytes| verify(salt, table, id, bytes)).map(read))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some(None) => Err(IndexError::Damaged("a row is not as it was written")),
        Some(read) => Ok(read),
    }
}

/// Returns the words of a row with their checksum in front.
pub(super) fn with_checksum(salt: u64, table: Table, id: u64, words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    let sum = sum(salt, table, id, bytes[8..].as_chunks().0);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Returns the words of a row; none if the checksum is wrong.
fn verify(salt: u64, table: Table, id: u64, bytes: &[u8]) -> Option<&[[u8; 8]]> {
    let ([written, words @ ..], []) = bytes.as_chunks::<8>() else { return None };
    (u64::from_le_bytes(*written) == sum(salt, table, id, words)).then_some(words)
}

/// Returns the checksum of a row.
fn sum(salt: u64, table: Table, id: u64, words: &[[u8; 8]]) -> u64 {
    let seed = checksum::step(checksum::step(salt, id), table as u64 ^ (words.len() as u64) << 8);
    checksum::sum(seed, words)
}

/// Reads the head of a block or of a segment.
pub(super) fn head(
    connection: &Connection,
    salt: u64,
    table: Table,
    number: u64,
) -> Result<Option<Head>, IndexError> {
    match row(connection, salt, table, number, Head::of_words)? {
        None => Ok(None),
        Some(None) => Err(IndexError::Damaged("a head cannot be read")),
        Some(head) => Ok(head),
    }
}

/// A block or a segment in the file.
pub(super) struct Span<'a> {
    pub(super) connection: &'a Connection,
    pub(super) salt: u64,
    pub(super) table: Table,
    pub(super) number: u64,
    pub(super) head: Head,
}

impl Evidence for Span<'_> {
    fn at(&mut self, which: Which, position: u32) -> Result<u64, IndexError> {
        let Some(size) = self.head.sizes[which as usize] else { return Ok(u64::MAX) };
        let position = position as usize & ((1 << size) - 1);
        let (table, id, word, shift) = if self.table == Table::Segment {
            let id = segment_chunk(self.number, which, (position / CHUNK_WORDS) as u64);
            (Table::SegmentChunk, id, position % CHUNK_WORDS, None)
        } else {
            let word = position / 64;
            let id = block_chunk(self.number, which, (word / CHUNK_WORDS) as u64);
            (Table::BlockChunk, id, word % CHUNK_WORDS, Some(position % 64))
        };
        let found = row(self.connection, self.salt, table, id, |words| words.get(word).copied())?;
        let bits = found
            .flatten()
            .map(u64::from_le_bytes)
            .ok_or(IndexError::Damaged("a part of a filter is missing"))?;
        Ok(shift.map_or(bits, |shift| bits >> shift & 1))
    }

    fn times(&self, block: u32) -> (i64, i64) {
        // A block without times may have any.
        self.head.times.get(block as usize).copied().unwrap_or((i64::MIN, i64::MAX))
    }
}

/// Returns which blocks of a segment may have an entry that meets a predicate, including those that are not in the index.
pub(super) fn survivors(
    connection: &Connection,
    salt: u64,
    segment: u64,
    predicate: &Predicate,
) -> Result<u64, IndexError> {
    // One transaction, so that all reads see the same moment: the blocks of a segment may be joined in between.
    let reading = connection.unchecked_transaction()?;
    let state = State::read(&reading)?;
    if state.salt != salt {
        return Ok(u64::MAX);
    }
    let span = |table, number, head| Span { connection: &reading, salt, table, number, head };
    if let Some(head) = head(&reading, salt, Table::Segment, segment)? {
        let present = head.present;
        let survivors = predicate.survivors(&mut span(Table::Segment, segment, head), present)?;
        return Ok(survivors | !present);
    }
    let mut survivors = u64::MAX;
    let blocks = segment << SEGMENT_BLOCKS_LOG2..(segment + 1) << SEGMENT_BLOCKS_LOG2;
    for block in blocks.start.max(state.first)..blocks.end.min(state.end) {
        let Some(head) = head(&reading, salt, Table::Block, block)? else {
            return Err(IndexError::Damaged("a block is missing"));
        };
        if predicate.survivors(&mut span(Table::Block, block, head), 1)? == 0 {
            survivors &= !(1 << (block % BLOCKS_PER_SEGMENT));
        }
    }
    Ok(survivors)
}

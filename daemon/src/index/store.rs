//! The index's file: what is in it, how it is read, and how it is told that something in it is not as it was written.
//!
//! Every row is sealed with a sum over its words, its place and a number that the file was given when it was made:
//! a row that was changed, moved or left over from another file does not open.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::predicate::Evidence;
use super::term::{MAX_FILTER_BITS_LOG2, Which};
use super::{BLOCKS_PER_SEGMENT, SEGMENT_BLOCKS_LOG2};
use crate::index::checksum;
use crate::index::checksum::step;

/// The file's name in the data directory.
pub(super) const FILE_NAME: &str = "index.db";

/// How many words of a filter are in one row: 2 KiB, of which a page has seven.
pub(super) const CHUNK_WORDS: usize = 1 << CHUNK_WORDS_LOG2;
const CHUNK_WORDS_LOG2: u32 = 8;

/// How much memory a reader's pages may take, in KiB: what is read is spread over the whole file.
const READER_CACHE_KIB: i32 = 256;

/// How long a statement waits for a lock. Only a program that is not ours can hold one.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(250);

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the index is damaged: {0}")]
    Damaged(&'static str),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

impl Fault {
    /// Tells whether only a new index helps, rather than time or room on the disk.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Database(error) => !matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::DiskFull
                        | ErrorCode::OutOfMemory
                        | ErrorCode::PermissionDenied
                        | ErrorCode::ReadOnly
                        | ErrorCode::SystemIoFailure
                )
            ),
        }
    }
}

/// The tables, each a rowid and a sealed row of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// One row: [`State`].
    State,
    /// By the block's number: its [`Head`], until its segment is complete.
    Block,
    /// By block, filter and chunk: the bits of a filter in their order.
    BlockChunk,
    /// By the segment's number: its [`Head`].
    Segment,
    /// By segment, filter and chunk: for each position of a filter a word, of which each bit is a block's.
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

/// What the whole index is: one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// What this file's rows are sealed with.
    pub(super) salt: u64,
    /// The first block that is in it, and the one behind the last.
    pub(super) first: u64,
    pub(super) end: u64,
    /// An entry of the last block: the log that this is the index of has it.
    pub(super) anchor: Anchor,
}

/// An entry by which a log is known again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) id: u64,
    pub(crate) at_ns: i64,
}

/// What is known of one block, or of the blocks of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The sizes of the filters as powers of two in bits a block; none where one tells nothing.
    pub(super) sizes: [Option<u32>; 2],
    /// Which of a segment's blocks are in it; 1 for a block alone.
    pub(super) present: u64,
    /// The earliest and the latest time of each block.
    pub(super) times: Vec<(i64, i64)>,
}

impl State {
    pub(super) fn to_words(self) -> [u64; 5] {
        [self.salt, self.first, self.end, self.anchor.id, self.anchor.at_ns.cast_unsigned()]
    }

    /// Reads the state of the file behind a connection.
    pub(super) fn read(connection: &Connection) -> Result<Self, Fault> {
        let state = row(connection, 0, Table::State, 0, |words| match *words {
            [salt, first, end, id, at_ns] => {
                let [salt, first, end, id, at_ns] = [salt, first, end, id, at_ns].map(u64::from_le_bytes);
                Some(Self { salt, first, end, anchor: Anchor { id, at_ns: at_ns.cast_signed() } })
            }
            _ => None,
        })?;
        state.flatten().ok_or(Fault::Damaged("it has no state"))
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

/// Opens the index for reading only.
pub(super) fn open_reader(data_dir: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(data_dir.join(FILE_NAME), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// Reads a row; none if there is none.
pub(super) fn row<T>(
    connection: &Connection,
    salt: u64,
    table: Table,
    id: u64,
    read: impl FnOnce(&[[u8; 8]]) -> T,
) -> Result<Option<T>, Fault> {
    let mut statement = connection.prepare_cached(table.select())?;
    let found = statement
        .query_row([id], |row| {
            let sealed = row.get_ref(0)?.as_blob().ok();
            Ok(sealed.and_then(|sealed| opened(salt, table, id, sealed)).map(read))
        })
        .optional()?;
    match found {
        None => Ok(None),
        Some(None) => Err(Fault::Damaged("a row is not as it was written")),
        Some(read) => Ok(read),
    }
}

/// Seals a row.
pub(super) fn sealed(salt: u64, table: Table, id: u64, words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    let sum = sum(salt, table, id, bytes[8..].as_chunks().0);
    bytes[..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Opens a row: its words, if they are as they were written.
fn opened(salt: u64, table: Table, id: u64, sealed: &[u8]) -> Option<&[[u8; 8]]> {
    let ([written, words @ ..], []) = sealed.as_chunks::<8>() else { return None };
    (u64::from_le_bytes(*written) == sum(salt, table, id, words)).then_some(words)
}

/// Sums up a row.
fn sum(salt: u64, table: Table, id: u64, words: &[[u8; 8]]) -> u64 {
    let begin = step(step(salt, id), table as u64 ^ (words.len() as u64) << 8);
    checksum::sum(begin, words)
}

/// Reads what is known of a block or of a segment.
pub(super) fn head(
    connection: &Connection,
    salt: u64,
    table: Table,
    number: u64,
) -> Result<Option<Head>, Fault> {
    match row(connection, salt, table, number, Head::of_words)? {
        None => Ok(None),
        Some(None) => Err(Fault::Damaged("a head cannot be read")),
        Some(head) => Ok(head),
    }
}

/// A block or a segment in the file, as evidence.
pub(super) struct Span<'a> {
    pub(super) connection: &'a Connection,
    pub(super) salt: u64,
    pub(super) table: Table,
    pub(super) number: u64,
    pub(super) head: Head,
}

impl Evidence for Span<'_> {
    fn at(&mut self, which: Which, position: u32) -> Result<u64, Fault> {
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
        let bits =
            found.flatten().map(u64::from_le_bytes).ok_or(Fault::Damaged("a part of a filter is missing"))?;
        Ok(shift.map_or(bits, |shift| bits >> shift & 1))
    }

    fn times(&self, block: u32) -> (i64, i64) {
        // Of a block that has none, nothing is known.
        self.head.times.get(block as usize).copied().unwrap_or((i64::MIN, i64::MAX))
    }
}

/// Returns which blocks of a segment may have an entry that is wanted; of those that are not in the index, nothing is
/// known.
pub(super) fn survivors(
    connection: &Connection,
    salt: u64,
    segment: u64,
    clue: &super::predicate::Clue,
) -> Result<u64, Fault> {
    // What is read belongs to one moment: the blocks of a segment become one row in the next.
    let reading = connection.unchecked_transaction()?;
    let state = State::read(&reading)?;
    if state.salt != salt {
        return Ok(u64::MAX);
    }
    let span = |table, number, head| Span { connection: &reading, salt, table, number, head };
    if let Some(head) = head(&reading, salt, Table::Segment, segment)? {
        let present = head.present;
        let survivors = clue.survivors(&mut span(Table::Segment, segment, head), present)?;
        return Ok(survivors | !present);
    }
    let mut survivors = u64::MAX;
    let blocks = segment << SEGMENT_BLOCKS_LOG2..(segment + 1) << SEGMENT_BLOCKS_LOG2;
    for block in blocks.start.max(state.first)..blocks.end.min(state.end) {
        let Some(head) = head(&reading, salt, Table::Block, block)? else {
            return Err(Fault::Damaged("a block is missing"));
        };
        if clue.survivors(&mut span(Table::Block, block, head), 1)? == 0 {
            survivors &= !(1 << (block % BLOCKS_PER_SEGMENT));
        }
    }
    Ok(survivors)
}

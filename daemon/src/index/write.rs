//! Writes the index: creates its file, adds blocks, joins the blocks of a segment, deletes the oldest segments.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::blocks::{BLOCKS_PER_SEGMENT, SEGMENT_BLOCKS_LOG2, part_from};
use super::bloom::Block;
use super::error::IndexError;
use super::log::Anchor;
use super::store::{
    BUSY_TIMEOUT, CHUNK_WORDS, FILE_NAME, Head, State, Table, block_chunk, head, paths, row, segment_chunk,
    with_checksum,
};
use super::term::Which;
use crate::clock;

/// The version of the file, SQLite's `user_version`. It must be raised with any change that affects the bits in the file.
const VERSION: u32 = 1;

/// SQLite's `application_id` of our files: `udpi`.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"udpi");

/// The page size, in bytes: as in the inbox.
const PAGE_SIZE_BYTES: u32 = 16 * 1024;

/// The size that the write-ahead log is cut back to after a checkpoint, in bytes; and how many pages start a checkpoint.
const WAL_KEPT_BYTES: u32 = 1024 * 1024;
const CHECKPOINT_PAGES: u32 = WAL_KEPT_BYTES / PAGE_SIZE_BYTES;

/// How many pages a file may have whatever part of it is of use: 4 MiB.
const SMALL_PAGES: u64 = 256;

/// How much memory the writer's pages may take, in KiB.
const CACHE_KIB: i32 = 512;

/// The index, open to be written.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    state: State,
}

impl Store {
    /// Opens the index of a data directory; none if there is none, or one of another version or program.
    pub(super) fn open(data_dir: &Path) -> Result<Option<Self>, IndexError> {
        if !data_dir.join(FILE_NAME).exists() {
            return Ok(None);
        }
        let connection = connect(data_dir)?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        if (number("application_id")?, number("user_version")?) != (APPLICATION_ID, VERSION) {
            return Ok(None);
        }
        let state = State::read(&connection)?;
        Ok(Some(Self { connection, state }))
    }

    /// Creates an index whose first block will be `first`, in place of the old file.
    pub(super) fn create(data_dir: &Path, first: u64) -> Result<Self, IndexError> {
        remove(data_dir)?;
        let mut connection = connect(data_dir)?;
        let salt = random_salt();
        let state = State { salt, first, end: first, anchor: Anchor { id: 0, at_ns: 0 } };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (_, name) in Table::ALL {
            let table = format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT");
            transaction.execute(&table, [])?;
        }
        put_state(&transaction, state)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        Ok(Self { connection, state })
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Returns how much of the file is in use, in bytes.
    pub(super) fn used_bytes(&self) -> Result<u64, IndexError> {
        let (pages, free) = self.pages()?;
        Ok((pages - free.min(pages)) * u64::from(PAGE_SIZE_BYTES))
    }

    /// Returns whether more than two thirds of the file are of no use for a log that begins with a block: it is for removed entries, or
    /// free, since SQLite does not give pages back.
    pub(super) fn is_mostly_useless(&self, oldest: u64) -> Result<bool, IndexError> {
        let (pages, free) = self.pages()?;
        let State { first, end, .. } = self.state;
        let useful = part_from(oldest, (first, end), pages - free.min(pages));
        Ok(pages > SMALL_PAGES && useful < pages / 3)
    }

    /// Returns the number of pages, and how many of them are free.
    fn pages(&self) -> Result<(u64, u64), IndexError> {
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get(0));
        Ok((number("page_count")?, number("freelist_count")?))
    }

    /// Adds the next block. The last one of a segment joins the segment's blocks.
    pub(super) fn append(&mut self, block: &Block, anchor: Anchor) -> Result<(), IndexError> {
        let number = self.state.end;
        let state = State { end: number + 1, anchor, ..self.state };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_block(&transaction, state.salt, number, block)?;
        if state.end.is_multiple_of(BLOCKS_PER_SEGMENT) {
            join(&transaction, &state, number >> SEGMENT_BLOCKS_LOG2)?;
        }
        put_state(&transaction, state)?;
        transaction.commit()?;
        self.state = state;
        Ok(())
    }

    /// Deletes the segments wholly below a block, the oldest of the log.
    pub(super) fn drop_below(&mut self, oldest: u64) -> Result<(), IndexError> {
        let segment = oldest.min(self.state.end) >> SEGMENT_BLOCKS_LOG2;
        let first = segment << SEGMENT_BLOCKS_LOG2;
        if first <= self.state.first {
            return Ok(());
        }
        let state = State { first, ..self.state };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (table, below) in [
            ("block", first),
            ("block_chunk", block_chunk(first, Which::Origin, 0)),
            ("segment", segment),
            ("segment_chunk", segment_chunk(segment, Which::Origin, 0)),
        ] {
            transaction.execute(&format!("DELETE FROM {table} WHERE id < ?1"), [below])?;
        }
        put_state(&transaction, state)?;
        transaction.commit()?;
        self.state = state;
        Ok(())
    }
}

/// Returns a number by which rows of this file differ from those of an older one. Not secret, so any number will do where
/// the system has no random ones.
fn random_salt() -> u64 {
    getrandom::u64().unwrap_or_else(|_| clock::now_ns().cast_unsigned())
}

fn connect(data_dir: &Path) -> Result<Connection, IndexError> {
    let connection = Connection::open(data_dir.join(FILE_NAME))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // After a power cut some of the last blocks may be missing, and are added again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(connection)
}

/// Removes the index of a log that has changed while no indexer runs; it is created again. Readers recognise one that
/// cannot be removed by its entries.
pub(crate) fn remove_all(data_dir: &Path) {
    if let Err(error) = remove(data_dir) {
        tracing::warn!("{error}");
    }
}

fn remove(data_dir: &Path) -> Result<(), IndexError> {
    for path in paths(data_dir) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IndexError::Remove { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn put(connection: &Connection, salt: u64, table: Table, id: u64, words: &[u64]) -> Result<(), IndexError> {
    let sql = match table {
        Table::State => "INSERT OR REPLACE INTO state VALUES (?1, ?2)",
        Table::Block => "INSERT INTO block VALUES (?1, ?2)",
        Table::BlockChunk => "INSERT INTO block_chunk VALUES (?1, ?2)",
        Table::Segment => "INSERT INTO segment VALUES (?1, ?2)",
        Table::SegmentChunk => "INSERT INTO segment_chunk VALUES (?1, ?2)",
    };
    connection.prepare_cached(sql)?.execute(params![id, with_checksum(salt, table, id, words)])?;
    Ok(())
}

fn put_state(connection: &Connection, state: State) -> Result<(), IndexError> {
    put(connection, 0, Table::State, 0, &state.to_words())
}

fn put_block(transaction: &Transaction<'_>, salt: u64, number: u64, block: &Block) -> Result<(), IndexError> {
    for which in [Which::Origin, Which::Content] {
        for (chunk, words) in (0..).zip(block.filters[which as usize].chunks(CHUNK_WORDS)) {
            put(transaction, salt, Table::BlockChunk, block_chunk(number, which, chunk), words)?;
        }
    }
    let size = |filter: &Vec<u64>| (!filter.is_empty()).then(|| (filter.len() * 64).ilog2());
    let head = Head { sizes: block.filters.each_ref().map(size), present: 1, times: vec![block.times] };
    put(transaction, salt, Table::Block, number, &head.to_words())
}

/// Joins the blocks of a segment: for each position of a filter, a word with a bit for each block.
fn join(transaction: &Transaction<'_>, state: &State, segment: u64) -> Result<(), IndexError> {
    let first = segment << SEGMENT_BLOCKS_LOG2;
    let mut heads = Vec::new();
    for block in first.max(state.first)..state.end {
        let head = head(transaction, state.salt, Table::Block, block)?;
        heads.push((block, head.ok_or(IndexError::Damaged("a block is missing"))?));
    }
    let mut joined =
        Head { sizes: [None; 2], present: 0, times: vec![(i64::MAX, i64::MIN); BLOCKS_PER_SEGMENT as usize] };
    for (block, head) in &heads {
        let place = block % BLOCKS_PER_SEGMENT;
        joined.present |= 1 << place;
        joined.times[place as usize] = head.times.first().copied().unwrap_or((i64::MIN, i64::MAX));
    }
    for which in [Which::Origin, Which::Content] {
        joined.sizes[which as usize] = join_filters(transaction, state.salt, segment, which, &heads)?;
    }
    put(transaction, state.salt, Table::Segment, segment, &joined.to_words())?;
    let (from, end) = (block_chunk(first, Which::Origin, 0), block_chunk(state.end, Which::Origin, 0));
    transaction.execute("DELETE FROM block_chunk WHERE id >= ?1 AND id < ?2", [from, end])?;
    transaction.execute("DELETE FROM block WHERE id >= ?1 AND id < ?2", [first, state.end])?;
    Ok(())
}

/// Joins one filter of all blocks, a chunk of each at a time; returns its size. Smaller filters are repeated in the larger
/// one, and a filter that rules out nothing has every bit.
fn join_filters(
    transaction: &Transaction<'_>,
    salt: u64,
    segment: u64,
    which: Which,
    heads: &[(u64, Head)],
) -> Result<Option<u32>, IndexError> {
    let size = |head: &Head| head.sizes[which as usize];
    let Some(largest) = heads.iter().filter_map(|(_, head)| size(head)).max() else { return Ok(None) };
    let chunks = |bits_log2: u32| (1u64 << bits_log2) / 64 / CHUNK_WORDS as u64;
    let mut columns = vec![0; BLOCKS_PER_SEGMENT as usize * CHUNK_WORDS];
    let mut next = 0;
    for chunk in 0..chunks(largest) {
        columns.fill(0);
        for (block, head) in heads {
            let place = (block % BLOCKS_PER_SEGMENT) as usize;
            let column = &mut columns[place * CHUNK_WORDS..][..CHUNK_WORDS];
            let Some(own) = size(head) else {
                column.fill(u64::MAX);
                continue;
            };
            let id = block_chunk(*block, which, chunk % chunks(own));
            let copied = row(transaction, salt, Table::BlockChunk, id, |words| {
                column.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
            })?;
            copied.ok_or(IndexError::Damaged("a part of a filter is missing"))?;
        }
        // Each word of a column has 64 positions, so a chunk of the joined filter takes four words of each column.
        for words in (0..CHUNK_WORDS).step_by(CHUNK_WORDS / 64) {
            let mut out = Vec::with_capacity(CHUNK_WORDS);
            for word in words..words + CHUNK_WORDS / 64 {
                let mut square: [u64; 64] = std::array::from_fn(|place| columns[place * CHUNK_WORDS + word]);
                transpose(&mut square);
                out.extend(square);
            }
            put(transaction, salt, Table::SegmentChunk, segment_chunk(segment, which, next), &out)?;
            next += 1;
        }
    }
    Ok(Some(largest))
}

/// Transposes a square of bits: bit c of word r goes to bit r of word c. Recursively by halves, as in Hacker's Delight, 7-3.
fn transpose(square: &mut [u64; 64]) {
    let mut half = 32;
    let mut mask = u64::MAX >> 32;
    while half > 0 {
        for row in (0..64).filter(|row| row & half == 0) {
            let swapped = (square[row] >> half ^ square[row + half]) & mask;
            square[row] ^= swapped << half;
            square[row + half] ^= swapped;
        }
        half /= 2;
        mask ^= mask << half;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_transposed() {
        let square: [u64; 64] =
            std::array::from_fn(|row| (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut transposed = square;
        transpose(&mut transposed);
        for (row, word) in square.iter().enumerate() {
            for (column, other) in transposed.iter().enumerate() {
                assert_eq!(word >> column & 1, other >> row & 1);
            }
        }
    }

    const ANCHOR: Anchor = Anchor { id: 1, at_ns: 1 };

    /// Returns a block whose filters have sizes that depend on its number; some have no filter of the content.
    fn block(number: u64) -> Block {
        let words = |log2: u64, salt: u64| -> Vec<u64> {
            (0..(CHUNK_WORDS as u64) << log2)
                .map(|word| (word + salt * 1_000).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .collect()
        };
        let content = if number % 7 == 3 { Vec::new() } else { words(number % 4, number) };
        let at_ns = number.cast_signed();
        Block { filters: [words(number % 3, number), content], times: (at_ns, at_ns + 5) }
    }

    #[test]
    fn a_segment_answers_for_each_block_as_the_block_did() {
        use crate::index::predicate::Evidence;
        use crate::index::store::Span;
        let folder = tempfile::tempdir().unwrap();
        // The log begins in the middle of a segment.
        let mut store = Store::create(folder.path(), 70).unwrap();
        for number in 70..128 {
            store.append(&block(number), ANCHOR).unwrap();
        }
        let salt = store.state.salt;
        assert_eq!(head(&store.connection, salt, Table::Block, 100).unwrap(), None, "the blocks are gone");
        let head = head(&store.connection, salt, Table::Segment, 1).unwrap().unwrap();
        assert_eq!(head.present, u64::MAX << (70 - 64));
        let mut span = Span { connection: &store.connection, salt, table: Table::Segment, number: 1, head };
        for number in 70..128u64 {
            let (mut block, place) = (block(number), number % 64);
            assert_eq!(span.times(place as u32), block.times);
            for position in (0..1 << 20).step_by(4_799) {
                for which in [Which::Origin, Which::Content] {
                    let joined = span.at(which, position).unwrap() >> place & 1;
                    assert_eq!(
                        joined,
                        block.at(which, position).unwrap(),
                        "{which:?} of {number} at {position}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_file_of_another_version_or_program_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Store::open(folder.path()).unwrap().is_none());
        let created = Store::create(folder.path(), 3).unwrap();
        assert_eq!(Store::open(folder.path()).unwrap().unwrap().state(), created.state());
        for (name, number, own) in [("user_version", 9, VERSION), ("application_id", 9, APPLICATION_ID)] {
            created.connection.pragma_update(None, name, number).unwrap();
            assert!(Store::open(folder.path()).unwrap().is_none());
            created.connection.pragma_update(None, name, own).unwrap();
        }
        drop(created);
        fs::write(folder.path().join(FILE_NAME), [7; 50_000]).unwrap();
        assert!(Store::open(folder.path()).unwrap_err().is_damage());
    }
}

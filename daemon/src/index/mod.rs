//! The index: tells which parts of the log certainly hold nothing that a query wants, so that a reader skips them.
//!
//! The log is cut into blocks of 1,024 ids. Of each block the index has two filters ([`bloom`]) that never miss what
//! is in it, and its times. What a query asks for becomes a [`predicate`], for a regular expression by way of [`regex_terms`]; a
//! [`block_scan`] then leads a reader past the blocks that do not meet it. Whatever is not in the index, or cannot be read
//! from it, is looked at entry by entry: the index makes answers faster and never different.
//!
//! The file ([`store`], [`mod@write`]) is derived: the [`indexer`] makes it anew from the log when it is missing, damaged, of
//! another version or of another log.

mod block_scan;
mod bloom;
pub(crate) mod checksum;
pub(crate) mod indexer;
pub(crate) mod predicate;
pub(crate) mod regex_terms;
mod spellings;
mod store;
mod term;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Notify;
use tracing::debug;

use store::State;
pub(crate) use store::{Anchor, Fault};
pub(crate) use term::Key;

/// How many ids are in a block, as a power of two: block b has the ids from b·1,024 on.
const BLOCK_IDS_LOG2: u32 = 10;

/// How many blocks are in a segment, as a power of two: as many as a word has bits.
const SEGMENT_BLOCKS_LOG2: u32 = 6;
const BLOCKS_PER_SEGMENT: u64 = 1 << SEGMENT_BLOCKS_LOG2;

/// The index as its readers and its keeper share it.
#[derive(Debug)]
pub(crate) struct Index {
    data_dir: PathBuf,
    shared: Mutex<Shared>,
    /// Whether a reader has found it damaged.
    suspected: AtomicBool,
    suspicion: Notify,
}

#[derive(Debug, Default)]
struct Shared {
    /// The first block that is in the file, and the one behind the last; none while there is no file to be read.
    covered: Option<(u64, u64)>,
    /// Counts the files: a connection belongs to one.
    generation: u64,
    idle: Vec<Connection>,
}

impl Index {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            shared: Mutex::default(),
            suspected: AtomicBool::new(false),
            suspicion: Notify::new(),
        }
    }

    /// Returns the newest id that is in the index; 0 if none is.
    pub(crate) fn newest_id(&self) -> u64 {
        self.lock().covered.map_or(0, |(_, end)| (end << BLOCK_IDS_LOG2).saturating_sub(1))
    }

    /// Returns the size of its files, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let [file, log, _] = write::paths(&self.data_dir);
        [file, log].iter().map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len())).sum()
    }

    /// Waits until a reader has found the index damaged.
    pub(crate) async fn suspected(&self) {
        self.suspicion.notified().await;
    }

    /// Takes note that the index did not read as it was written.
    fn suspect(&self, fault: &Fault) {
        debug!("a query goes without the index: {fault}");
        if fault.is_damage() {
            self.suspected.store(true, Ordering::Release);
            self.suspicion.notify_one();
        }
    }

    /// Lets what is in the file be used.
    fn publish(&self, state: State) {
        self.lock().covered = (state.first < state.end).then_some((state.first, state.end));
    }

    /// Lets the file be used no more: it is about to go.
    fn withdraw(&self) {
        let mut shared = self.lock();
        shared.covered = None;
        shared.generation += 1;
        shared.idle.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns an id that the log of a data directory had, near its newest, as the index's file tells it: 0 where that cannot
/// be read, none where there is no such file. To be asked before anybody keeps the index.
pub(crate) fn newest_id_in(data_dir: &Path) -> Option<u64> {
    let [file, ..] = write::paths(data_dir);
    let state = || State::read(&store::open_reader(data_dir)?);
    file.exists().then(|| state().map_or(0, |state| state.anchor.id))
}

/// Returns the last id of the blocks that have all their entries.
pub(crate) fn whole_ids(newest_id: u64) -> u64 {
    (whole_blocks(newest_id) << BLOCK_IDS_LOG2).saturating_sub(1)
}

/// Returns how many blocks, counted from the first id there could be, have all their entries.
fn whole_blocks(newest_id: u64) -> u64 {
    newest_id.saturating_add(1) >> BLOCK_IDS_LOG2
}

#[cfg(test)]
mod tests;

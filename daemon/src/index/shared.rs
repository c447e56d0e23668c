//! The index as its readers and the indexer share it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Notify;
use tracing::debug;

use super::blocks::{BLOCK_IDS_LOG2, part_from};
use super::error::IndexError;
use super::store::{self, State};

/// The index as its readers and the indexer share it.
#[derive(Debug)]
pub(crate) struct Index {
    pub(super) data_dir: PathBuf,
    pub(super) shared: Mutex<Shared>,
    /// Whether the index was found damaged.
    damaged: AtomicBool,
    wanted: Notify,
    /// Whether the index must not grow, since the disk is full.
    paused: AtomicBool,
    /// Whether its files are to be removed, so that there is room.
    gives_room: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The first block in the file, and the one behind the last; none while there is no file to be read.
    pub(super) covered: Option<(u64, u64)>,
    /// How much of the file is in use, in bytes.
    pub(super) used_bytes: u64,
    /// Counts the files: a connection belongs to one.
    pub(super) generation: u64,
    pub(super) idle: Vec<Connection>,
}

impl Index {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            shared: Mutex::default(),
            damaged: AtomicBool::new(false),
            wanted: Notify::new(),
            paused: AtomicBool::new(false),
            gives_room: AtomicBool::new(false),
        }
    }

    /// Returns the newest indexed id; 0 if there is none.
    pub(crate) fn newest_id(&self) -> u64 {
        self.shared.lock().covered.map_or(0, |(_, end)| (end << BLOCK_IDS_LOG2).saturating_sub(1))
    }

    /// Returns the size of the index's files, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let [file, log, _] = store::paths(&self.data_dir);
        [file, log].iter().map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len())).sum()
    }

    /// Returns how much the index takes for the entries from an id on, in bytes, once it does not have the others any more; 0 while
    /// there is no index to be read.
    pub(crate) fn bytes_from(&self, oldest_id: u64) -> u64 {
        let (covered, used_bytes) = {
            let shared = self.shared.lock();
            (shared.covered, shared.used_bytes)
        };
        covered.map_or(0, |blocks| part_from(oldest_id >> BLOCK_IDS_LOG2, blocks, used_bytes))
    }

    /// Keeps the index from growing while the disk is full.
    pub(crate) fn pause(&self, is_full: bool) {
        self.paused.store(is_full, Ordering::Release);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Lets the indexer remove the files, if there are any: the disk is full, and the inbox needs room.
    pub(crate) fn give_room(&self) {
        // Also those of an earlier daemon that were not opened yet.
        if self.size_bytes() > 0 {
            self.gives_room.store(true, Ordering::Release);
            self.wanted.notify_one();
        }
    }

    pub(super) fn must_give_room(&self) -> bool {
        self.gives_room.load(Ordering::Acquire)
    }

    /// Returns whether the files are to be removed, and forgets that.
    pub(super) fn take_gives_room(&self) -> bool {
        self.gives_room.swap(false, Ordering::AcqRel)
    }

    /// Waits until the indexer is wanted: a reader has found the index damaged, or its files are to be removed.
    pub(crate) async fn is_wanted(&self) {
        self.wanted.notified().await;
    }

    /// Handles an error of a reader: a damaged index is to be created again.
    pub(super) fn report(&self, error: &IndexError) {
        debug!("a query runs without the index: {error}");
        if error.is_damage() {
            self.set_damaged();
            self.wanted.notify_one();
        }
    }

    pub(super) fn set_damaged(&self) {
        self.damaged.store(true, Ordering::Release);
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Returns whether the index was found damaged, and forgets that.
    pub(super) fn take_damaged(&self) -> bool {
        self.damaged.swap(false, Ordering::AcqRel)
    }

    /// Stops the use of an index whose log was replaced; the indexer creates another.
    pub(crate) fn discard(&self) {
        self.set_damaged();
        self.withdraw();
        self.wanted.notify_one();
    }

    /// Lets readers use what is in the file, of which so much is in use.
    pub(super) fn publish(&self, state: State, used_bytes: u64) {
        let mut shared = self.shared.lock();
        shared.covered = (state.first < state.end).then_some((state.first, state.end));
        shared.used_bytes = used_bytes;
    }

    /// Stops the use of the file, which is about to be deleted.
    pub(super) fn withdraw(&self) {
        let mut shared = self.shared.lock();
        shared.covered = None;
        shared.generation += 1;
        shared.idle.clear();
    }
}

/// Returns the first id of the oldest block of a data directory's index, which the oldest entry of the log is not below.
pub(crate) fn oldest_id_in(data_dir: &Path) -> Option<u64> {
    let [file, ..] = store::paths(data_dir);
    let state = || State::read(&store::open_reader(data_dir)?);
    state().ok().filter(|_| file.exists()).map(|state| state.first << BLOCK_IDS_LOG2)
}

/// Returns an id that the log of a data directory had, near its newest, as the index's file shows it: 0 where that cannot
/// be read, none where there is no such file. Must not be called while an indexer runs on the file.
pub(crate) fn newest_id_in(data_dir: &Path) -> Option<u64> {
    let [file, ..] = store::paths(data_dir);
    let state = || State::read(&store::open_reader(data_dir)?);
    file.exists().then(|| state().map_or(0, |state| state.anchor.id))
}

//! The indexer adds the log's whole blocks to the index, one a step, and creates a new index where that is the only way.

use std::sync::Arc;

use super::blocks::{BLOCK_IDS_LOG2, whole_blocks};
use super::bloom::Builder;
use super::error::IndexError;
use super::log::{Log, LogError};
use super::shared::Index;
use super::write::{Store, remove_all};

/// Writes the index of a log. It holds a connection, and buffers while it works.
pub(crate) struct Indexer {
    index: Arc<Index>,
    log: Arc<dyn Log>,
    store: Option<Store>,
    builder: Option<Box<Builder>>,
    /// How many whole blocks need no further work.
    done: u64,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done, and there may be more to do.
    Done,
    /// A new index was created.
    Created,
    /// There is nothing to do.
    Idle,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The log cannot be read; its readers report that.
    #[error("the inbox cannot be read for its index")]
    Log(#[source] LogError),
    #[error("the index of the inbox cannot be written, so filters take longer")]
    Index(#[from] IndexError),
}

impl Indexer {
    pub(crate) fn new(index: Arc<Index>, log: Arc<dyn Log>) -> Self {
        Self { index, log, store: None, builder: None, done: 0 }
    }

    /// Returns whether there may be work, in a log whose newest entry has this id.
    pub(crate) fn has_work(&self, newest_id: u64) -> bool {
        whole_blocks(newest_id) > self.done || self.index.is_damaged() || self.index.must_give_room()
    }

    /// Removes the files of the index if the inbox needs their room; it is created again when the disk is not full any more.
    pub(crate) fn give_room(&mut self) {
        if self.index.take_gives_room() {
            self.index.withdraw();
            (self.store, self.done) = (None, 0);
            remove_all(&self.index.data_dir);
        }
    }

    /// Does one step: some milliseconds of work.
    pub(crate) fn step(&mut self) -> Result<Step, StepError> {
        let stepped = self.try_step();
        if let Err(error) = &stepped {
            // After an error, SQLite's state in memory is not to be trusted.
            self.store = None;
            if let StepError::Index(error) = error
                && error.is_damage()
            {
                self.index.set_damaged();
            }
        }
        stepped
    }

    /// Releases the memory that only a step needs.
    pub(crate) fn release_memory(&mut self) {
        self.builder = None;
    }

    fn try_step(&mut self) -> Result<Step, StepError> {
        let (oldest, newest) = self.log.id_range().map_err(StepError::Log)?;
        let (oldest, whole) = (oldest >> BLOCK_IDS_LOG2, whole_blocks(newest));
        let damaged = self.index.take_damaged();
        if whole <= oldest {
            // No block is whole: the file, if there is one, is of no use and is not read.
            self.done = whole;
            self.index.withdraw();
            if self.store.take().is_some() {
                remove_all(&self.index.data_dir);
            }
            return Ok(Step::Idle);
        }
        if damaged {
            return self.create(oldest);
        }
        let Some(store) = &mut self.store else { return self.open(oldest) };
        store.drop_below(oldest)?;
        if store.is_mostly_useless(oldest)? {
            return self.create(oldest);
        }
        self.index.publish(store.state(), store.used_bytes()?);
        let next = store.state().end;
        if next >= whole {
            self.done = whole;
            return Ok(Step::Idle);
        }
        self.add_block(next, oldest)
    }

    /// Opens the index, or creates one where there is none of this log.
    fn open(&mut self, oldest: u64) -> Result<Step, StepError> {
        let opened = Store::open(&self.index.data_dir);
        let store = match opened {
            Ok(Some(store)) => store,
            Ok(None) => return self.create(oldest),
            Err(error) if error.is_damage() => return self.create(oldest),
            Err(error) => return Err(error.into()),
        };
        let state = store.state();
        if state.end <= oldest || !self.log.has(state.anchor).map_err(StepError::Log)? {
            return self.create(oldest);
        }
        self.index.withdraw();
        self.index.publish(state, store.used_bytes()?);
        self.store = Some(store);
        Ok(Step::Done)
    }

    fn create(&mut self, oldest: u64) -> Result<Step, StepError> {
        self.index.withdraw();
        (self.store, self.done) = (None, 0);
        self.store = Some(Store::create(&self.index.data_dir, oldest)?);
        Ok(Step::Created)
    }

    /// Adds a block.
    fn add_block(&mut self, block: u64, oldest: u64) -> Result<Step, StepError> {
        let Some(store) = &mut self.store else { return Ok(Step::Done) };
        let builder = self.builder.get_or_insert_with(|| Box::new(Builder::new()));
        let state = store.state();
        let known = (state.first < state.end).then_some(state.anchor);
        let ids = (block << BLOCK_IDS_LOG2, (block + 1) << BLOCK_IDS_LOG2);
        let mut last = known;
        let read = self.log.visit(known, ids, &mut |entry| {
            builder.add(&entry);
            last = Some(entry.anchor);
        });
        let read = read.inspect_err(|_| self.builder = None).map_err(StepError::Log)?;
        // Without the known entry, or without any entry in the block, this is not the log that it was.
        let (true, Some(anchor)) = (read, last) else {
            self.builder = None;
            return self.create(oldest);
        };
        if let Some(builder) = &mut self.builder {
            store.append(&builder.finish(), anchor)?;
            self.index.publish(store.state(), store.used_bytes()?);
        }
        Ok(Step::Done)
    }
}

//! Keeps the index up: takes up the log's whole blocks, one a step, and begins anew where that is the only way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::bloom::Builder;
use super::store::{Anchor, Fault};
use super::write::Store;
use super::{BLOCK_IDS_LOG2, Index, whole_blocks};
use crate::inbox::reader::Reader;

/// Writes the index of an inbox. It holds buffers while it works, and a connection.
pub(crate) struct Keeper {
    reader: Arc<Reader>,
    store: Option<Store>,
    builder: Option<Box<Builder>>,
    /// So many whole blocks are taken care of.
    settled: u64,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something was done, and there may be more to do.
    Done,
    /// A new index was begun.
    Begun,
    /// There is nothing to do.
    Idle,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The log cannot be read, which its readers report.
    #[error("the inbox cannot be read for its index")]
    Log(#[source] rusqlite::Error),
    #[error("the index of the inbox cannot be written, so filters take longer")]
    Index(#[from] Fault),
}

impl Keeper {
    pub(crate) fn new(reader: Arc<Reader>) -> Self {
        Self { reader, store: None, builder: None, settled: 0 }
    }

    /// Tells whether there may be something to do, where the log ends at an id.
    pub(crate) fn has_work(&self, newest_id: u64) -> bool {
        whole_blocks(newest_id) > self.settled || self.index().suspected.load(Ordering::Acquire)
    }

    /// Does one step: some milliseconds of work.
    pub(crate) fn step(&mut self) -> Result<Step, Trouble> {
        let stepped = self.try_step();
        if let Err(trouble) = &stepped {
            // After an error, what SQLite holds in memory is not to be trusted.
            self.store = None;
            if let Trouble::Index(fault) = trouble
                && fault.is_damage()
            {
                self.index().suspected.store(true, Ordering::Release);
            }
        }
        stepped
    }

    /// Gives back the memory that only work needs.
    pub(crate) fn rest(&mut self) {
        self.builder = None;
    }

    fn try_step(&mut self) -> Result<Step, Trouble> {
        let bounds = self.reader.bounds().map_err(Trouble::Log)?;
        let (oldest, whole) = (bounds.oldest >> BLOCK_IDS_LOG2, whole_blocks(bounds.newest));
        let damaged = self.index().suspected.swap(false, Ordering::AcqRel);
        if whole <= oldest {
            // No block is whole; what the file may have is of no use, and is not read.
            self.settled = whole;
            self.index().withdraw();
            return Ok(Step::Idle);
        }
        if damaged {
            return self.begin(oldest);
        }
        let Some(store) = &mut self.store else { return self.open(oldest) };
        store.drop_below(oldest)?;
        self.reader.index().publish(store.state());
        let next = store.state().end;
        if next >= whole {
            self.settled = whole;
            return Ok(Step::Idle);
        }
        self.take_up(next, oldest)
    }

    /// Opens the index, or begins one where there is none that is of this log.
    fn open(&mut self, oldest: u64) -> Result<Step, Trouble> {
        let opened = Store::open(&self.reader.index().data_dir);
        let store = match opened {
            Ok(Some(store)) => store,
            Ok(None) => return self.begin(oldest),
            Err(fault) if fault.is_damage() => return self.begin(oldest),
            Err(fault) => return Err(fault.into()),
        };
        let state = store.state();
        if state.end <= oldest || !self.reader.has(state.anchor).map_err(Trouble::Log)? {
            return self.begin(oldest);
        }
        self.index().withdraw();
        self.index().publish(state);
        self.store = Some(store);
        Ok(Step::Done)
    }

    fn begin(&mut self, oldest: u64) -> Result<Step, Trouble> {
        self.index().withdraw();
        (self.store, self.settled) = (None, 0);
        self.store = Some(Store::begin(&self.index().data_dir, oldest)?);
        Ok(Step::Begun)
    }

    /// Takes up a block.
    fn take_up(&mut self, block: u64, oldest: u64) -> Result<Step, Trouble> {
        let Some(store) = &mut self.store else { return Ok(Step::Done) };
        let builder = self.builder.get_or_insert_with(|| Box::new(Builder::new()));
        let state = store.state();
        let known = (state.first < state.end).then_some(state.anchor);
        let ids = (block << BLOCK_IDS_LOG2, (block + 1) << BLOCK_IDS_LOG2);
        let mut last = known;
        let read = self.reader.raw(known, ids, |entry| {
            builder.add(entry.at_ns, entry.kind, entry.peer, entry.payload);
            last = Some(Anchor { id: entry.id, at_ns: entry.at_ns });
        });
        let read = read.inspect_err(|_| self.builder = None).map_err(Trouble::Log)?;
        // Without an entry to know it by again, or with another one in its place, it is not the log that it was.
        let (true, Some(anchor)) = (read, last) else {
            self.builder = None;
            return self.begin(oldest);
        };
        if let Some(builder) = &mut self.builder {
            store.append(&builder.finish(), anchor)?;
            self.reader.index().publish(store.state());
        }
        Ok(Step::Done)
    }

    fn index(&self) -> &Index {
        self.reader.index()
    }
}

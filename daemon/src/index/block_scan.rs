//! A block scan leads a scan of the log past the blocks that hold nothing it wants.

use rusqlite::Connection;

use super::blocks::{BLOCK_IDS_LOG2, BLOCKS_PER_SEGMENT, SEGMENT_BLOCKS_LOG2, first_id};
use super::error::IndexError;
use super::log::{Anchor, Order};
use super::predicate::Predicate;
use super::shared::Index;
use super::store::{self, State};

/// The index as one scan uses it.
pub(crate) struct BlockScan<'a> {
    index: &'a Index,
    predicate: Predicate,
    generation: u64,
    /// None after an error.
    connection: Option<Connection>,
    state: State,
    /// The segment that was evaluated last, and which of its blocks may have wanted entries.
    segment: Option<(u64, u64)>,
}

impl Index {
    /// Returns a block scan for the ids above `range.0` up to `range.1`, if the index can skip any of them.
    ///
    /// `has_entry` looks into the log that is scanned: the index must belong to that log.
    pub(crate) fn block_scan(
        &self,
        predicate: Predicate,
        range: (u64, u64),
        has_entry: impl FnOnce(Anchor) -> rusqlite::Result<bool>,
    ) -> Option<BlockScan<'_>> {
        if predicate == Predicate::Anything {
            return None;
        }
        let (generation, idle) = {
            let mut shared = self.shared.lock();
            let (first, end) = shared.covered?;
            if range.0 >= end << BLOCK_IDS_LOG2 || range.1 < first << BLOCK_IDS_LOG2 {
                return None;
            }
            (shared.generation, shared.idle.pop())
        };
        match open(self, idle, has_entry) {
            Ok((connection, state)) => Some(BlockScan {
                index: self,
                predicate,
                generation,
                connection: Some(connection),
                state,
                segment: None,
            }),
            Err(error) => {
                self.report(&error);
                None
            }
        }
    }
}

fn open(
    index: &Index,
    idle: Option<Connection>,
    has_entry: impl FnOnce(Anchor) -> rusqlite::Result<bool>,
) -> Result<(Connection, State), IndexError> {
    let connection = match idle {
        Some(connection) => connection,
        None => store::open_reader(&index.data_dir)?,
    };
    let state = State::read(&connection)?;
    if !has_entry(state.anchor)? {
        return Err(IndexError::Damaged("it belongs to another log"));
    }
    Ok((connection, state))
}

impl BlockScan<'_> {
    /// Returns which ids to look at next: those above the first number up to the second. In the order of the scan, no wanted
    /// entry is before them. The window may be empty; then the scan continues from there.
    pub(crate) fn window(&mut self, low: u64, high: u64, order: Order) -> (u64, u64) {
        let segment = next_id(low, high, order) >> (BLOCK_IDS_LOG2 + SEGMENT_BLOCKS_LOG2);
        next_window(self.survivors(segment), (low, high), order)
    }

    /// Returns which blocks of a segment must be looked at.
    fn survivors(&mut self, segment: u64) -> u64 {
        if let Some((known, survivors)) = self.segment
            && known == segment
        {
            return survivors;
        }
        let first = segment << SEGMENT_BLOCKS_LOG2;
        let covered = first < self.state.end && first + BLOCKS_PER_SEGMENT > self.state.first;
        let survivors = match &self.connection {
            Some(connection) if covered => {
                store::survivors(connection, self.state.salt, segment, &self.predicate).unwrap_or_else(
                    |error| {
                        self.index.report(&error);
                        self.connection = None;
                        u64::MAX
                    },
                )
            }
            _ => u64::MAX,
        };
        self.segment = Some((segment, survivors));
        survivors
    }
}

/// Returns the id that a scan of the ids above `low` up to `high` looks at next.
fn next_id(low: u64, high: u64, order: Order) -> u64 {
    if order == Order::Asc { low + 1 } else { high }
}

/// Returns the next ids to look at, where the bits of `may` are the blocks of the segment that may have wanted entries.
fn next_window(may: u64, (low, high): (u64, u64), order: Order) -> (u64, u64) {
    let block = next_id(low, high, order) >> BLOCK_IDS_LOG2;
    let place = (block % BLOCKS_PER_SEGMENT) as u32;
    let ids = |place: u32| first_id(block - block % BLOCKS_PER_SEGMENT + u64::from(place));
    match order {
        Order::Asc => {
            let from = place + (may >> place).trailing_zeros();
            if from >= u64::BITS {
                let end = high.min(ids(u64::BITS) - 1);
                return (end, end);
            }
            let run = (may >> from).trailing_ones();
            (ids(from).saturating_sub(1).clamp(low, high), high.min(ids(from + run) - 1))
        }
        Order::Desc => {
            let ahead = may << (u64::BITS - 1 - place);
            let skipped = ahead.leading_zeros();
            if skipped > place {
                let end = low.max(ids(0).saturating_sub(1));
                return (end, end);
            }
            let to = place - skipped;
            let run = (ahead << skipped).leading_ones();
            (low.max(ids(to + 1 - run).saturating_sub(1)), (ids(to + 1) - 1).clamp(low, high))
        }
    }
}

impl Drop for BlockScan<'_> {
    /// Returns the connection to the idle ones.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut shared = self.index.shared.lock();
            if shared.generation == self.generation {
                shared.idle.push(connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_cover_the_ids_of_possible_blocks_once(
            masks in prop::collection::vec(
                prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), (0..64u32).prop_map(|place| 1 << place)],
                4,
            ),
            (low, length) in (0..200_000u64, 1..100_000u64),
            descending in any::<bool>(),
        ) {
            let order = if descending { Order::Desc } else { Order::Asc };
            let mask = |id: u64| masks[(id >> (BLOCK_IDS_LOG2 + SEGMENT_BLOCKS_LOG2)) as usize % masks.len()];
            let may = |id: &u64| mask(*id) >> ((id >> BLOCK_IDS_LOG2) % BLOCKS_PER_SEGMENT) & 1 == 1;
            let (mut left, mut looked_at, mut windows) = ((low, low + length), Vec::new(), 0);
            while left.0 < left.1 {
                let window = next_window(mask(next_id(left.0, left.1, order)), left, order);
                prop_assert!(left.0 <= window.0 && window.0 <= window.1 && window.1 <= left.1);
                looked_at.extend(window.0 + 1..=window.1);
                left = if descending { (left.0, window.0) } else { (window.1, left.1) };
                windows += 1;
            }
            looked_at.sort_unstable();
            prop_assert!(looked_at.into_iter().eq((low + 1..=low + length).filter(may)));
            prop_assert!(windows <= 2 + length / 1_024);
        }
    }
}

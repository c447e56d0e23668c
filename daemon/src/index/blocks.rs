//! How the ids of the log are grouped: blocks of 1,024 ids, segments of 64 blocks.

/// How many ids are in a block, as a power of two: block b has the ids from b·1,024 on.
pub(super) const BLOCK_IDS_LOG2: u32 = 10;

/// How many blocks are in a segment, as a power of two: as many as a word has bits.
pub(super) const SEGMENT_BLOCKS_LOG2: u32 = 6;
pub(super) const BLOCKS_PER_SEGMENT: u64 = 1 << SEGMENT_BLOCKS_LOG2;

/// How many ids a segment has.
pub(crate) const SEGMENT_IDS: u64 = BLOCKS_PER_SEGMENT << BLOCK_IDS_LOG2;

/// Returns the part of a number of bytes or pages for the blocks from `first` to `end` that is for those from a block on.
pub(super) fn part_from(oldest: u64, (first, end): (u64, u64), whole: u64) -> u64 {
    let part =
        u128::from(whole) * u128::from(end - oldest.clamp(first, end)) / u128::from((end - first).max(1));
    // It is not greater than the whole.
    u64::try_from(part).unwrap_or(whole)
}

/// Returns the first id of a block; beyond the last possible block, the greatest number.
pub(super) fn first_id(block: u64) -> u64 {
    block.saturating_mul(1 << BLOCK_IDS_LOG2)
}

/// Returns how many blocks, counted from id 0, have all their entries.
pub(super) fn whole_blocks(newest_id: u64) -> u64 {
    newest_id.saturating_add(1) >> BLOCK_IDS_LOG2
}

/// Returns the last id of the blocks that have all their entries.
pub(crate) fn whole_ids(newest_id: u64) -> u64 {
    (whole_blocks(newest_id) << BLOCK_IDS_LOG2).saturating_sub(1)
}

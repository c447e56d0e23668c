//! The seed of a campaign, and the sequence of choices that follows from the seed.

/// A pseudo-random sequence (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a number below an end, which 0 makes 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Returns the seed that `UDPCHAT_SEED` sets, or the usual one.
pub(crate) fn seed() -> u64 {
    std::env::var("UDPCHAT_SEED").map_or(1, |seed| seed.parse().expect("UDPCHAT_SEED is a number"))
}

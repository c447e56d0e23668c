//! A sum over words, by which what was written is known again.

/// Takes one more word into a sum. Each step can be undone, so a change in one word is always seen, others all but
/// certainly.
pub(crate) fn step(sum: u64, word: u64) -> u64 {
    const FACTOR: u64 = 0x9fb2_1c65_1e98_df25;
    let sum = (sum ^ word).wrapping_mul(FACTOR);
    sum ^ sum >> 32
}

/// Sums up words in little-endian order, from a beginning on. Four sums side by side take a processor a quarter of the
/// time.
pub(crate) fn sum(begin: u64, words: &[[u8; 8]]) -> u64 {
    let mut sums = [begin, begin ^ 1, begin ^ 2, begin ^ 3];
    let (fours, rest) = words.as_chunks::<4>();
    for four in fours {
        for (sum, word) in sums.iter_mut().zip(four) {
            *sum = step(*sum, u64::from_le_bytes(*word));
        }
    }
    let rest = rest.iter().fold(begin, |sum, word| step(sum, u64::from_le_bytes(*word)));
    sums.into_iter().fold(rest, step)
}

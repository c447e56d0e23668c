//! How many messages and lost datagrams the log has, or will have to have.

use crate::inbox::entry::GapReason;

/// Messages, and lost datagrams by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryCounts {
    pub(in crate::inbox) messages: u64,
    /// Datagrams in gaps, by the number of the reason.
    pub(super) lost: [u64; Self::REASONS],
}

impl EntryCounts {
    /// How many reasons there are.
    pub(super) const REASONS: usize = GapReason::JOURNALED.len();

    /// Adds lost datagrams, unless the journal does not count those of this reason.
    pub(in crate::inbox) fn lose(&mut self, lost: u64, reason: GapReason) {
        if let Some(sum) = self.lost.get_mut(reason as usize) {
            *sum = sum.saturating_add(lost);
        }
    }

    /// Lists the lost datagrams by reason, those reasons only that have any.
    pub(in crate::inbox) fn losses(&self) -> impl Iterator<Item = (GapReason, u64)> {
        GapReason::JOURNALED.into_iter().zip(self.lost).filter(|(_, lost)| *lost > 0)
    }

    /// Returns the sum of messages and lost datagrams.
    pub(super) fn total(&self) -> u64 {
        self.lost.iter().fold(self.messages, |total, lost| total.saturating_add(*lost))
    }

    /// Subtracts other counts, each down to 0 at least.
    pub(super) fn without(mut self, other: &Self) -> Self {
        self.messages = self.messages.saturating_sub(other.messages);
        for (lost, other) in self.lost.iter_mut().zip(other.lost) {
            *lost = lost.saturating_sub(other);
        }
        self
    }

    /// Reduces the counts to this sum at most; losses are kept before messages.
    pub(super) fn at_most(mut self, most: u64) -> Self {
        let mut left = most;
        for part in self.lost.iter_mut().chain([&mut self.messages]) {
            *part = left.min(*part);
            left -= *part;
        }
        self
    }
}

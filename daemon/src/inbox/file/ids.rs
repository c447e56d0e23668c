//! Which id a log continues with, so that none is used twice: at a start, after a damaged or a lost file, after a restart of the
//! machine, and where a log ends before ids that were used.

use std::fs;
use std::path::Path;

use super::quarantine;
use crate::inbox::recovery::MAX_PLAUSIBLE_ID;
use crate::inbox::recovery::skipped::Ids;
use crate::inbox::{inflight, recovery};
use crate::index::{self, Anchor};

/// The minimum distance between the known ids of a lost log and the next one. The known ids may be old: the index has
/// complete blocks of 1,024 only, and lags behind in a flood; a damaged write-ahead log ends early.
const SPARE_IDS: u64 = 1_000_000;

/// The newest id that is known to have been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) newest: Anchor,
    /// Whether no newer id can have been used.
    pub(crate) is_certain: bool,
}

/// What is missing at the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostTail {
    pub(crate) first: u64,
    /// The last id that is not to be used again.
    pub(crate) last: u64,
    /// How many entries are known to be missing.
    pub(crate) lost: u64,
}

impl LostTail {
    /// Returns the ids between the newest one that is known to be missing and that of the gap.
    pub(crate) fn skipped(self) -> Option<Ids> {
        let newest = self.first + self.lost - 1;
        (newest + 1 < self.last).then(|| (newest + 1, self.last - 1))
    }
}

impl Used {
    /// Returns what the in-flight journal of the previous daemon shows. After a restart of the machine it may be old.
    pub(crate) fn by_journal(data_dir: &Path) -> Self {
        let durable = inflight::last_durable(data_dir);
        durable.map_or_else(Self::default, |durable| Self {
            newest: durable.newest,
            is_certain: durable.is_of_this_boot,
        })
    }

    /// Returns the next id. Where newer ids may have been used, it is above the known one by at least [`SPARE_IDS`], and a round
    /// number plus 1, which makes the break visible.
    pub(crate) fn next(self) -> u64 {
        match self.is_certain {
            true => self.newest.id + 1,
            false => (self.newest.id + SPARE_IDS).next_multiple_of(SPARE_IDS) + 1,
        }
    }

    /// Returns what is missing at the end of a log with this newest id.
    pub(crate) fn missing_behind(self, present: u64) -> Option<LostTail> {
        let lost = self.newest.id.checked_sub(present).filter(|lost| *lost > 0)?;
        Some(LostTail { first: present + 1, last: self.next() - 1, lost })
    }

    /// Adds what the files of a data directory show, where a log cannot be read: the damaged file if there is one, those that were quarantined
    /// earlier, and the index. In a new data directory no id was used.
    pub(super) fn or_by_files(self, data_dir: &Path, damaged: Option<&Path>) -> Self {
        let others = quarantine::damaged(data_dir);
        let logs = others.iter().map(|path| recovery::known_ids(path).newest);
        let indexed = index::newest_id_in(data_dir);
        let shown = logs.chain(damaged.map(|path| recovery::known_ids(path).newest)).chain(indexed);
        let newest = shown.filter(|id| *id <= MAX_PLAUSIBLE_ID).max().unwrap_or(0);
        let newest = if newest > self.newest.id { Anchor { id: newest, at_ns: 0 } } else { self.newest };
        let is_first = newest.id == 0
            && others.is_empty()
            && indexed.is_none()
            && damaged.is_none_or(|path| fs::metadata(path).is_err());
        // A write-ahead log may be gone as a whole, which no file but the journal shows.
        Self { newest, is_certain: self.is_certain || is_first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(id: u64, is_certain: bool) -> Used {
        Used { newest: Anchor { id, at_ns: 7 }, is_certain }
    }

    #[test]
    fn ids_continue_far_behind_what_may_be_old() {
        assert_eq!((used(7, true).next(), used(7, false).next()), (8, 2_000_001));
        assert_eq!(used(1_000_000, false).next(), 2_000_001);
        assert_eq!((used(0, true).next(), used(0, false).next()), (1, 1_000_001));
    }

    #[test]
    fn a_log_that_ends_early_has_a_gap_up_to_the_next_id() {
        assert_eq!(used(9, true).missing_behind(9), None);
        assert_eq!(used(9, false).missing_behind(12), None);
        assert_eq!(used(9, true).missing_behind(6), Some(LostTail { first: 7, last: 9, lost: 3 }));
        assert_eq!(used(9, false).missing_behind(6), Some(LostTail { first: 7, last: 2_000_000, lost: 3 }));
    }
}

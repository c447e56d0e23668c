//! Which ids of the log have no readable row: those in damaged pages, those that a recorded gap stands for, and those that
//! a recovery has still to bring.
//!
//! Readers share it. It is in memory only: what is damaged is found again after a start, and recorded gaps are in the log.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How many damaged ranges are remembered. Further ones are searched at each reading.
const MAX_RANGES: usize = 4_096;

/// Ids that have no readable row, though no gap is recorded for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The time of the readable entry before or behind it, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
}

/// The ids without a readable row.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether damage was found that readers cannot pass over, so that the file must be replaced.
    irreparable: AtomicBool,
}

/// Marks damage of the file that was open when this was made, and nothing once that is another file: a reader may still have a
/// connection to the file before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker<'a> {
    damage: &'a Damage,
    generation: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Which file it is, by its number among those that were open.
    generation: u64,
    /// In rising order, not adjacent.
    unreadable: Vec<Damaged>,
    /// The ids before those of recorded gaps, and those that were skipped, in rising order, not adjacent.
    recorded: Vec<(u64, u64)>,
    /// The ids that a recovery has still to bring.
    awaited: Option<(u64, u64)>,
    /// Whether unreadable ids were added since [`State::news`].
    has_news: bool,
}

impl Damage {
    /// Forgets everything: another file is read from now on, or what was found is not certain. `recorded` are the ids before those of
    /// recorded gaps and the skipped ones, `awaited` those that a recovery has still to bring. Calls `also` before anything else is found.
    ///
    /// Readers must not get a connection to the file before any more.
    pub(crate) fn reset(&self, recorded: Vec<(u64, u64)>, awaited: Option<(u64, u64)>, also: impl FnOnce()) {
        let mut state = self.state.lock();
        let generation = state.generation + 1;
        *state = State { generation, awaited, ..State::default() };
        recorded.into_iter().for_each(|ids| state.record(ids));
        self.irreparable.store(false, Ordering::Release);
        also();
        self.changed.notify_all();
    }

    /// Returns which file is read, by its number among those that were open; a reset gives it another one.
    pub(crate) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Returns what marks damage of the file that is read now. Must be called before a connection is taken.
    pub(crate) fn marker(&self) -> Marker<'_> {
        Marker { damage: self, generation: self.generation() }
    }

    /// Returns the unreadable ranges that have an id in a range.
    pub(crate) fn within(&self, ids: RangeInclusive<u64>) -> Vec<Damaged> {
        let state = self.state.lock();
        let from = state.unreadable.partition_point(|range| range.last < *ids.start());
        let overlapping = state.unreadable[from..].iter().take_while(|range| range.first <= *ids.end());
        overlapping.copied().collect()
    }

    /// Returns how many of these ids have no row, whatever the reason.
    pub(crate) fn missing(&self, ids: RangeInclusive<u64>) -> u64 {
        let state = self.state.lock();
        let part = |first: u64, last: u64| (last.min(*ids.end()) + 1).saturating_sub(first.max(*ids.start()));
        let unreadable = state.unreadable.iter().map(|range| part(range.first, range.last));
        let recorded = state.recorded.iter().map(|(first, last)| part(*first, *last));
        let awaited = state.awaited.iter().map(|(first, last)| part(*first, *last));
        unreadable.chain(recorded).chain(awaited).sum()
    }

    /// Returns up to which id the ids from this one on have no row for a known reason; none if this one should have one.
    pub(crate) fn explained(&self, id: u64) -> Option<u64> {
        let state = self.state.lock();
        let mut ranges = state.recorded.iter().chain(&state.awaited);
        ranges.find(|(first, last)| (*first..=*last).contains(&id)).map(|(_, last)| *last)
    }

    /// Adds the ids that a recorded gap stands for, without its own, or skipped ones.
    pub(crate) fn record(&self, first: u64, last: u64) {
        if first <= last {
            self.state.lock().record((first, last));
        }
    }

    /// Sets the ids that a recovery has still to bring.
    pub(crate) fn set_awaited(&self, ids: Option<(u64, u64)>) {
        let mut state = self.state.lock();
        state.awaited = ids;
        self.changed.notify_all();
    }

    /// Returns the ids that a recovery has still to bring.
    pub(crate) fn awaited(&self) -> Option<(u64, u64)> {
        self.state.lock().awaited
    }

    /// Returns the newest id up to which the log is complete.
    pub(crate) fn complete_to(&self, newest: u64) -> u64 {
        self.awaited().map_or(newest, |(first, _)| newest.min(first.saturating_sub(1)))
    }

    /// Passes a description of the unreadable ranges to `note` if there are new ones. No other file is read before it returns.
    pub(crate) fn report(&self, note: impl FnOnce(String)) {
        let mut state = self.state.lock();
        if let Some(news) = state.news() {
            note(news);
        }
    }

    /// Returns a description of the unreadable ranges if there are new ones.
    #[cfg(test)]
    pub(crate) fn news(&self) -> Option<String> {
        self.state.lock().news()
    }

    /// Returns whether the file must be replaced.
    pub(crate) fn is_irreparable(&self) -> bool {
        self.irreparable.load(Ordering::Acquire)
    }

    /// Waits for a recovery to do, or for a time.
    pub(crate) fn wait_for_recovery(&self, wait: Duration) {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| state.awaited.is_none(), wait);
    }
}

impl State {
    /// Adds ids, together with those that overlap or are adjacent.
    fn record(&mut self, (first, last): (u64, u64)) {
        let from = self.recorded.partition_point(|(_, other)| other.saturating_add(1) < first);
        let to = self.recorded.partition_point(|(other, _)| *other <= last.saturating_add(1));
        let touched = &self.recorded[from..to.max(from)];
        let whole = touched.iter().fold((first, last), |whole, ids| (whole.0.min(ids.0), whole.1.max(ids.1)));
        self.recorded.splice(from..to.max(from), [whole]);
    }

    fn news(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        let ids: u64 = self.unreadable.iter().map(|range| range.last - range.first + 1).sum();
        let first = self.unreadable.first()?;
        let (first, last) = (first.first, first.last);
        Some(match self.unreadable.len() {
            1 => format!(
                "the inbox is damaged: {ids} entries cannot be read (#{first} to #{last}); readers pass over them; check the \
                 disk"
            ),
            places => format!(
                "the inbox is damaged: {ids} entries cannot be read (in {places} places, the first from #{first} to \
                 #{last}); readers pass over them; check the disk"
            ),
        })
    }
}

impl Marker<'_> {
    /// Calls `note` if the file is still the one that is read. No other file is read before it returns.
    pub(crate) fn if_current(&self, note: impl FnOnce()) {
        let state = self.damage.state.lock();
        if state.generation == self.generation {
            note();
        }
    }

    /// Adds ids that cannot be read.
    pub(crate) fn add(&self, new: Damaged) {
        let mut state = self.damage.state.lock();
        if state.generation != self.generation {
            return;
        }
        let ranges = &mut state.unreadable;
        let from = ranges.partition_point(|range| range.last.saturating_add(1) < new.first);
        let to = ranges.partition_point(|range| range.first <= new.last.saturating_add(1));
        let touched = &ranges[from..to.max(from)];
        if touched.is_empty() && ranges.len() >= MAX_RANGES {
            return;
        }
        let whole = touched.iter().fold(new, |whole, range| Damaged {
            first: whole.first.min(range.first),
            last: whole.last.max(range.last),
            at_ns: if range.first < whole.first { range.at_ns } else { whole.at_ns },
        });
        let is_known = touched == [whole];
        ranges.splice(from..to.max(from), [whole]);
        state.has_news |= !is_known;
    }

    /// Notes that readers cannot pass over the damage; the writer then replaces the file.
    pub(crate) fn give_up(&self) {
        // The lock is held, so that no file is replaced for the damage of the one before.
        let state = self.damage.state.lock();
        if state.generation == self.generation {
            self.damage.irreparable.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged(first: u64, last: u64) -> Damaged {
        Damaged { first, last, at_ns: first.cast_signed() }
    }

    #[test]
    fn adjacent_ranges_become_one() {
        let damage = Damage::default();
        for (first, last) in [(10, 19), (40, 49), (20, 29), (5, 9), (60, 60), (41, 45)] {
            damage.marker().add(damaged(first, last));
        }
        assert_eq!(damage.within(1..=100), [damaged(5, 29), damaged(40, 49), damaged(60, 60)]);
        assert_eq!(damage.within(29..=40).len(), 2);
        assert_eq!(damage.within(30..=39), []);
        assert_eq!(damage.missing(1..=100), 36);
        assert_eq!(damage.missing(45..=60), 6);
        damage.record(70, 79);
        damage.set_awaited(Some((90, 200)));
        assert_eq!(damage.missing(1..=100), 57);
        assert_eq!(damage.complete_to(500), 89);
        assert!(damage.news().is_some_and(|news| news.contains("36 entries")));
        assert_eq!(damage.news(), None);
    }

    #[test]
    fn remembered_ranges_are_bounded() {
        let damage = Damage::default();
        (1..10_000).for_each(|number| damage.marker().add(damaged(number * 10, number * 10)));
        assert_eq!(damage.within(0..=u64::MAX).len(), MAX_RANGES);
        damage.reset(Vec::new(), None, || {});
        assert_eq!(damage.within(0..=u64::MAX), []);
    }

    #[test]
    fn a_marker_of_the_file_before_marks_nothing() {
        let damage = Damage::default();
        let marker = damage.marker();
        damage.reset(Vec::new(), Some((1, 9)), || {});
        marker.add(damaged(1, 9));
        marker.give_up();
        assert_eq!((damage.within(0..=u64::MAX), damage.is_irreparable()), (Vec::new(), false));
        damage.marker().give_up();
        assert_eq!((damage.awaited(), damage.is_irreparable()), (Some((1, 9)), true));
    }
}

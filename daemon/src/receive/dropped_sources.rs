//! The sources whose datagrams were dropped last, so that `status` and `doctor` can explain why a peer's messages do not
//! arrive. One list for the access list, one for the limits.

use parking_lot::Mutex;

/// The number of sources that are kept.
const MAX_REMEMBERED: usize = 8;

/// A source whose datagrams were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DroppedSource<S> {
    pub(crate) source: S,
    /// When the last ones were dropped, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// How many of its datagrams were dropped since it is in the list.
    pub(crate) datagrams: u64,
}

/// The sources whose datagrams were dropped last, newest first.
#[derive(Debug)]
pub(crate) struct DroppedSources<S>(Mutex<Vec<DroppedSource<S>>>);

impl<S> Default for DroppedSources<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Clone + PartialEq> DroppedSources<S> {
    /// Adds dropped datagrams of a source.
    pub(super) fn note(&self, source: S, at_ns: i64, datagrams: u64) {
        let mut list = self.0.lock();
        let at = match list.iter().position(|known| known.source == source) {
            Some(at) => at,
            None => {
                list.truncate(MAX_REMEMBERED - 1);
                list.push(DroppedSource { source, at_ns, datagrams: 0 });
                list.len() - 1
            }
        };
        list[at].at_ns = at_ns;
        list[at].datagrams += datagrams;
        list[..=at].rotate_right(1);
    }

    /// Returns the sources.
    pub(crate) fn list(&self) -> Vec<DroppedSource<S>> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sources_are_kept_newest_first() {
        let dropped = DroppedSources::default();
        for source in 1..=9 {
            dropped.note(source, i64::from(source), 1);
        }
        dropped.note(5, 77, 10);
        let list = dropped.list();
        let order: Vec<_> = list.iter().map(|dropped| dropped.source).collect();
        assert_eq!(order, [5, 9, 8, 7, 6, 4, 3, 2]);
        assert_eq!(list[0], DroppedSource { source: 5, at_ns: 77, datagrams: 11 });
    }
}

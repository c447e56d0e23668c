//! Appends notices to the log, and limits those that strangers can cause.

use std::time::{Duration, Instant};

use super::append::Appender;
use crate::clock;
use crate::inbox::entry::NoticeDetail;

/// How many notices of a limited kind are written a second.
const MAX_PER_SECOND: u32 = 10;

const WINDOW: Duration = Duration::from_secs(1);

/// The limits of notices. A transaction works on a copy, which is adopted once it is committed.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    bounced: Limit,
}

/// The notices of a kind within the current second, and those left out since the last one that was written.
#[derive(Clone, Debug, Default)]
struct Limit {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
    /// The newest of those left out.
    last: Option<NoticeDetail>,
}

impl Notices {
    /// Appends a notice, unless it is over the limit of its kind; the next one that is written has the number of those left out.
    /// If none follows, [`Self::conclude`] writes the newest of them.
    ///
    /// A flood of datagrams can cause `bounced`. The configuration bounds the number of `silent` and `heard`, and what users hold
    /// that of `expired`.
    pub(super) fn write(
        &mut self,
        log: &mut Appender<'_, '_>,
        at_ns: i64,
        detail: NoticeDetail,
    ) -> rusqlite::Result<()> {
        let detail = match detail.notice.as_str() {
            NoticeDetail::BOUNCED => self.bounced.take(Instant::now(), detail),
            _ => Some(detail),
        };
        detail.map_or(Ok(()), |detail| log.notice(at_ns, &detail).map(drop))
    }

    /// Returns how long [`Self::conclude`] has nothing to do; none if it never will.
    pub(super) fn max_wait(&self) -> Option<Duration> {
        self.bounced.max_wait(Instant::now())
    }

    /// Appends the newest notice that was left out, with the number of the others, if its second is over.
    pub(super) fn conclude(&mut self, log: &mut Appender<'_, '_>) -> rusqlite::Result<()> {
        let detail = self.bounced.conclude(Instant::now());
        detail.map_or(Ok(()), |detail| log.notice(clock::now_ns(), &detail).map(drop))
    }

    /// Ends the current second: the daemon stops.
    pub(super) fn end_second(&mut self) {
        self.bounced.began = None;
    }
}

impl Limit {
    fn is_over(&self, now: Instant) -> bool {
        self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW)
    }

    /// Counts a notice; returns it with the number of those left out before it, or none if it is left out as well.
    fn take(&mut self, now: Instant, detail: NoticeDetail) -> Option<NoticeDetail> {
        if self.is_over(now) {
            (self.began, self.written) = (Some(now), 0);
        }
        if self.written == MAX_PER_SECOND {
            self.left_out += 1;
            self.last = Some(detail);
            return None;
        }
        self.written += 1;
        self.last = None;
        let left_out = std::mem::take(&mut self.left_out);
        Some(NoticeDetail { more: (left_out > 0).then_some(left_out), ..detail })
    }

    fn max_wait(&self, now: Instant) -> Option<Duration> {
        self.last.as_ref()?;
        Some(self.began.map_or(Duration::ZERO, |began| (began + WINDOW).saturating_duration_since(now)))
    }

    /// Returns the newest notice that was left out, with the number of the others, if its second is over. It counts in the next.
    fn conclude(&mut self, now: Instant) -> Option<NoticeDetail> {
        let last = if self.is_over(now) { self.last.take()? } else { return None };
        self.left_out -= 1;
        self.take(now, last)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    #[test]
    fn ten_a_second_are_written_and_the_next_counts_the_others() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        assert_eq!(taken(&mut limit, 1..=10, now), (1..=10).map(|about| (about, None)).collect::<Vec<_>>());
        assert_eq!(taken(&mut limit, 11..=17, now + WINDOW / 2), []);
        assert_eq!(taken(&mut limit, 18..=19, now + WINDOW), [(18, Some(7)), (19, None)]);
        assert_eq!((limit.max_wait(now + WINDOW), limit.conclude(now + 2 * WINDOW)), (None, None));
    }

    #[test]
    fn the_last_one_left_out_is_written_at_the_end_of_the_second() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        taken(&mut limit, 1..=13, now);
        assert_eq!(limit.max_wait(now + WINDOW / 4), Some(WINDOW / 4 * 3));
        assert_eq!(limit.conclude(now + WINDOW / 2), None);
        let last = limit.conclude(now + WINDOW).unwrap();
        assert_eq!((last.about, last.more), (Some(13), Some(2)));
        assert_eq!((limit.max_wait(now + WINDOW), limit.conclude(now + 3 * WINDOW)), (None, None));
        let next = (20..=28).map(|about| (about, None)).collect::<Vec<_>>();
        assert_eq!(taken(&mut limit, 20..=30, now + WINDOW), next, "it is one of ten");
        assert_eq!(limit.conclude(now + 2 * WINDOW).unwrap().more, Some(1));
    }

    /// Takes notices about these messages; returns those that are written, with the number of those left out.
    fn taken(limit: &mut Limit, about: RangeInclusive<u64>, at: Instant) -> Vec<(u64, Option<u64>)> {
        let written = about.filter_map(|about| {
            limit.take(at, NoticeDetail { about: Some(about), ..NoticeDetail::default() })
        });
        written.map(|written| (written.about.unwrap(), written.more)).collect()
    }
}

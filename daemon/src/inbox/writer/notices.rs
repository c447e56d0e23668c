//! Appends notices to the log, and limits those that strangers can cause.

use std::time::{Duration, Instant};

use super::append::Appender;
use crate::inbox::entry::NoticeDetail;

/// How many notices of a limited kind are written a second.
const MAX_PER_SECOND: u32 = 10;

const WINDOW: Duration = Duration::from_secs(1);

/// The limits of notices. A transaction works on a copy, which is adopted once it is committed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notices {
    bounced: Limit,
}

/// The notices of a kind within the current second, and those left out since the last one that was written.
#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Notices {
    /// Appends a notice, unless it is over the limit of its kind; the next one that is written has the number of those left out.
    ///
    /// A flood of datagrams can cause `bounced`. The configuration bounds the number of `silent` and `heard`, and what users hold
    /// that of `expired`.
    pub(super) fn write(
        &mut self,
        log: &mut Appender<'_, '_>,
        at_ns: i64,
        mut detail: NoticeDetail,
    ) -> rusqlite::Result<()> {
        if detail.notice == NoticeDetail::BOUNCED {
            let Some(left_out) = self.bounced.take(Instant::now()) else { return Ok(()) };
            detail.more = (left_out > 0).then_some(left_out);
        }
        log.notice(at_ns, &detail).map(drop)
    }
}

impl Limit {
    /// Counts a notice; returns how many were left out before it, or none if it is left out as well.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            (self.began, self.written) = (Some(now), 0);
        }
        if self.written == MAX_PER_SECOND {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_are_written_and_the_next_counts_the_others() {
        let mut limit = Limit::default();
        let now = Instant::now();
        let mut taken = |number: usize, at| (0..number).map(|_| limit.take(at)).collect::<Vec<_>>();
        assert_eq!(taken(10, now), [Some(0); 10]);
        assert_eq!(taken(7, now + WINDOW / 2), [None; 7]);
        assert_eq!(taken(2, now + WINDOW), [Some(7), Some(0)]);
    }
}

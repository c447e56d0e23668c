//! When to let the kernel gather: an idle daemon fetches at once, a busy one lets datagrams come together, like the
//! interrupts of a network card.
//!
//! Wake-ups, not copies, are what reception costs: one that fetches a single datagram costs as much as one that
//! fetches a hundred.

use std::time::{Duration, Instant};

/// How long the kernel may gather at most. Half a millisecond is nothing to a reader, and some 200 datagrams in a
/// flood.
const MAX_REST: Duration = Duration::from_micros(500);

/// A shorter rest than this is not worth the call.
const MIN_REST: Duration = Duration::from_micros(60);

/// Fetches that are less than this apart are a stream.
const STREAM: Duration = Duration::from_millis(1);

/// What the kernel charges against the receive buffer for a datagram beside its bytes, at most for common drivers.
const OVERHEAD_BYTES: usize = 2048;

/// Which part of the receive buffer may fill during a rest, as a divisor: the sender may become faster, and this
/// thread may have to wait for a processor.
const FILLED_PART: u64 = 4;

/// Watches how datagrams come, and says how long to rest before the next fetch.
#[derive(Debug)]
pub(super) struct Pace {
    /// What may gather during a rest, as the kernel reckons it.
    allowed_bytes: u64,
    /// When something was fetched last.
    fetched: Option<Instant>,
    /// What came since the last rest, as the kernel reckons it, and when that was.
    gathered_bytes: u64,
    rested: Option<Instant>,
}

impl Pace {
    /// Begins with a receive buffer of so many bytes, as granted.
    pub(super) fn new(granted_bytes: u64) -> Self {
        // The kernel reckons with the double of what it grants (socket(7)).
        Self {
            allowed_bytes: granted_bytes * 2 / FILLED_PART,
            fetched: None,
            gathered_bytes: 0,
            rested: None,
        }
    }

    /// Notes a datagram that was fetched.
    pub(super) fn datagram(&mut self, length: usize) {
        self.gathered_bytes += (length + OVERHEAD_BYTES) as u64;
    }

    /// Says how long to rest, now that there is nothing more to fetch; none if the next datagram is to be waited for.
    pub(super) fn rest(&mut self, now: Instant) -> Option<Duration> {
        let gathered_bytes = std::mem::take(&mut self.gathered_bytes);
        if gathered_bytes == 0 {
            self.rested = None;
            return None;
        }
        let streaming = self.fetched.replace(now).is_some_and(|before| now - before < STREAM);
        let span = self.rested.replace(now).map_or(STREAM, |before| now - before).min(STREAM);
        if !streaming {
            return None;
        }
        let nanoseconds = span.as_nanos() as u64 * self.allowed_bytes / gathered_bytes;
        let rest = Duration::from_nanos(nanoseconds).min(MAX_REST);
        (rest >= MIN_REST).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Lets `number` datagrams come every `every`; returns the rest that it settles to.
    fn settled(granted_bytes: u64, number: usize, length: usize, every: Duration) -> Option<Duration> {
        let mut pace = Pace::new(granted_bytes);
        let mut now = Instant::now();
        let mut rest = None;
        for _ in 0..10 {
            now += every;
            (0..number).for_each(|_| pace.datagram(length));
            rest = pace.rest(now);
        }
        rest
    }

    #[test]
    fn single_datagrams_are_waited_for() {
        assert_eq!(settled(8 * MIB, 1, 100, Duration::from_millis(2)), None);
        let mut pace = Pace::new(8 * MIB);
        pace.datagram(100);
        assert_eq!(pace.rest(Instant::now()), None, "the first");
    }

    #[test]
    fn a_stream_gathers_and_its_end_does_not() {
        let mut pace = Pace::new(8 * MIB);
        let mut now = Instant::now();
        for _ in 0..3 {
            pace.datagram(100);
            now += MAX_REST;
            pace.rest(now);
        }
        pace.datagram(100);
        assert_eq!(pace.rest(now + MAX_REST), Some(MAX_REST));
        assert_eq!(pace.rest(now + 2 * MAX_REST), None, "nothing came");
    }

    #[test]
    fn a_small_buffer_shortens_the_rest_and_never_fills_beyond_its_part() {
        let half = Duration::from_micros(500);
        assert_eq!(settled(8 * MIB, 200, 100, half), Some(MAX_REST));
        let short = settled(208 * 1024, 200, 100, half).unwrap_or_default();
        assert!(short < Duration::from_micros(150), "{short:?}");
        assert_eq!(settled(16 * 1024, 200, 1400, half), None);
    }
}

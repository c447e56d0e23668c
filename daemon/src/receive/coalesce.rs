//! Coalescing of reads, as network cards coalesce interrupts: an idle daemon reads each datagram at once, a busy one delays
//! the next read so that one call returns many.
//!
//! Most of the cost of reception is waking the thread: a wake-up for one datagram costs as much as one for a hundred. It took
//! a flood from 2.5 to about 1.3 µs of processor time a datagram.

use std::time::{Duration, Instant};

/// The longest delay. No reader notices half a millisecond, and in a flood some 200 datagrams arrive in it.
const MAX_DELAY: Duration = Duration::from_micros(500);

/// The shortest delay that is worth its system call.
const MIN_DELAY: Duration = Duration::from_micros(60);

/// Reads that are less than this apart belong to a stream.
const STREAM: Duration = Duration::from_millis(1);

/// The most that common drivers charge to the receive buffer for a datagram, beside its payload.
const OVERHEAD_BYTES: usize = 2048;

/// The part of the receive buffer that may fill during a delay, as a divisor. The rest is for a sender that becomes faster
/// and for waiting for a processor.
const FILLED_PART: u64 = 4;

/// Computes the delay before the next read from how datagrams arrived.
#[derive(Debug)]
pub(super) struct Coalescer {
    /// How much may accumulate during a delay, as the kernel charges it.
    allowed_bytes: u64,
    /// The time of the last read that returned something.
    last_read: Option<Instant>,
    /// What arrived since the last delay, as the kernel charges it.
    accumulated_bytes: u64,
    last_delay: Option<Instant>,
}

impl Coalescer {
    /// Creates a coalescer for a receive buffer of the granted size.
    pub(super) fn new(granted_bytes: u64) -> Self {
        // The kernel allows twice what it grants (socket(7)).
        Self {
            allowed_bytes: granted_bytes * 2 / FILLED_PART,
            last_read: None,
            accumulated_bytes: 0,
            last_delay: None,
        }
    }

    /// Adds a datagram that was read.
    pub(super) fn add(&mut self, length: usize) {
        self.accumulated_bytes += (length + OVERHEAD_BYTES) as u64;
    }

    /// Returns the delay before the next read when no more datagrams wait; none means to wait for the next datagram.
    pub(super) fn delay(&mut self, now: Instant) -> Option<Duration> {
        let accumulated_bytes = std::mem::take(&mut self.accumulated_bytes);
        if accumulated_bytes == 0 {
            self.last_delay = None;
            return None;
        }
        let streaming = self.last_read.replace(now).is_some_and(|before| now - before < STREAM);
        let span = self.last_delay.replace(now).map_or(STREAM, |before| now - before).min(STREAM);
        if !streaming {
            return None;
        }
        let nanoseconds = span.as_nanos() as u64 * self.allowed_bytes / accumulated_bytes;
        let delay = Duration::from_nanos(nanoseconds).min(MAX_DELAY);
        (delay >= MIN_DELAY).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Returns the delay after ten reads of `number` datagrams, one read every `every`.
    fn steady_delay(granted_bytes: u64, number: usize, length: usize, every: Duration) -> Option<Duration> {
        let mut coalescer = Coalescer::new(granted_bytes);
        let mut now = Instant::now();
        let mut delay = None;
        for _ in 0..10 {
            now += every;
            (0..number).for_each(|_| coalescer.add(length));
            delay = coalescer.delay(now);
        }
        delay
    }

    #[test]
    fn single_datagrams_are_not_delayed() {
        assert_eq!(steady_delay(8 * MIB, 1, 100, Duration::from_millis(2)), None);
        let mut coalescer = Coalescer::new(8 * MIB);
        coalescer.add(100);
        assert_eq!(coalescer.delay(Instant::now()), None, "the first");
    }

    #[test]
    fn a_stream_is_coalesced_and_its_end_is_not() {
        let mut coalescer = Coalescer::new(8 * MIB);
        let mut now = Instant::now();
        for _ in 0..3 {
            coalescer.add(100);
            now += MAX_DELAY;
            coalescer.delay(now);
        }
        coalescer.add(100);
        assert_eq!(coalescer.delay(now + MAX_DELAY), Some(MAX_DELAY));
        assert_eq!(coalescer.delay(now + 2 * MAX_DELAY), None, "nothing came");
    }

    #[test]
    fn a_small_buffer_shortens_the_delay() {
        let half = Duration::from_micros(500);
        assert_eq!(steady_delay(8 * MIB, 200, 100, half), Some(MAX_DELAY));
        let short = steady_delay(208 * 1024, 200, 100, half).unwrap_or_default();
        assert!(short < Duration::from_micros(150), "{short:?}");
        assert_eq!(steady_delay(16 * 1024, 200, 1400, half), None);
    }
}

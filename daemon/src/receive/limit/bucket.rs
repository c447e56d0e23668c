//! Token buckets: <https://en.wikipedia.org/wiki/Token_bucket>.

use udpchat_config::{ByteRate, DatagramRate};

/// How long an empty bucket takes to become full: the burst is what arrives in this time at the rate of the limit.
pub(super) const BURST_NS: u64 = 2 * SECOND_NS;
pub(super) const SECOND_NS: u64 = 1_000_000_000;

/// What is accepted from one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rule {
    /// How long the bucket takes to regain the token of a datagram, and that of a byte; 0 without a limit.
    datagram_ns: u64,
    byte_ns: f64,
}

impl Rule {
    pub(super) fn new(limit: DatagramRate, bytes: ByteRate) -> Self {
        Self {
            datagram_ns: limit.a_second().map_or(0, |rate| SECOND_NS / rate),
            byte_ns: bytes.a_second().map_or(0.0, |rate| SECOND_NS as f64 / rate.get() as f64),
        }
    }

    pub(super) fn is_unlimited(self) -> bool {
        self == Self { datagram_ns: 0, byte_ns: 0.0 }
    }
}

/// The two buckets of a source, for datagrams and for bytes. By default they are full.
///
/// They are kept as the time in which they become full, so that one subtraction fills both.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// The time up to which they are filled. It never goes back, so no time counts twice.
    at_ns: u64,
    datagrams_full_in_ns: u64,
    bytes_full_in_ns: u64,
}

impl Bucket {
    /// Takes the tokens of a datagram; returns false, and takes none, if they are not there.
    ///
    /// Its bytes may take more than the rest of their bucket, which is paid for later: otherwise a datagram larger than the
    /// burst could never pass.
    pub(super) fn take(&mut self, rule: Rule, now_ns: u64, length: usize) -> bool {
        let elapsed = now_ns.saturating_sub(self.at_ns);
        self.at_ns = self.at_ns.max(now_ns);
        self.datagrams_full_in_ns = self.datagrams_full_in_ns.saturating_sub(elapsed);
        self.bytes_full_in_ns = self.bytes_full_in_ns.saturating_sub(elapsed);
        let datagrams_full_in_ns = self.datagrams_full_in_ns + rule.datagram_ns;
        if datagrams_full_in_ns > BURST_NS || self.bytes_full_in_ns >= BURST_NS {
            return false;
        }
        self.datagrams_full_in_ns = datagrams_full_in_ns;
        self.bytes_full_in_ns += (length as f64 * rule.byte_ns) as u64;
        true
    }

    /// Returns whether both are full, so that nothing is forgotten with them.
    pub(super) fn is_full(&self, now_ns: u64) -> bool {
        self.datagrams_full_in_ns.max(self.bytes_full_in_ns) <= now_ns.saturating_sub(self.at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(limit: &str, bytes: &str) -> Rule {
        Rule::new(limit.parse().unwrap(), bytes.parse().unwrap())
    }

    /// Returns how many of some datagrams of one length pass, all at one time.
    fn passed(bucket: &mut Bucket, rule: Rule, now_ns: u64, datagrams: usize, length: usize) -> usize {
        (0..datagrams).filter(|_| bucket.take(rule, now_ns, length)).count()
    }

    #[test]
    fn two_seconds_pass_at_once_then_the_rate() {
        let (mut bucket, rule) = (Bucket::default(), rule("500/s", ""));
        assert_eq!(passed(&mut bucket, rule, 7, 5_000, 100), 1_000);
        assert_eq!(passed(&mut bucket, rule, 7 + SECOND_NS / 10, 5_000, 100), 50);
        assert_eq!(passed(&mut bucket, rule, 7 + 10 * SECOND_NS, 5_000, 100), 1_000);
        let mut slow = Bucket::default();
        assert_eq!(passed(&mut slow, self::rule("1/s", ""), 0, 9, 0), 2);
    }

    #[test]
    fn a_datagram_larger_than_the_burst_passes_and_is_paid_for() {
        let (mut bucket, rule) = (Bucket::default(), rule("", "1000/s"));
        assert_eq!(passed(&mut bucket, rule, 0, 3, 10_000), 1);
        assert!(!bucket.take(rule, 8 * SECOND_NS, 1));
        assert!(bucket.take(rule, 8 * SECOND_NS + 1_000_000, 1));
        assert!(!bucket.is_full(9 * SECOND_NS) && bucket.is_full(11 * SECOND_NS));
    }

    #[test]
    fn without_limits_everything_passes() {
        let rule = rule("", "");
        assert!(rule.is_unlimited());
        assert_eq!(passed(&mut Bucket::default(), rule, 0, 100_000, 65_527), 100_000);
    }

    proptest! {
        /// In any interval no more passes than the burst and the rate allow, and who keeps to the rate loses nothing. Times
        /// may go back.
        #[test]
        fn no_interval_has_more_than_burst_and_rate(
            rate in 1_u64..5_000, bytes in 1_u64..5_000_000, steps in prop::collection::vec((-1_000_000_i64..50_000_000, 0..3_000_usize), 1..400),
        ) {
            let rule = rule(&format!("{rate}/s"), &format!("{bytes}/s"));
            let (mut bucket, mut now, mut passed) = (Bucket::default(), 10 * SECOND_NS, Vec::new());
            for (step, length) in steps {
                now = now.saturating_add_signed(step);
                if bucket.take(rule, now, length) {
                    // What comes late counts when it comes.
                    let last = passed.last().map_or(0, |(at, _)| *at);
                    passed.push((now.max(last), length));
                }
            }
            for (first, (from, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (number, (to, length)) in passed[first..].iter().enumerate() {
                    let seconds = (to - from) as f64 / 1e9 + 2.0;
                    // The last one may exceed the bytes, and a whole nanosecond is lost with each datagram.
                    prop_assert!((number + 1) as f64 <= rate as f64 * seconds * 1.000_01 + 1.0);
                    prop_assert!(sum as f64 <= bytes as f64 * seconds * 1.000_01 + 1.0);
                    sum += length;
                }
            }
        }

        #[test]
        fn a_source_that_keeps_to_its_limits_loses_nothing(rate in 1_u64..5_000, length in 0_u64..3_000, count in 1..2_000_u64) {
            let bytes = rate * length.max(1);
            let (mut bucket, rule) = (Bucket::default(), rule(&format!("{rate}/s"), &format!("{bytes}/s")));
            for number in 0..count {
                prop_assert!(bucket.take(rule, number * SECOND_NS / rate + number, length as usize));
            }
        }
    }
}

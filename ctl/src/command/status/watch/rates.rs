//! Rates per second, from the difference of two answers.

use std::time::Duration;

use udpchat_api::call::Status;

/// Rates per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    /// Received datagrams.
    pub(crate) received: u64,
    /// Their payload, in bytes.
    pub(crate) bytes: u64,
    /// Received messages that became durable.
    pub(crate) stored: u64,
    /// Sent datagrams.
    pub(crate) sent: u64,
}

impl Rates {
    /// Returns the rates between two answers; none if the daemon restarted between them.
    pub(crate) fn between(before: &Status, after: &Status, elapsed: Duration) -> Option<Self> {
        is_same_run(before, after).then(|| {
            let rate = |before: u64, after: u64| per_second(after.saturating_sub(before), elapsed);
            Self {
                received: rate(before.received.datagrams, after.received.datagrams),
                bytes: rate(before.received.bytes, after.received.bytes),
                stored: rate(before.stored, after.stored),
                sent: rate(before.sent.datagrams, after.sent.datagrams),
            }
        })
    }
}

/// Returns whether two answers come from the same run of the daemon.
pub(super) fn is_same_run(before: &Status, after: &Status) -> bool {
    (before.pid, before.started) == (after.pid, after.started)
}

/// Returns a count as a rate per second.
fn per_second(count: u64, elapsed: Duration) -> u64 {
    // Avoids a division by zero.
    let seconds = elapsed.as_secs_f64().max(1e-6);
    (count as f64 / seconds).round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::status;
    use super::*;

    #[test]
    fn rates_are_differences_within_one_run() {
        let mut later = status();
        later.received.datagrams += 1_000;
        later.received.bytes += 64_000;
        later.stored += 900;
        later.sent.datagrams += 1;
        let rates = Rates::between(&status(), &later, Duration::from_millis(500));
        assert_eq!(rates, Some(Rates { received: 2_000, bytes: 128_000, stored: 1_800, sent: 2 }));
        later.pid += 1;
        assert_eq!(Rates::between(&status(), &later, Duration::from_millis(500)), None);
        assert_eq!(per_second(3, Duration::ZERO), 3_000_000);
    }
}

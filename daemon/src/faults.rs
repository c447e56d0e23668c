//! What a loop does when its system call fails: repeat it at once, or report the failure and pause.
//!
//! One table says which errors concern a single message or connection. All others last until their cause ends, as far as the
//! caller can know, and so does an error of the table that comes again and again. No error ends a loop: even that of a lost
//! descriptor would not come back by opening another socket, since the port or the name is taken by the first.

use std::io;
use std::time::Duration;

use nix::errno::Errno;

/// How many errors of single messages are passed over at once, without a success between them.
const MAX_AT_ONCE: u32 = 16;

/// The pause after a failure, doubled up to the maximum as long as no call succeeds.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Returns whether an error concerns one message or connection, so that the next call may succeed at once: a signal, nothing
/// there after all, or what the network reports about an earlier message (udp(7), accept(2)).
pub(crate) fn concerns_one(error: &io::Error) -> bool {
    let Some(number) = error.raw_os_error() else {
        return matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock);
    };
    matches!(
        Errno::from_raw(number),
        Errno::EAGAIN
            | Errno::EINTR
            | Errno::ECONNABORTED
            | Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::ENOPROTOOPT
            | Errno::EPROTO
    )
}

/// Returns whether an error may be the network's report about an earlier datagram (`icmp_err_convert` of Linux, icmp(7)).
pub(crate) fn is_report(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::EACCES
                | Errno::ECONNREFUSED
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::EMSGSIZE
                | Errno::ENETUNREACH
                | Errno::ENOPROTOOPT
                | Errno::EOPNOTSUPP
                | Errno::EPROTO
        )
    ) || is_isolated(error)
}

/// `ENONET`, which only Linux has.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_isolated(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENONET)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_isolated(_error: &io::Error) -> bool {
    false
}

/// Returns whether a message that could not be sent is to be sent again after a moment: the kernel has no room for it now, or
/// a signal came.
pub(crate) fn is_momentary(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

/// Returns whether a datagram can never be sent, whatever changes outside of it.
pub(crate) fn is_permanent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMSGSIZE | Errno::EINVAL | Errno::EAFNOSUPPORT | Errno::EDESTADDRREQ)
    )
}

/// Decides after each call of a loop how it continues.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    /// The failures since the last success.
    failures: u32,
    /// The pauses since the last success.
    pauses: u32,
}

impl Retry {
    /// Counts a failure; returns how long to pause, or none to repeat the call at once. Before a pause the failure is to be
    /// reported.
    pub(crate) fn failed(&mut self, error: &io::Error) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if concerns_one(error) && self.failures < MAX_AT_ONCE {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(16)).min(MAX_PAUSE);
        self.pauses = self.pauses.saturating_add(1);
        Some(pause)
    }

    /// Notes a success; returns whether a failure was reported before it.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(self).pauses > 0
    }

    /// Returns whether a failure is reported and no call has succeeded since.
    pub(crate) fn is_failing(&self) -> bool {
        self.pauses > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn errors_of_single_messages_are_passed_over_a_few_times() {
        let mut retry = Retry::default();
        for _ in 1..MAX_AT_ONCE {
            assert_eq!(retry.failed(&error(Errno::ECONNREFUSED)), None);
        }
        assert!(!retry.is_failing());
        assert_eq!(retry.failed(&error(Errno::ECONNREFUSED)), Some(FIRST_PAUSE));
        assert!(retry.is_failing());
        assert!(retry.succeeded() && !retry.succeeded());
        assert_eq!(retry.failed(&error(Errno::EINTR)), None, "each success begins again");
    }

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_a_success() {
        let mut retry = Retry::default();
        let pauses: Vec<_> = (0..100).map(|_| retry.failed(&error(Errno::ENOMEM)).unwrap()).collect();
        assert_eq!(pauses[..3], [1, 2, 4].map(Duration::from_millis));
        assert!(pauses.is_sorted() && pauses[99] == MAX_PAUSE);
        assert!(retry.succeeded());
        assert_eq!(retry.failed(&error(Errno::ENOMEM)), Some(FIRST_PAUSE));
    }
}

//! Datagrams of the self-test: the daemon sends them to itself, and reception recognises them and neither counts nor stores
//! them.
//!
//! Reception compares datagrams only while a test is pending. So no stranger can make the daemon ignore a message, and a
//! daemon without a pending test pays one atomic load for a batch. A late datagram is still recognised for a minute, so that
//! it does not become a message.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

/// The largest number of pending tests, late ones included.
const MAX_PENDING: usize = 256;

/// How long a test stays pending until its datagram counts as lost.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The length of the random part of a payload, in bytes.
const NONCE_BYTES: usize = 16;

/// The verdict of the access list on the datagram that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its source is allowed.
    Allowed,
    /// Its source is denied.
    Denied,
}

/// The pending self-tests.
#[derive(Debug, Default)]
pub(crate) struct SelfTests {
    any: AtomicBool,
    list: Mutex<Vec<PendingTest>>,
}

#[derive(Debug)]
struct PendingTest {
    payload: Vec<u8>,
    from: SocketAddr,
    sent: Instant,
    arrived: Option<oneshot::Sender<Arrival>>,
}

/// Too many self-tests are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many self-tests are pending")]
pub(crate) struct TooMany;

impl SelfTests {
    /// Expects a payload from an address; the receiver gets its arrival. Must be called before the datagram is sent.
    pub(crate) fn expect(
        &self,
        payload: Vec<u8>,
        from: SocketAddr,
    ) -> Result<oneshot::Receiver<Arrival>, TooMany> {
        let mut list = self.list.lock();
        list.retain(|test| test.sent.elapsed() < MAX_DELAY);
        if list.len() >= MAX_PENDING {
            return Err(TooMany);
        }
        let (arrived, arrival) = oneshot::channel();
        list.push(PendingTest { payload, from, sent: Instant::now(), arrived: Some(arrived) });
        self.any.store(true, Ordering::Relaxed);
        Ok(arrival)
    }

    /// Returns what recognises the datagrams of a batch; none where no test is pending.
    pub(super) fn matcher(&self) -> Option<Matcher<'_>> {
        self.any.load(Ordering::Relaxed).then(|| Matcher { any: &self.any, list: self.list.lock() })
    }
}

/// Recognises the datagrams of pending tests, during one batch.
pub(super) struct Matcher<'a> {
    any: &'a AtomicBool,
    list: MutexGuard<'a, Vec<PendingTest>>,
}

impl Matcher<'_> {
    /// Returns whether a datagram belongs to a pending test; if so, the test gets to know whether its source is allowed.
    pub(super) fn accept(&mut self, payload: &[u8], from: SocketAddr, is_allowed: bool) -> bool {
        let is_it = |test: &PendingTest| test.payload == payload && test.from == from;
        let Some(at) = self.list.iter().position(is_it) else { return false };
        let test = self.list.swap_remove(at);
        let arrival = if is_allowed { Arrival::Allowed } else { Arrival::Denied };
        if let Some(arrived) = test.arrived {
            // The test may have timed out.
            let _delivered = arrived.send(arrival);
        }
        true
    }
}

impl Drop for Matcher<'_> {
    fn drop(&mut self) {
        self.list.retain(|test| test.sent.elapsed() < MAX_DELAY);
        if self.list.is_empty() {
            self.any.store(false, Ordering::Relaxed);
        }
    }
}

/// Returns a payload that no other program can guess.
pub(crate) fn payload() -> Result<Vec<u8>, getrandom::Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    Ok(format!("udpchat self-test {:032x}\n", u128::from_ne_bytes(nonce)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> SocketAddr {
        "127.0.0.1:9".parse().unwrap()
    }

    #[test]
    fn a_pending_test_is_recognised_once() {
        let tests = SelfTests::default();
        assert!(tests.matcher().is_none());
        let mut arrival = tests.expect(b"nonce".to_vec(), from()).unwrap();
        {
            let mut matcher = tests.matcher().unwrap();
            assert!(!matcher.accept(b"other", from(), true));
            assert!(!matcher.accept(b"nonce", "127.0.0.1:10".parse().unwrap(), true));
            assert!(matcher.accept(b"nonce", from(), false));
            assert!(!matcher.accept(b"nonce", from(), true));
        }
        assert_eq!(arrival.try_recv(), Ok(Arrival::Denied));
        assert!(tests.matcher().is_none(), "no test is pending");
    }

    #[test]
    fn a_late_datagram_is_still_recognised() {
        let tests = SelfTests::default();
        drop(tests.expect(b"late".to_vec(), from()).unwrap());
        assert!(tests.matcher().unwrap().accept(b"late", from(), true));
    }

    #[test]
    fn pending_tests_are_limited() {
        let tests = SelfTests::default();
        let waiting: Vec<_> = (0..MAX_PENDING).map(|_| tests.expect(payload().unwrap(), from())).collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(tests.expect(payload().unwrap(), from()).err(), Some(TooMany));
    }
}

//! Datagrams of the self-test: sent to ourselves, recognised by the reception thread, and in no book and no log.
//!
//! They are looked for only while some are under way, so that nobody else can make the daemon overlook a message, and
//! a daemon that tests nothing pays one load of an atomic for a batch.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// How many may be under way at once, late ones included.
const MAX_UNDER_WAY: usize = 256;

/// How long one may be under way until it counts as gone for good.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The random bytes that nobody else can know.
const NONCE_BYTES: usize = 16;

/// What became of a probe that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its sender may send.
    Allowed,
    /// The access list forbids its sender.
    Denied,
}

/// The probes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    any: AtomicBool,
    list: Mutex<Vec<Probe>>,
}

#[derive(Debug)]
struct Probe {
    payload: Vec<u8>,
    from: SocketAddr,
    sent: Instant,
    arrived: Option<oneshot::Sender<Arrival>>,
}

/// No further probe may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many are under way")]
pub(crate) struct TooMany;

impl Probes {
    /// Expects a payload from an address, from now on; tells when it arrives. To be called before it is sent.
    pub(crate) fn expect(
        &self,
        payload: Vec<u8>,
        from: SocketAddr,
    ) -> Result<oneshot::Receiver<Arrival>, TooMany> {
        let mut list = self.lock();
        list.retain(|probe| probe.sent.elapsed() < MAX_DELAY);
        if list.len() >= MAX_UNDER_WAY {
            return Err(TooMany);
        }
        let (arrived, arrival) = oneshot::channel();
        list.push(Probe { payload, from, sent: Instant::now(), arrived: Some(arrived) });
        self.any.store(true, Ordering::Relaxed);
        Ok(arrival)
    }

    /// Looks for a batch's probes; none where none is under way.
    pub(super) fn watch(&self) -> Option<Watch<'_>> {
        self.any.load(Ordering::Relaxed).then(|| Watch { any: &self.any, list: self.lock() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Probe>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Recognises probes, for the length of a batch.
pub(super) struct Watch<'a> {
    any: &'a AtomicBool,
    list: MutexGuard<'a, Vec<Probe>>,
}

impl Watch<'_> {
    /// Tells whether a datagram is a probe, and if it is, those who wait for it whether its sender is allowed.
    pub(super) fn recognises(&mut self, payload: &[u8], from: SocketAddr, is_allowed: bool) -> bool {
        let is_it = |probe: &Probe| probe.payload == payload && probe.from == from;
        let Some(at) = self.list.iter().position(is_it) else { return false };
        let probe = self.list.swap_remove(at);
        let arrival = if is_allowed { Arrival::Allowed } else { Arrival::Denied };
        if let Some(arrived) = probe.arrived {
            // It may have come too late for anybody to wait.
            let _told = arrived.send(arrival);
        }
        true
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.list.retain(|probe| probe.sent.elapsed() < MAX_DELAY);
        if self.list.is_empty() {
            self.any.store(false, Ordering::Relaxed);
        }
    }
}

/// Makes a payload that nobody else can know.
pub(crate) fn payload() -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut nonce)?;
    Ok(format!("udpchat self-test {:032x}\n", u128::from_ne_bytes(nonce)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> SocketAddr {
        "127.0.0.1:9".parse().unwrap()
    }

    #[test]
    fn only_a_probe_that_is_under_way_is_recognised_and_only_once() {
        let probes = Probes::default();
        assert!(probes.watch().is_none());
        let mut arrival = probes.expect(b"nonce".to_vec(), from()).unwrap();
        {
            let mut watch = probes.watch().unwrap();
            assert!(!watch.recognises(b"other", from(), true));
            assert!(!watch.recognises(b"nonce", "127.0.0.1:10".parse().unwrap(), true));
            assert!(watch.recognises(b"nonce", from(), false));
            assert!(!watch.recognises(b"nonce", from(), true));
        }
        assert_eq!(arrival.try_recv(), Ok(Arrival::Denied));
        assert!(probes.watch().is_none(), "nothing is looked for any more");
    }

    #[test]
    fn one_that_comes_too_late_is_recognised_all_the_same() {
        let probes = Probes::default();
        drop(probes.expect(b"late".to_vec(), from()).unwrap());
        assert!(probes.watch().unwrap().recognises(b"late", from(), true));
    }

    #[test]
    fn there_are_never_too_many() {
        let probes = Probes::default();
        let waiting: Vec<_> = (0..MAX_UNDER_WAY).map(|_| probes.expect(payload().unwrap(), from())).collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(probes.expect(payload().unwrap(), from()).err(), Some(TooMany));
    }
}

//! The addresses that the access list denied last, so that `doctor` can explain why a peer's messages do not arrive.

use parking_lot::Mutex;
use std::net::IpAddr;

/// The number of addresses that are kept.
const MAX_REMEMBERED: usize = 8;

/// An address that was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeniedPeer {
    pub(crate) ip: IpAddr,
    /// The arrival time of its last datagram, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// How many of its datagrams were denied since it is in the list.
    pub(crate) datagrams: u64,
}

/// The addresses that were denied last, newest first.
#[derive(Debug, Default)]
pub(crate) struct DeniedPeers(Mutex<Vec<DeniedPeer>>);

impl DeniedPeers {
    /// Adds a denied datagram.
    pub(crate) fn note(&self, ip: IpAddr, at_ns: i64) {
        let mut list = self.0.lock();
        let at = match list.iter().position(|peer| peer.ip == ip) {
            Some(at) => at,
            None => {
                list.truncate(MAX_REMEMBERED - 1);
                list.push(DeniedPeer { ip, at_ns, datagrams: 0 });
                list.len() - 1
            }
        };
        list[at].at_ns = at_ns;
        list[at].datagrams += 1;
        list[..=at].rotate_right(1);
    }

    /// Returns the addresses.
    pub(crate) fn list(&self) -> Vec<DeniedPeer> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_denied_addresses_are_kept_newest_first() {
        let denied = DeniedPeers::default();
        let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
        for last in 1..=9 {
            denied.note(ip(last), i64::from(last));
        }
        denied.note(ip(5), 77);
        let list = denied.list();
        let order: Vec<_> = list.iter().map(|peer| peer.ip).collect();
        assert_eq!(order, [5, 9, 8, 7, 6, 4, 3, 2].map(ip));
        assert_eq!(list[0], DeniedPeer { ip: ip(5), at_ns: 77, datagrams: 2 });
    }
}

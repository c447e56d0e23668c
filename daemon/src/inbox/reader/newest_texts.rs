//! The newest message of each peer that shows an encoding: what to answer in where a peer has proven none.
//!
//! The log has no index by peer that finds such a message quickly, and messages may be sent at a high rate. So their ids are kept
//! in memory, and each look-up first goes through the entries that came since the last one.

use std::collections::HashMap;
use std::net::SocketAddr;

/// How many peers are kept; those heard last are.
const MAX_PEERS: usize = 10_000;

/// The ids of the newest such messages.
#[derive(Debug, Default)]
pub(super) struct NewestTexts {
    /// Up to which id the log was gone through.
    pub(super) seen_to: u64,
    ids: HashMap<SocketAddr, u64>,
}

impl NewestTexts {
    /// Returns the newest of a peer; if it has none and `of_host`, the newest of any port of its host.
    pub(super) fn of(&self, peer: SocketAddr, of_host: bool) -> Option<u64> {
        let is_of_host = |mut other: SocketAddr| {
            other.set_port(peer.port());
            other == peer
        };
        let newest =
            || self.ids.iter().filter(|(other, _)| of_host && is_of_host(**other)).map(|(_, id)| *id).max();
        self.ids.get(&peer).copied().or_else(newest)
    }

    /// Returns whether a newer one of a peer is known.
    pub(super) fn has_newer(&self, peer: SocketAddr, id: u64) -> bool {
        self.ids.get(&peer).is_some_and(|newest| *newest > id)
    }

    pub(super) fn note(&mut self, peer: SocketAddr, id: u64) {
        let newest = self.ids.entry(peer).or_default();
        *newest = id.max(*newest);
        if self.ids.len() >= 2 * MAX_PEERS {
            self.forget_old();
        }
    }

    fn forget_old(&mut self) {
        let mut ids: Vec<u64> = self.ids.values().copied().collect();
        let (_, oldest_kept, _) = ids.select_nth_unstable(self.ids.len() - MAX_PEERS);
        let oldest_kept = *oldest_kept;
        self.ids.retain(|_, id| *id >= oldest_kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).into(), 7788)
    }

    #[test]
    fn the_peers_heard_last_are_kept() {
        let mut texts = NewestTexts::default();
        for number in 1..=5 * MAX_PEERS {
            texts.note(peer(number), number as u64);
            assert!(texts.ids.len() <= 2 * MAX_PEERS);
        }
        let newest = 5 * MAX_PEERS;
        assert_eq!(texts.of(peer(newest - MAX_PEERS + 1), false), Some((newest - MAX_PEERS + 1) as u64));
        assert_eq!(texts.of(peer(1), true), None);
    }

    #[test]
    fn another_port_of_the_host_counts_only_without_an_own_message() {
        let mut texts = NewestTexts::default();
        let port = |port| SocketAddr::new([10, 0, 0, 1].into(), port);
        for (from, id) in [(port(1), 1), (port(2), 2), (peer(1), 3)] {
            texts.note(from, id);
        }
        assert_eq!(texts.of(port(1), true), Some(1));
        assert_eq!(texts.of(port(3), true), Some(2));
        assert_eq!(texts.of(port(3), false), None);
    }
}

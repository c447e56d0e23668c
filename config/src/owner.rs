//! The peer that an address belongs to.
//!
//! An address as it was received has the number of its interface at that time. The interface may have another number since, or be
//! missing, so a number that no known interface has or had decides only between peers with the same address on different interfaces. A
//! number of another interface excludes a peer: hosts behind two interfaces may have the same link-local address.

use std::net::SocketAddr;

use crate::{Interface, PeerAddress};

/// Returns the peer that `source` belongs to; `is_number_of` returns whether an interface has a number, none if no interface is known
/// that has it. A peer with this port comes before one without a port, then one on this interface before one without an interface.
pub fn owner<'a, T>(
    peers: impl Iterator<Item = (T, &'a PeerAddress)> + Clone,
    source: SocketAddr,
    is_number_of: impl Fn(&Interface, u32) -> Option<bool>,
) -> Option<T> {
    let decides = interface_decides(peers.clone().map(|(_, address)| address), source);
    peers
        .filter(|(_, address)| address.matches(source))
        .filter(|(_, address)| match address.is_on_interface_of(source, &is_number_of) {
            Some(is_on) => is_on,
            None => !decides,
        })
        .min_by_key(|(_, address)| (address.port().is_none(), address.interface().is_none()))
        .map(|(peer, _)| peer)
}

/// Returns whether peers on different interfaces have the address `source`, so that its interface decides.
pub fn interface_decides<'a>(peers: impl Iterator<Item = &'a PeerAddress>, source: SocketAddr) -> bool {
    let mut interfaces = peers.filter(|address| address.matches(source)).map(PeerAddress::interface);
    let first = interfaces.next();
    interfaces.any(|other| Some(other) != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the owner of an address, where `eth0` has the number 2 and had 7, and `eth1` has 3.
    fn owner_of<'a>(peers: &[&'a str], source: &str) -> Option<&'a str> {
        let addresses: Vec<PeerAddress> = peers.iter().map(|peer| peer.parse().unwrap()).collect();
        let is_number_of = |interface: &Interface, number: u32| {
            let mut names =
                [("eth0", 2), ("eth0", 7), ("eth1", 3)].into_iter().filter(|(_, known)| *known == number);
            let is_written = interface.as_str().parse() == Ok(number);
            if is_written { Some(true) } else { names.next().map(|(name, _)| name == interface.as_str()) }
        };
        owner(peers.iter().copied().zip(&addresses), source.parse().unwrap(), is_number_of)
    }

    #[test]
    fn a_single_peer_owns_its_address_on_any_interface_that_is_no_other() {
        for peer in ["fe80::1", "fe80::1%eth0", "fe80::1%2", "[fe80::1%eth0]:9"] {
            for source in ["[fe80::1%2]:9", "[fe80::1%8]:9", "[fe80::1]:9"] {
                assert_eq!(owner_of(&[peer, "fe80::2%eth1"], source), Some(peer), "{source}");
            }
            assert_eq!(owner_of(&[peer], "[fe80::3%2]:9"), None, "{peer}");
        }
        assert_eq!(owner_of(&["[fe80::1%eth0]:9"], "[fe80::1%2]:8"), None);
        // Whatever had the number 8 may have been it.
        assert_eq!(owner_of(&["fe80::1%nosuch0"], "[fe80::1%8]:9"), Some("fe80::1%nosuch0"));
        assert_eq!(owner_of(&["fe80::1%nosuch0"], "[fe80::1%2]:9"), None);
        assert_eq!(owner_of(&["fe80::1%eth1", "[fe80::1%eth0]:9"], "[fe80::1%2]:8"), None);
    }

    #[test]
    fn the_interface_decides_between_peers_with_one_address() {
        let peers = ["fe80::1%eth0", "fe80::1%eth1"];
        for (source, expected) in [
            ("[fe80::1%2]:9", Some(peers[0])),
            ("[fe80::1%7]:9", Some(peers[0])),
            ("[fe80::1%3]:9", Some(peers[1])),
            ("[fe80::1%8]:9", None),
        ] {
            assert_eq!(owner_of(&peers, source), expected, "{source}");
        }
        let peers = ["fe80::1", "fe80::1%eth0", "[fe80::1%eth1]:9"];
        for (source, expected) in [
            ("[fe80::1%2]:9", peers[1]),
            ("[fe80::1%3]:9", peers[2]),
            ("[fe80::1%3]:8", peers[0]),
            ("[fe80::1%8]:9", peers[0]),
        ] {
            assert_eq!(owner_of(&peers, source), Some(expected), "{source}");
        }
    }

    #[test]
    fn a_peer_with_the_port_comes_first() {
        let peers = ["fe80::1%eth0", "[fe80::1%eth0]:9"];
        for (source, expected) in [("[fe80::1%8]:9", peers[1]), ("[fe80::1%8]:8", peers[0])] {
            assert_eq!(owner_of(&peers, source), Some(expected), "{source}");
        }
        assert_eq!(owner_of(&["10.0.0.1", "10.0.0.1:9"], "10.0.0.1:9"), Some("10.0.0.1:9"));
    }
}

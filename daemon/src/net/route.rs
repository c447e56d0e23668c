//! The route of an outgoing datagram.

use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// The part of a datagram's route that the sender chooses; the system chooses the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Route {
    /// The source address; none leaves it to the system.
    pub(crate) source: Option<IpAddr>,
    /// The number of the interface to leave through; 0 leaves it to the routing table.
    pub(crate) interface: u32,
}

/// Returns the address that the routing table chooses as the source of a datagram to a peer; none if it has no route there.
///
/// Sends nothing and does not wait: connecting a UDP socket only looks the route up (udp(7)).
pub(crate) fn source_towards(peer: SocketAddr) -> Option<IpAddr> {
    let probe = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP)).ok()?;
    if peer.is_ipv4() {
        probe.set_broadcast(true).ok()?;
    }
    probe.connect(&peer.into()).ok()?;
    let source = probe.local_addr().ok()?.as_socket()?.ip();
    (!source.is_unspecified()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_knows_the_source_address() {
        for (peer, source) in [("127.0.0.1:9", "127.0.0.1"), ("127.255.255.255:9", "127.0.0.1")] {
            assert_eq!(source_towards(peer.parse().unwrap()), Some(source.parse().unwrap()), "{peer}");
        }
    }
}

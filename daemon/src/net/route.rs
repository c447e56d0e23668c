//! The route of an outgoing datagram.

use std::net::IpAddr;

/// The part of a datagram's route that the sender chooses; the system chooses the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Route {
    /// The source address; none leaves it to the system.
    pub(crate) source: Option<IpAddr>,
    /// The number of the interface to leave through; 0 leaves it to the routing table.
    pub(crate) interface: u32,
}

//! How a datagram leaves this machine.

use std::net::IpAddr;

/// What the sender of a datagram chooses of its route; the rest is the system's choice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Route {
    /// The source address; none leaves it to the system.
    pub(crate) source: Option<IpAddr>,
    /// The number of the interface to leave through; 0 leaves it to the routing table.
    pub(crate) interface: u32,
}

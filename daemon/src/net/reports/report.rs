//! What the network reports about a datagram.

use std::net::{IpAddr, SocketAddr};

use crate::net::interfaces::LocalAddresses;

/// A report of the network that a datagram was not delivered.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Where the datagram was sent to.
    pub(crate) to: SocketAddr,
    pub(crate) reason: &'static str,
    /// The host that reports it.
    pub(crate) from: Option<IpAddr>,
    /// The beginning of its payload.
    pub(crate) quoted: &'a [u8],
}

/// A message that was reported as not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounce {
    /// Its running number.
    pub(crate) number: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) reason: &'static str,
    /// The host that reported it.
    pub(crate) from: Option<IpAddr>,
    pub(crate) at_ns: i64,
}

impl Bounce {
    /// Leaves out that this host reported it, unless it is the peer itself.
    pub(crate) fn without_this_host(mut self, local: &LocalAddresses) -> Self {
        self.from = self.from.filter(|from| *from == self.peer.ip() || !local.contains(*from));
        self
    }
}

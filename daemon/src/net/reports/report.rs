//! What the network reports about a datagram.

use std::net::{IpAddr, SocketAddr};

use crate::net::interfaces::CurrentAddresses;

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

/// Leaves out where this host itself is the one that reports, unless it is the peer.
pub(crate) fn without_this_host(
    bounces: Vec<Bounce>,
    addresses: &CurrentAddresses,
) -> impl Iterator<Item = Bounce> {
    let local = addresses.get();
    bounces.into_iter().map(move |mut bounce| {
        bounce.from = bounce.from.filter(|from| *from == bounce.peer.ip() || !local.contains(*from));
        bounce
    })
}

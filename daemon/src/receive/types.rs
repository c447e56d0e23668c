//! What the reading of each platform returns.

use std::net::{IpAddr, SocketAddr};

/// The length of the longest datagram, in bytes: the 65,535 of an IPv6 payload without the 8 of the UDP header.
pub(super) const MAX_RECEIVED_BYTES: usize = 65_527;

/// A datagram as it was read.
pub(super) struct Datagram<'a> {
    /// The kernel's arrival time, in nanoseconds since 1970.
    pub(super) at_ns: i64,
    pub(super) peer: SocketAddr,
    /// The address that it was sent to, where the platform reports it; the port is the socket's.
    pub(super) local_ip: Option<IpAddr>,
    pub(super) payload: &'a [u8],
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Datagrams,
    /// The error queue has something; datagrams may wait as well.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other systems have no such queue"))]
    Errors,
    /// The time is over.
    Timeout,
    Stop,
}

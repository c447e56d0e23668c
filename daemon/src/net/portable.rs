//! Socket options and sending on systems other than Linux: no drop counter, no choice of source address or interface, no
//! notification of interface changes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use socket2::Socket;

use super::address::in_family_of;
use super::interfaces::Changes;
use super::reports::report::Report;
use super::route::Route;

/// These systems report the requested size of the receive buffer.
pub(super) const RECEIVE_BUFFER_FACTOR: usize = 1;

/// Sends a datagram; the system chooses the source address and the interface.
pub(crate) fn send(
    socket: &UdpSocket,
    local: SocketAddr,
    payload: &[u8],
    to: SocketAddr,
    _route: Route,
) -> io::Result<()> {
    socket.send_to(payload, in_family_of(local, to)).map(|_| ())
}

/// Does nothing: only Linux delivers groups that other programs have joined.
pub(super) fn only_joined_groups(_socket: &Socket, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Joins a multicast group: IPv6 on an interface, given by its number, IPv4 where the system chooses.
pub(super) fn join(socket: &UdpSocket, group: IpAddr, interface: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface),
    }
}

/// Leaves a multicast group.
pub(super) fn leave(socket: &UdpSocket, group: IpAddr, interface: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface),
    }
}

/// Does nothing: these systems have no such privilege.
pub(super) fn force_receive_buffer(_socket: &Socket, _bytes: usize) {}

/// Refuses: these systems have no queue of errors.
pub(super) fn queue_errors(_socket: &UdpSocket, _local: SocketAddr, on: bool) -> io::Result<()> {
    if on { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

/// Takes nothing, for the same reason.
pub(super) fn take_errors(_socket: &UdpSocket, _at_most: usize, _visit: impl FnMut(&Report<'_>)) -> usize {
    0
}

/// Returns nothing: these systems have no such counter.
pub(super) fn dropped(_socket: &UdpSocket) -> Option<u32> {
    None
}

/// Returns nothing: without a drop counter there is nothing to resume.
pub(super) fn socket_cookie(_socket: &UdpSocket) -> Option<u64> {
    None
}

/// Returns nothing, for the same reason.
pub(crate) fn boot_id() -> Option<u128> {
    #[cfg(test)]
    if let Some(simulated) = crate::clock::simulated::get() {
        return Some(simulated.boot_id);
    }
    None
}

/// Reports no change: groups are joined at the start and at a reload.
#[derive(Debug)]
pub(crate) struct InterfaceMonitor;

impl InterfaceMonitor {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn wait(&mut self, _after_failure: bool) -> io::Result<Changes> {
        loop {
            std::thread::park();
        }
    }
}

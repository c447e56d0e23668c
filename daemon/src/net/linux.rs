//! Socket options and sending on Linux.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{ControlMessage, GetSockOpt, MsgFlags, SockaddrStorage, sendmsg, setsockopt, sockopt};
use socket2::{InterfaceIndexOrAddress, SockRef, Socket};

use super::address::in_family_of;
pub(super) use super::error_queue::{queue_errors, take_errors};
pub(crate) use super::netlink::InterfaceMonitor;
use super::route::Route;

/// Linux charges each datagram's overhead to the receive buffer, doubles the requested size to compensate, and
/// reports the double (socket(7)).
pub(super) const RECEIVE_BUFFER_FACTOR: usize = 2;

/// Sends a datagram through the socket bound to `local`, without waiting.
pub(crate) fn send(
    socket: &UdpSocket,
    local: SocketAddr,
    payload: &[u8],
    to: SocketAddr,
    route: Route,
) -> io::Result<()> {
    let (v4_info, v6_info);
    let control = match (local, route) {
        (_, Route { source: None, interface: 0 }) => None,
        (SocketAddr::V4(_), _) => {
            v4_info = v4_packet_info(route);
            Some(ControlMessage::Ipv4PacketInfo(&v4_info))
        }
        (SocketAddr::V6(_), _) => {
            v6_info = v6_packet_info(to, route);
            Some(ControlMessage::Ipv6PacketInfo(&v6_info))
        }
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let to = SockaddrStorage::from(in_family_of(local, to));
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(payload)], control.as_slice(), flags, Some(&to))?;
    Ok(())
}

fn v4_packet_info(route: Route) -> libc::in_pktinfo {
    let octets = match route.source {
        Some(IpAddr::V4(ip)) => ip.octets(),
        _ => [0; 4],
    };
    let address = libc::in_addr { s_addr: u32::from_ne_bytes(octets) };
    // Interface numbers are positive and fit into 31 bits.
    libc::in_pktinfo { ipi_ifindex: route.interface.cast_signed(), ipi_spec_dst: address, ipi_addr: address }
}

fn v6_packet_info(to: SocketAddr, route: Route) -> libc::in6_pktinfo {
    let octets = match (route.source, to.ip().to_canonical()) {
        (Some(IpAddr::V4(v4)), _) => v4.to_ipv6_mapped().octets(),
        (Some(IpAddr::V6(v6)), _) => v6.octets(),
        // The unspecified address too must be of the destination's family.
        (None, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(),
        (None, IpAddr::V6(_)) => [0; 16],
    };
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: octets }, ipi6_ifindex: route.interface }
}

/// Limits a socket to the groups that it joined itself. By default Linux also delivers the groups that any other program
/// of the host has joined. Must be called before the socket is bound.
pub(super) fn only_joined_groups(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_multicast_all_v6(false)?;
    }
    // A dual-stack socket has the IPv4 option too.
    socket.set_multicast_all_v4(false)
}

/// Joins a multicast group on an interface, given by its number. May wait while another program changes interfaces.
pub(super) fn join(socket: &UdpSocket, group: IpAddr, interface: u32) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match group {
        // A dual-stack socket takes the IPv4 options too.
        IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface),
    }
}

/// Leaves a multicast group on an interface, which may be gone.
pub(super) fn leave(socket: &UdpSocket, group: IpAddr, interface: u32) -> io::Result<()> {
    let socket = SockRef::from(socket);
    match group {
        IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface),
    }
}

/// Requests a receive buffer beyond `net.core.rmem_max`, which only privileged users get. The caller reads back what was
/// granted.
pub(super) fn force_receive_buffer(socket: &Socket, bytes: usize) {
    let _granted = setsockopt(socket, sockopt::RcvBufForce, &bytes);
}

/// `SO_MEMINFO` of a socket: nine counters (linux/sock_diag.h).
#[derive(Clone, Copy)]
struct MemInfo;

impl MemInfo {
    /// The index of the counter of datagrams that found no room (`SK_MEMINFO_DROPS`).
    const DROPS: usize = 8;
}

nix::getsockopt_impl!(MemInfo, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9], sockopt::GetStruct<[u32; 9]>);

/// Returns how many datagrams a socket had no room for, modulo 2^32.
///
/// `SO_RXQ_OVFL` is the same counter as a control message, but it lags until the next datagram, and nix's `recvmmsg`
/// keeps the length that a control message had in the call before, which truncates control messages that come and go.
pub(super) fn dropped(socket: &UdpSocket) -> Option<u32> {
    MemInfo.get(socket).ok().map(|counters| counters[MemInfo::DROPS])
}

/// Returns a socket's `SO_COOKIE` (Linux 4.12), which no other socket has until the next boot.
pub(super) fn socket_cookie(socket: &UdpSocket) -> Option<u64> {
    SockRef::from(socket).cookie().ok()
}

/// Returns the identifier of this boot (random(4)). The units of systemd hide that file and set a variable instead.
pub(crate) fn boot_id() -> Option<u128> {
    #[cfg(test)]
    if let Some(simulated) = crate::clock::simulated::get() {
        return Some(simulated.boot_id);
    }
    let file = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let text = file.or_else(|| std::env::var("UDPCHAT_BOOT_ID").ok())?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_leaves_from_the_address_that_the_peer_used() {
        for local in ["0.0.0.0:0", "[::]:0"] {
            let socket = UdpSocket::bind(local).unwrap();
            let local = socket.local_addr().unwrap();
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let source: IpAddr = "127.0.0.77".parse().unwrap();
            let route = Route { source: Some(source), interface: 0 };
            send(&socket, local, b"hi", peer.local_addr().unwrap(), route).unwrap();
            let (_, from) = peer.recv_from(&mut [0; 10]).unwrap();
            assert_eq!(from, SocketAddr::new(source, local.port()));
        }
    }

    #[test]
    fn a_boot_has_an_identifier() {
        assert!(boot_id().is_some_and(|id| id != 0));
        assert_eq!(boot_id(), boot_id());
    }
}

//! The error queue of a socket on Linux: what the network reports about datagrams that were sent (`IP_RECVERR` in ip(7)).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;

use super::address::normalized;
use super::reports::reason::{v4_reason, v6_reason};
use super::reports::report::Report;

/// How much of a quoted payload is read, in bytes; Linux quotes 520 over IPv4 and 1,184 over IPv6.
const MAX_QUOTED_BYTES: usize = 1_536;

/// Switches the error queue of the socket bound to `local` on or off. Off, it is emptied, and no call meets an earlier error.
pub(super) fn queue_errors(socket: &UdpSocket, local: SocketAddr, on: bool) -> io::Result<()> {
    if local.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvErr, &on)?;
    }
    // A dual-stack socket has the option of IPv4 too.
    setsockopt(socket, sockopt::Ipv4RecvErr, &on)?;
    if !on {
        let _earlier = socket.take_error()?;
    }
    Ok(())
}

/// Takes at most so many errors from the queue, and passes the reports of the network among them to `visit`; returns how many
/// errors were taken.
pub(super) fn take_errors(socket: &UdpSocket, at_most: usize, mut visit: impl FnMut(&Report<'_>)) -> usize {
    let mut quoted = [0; MAX_QUOTED_BYTES];
    // The error with the address of the host that reports it, and the control messages that datagrams have as well.
    let mut control = cmsg_space!([u8; 64], TimeSpec, libc::in6_pktinfo, libc::in_pktinfo);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    for taken in 0..at_most {
        let mut parts = [IoSliceMut::new(&mut quoted)];
        match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Ok(message) => {
                if let Some(report) = report(&message) {
                    visit(&report);
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return taken,
        }
    }
    at_most
}

/// Reads a report; none if the error is this host's own, which the call that caused it has returned already.
fn report<'a>(message: &RecvMsg<'_, 'a, SockaddrStorage>) -> Option<Report<'a>> {
    let to = normalized(socket_address(message.address.as_ref()?)?);
    let (error, from) = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let ip = |from: libc::sockaddr_in| IpAddr::from(u32::from_be(from.sin_addr.s_addr).to_be_bytes());
            Some((error, from.map(ip)))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            let ip = |from: libc::sockaddr_in6| IpAddr::from(from.sin6_addr.s6_addr).to_canonical();
            Some((error, from.map(ip)))
        }
        _ => None,
    })?;
    let reason = match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => v4_reason(error.ee_type, error.ee_code),
        libc::SO_EE_ORIGIN_ICMP6 => v6_reason(error.ee_type, error.ee_code),
        _ => return None,
    };
    let from = from.filter(|ip| !ip.is_unspecified());
    Some(Report { to, reason, from, quoted: message.iovs().next().unwrap_or_default() })
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(std::net::SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into())
}

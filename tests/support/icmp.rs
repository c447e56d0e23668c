//! Forged ICMP errors over loopback, which take the privileges of root.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use super::tool;

/// A forger of reports that datagrams were not delivered.
pub(crate) struct Forger {
    socket: OwnedFd,
    sent: u32,
}

impl Forger {
    /// Returns none, and prints why, if this user may not send raw packets.
    #[track_caller]
    pub(crate) fn new() -> Option<Self> {
        match socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp) {
            Ok(socket) => Some(Self { socket, sent: 0 }),
            Err(_) => {
                tool::missing("raw sockets");
                None
            }
        }
    }

    /// Reports that a datagram from an address of loopback to a stranger met a closed port.
    pub(crate) fn report(&mut self, sender: SocketAddrV4) {
        self.report_as(sender, 3);
    }

    /// Reports that such a datagram was not delivered, with a code of the type 3 (destination unreachable).
    pub(crate) fn report_as(&mut self, sender: SocketAddrV4, code: u8) {
        self.sent = self.sent.wrapping_add(1);
        let stranger = Ipv4Addr::from(0x0a00_0000 | (self.sent & 0x00ff_ffff));
        // Type, code, checksum and four unused bytes; then the datagram that is reported.
        let mut packet = vec![3, code, 0, 0, 0, 0, 0, 0];
        let payload = [b'x'; 400];
        let udp_length = 8 + payload.len() as u16;
        packet.extend([0x45, 0]);
        packet.extend((20 + udp_length).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend(sender.ip().octets());
        packet.extend(stranger.octets());
        packet.extend(sender.port().to_be_bytes());
        packet.extend(9_u16.to_be_bytes());
        packet.extend(udp_length.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        let to = SockaddrIn::from(SocketAddrV4::new(*sender.ip(), 0));
        sendto(self.socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
    }
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

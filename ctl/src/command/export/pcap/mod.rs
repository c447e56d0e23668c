//! Writes messages as packets of a capture file for Wireshark, tshark and tcpdump.
//!
//! The format is <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>, with times in nanoseconds. The packets
//! are not captured: each is built from an entry, with its addresses and its time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::PacketBuilder;
use udpchat_api::{Direction, Entry, Message, Timestamp};
use udpchat_locale::tr;

use crate::output::{counted, grouped};

/// The magic number: times in nanoseconds, and the byte order of the numbers.
const MAGIC: u32 = 0xa1b2_3c4d;

/// LINKTYPE_RAW: packets begin with an IP header, of version 4 or 6.
const LINK_TYPE: u32 = 101;

/// The maximum packet length, in bytes; more than any packet has.
const SNAP_BYTES: u32 = 256 * 1024;

/// The hop limit of the packets. Entries do not record it; most systems send with this value.
const HOPS: u8 = 64;

/// Returns the header of the file.
pub(super) fn file_header() -> Vec<u8> {
    let version = (2_u16, 4_u16);
    let mut header = MAGIC.to_le_bytes().to_vec();
    header.extend(version.0.to_le_bytes());
    header.extend(version.1.to_le_bytes());
    // Two reserved fields.
    header.extend([0; 8]);
    header.extend(SNAP_BYTES.to_le_bytes());
    header.extend(LINK_TYPE.to_le_bytes());
    header
}

/// Builds packets, and counts the entries that have none.
#[derive(Debug)]
pub(super) struct Capture {
    /// The local port where an entry does not record it; 0 if unknown.
    port: u16,
    packets: u64,
    gaps: u64,
    not_sent: u64,
    unfit: u64,
}

impl Capture {
    /// Creates a capture; `port` is used where an entry does not record the local address.
    pub(super) fn new(port: Option<u16>) -> Self {
        Self { port: port.unwrap_or(0), packets: 0, gaps: 0, not_sent: 0, unfit: 0 }
    }

    /// Appends the packet of an entry to `out`, if it has one.
    pub(super) fn add(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let count = match entry {
            Entry::Notice(_) => return,
            Entry::Gap(_) => &mut self.gaps,
            Entry::Message(message) if message.error.is_some() => &mut self.not_sent,
            Entry::Message(message) => match record(message, self.port) {
                Some(record) => {
                    out.extend(record);
                    &mut self.packets
                }
                None => &mut self.unfit,
            },
        };
        *count += 1;
    }

    /// Returns whether an entry was left out.
    pub(super) fn has_left_out(&self) -> bool {
        self.gaps + self.not_sent + self.unfit > 0
    }

    /// Returns the number of packets.
    pub(super) fn written(&self) -> String {
        counted(self.packets, "packet")
    }

    /// Summarises how many packets were written and which entries were left out.
    pub(super) fn summary(&self) -> String {
        let mut parts = vec![self.written()];
        match self.gaps {
            0 => {}
            1 => parts.push(tr!("1 gap left out").to_owned()),
            gaps => parts.push(tr!("{gaps} gaps left out", gaps = grouped(gaps))),
        }
        if self.not_sent > 0 {
            let messages = counted(self.not_sent, "message");
            parts.push(tr!("{messages} left out that the kernel refused to send", messages));
        }
        if self.unfit > 0 {
            let messages = counted(self.unfit, "message");
            parts.push(tr!("{messages} left out that do not fit into a packet", messages));
        }
        parts.join(tr!("; "))
    }
}

/// Returns the record of a message: time, length twice, packet. None if the message does not fit into a packet or the
/// time not into a record.
fn record(message: &Message, port: u16) -> Option<Vec<u8>> {
    let packet = packet(message, port)?;
    let (seconds, nanoseconds) = time(message.at)?;
    let length = u32::try_from(packet.len()).ok()?;
    let fields = [seconds, nanoseconds, length, length].map(u32::to_le_bytes);
    Some([fields.as_flattened(), &packet].concat())
}

/// Returns seconds since 1970 and nanoseconds of a second.
fn time(at: Timestamp) -> Option<(u32, u32)> {
    let nanoseconds = u128::try_from(at.as_nanosecond()).ok()?;
    let second = 1_000_000_000;
    Some((u32::try_from(nanoseconds / second).ok()?, (nanoseconds % second) as u32))
}

/// Returns the IP packet of a message, with its checksums.
fn packet(message: &Message, port: u16) -> Option<Vec<u8>> {
    let local = message.local.unwrap_or_else(|| SocketAddr::new(unspecified(message.peer), port));
    let (source, destination) = match message.direction {
        Direction::In => (message.peer, local),
        Direction::Out => (local, message.peer),
    };
    let builder = match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
        (from, to) => PacketBuilder::ipv6(as_v6(from).octets(), as_v6(to).octets(), HOPS),
    };
    let builder = builder.udp(source.port(), destination.port());
    let mut packet = Vec::with_capacity(builder.size(message.raw.0.len()));
    builder.write(&mut packet, &message.raw.0).ok()?;
    Some(packet)
}

fn unspecified(like: SocketAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests;

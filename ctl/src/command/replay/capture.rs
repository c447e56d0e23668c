//! Reads the datagrams of a capture file: pcap or pcapng, as `export --format pcap`, tcpdump and Wireshark write it.

use std::io::{self, Cursor, Read};

use etherparse::{EtherType, SlicedPacket, TransportSlice};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use udpchat_api::{Raw, Timestamp};
use udpchat_locale::tr;

use super::item::{Item, Recorded};
use crate::error::{CtlError, Result};

/// How much of the file is in memory, in bytes; more than a packet of the longest capture has.
const BUFFER_BYTES: usize = 1 << 20;

/// How many packets are read ahead.
const MAX_READ_AHEAD: usize = 64;

/// How many bytes show whether a file is a capture.
pub(super) const MAGIC_BYTES: u64 = 4;

/// The length of the header of a pcap file, in bytes; that of pcapng is in its second word.
const PCAP_HEADER_BYTES: usize = 24;

/// The type of the first block of a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Nanoseconds in a second.
const SECOND_NS: u128 = 1_000_000_000;

/// Reads the packets of a capture in a thread of its own, since a capture that is still written must not delay what was read
/// of it. `magic` is its beginning, of [`MAGIC_BYTES`]: a pipe has no position to return to.
pub(super) fn packets(
    magic: Vec<u8>,
    file: impl Read + Send + 'static,
    name: String,
) -> mpsc::Receiver<Result<Item>> {
    let (items, receiver) = mpsc::channel(MAX_READ_AHEAD);
    spawn_blocking(move || {
        let mut capture = match Capture::open(magic, file, name) {
            Ok(capture) => capture,
            Err(error) => return drop(items.blocking_send(Err(error))),
        };
        while let Some(item) = capture.next().transpose() {
            let is_last = item.is_err();
            if items.blocking_send(item).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

/// An open capture file.
struct Capture {
    packets: Box<dyn PcapReaderIterator + Send>,
    name: String,
    /// The number of the packet that was read last, from 1.
    number: u64,
    /// The interfaces of the current section; a pcap file has one.
    interfaces: Vec<Interface>,
}

/// What the packets of an interface need to be read.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// The number of time units in a second; none if the file says something impossible.
    units: Option<u64>,
    /// What is added to a time, in seconds.
    offset: i64,
}

impl Capture {
    /// Opens a capture, of which `magic` was read already.
    ///
    /// # Errors
    /// The file cannot be read, or its header is damaged.
    fn open(magic: Vec<u8>, mut file: impl Read + Send + 'static, name: String) -> Result<Self> {
        let header = header(magic, &mut file)
            .map_err(|error| CtlError::failed(tr!("cannot read {path}", path = name)).caused_by(&error))?;
        let packets = create_reader(BUFFER_BYTES, Cursor::new(header).chain(file));
        let packets = packets.map_err(|error| invalid(&name, &error))?;
        Ok(Self { packets, name, number: 0, interfaces: Vec::new() })
    }

    /// Returns the next packet; none at the end.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            let is_over = self.packets.reader_exhausted();
            match self.packets.next() {
                Ok((length, block)) => {
                    let packet = packet(&block, &mut self.interfaces);
                    self.packets.consume(length);
                    let Some(packet) = packet else { continue };
                    self.number += 1;
                    let place = tr!("packet {number}", number = self.number);
                    return Ok(Some(packet.map_or(Item::NoDatagram, |(at, payload)| {
                        Item::Message(Recorded { place, at, raw: Raw(payload) })
                    })));
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) if !is_over => {
                    let refilled = self.packets.refill();
                    refilled.map_err(|error| invalid(&self.name, &error))?;
                }
                Err(error) => return Err(invalid(&self.name, &error)),
            }
        }
    }
}

/// Returns whether a file with this beginning is a capture: pcapng, or pcap in either byte order, with times in microseconds
/// or nanoseconds (draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng).
pub(super) fn is_capture(magic: &[u8]) -> bool {
    const PCAP: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];
    let is_pcap = |number: u32| magic == number.to_le_bytes() || magic == number.to_be_bytes();
    magic == PCAPNG || PCAP.into_iter().any(is_pcap)
}

/// Reads the header, whose first bytes are `magic`. The parser wants it in one piece, which a pipe may not return.
fn header(magic: Vec<u8>, file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = magic;
    let mut read_to = |header: &mut Vec<u8>, length: usize| {
        let rest = length.saturating_sub(header.len()) as u64;
        Read::take(&mut *file, rest).read_to_end(header).map(drop)
    };
    read_to(&mut header, PCAP_HEADER_BYTES)?;
    if header.starts_with(&PCAPNG)
        && let Some(&[a, b, c, d, ref order @ ..]) = header.get(4..12)
    {
        let is_big_endian = order == [0x1a, 0x2b, 0x3c, 0x4d];
        let length =
            if is_big_endian { u32::from_be_bytes([a, b, c, d]) } else { u32::from_le_bytes([a, b, c, d]) };
        read_to(&mut header, BUFFER_BYTES.min(length as usize))?;
    }
    Ok(header)
}

fn invalid(name: &str, error: &PcapError<&[u8]>) -> CtlError {
    CtlError::failed(match error {
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => {
            tr!("the capture {path} is damaged: it ends within a packet", path = name)
        }
        PcapError::ReadError => tr!("the capture {path} is damaged: it cannot be read", path = name),
        PcapError::BufferTooSmall => {
            tr!("the capture {path} is damaged: a packet is longer than 1 MiB", path = name)
        }
        _ => tr!("the capture {path} is damaged: its contents are not valid", path = name),
    })
}

/// Returns time and payload of the datagram of a block. The outer `None` is a block without a packet, the inner one a packet
/// without a whole datagram.
fn packet(
    block: &PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
) -> Option<Option<(Timestamp, Vec<u8>)>> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let units = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            *interfaces = vec![Interface { link: header.network, units: Some(units), offset: 0 }];
            None
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(found)) => {
            let (link, units) = (found.linktype, found.ts_resolution());
            interfaces.push(Interface { link, units, offset: found.ts_offset() });
            None
        }
        PcapBlockOwned::Legacy(found) => Some(interfaces.first().and_then(|interface| {
            let units = u64::from(found.ts_sec) * interface.units? + u64::from(found.ts_usec);
            interface.datagram(units, found.data.get(..found.caplen as usize)?)
        })),
        PcapBlockOwned::NG(Block::EnhancedPacket(found)) => {
            let interface = interfaces.get(found.if_id as usize);
            Some(interface.and_then(|interface| {
                let units = u64::from(found.ts_high) << 32 | u64::from(found.ts_low);
                interface.datagram(units, found.data.get(..found.caplen as usize)?)
            }))
        }
        // It has no time.
        PcapBlockOwned::NG(Block::SimplePacket(_)) => Some(None),
        PcapBlockOwned::NG(_) => None,
    }
}

impl Interface {
    /// Returns time and payload of a packet that is a whole UDP datagram.
    fn datagram(self, at_units: u64, packet: &[u8]) -> Option<(Timestamp, Vec<u8>)> {
        let sliced = match self.link {
            Linktype::ETHERNET => SlicedPacket::from_ethernet(packet).ok()?,
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12) => {
                SlicedPacket::from_ip(packet).ok()?
            }
            // Whatever kind of interface it names, also loopback: 14 bytes, and the protocol.
            Linktype::LINUX_SLL => of_protocol(packet.get(14..16)?, packet.get(16..)?)?,
            // LINKTYPE_LINUX_SLL2: the protocol, and 18 more bytes.
            Linktype(276) => of_protocol(packet.get(..2)?, packet.get(20..)?)?,
            // LINKTYPE_NULL of BSD: the address family in four bytes.
            Linktype::NULL => SlicedPacket::from_ip(packet.get(4..)?).ok()?,
            _ => return None,
        };
        let Some(TransportSlice::Udp(udp)) = sliced.transport else { return None };
        let (units, at) = (u128::from(self.units?), u128::from(at_units));
        let at_ns = i128::try_from(at * SECOND_NS / units).ok()?;
        let at_ns = at_ns + i128::from(self.offset) * SECOND_NS as i128;
        Some((Timestamp::from_nanosecond(at_ns).ok()?, udp.payload().to_vec()))
    }
}

/// Reads what follows the number of its protocol (`EtherType`).
fn of_protocol<'a>(protocol: &[u8], rest: &'a [u8]) -> Option<SlicedPacket<'a>> {
    let protocol = u16::from_be_bytes(protocol.try_into().ok()?);
    SlicedPacket::from_ether_type(EtherType(protocol), rest).ok()
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    const AT: u64 = 1_800_000_000;

    fn udp(payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2);
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    fn pcap(magic: u32, link: u32, packets: &[&[u8]]) -> Vec<u8> {
        let mut file: Vec<u8> =
            [magic, 4 << 16 | 2, 0, 0, 65_535, link].iter().flat_map(|word| word.to_be_bytes()).collect();
        // Both versions are numbers of 16 bits.
        file[4..8].copy_from_slice(&[0, 2, 0, 4]);
        for packet in packets {
            let length = packet.len() as u32;
            file.extend([AT as u32, 500, length, length].iter().flat_map(|word| word.to_be_bytes()));
            file.extend(*packet);
        }
        file
    }

    /// A block of pcapng, in little-endian.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = body.len() as u32 + 12;
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), &body, &length.to_le_bytes()].concat()
    }

    /// Returns one byte at a time, as the slowest pipe would.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn items(bytes: &[u8]) -> Result<Vec<Item>> {
        let (magic, rest) = bytes.split_at(MAGIC_BYTES as usize);
        assert!(is_capture(magic));
        let rest = Trickle(Cursor::new(rest.to_vec()));
        let mut capture = Capture::open(magic.to_vec(), rest, "x".to_owned())?;
        let mut items = Vec::new();
        while let Some(item) = capture.next()? {
            items.push(item);
        }
        Ok(items)
    }

    fn message(number: u64, at_ns: i128, payload: &[u8]) -> Item {
        let at = Timestamp::from_nanosecond(i128::from(AT) * 1_000_000_000 + at_ns).unwrap();
        Item::Message(Recorded { place: format!("packet {number}"), at, raw: Raw(payload.to_vec()) })
    }

    #[test]
    fn every_usual_link_type_is_read() {
        let ip = udp(b"hi");
        let ethernet = [&[0; 12][..], &[8, 0], &ip, &[0; 9]].concat();
        let sll = [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0][..], &ip].concat();
        let of_loopback = [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0][..], &ip].concat();
        let sll2 = [&[8, 0][..], &[0; 18], &ip].concat();
        let null = [&[2, 0, 0, 0][..], &ip].concat();
        let packets = [
            (101, &ip),
            (1, &ethernet),
            (113, &sll),
            (113, &of_loopback),
            (276, &sll2),
            (0, &null),
            (12, &ip),
        ];
        for (link, packet) in packets {
            let found = items(&pcap(0xa1b2_c3d4, link, &[packet])).unwrap();
            assert_eq!(found, [message(1, 500_000, b"hi")], "{link}");
            let found = items(&pcap(0xa1b2_3c4d, link, &[packet])).unwrap();
            assert_eq!(found, [message(1, 500, b"hi")], "{link}, in nanoseconds");
        }
    }

    #[test]
    fn a_pcapng_file_has_the_units_of_its_interfaces() {
        let section =
            block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        let microseconds = block(1, &[101, 0, 0, 0, 0, 0, 0, 0]);
        let nanoseconds = block(1, &[101, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let packet = |interface: u32, at: u64| {
            let ip = udp(b"hi");
            let length = (ip.len() as u32).to_le_bytes();
            let at = [((at >> 32) as u32).to_le_bytes(), (at as u32).to_le_bytes()].concat();
            block(6, &[&interface.to_le_bytes()[..], &at, &length, &length, &ip].concat())
        };
        let file = [
            section,
            microseconds,
            nanoseconds,
            packet(0, AT * 1_000_000 + 7),
            packet(1, AT * 1_000_000_000 + 7),
            packet(2, 0),
        ];
        let found = items(&file.concat()).unwrap();
        assert_eq!(found, [message(1, 7_000, b"hi"), message(2, 7, b"hi"), Item::NoDatagram]);
    }

    #[test]
    fn packets_that_are_no_datagram_are_skipped() {
        let mut fragment = udp(b"hi");
        fragment[6] = 0x20;
        let mut tcp = udp(b"hi");
        tcp[9] = 6;
        let cut = &udp(b"hello")[..30];
        let file = pcap(0xa1b2_c3d4, 101, &[&fragment, &tcp, cut, b"", &udp(b"")]);
        let found = items(&file).unwrap();
        assert_eq!(found[..4], [const { Item::NoDatagram }; 4]);
        assert_eq!(found[4], message(5, 500_000, b""));
        assert_eq!(items(&pcap(0xa1b2_c3d4, 147, &[&udp(b"hi")])).unwrap(), [Item::NoDatagram]);
    }

    #[test]
    fn a_damaged_capture_is_an_error() {
        let whole = pcap(0xa1b2_c3d4, 101, &[&udp(b"hi"), &udp(b"hello")]);
        for length in [10, 30, whole.len() - 1] {
            let error = items(&whole[..length]).unwrap_err().into_failure();
            assert!(error.message.contains("damaged"), "{length}: {error:?}");
        }
        for text in [&b"{\"type\""[..], b"", b"abc"] {
            assert!(!is_capture(text));
        }
    }
}

//! Received messages in the queue: records packed one behind the other in one allocation.
//!
//! A record, numbers in little-endian order:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | arrival time, in nanoseconds since 1970, UTC |
//! | 8 | 1 | p, length of the peer's address |
//! | 9 | 1 | l, length of the local address; 0 where it is not known |
//! | 10 | 4 | length of the payload |
//! | 14 | p | peer's address, as [`crate::inbox::address`] packs it |
//! | 14 + p | l | local address, likewise |
//! | 14 + p + l | | payload |

use std::net::SocketAddr;

use crate::inbox::address::pack;

/// The size of a record without its addresses and payload, in bytes.
const HEAD_BYTES: usize = 14;

/// A received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Nanoseconds since 1970, UTC.
    pub(crate) at_ns: i64,
    /// The peer's address, packed as the database holds it.
    pub(crate) peer: &'a [u8],
    /// The local address, likewise; empty where it is not known.
    pub(crate) local: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// Appends a record.
pub(crate) fn push(
    bytes: &mut Vec<u8>,
    at_ns: i64,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    payload: &[u8],
) {
    let (peer, local) = (pack(peer), local.map(pack));
    let peer = peer.as_slice();
    let local = local.as_ref().map_or(&[][..], |local| local.as_slice());
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&at_ns.to_le_bytes());
    // Packed addresses have at most 22 bytes, datagrams fewer than 65,536.
    (head[8], head[9]) = (peer.len() as u8, local.len() as u8);
    head[10..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(peer);
    bytes.extend_from_slice(local);
    bytes.extend_from_slice(payload);
}

/// Reads records that [`push`] has written.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn part(&mut self, length: usize) -> &'a [u8] {
        let (part, rest) = self.rest.split_at(length);
        self.rest = rest;
        part
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<HEAD_BYTES>()?;
        self.rest = rest;
        let [t0, t1, t2, t3, t4, t5, t6, t7, peer, local, l0, l1, l2, l3] = *head;
        Some(Record {
            at_ns: i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            peer: self.part(usize::from(peer)),
            local: self.part(usize::from(local)),
            payload: self.part(u32::from_le_bytes([l0, l1, l2, l3]) as usize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_as_they_were_written() {
        let peers: [SocketAddr; 2] = ["1.2.3.4:5".parse().unwrap(), "[fe80::1%7]:7788".parse().unwrap()];
        let mut bytes = Vec::new();
        push(&mut bytes, i64::MIN, peers[0], None, b"");
        push(&mut bytes, 7, peers[1], Some(peers[0]), &[9; 65_527]);
        push(&mut bytes, -1, peers[0], Some(peers[1]), b"end");
        let packed: Vec<_> = peers.into_iter().map(pack).collect();
        let (v4, v6) = (packed[0].as_slice(), packed[1].as_slice());
        let records: Vec<_> = Records::new(&bytes).collect();
        assert_eq!(
            records,
            [
                Record { at_ns: i64::MIN, peer: v4, local: b"", payload: b"" },
                Record { at_ns: 7, peer: v6, local: v4, payload: &[9; 65_527] },
                Record { at_ns: -1, peer: v4, local: v6, payload: b"end" },
            ]
        );
    }
}

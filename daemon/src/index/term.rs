//! Terms: the properties that blocks are indexed by, and their bits in the filters of a block.

use std::net::{IpAddr, SocketAddr};

use udpchat_config::PeerAddress;

/// The largest size of a filter, as a power of two in bits.
pub(super) const MAX_FILTER_BITS_LOG2: u32 = 20;

/// How many bits a term of the content sets, and how many any other term.
const CONTENT_BITS: u32 = 3;
const ORIGIN_BITS: u32 = 4;

/// A block's two filters. Large payloads of random bytes fill the filter of the content, and must not affect the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The peer of an entry, and its kind.
    Origin = 0,
    /// The bytes of its payload.
    Content = 1,
}

/// A property of an entry that a query can require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// The peer's IP address, whatever its port and scope.
    Ip(IpAddr),
    /// The peer's IP address and port, whatever its scope.
    Endpoint(IpAddr, u16),
    /// It is a sent message.
    Sent,
    /// It is a gap.
    Gap,
    /// It is a notice.
    Notice,
    /// Two neighbouring bytes of the payload, folded.
    Pair([u8; 2]),
    /// Four neighbouring bytes of the payload, folded.
    Quad([u8; 4]),
}

impl Term {
    /// Returns the terms of a peer's address.
    pub(super) fn of_source(peer: SocketAddr) -> [Self; 2] {
        let ip = peer.ip().to_canonical();
        [Self::Ip(ip), Self::Endpoint(ip, peer.port())]
    }

    /// Returns the term that every entry of a peer has. A scope is not part of any term: it only narrows a query further.
    pub(super) fn of_peer(peer: &PeerAddress) -> Self {
        match peer.port() {
            Some(port) => Self::Endpoint(peer.ip(), port),
            None => Self::Ip(peer.ip()),
        }
    }

    pub(super) fn which(self) -> Which {
        match self {
            Self::Pair(_) | Self::Quad(_) => Which::Content,
            Self::Ip(_) | Self::Endpoint(..) | Self::Sent | Self::Gap | Self::Notice => Which::Origin,
        }
    }

    /// Returns the positions of its bits in a filter of the largest size; smaller filters use the remainders.
    pub(super) fn positions(self) -> impl Iterator<Item = u32> {
        let bits = if self.which() == Which::Content { CONTENT_BITS } else { ORIGIN_BITS };
        spread(self.hash(), bits)
    }

    fn hash(self) -> u64 {
        // The tags keep terms of different sorts apart.
        match self {
            Self::Pair(bytes) => pair_hash(u16::from_be_bytes(bytes)),
            Self::Quad(bytes) => quad_hash(u32::from_be_bytes(bytes)),
            Self::Ip(ip) => ip_hash(ip),
            Self::Endpoint(ip, port) => mix(ip_hash(ip) ^ u64::from(port) ^ (3 << 56)),
            Self::Sent => mix(4 << 56),
            Self::Gap => mix(5 << 56),
            Self::Notice => mix(7 << 56),
        }
    }
}

pub(super) fn pair_hash(pair: u16) -> u64 {
    mix(u64::from(pair) | (1 << 56))
}

pub(super) fn quad_hash(quad: u32) -> u64 {
    mix(u64::from(quad) | (2 << 56))
}

fn ip_hash(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => mix(u64::from(ip.to_bits()) | (6 << 56)),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            mix(mix((bits >> 64) as u64) ^ bits as u64)
        }
    }
}

/// Mixes the bits of a number: the finalizer of SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Returns the positions of the bits for the hash of a content term; the same as [`Term::positions`].
pub(super) fn content_positions(hash: u64) -> impl Iterator<Item = u32> {
    spread(hash, CONTENT_BITS)
}

/// Derives positions from two halves of a hash (double hashing). The step is odd, so that they differ in filters of any
/// size.
fn spread(hash: u64, bits: u32) -> impl Iterator<Item = u32> {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..bits).map(move |nth| first.wrapping_add(nth.wrapping_mul(step)) & ((1 << MAX_FILTER_BITS_LOG2) - 1))
}

/// Folds a byte as payloads are folded before they are cut into terms: ASCII letters to lower case, whatever the encoding.
pub(super) fn folded(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

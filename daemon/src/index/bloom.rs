//! The filters of one block while it is read: sets of bits that tell what certainly does not occur in it.
//!
//! A filter is built at its largest size. Then its halves are laid over one another as long as it stays sparse:
//! positions are taken modulo a power of two, so a bit of the large filter has its place in the small one.

use std::net::SocketAddr;

use super::predicate::Evidence;
use super::store::{CHUNK_WORDS, Fault};
use super::term::{Key, MAX_FILTER_BITS_LOG2, Which, content_positions, pair_hash, quad_hash};
use crate::inbox::Kind;

/// The largest size of the filter of origins, as a power of two in bits: 1,024 entries of as many peers.
const MAX_ORIGIN_BITS_LOG2: u32 = 16;

/// A filter is made smaller as long as at most one bit in so many is set.
const SPARSE: usize = 4;

/// Of a filter of the largest size, so many bits in eight may be set; a fuller one tells too little to be kept.
const FULL_EIGHTHS: usize = 7;

/// How many of the pieces of four bytes that came last are known to be in the filter, as a power of two.
const RECENT_LOG2: u32 = 13;

/// The words of a bit for each pair of bytes.
const PAIR_WORDS: usize = 1 << (u16::BITS - 6);

/// Reads the entries of a block, one after the other.
pub(super) struct Builder {
    origin: Vec<u64>,
    content: Vec<u64>,
    /// One bit for each pair of bytes: cheaper to set than three of the filter, where they go at the end.
    pairs: Box<[u64; PAIR_WORDS]>,
    /// The pieces of four bytes that came last, each at the place of its hash.
    recent: Box<[u32; 1 << RECENT_LOG2]>,
    /// The payload that is being read.
    folded: Vec<u8>,
    last_peer: Option<SocketAddr>,
    oldest_ns: i64,
    newest_ns: i64,
}

/// A block as it is stored: its filters, none where one tells nothing, and its times.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) filters: [Vec<u64>; 2],
    pub(super) times: (i64, i64),
}

impl Builder {
    pub(super) fn new() -> Self {
        let mut builder = Self {
            origin: vec![0; 1 << (MAX_ORIGIN_BITS_LOG2 - 6)],
            content: vec![0; 1 << (MAX_FILTER_BITS_LOG2 - 6)],
            pairs: Box::new([0; PAIR_WORDS]),
            recent: Box::new([0; 1 << RECENT_LOG2]),
            folded: Vec::new(),
            last_peer: None,
            oldest_ns: 0,
            newest_ns: 0,
        };
        builder.clear();
        builder
    }

    fn clear(&mut self) {
        self.origin.fill(0);
        self.content.fill(0);
        self.pairs.fill(0);
        self.recent.fill(0);
        // Nothing is known yet: the piece 0 has its place at 0, and 1 has another.
        self.recent[0] = 1;
        (self.last_peer, self.oldest_ns, self.newest_ns) = (None, i64::MAX, i64::MIN);
    }

    /// Takes up an entry: its time, its kind as stored, its peer and its payload.
    pub(super) fn add(&mut self, at_ns: i64, kind: i64, peer: Option<SocketAddr>, payload: &[u8]) {
        (self.oldest_ns, self.newest_ns) = (self.oldest_ns.min(at_ns), self.newest_ns.max(at_ns));
        if kind == Kind::Sent as i64 {
            self.note(Key::Sent);
        } else if kind == Kind::Gap as i64 {
            self.note(Key::Gap);
        }
        if let Some(peer) = peer
            && self.last_peer != Some(peer)
        {
            self.last_peer = Some(peer);
            Key::of_source(peer).into_iter().for_each(|key| self.note(key));
        }
        self.read(payload);
    }

    fn note(&mut self, key: Key) {
        key.positions().for_each(|position| set(&mut self.origin, position));
    }

    /// Takes up the pairs and the pieces of four bytes. With a piece that is known, its pairs are known too.
    fn read(&mut self, payload: &[u8]) {
        const PLACE: u32 = 0x9e37_79b1;
        self.folded.clear();
        self.folded.extend_from_slice(payload);
        self.folded.make_ascii_lowercase();
        let pair =
            |pairs: &mut [u64; PAIR_WORDS], pair: u16| pairs[usize::from(pair >> 6)] |= 1 << (pair & 63);
        for first in self.folded.windows(2).take(2) {
            pair(&mut self.pairs, u16::from_be_bytes([first[0], first[1]]));
        }
        for piece in self.folded.windows(4) {
            let piece = u32::from_be_bytes([piece[0], piece[1], piece[2], piece[3]]);
            let recent = &mut self.recent[(piece.wrapping_mul(PLACE) >> (32 - RECENT_LOG2)) as usize];
            if *recent != piece {
                *recent = piece;
                pair(&mut self.pairs, piece as u16);
                content_positions(quad_hash(piece)).for_each(|position| set(&mut self.content, position));
            }
        }
    }

    /// Returns the block, and begins the next.
    pub(super) fn finish(&mut self) -> Block {
        for (place, word) in self.pairs.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let pair = (place as u16) << 6 | word.trailing_zeros() as u16;
                content_positions(pair_hash(pair)).for_each(|position| set(&mut self.content, position));
                word &= word - 1;
            }
        }
        let filters = [&mut self.origin, &mut self.content].map(|filter| shrunk(filter).to_vec());
        let block = Block { filters, times: (self.oldest_ns, self.newest_ns) };
        self.clear();
        block
    }
}

fn set(words: &mut [u64], position: u32) {
    let place = position as usize & (words.len() * 64 - 1);
    words[place / 64] |= 1 << (place % 64);
}

/// Makes a filter as small as it may be; empty if it tells too little.
fn shrunk(filter: &mut [u64]) -> &[u64] {
    let ones: usize = filter.iter().map(|word| word.count_ones() as usize).sum();
    if ones * 8 > filter.len() * 64 * FULL_EIGHTHS {
        return &[];
    }
    let mut length = filter.len();
    while length > CHUNK_WORDS {
        let (low, high) = filter[..length].split_at_mut(length / 2);
        let ones: usize = low.iter().zip(&*high).map(|(low, high)| (low | high).count_ones() as usize).sum();
        if ones * SPARSE > low.len() * 64 {
            break;
        }
        low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high);
        length /= 2;
    }
    &filter[..length]
}

/// A block alone: the one bit stands for it.
impl Evidence for Block {
    fn at(&mut self, which: Which, position: u32) -> Result<u64, Fault> {
        let filter = &self.filters[which as usize];
        if filter.is_empty() {
            return Ok(1);
        }
        let place = position as usize & (filter.len() * 64 - 1);
        Ok(filter[place / 64] >> (place % 64) & 1)
    }

    fn times(&self, _block: u32) -> (i64, i64) {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::predicate::Clue;
    use crate::index::term::folded;

    fn holds(block: &mut Block, key: Key) -> bool {
        Clue::Key(key).survivors(block, 1).unwrap() == 1
    }

    #[test]
    fn whatever_was_added_is_found_at_any_size() {
        for distinct in [1, 200, 20_000, 400_000u32] {
            let mut builder = Builder::new();
            let payload: Vec<u8> =
                (0..distinct).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()).collect();
            builder.add(5, 0, Some("1.2.3.4:5".parse().unwrap()), &payload);
            builder.add(3, 1, Some("[fe80::1%7]:7788".parse().unwrap()), b"HELLO");
            builder.add(4, 2, None, b"");
            let mut block = builder.finish();
            assert_eq!(block.times, (3, 5));
            for pair in payload.windows(2) {
                assert!(holds(&mut block, Key::Pair([folded(pair[0]), folded(pair[1])])));
            }
            for quad in payload.windows(4) {
                assert!(holds(&mut block, Key::Quad([quad[0], quad[1], quad[2], quad[3]].map(folded))));
            }
            assert!(holds(&mut block, Key::Quad(*b"hell")) && holds(&mut block, Key::Quad(*b"ello")));
            let ips = ["1.2.3.4", "fe80::1"].map(|ip| ip.parse().unwrap());
            assert!(holds(&mut block, Key::Ip(ips[0])) && holds(&mut block, Key::Endpoint(ips[1], 7788)));
            builder.add(1, 0, Some("[::ffff:9.8.7.6]:5".parse().unwrap()), b"");
            assert!(
                holds(&mut builder.finish(), Key::Ip("9.8.7.6".parse().unwrap())),
                "IPv4 within IPv6 is IPv4"
            );
            assert!(holds(&mut block, Key::Sent) && holds(&mut block, Key::Gap));
        }
    }

    #[test]
    fn what_was_not_added_is_hardly_found_and_filters_are_as_large_as_their_content() {
        let mut builder = Builder::new();
        builder.add(1, 0, Some("1.2.3.4:5".parse().unwrap()), &[0; 8]);
        let mut small = builder.finish();
        assert_eq!(small.filters.each_ref().map(Vec::len), [CHUNK_WORDS; 2]);
        let strangers = (0..1_000u32).filter(|n| holds(&mut small, Key::Quad((n + 1).to_be_bytes())));
        assert_eq!(strangers.count(), 0);
        for n in 0..50_000u32 {
            builder.add(1, 0, None, &n.wrapping_mul(0x9e37_79b1).to_be_bytes());
        }
        let mut large = builder.finish();
        assert!(large.filters[1].len() > 8 * CHUNK_WORDS);
        let strangers = (0..10_000u32)
            .filter(|n| holds(&mut large, Key::Quad(n.wrapping_mul(0x85eb_ca6b).to_be_bytes())));
        assert!(strangers.count() < 400);
        // A million different pieces: nothing could be ruled out.
        for n in 0..1_000_000u32 {
            builder.add(1, 0, None, &n.wrapping_mul(0x9e37_79b1).to_be_bytes());
        }
        assert!(builder.finish().filters[1].is_empty());
    }

    #[test]
    fn nothing_is_left_over_for_the_next_block() {
        let mut builder = Builder::new();
        let entry = |builder: &mut Builder| {
            builder.add(7, 1, Some("1.2.3.4:5".parse().unwrap()), b"\0\0\0\0 temperature");
        };
        entry(&mut builder);
        let first = builder.finish();
        entry(&mut builder);
        let again = builder.finish();
        assert_eq!((first.filters, first.times), (again.filters, again.times));
        assert!(builder.finish().filters.iter().flatten().all(|word| *word == 0));
    }
}

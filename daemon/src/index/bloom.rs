//! The Bloom filters of one block while it is built: sets of bits that show what certainly does not occur in it.
//! <https://en.wikipedia.org/wiki/Bloom_filter>
//!
//! A filter is built at its largest size. Then it is folded: its halves are combined as long as it stays sparse. Positions
//! are taken modulo a power of two, so a bit of the large filter has its place in the small one.

use std::net::SocketAddr;

use super::error::IndexError;
use super::log::IndexedEntry;
use super::predicate::Evidence;
use super::store::CHUNK_WORDS;
use super::term::{MAX_FILTER_BITS_LOG2, Term, Which, content_positions, pair_hash, quad_hash};

/// The largest size of the filter of origins, as a power of two in bits: enough for 1,024 entries of as many peers.
const MAX_ORIGIN_BITS_LOG2: u32 = 16;

/// A filter is folded as long as at most one bit in this many is set.
const SPARSE: usize = 4;

/// How many bits in eight may be set in a filter of the largest size; a fuller one rules out too little to be kept.
const FULL_EIGHTHS: usize = 7;

/// How many of the latest pieces of four bytes are remembered as set in the filter, as a power of two.
const RECENT_LOG2: u32 = 13;

/// The number of words that have a bit for each pair of bytes.
const PAIR_WORDS: usize = 1 << (u16::BITS - 6);

/// Builds the filters of a block from its entries.
pub(super) struct Builder {
    origin: Vec<u64>,
    content: Vec<u64>,
    /// One bit for each pair of bytes: cheaper to set than the three bits of the filter, which are set at the end.
    pairs: Box<[u64; PAIR_WORDS]>,
    /// The latest pieces of four bytes, each at the place of its hash.
    recent: Box<[u32; 1 << RECENT_LOG2]>,
    /// The current payload, folded to lower case.
    folded: Vec<u8>,
    last_peer: Option<SocketAddr>,
    oldest_ns: i64,
    newest_ns: i64,
}

/// A finished block: its filters, which are empty where they rule out nothing, and its times.
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
        // Marks all places as unused: the piece 0 belongs to place 0, and the piece 1 does not.
        self.recent[0] = 1;
        (self.last_peer, self.oldest_ns, self.newest_ns) = (None, i64::MAX, i64::MIN);
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &IndexedEntry<'_>) {
        let at_ns = entry.anchor.at_ns;
        (self.oldest_ns, self.newest_ns) = (self.oldest_ns.min(at_ns), self.newest_ns.max(at_ns));
        if let Some(kind) = entry.kind {
            self.add_origin(kind);
        }
        if let Some(peer) = entry.peer
            && self.last_peer != Some(peer)
        {
            self.last_peer = Some(peer);
            Term::of_source(peer).into_iter().for_each(|term| self.add_origin(term));
        }
        self.add_content(entry.payload);
    }

    fn add_origin(&mut self, term: Term) {
        term.positions().for_each(|position| set(&mut self.origin, position));
    }

    /// Adds the pairs and the pieces of four bytes. With a remembered piece, its pairs are set too.
    fn add_content(&mut self, payload: &[u8]) {
        // Fibonacci hashing (Knuth, TAOCP 6.4).
        const MULTIPLIER: u32 = 0x9e37_79b1;
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
            let recent = &mut self.recent[(piece.wrapping_mul(MULTIPLIER) >> (32 - RECENT_LOG2)) as usize];
            if *recent != piece {
                *recent = piece;
                pair(&mut self.pairs, piece as u16);
                content_positions(quad_hash(piece)).for_each(|position| set(&mut self.content, position));
            }
        }
    }

    /// Returns the block, and resets the builder for the next.
    pub(super) fn finish(&mut self) -> Block {
        if self.oldest_ns > self.newest_ns {
            // A log may have skipped many ids. Where there is no entry, reading takes less than a filter.
            return Block { filters: [Vec::new(), Vec::new()], times: (self.oldest_ns, self.newest_ns) };
        }
        for (index, word) in self.pairs.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let pair = (index as u16) << 6 | word.trailing_zeros() as u16;
                content_positions(pair_hash(pair)).for_each(|position| set(&mut self.content, position));
                word &= word - 1;
            }
        }
        let filters = [&mut self.origin, &mut self.content].map(|filter| fold(filter).to_vec());
        let block = Block { filters, times: (self.oldest_ns, self.newest_ns) };
        self.clear();
        block
    }
}

fn set(words: &mut [u64], position: u32) {
    let place = position as usize & (words.len() * 64 - 1);
    words[place / 64] |= 1 << (place % 64);
}

/// Folds a filter to the smallest allowed size; empty if it rules out too little.
fn fold(filter: &mut [u64]) -> &[u64] {
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

/// A single block: it is bit 0.
impl Evidence for Block {
    fn at(&mut self, which: Which, position: u32) -> Result<u64, IndexError> {
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
    use crate::index::log::Anchor;
    use crate::index::predicate::Predicate;
    use crate::index::term::folded;

    /// Adds an entry of a kind.
    fn add(builder: &mut Builder, at_ns: i64, kind: Option<Term>, peer: Option<&str>, payload: &[u8]) {
        let peer = peer.map(|peer| peer.parse().unwrap());
        builder.add(&IndexedEntry { anchor: Anchor { id: 1, at_ns }, kind, peer, payload });
    }

    fn holds(block: &mut Block, term: Term) -> bool {
        Predicate::Term(term).survivors(block, 1).unwrap() == 1
    }

    #[test]
    fn added_terms_are_found_at_any_size() {
        for distinct in [1, 200, 20_000, 400_000u32] {
            let mut builder = Builder::new();
            let payload: Vec<u8> =
                (0..distinct).flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()).collect();
            add(&mut builder, 5, None, Some("1.2.3.4:5"), &payload);
            add(&mut builder, 3, Some(Term::Sent), Some("[fe80::1%7]:7788"), b"HELLO");
            add(&mut builder, 4, Some(Term::Gap), None, b"");
            let mut block = builder.finish();
            assert_eq!(block.times, (3, 5));
            for pair in payload.windows(2) {
                assert!(holds(&mut block, Term::Pair([folded(pair[0]), folded(pair[1])])));
            }
            for quad in payload.windows(4) {
                assert!(holds(&mut block, Term::Quad([quad[0], quad[1], quad[2], quad[3]].map(folded))));
            }
            assert!(holds(&mut block, Term::Quad(*b"hell")) && holds(&mut block, Term::Quad(*b"ello")));
            let ips = ["1.2.3.4", "fe80::1"].map(|ip| ip.parse().unwrap());
            assert!(holds(&mut block, Term::Ip(ips[0])) && holds(&mut block, Term::Endpoint(ips[1], 7788)));
            add(&mut builder, 1, None, Some("[::ffff:9.8.7.6]:5"), b"");
            assert!(
                holds(&mut builder.finish(), Term::Ip("9.8.7.6".parse().unwrap())),
                "IPv4 within IPv6 is IPv4"
            );
            assert!(holds(&mut block, Term::Sent) && holds(&mut block, Term::Gap));
        }
    }

    #[test]
    fn false_positives_are_rare_and_filters_fit_their_content() {
        let mut builder = Builder::new();
        add(&mut builder, 1, None, Some("1.2.3.4:5"), &[0; 8]);
        let mut small = builder.finish();
        assert_eq!(small.filters.each_ref().map(Vec::len), [CHUNK_WORDS; 2]);
        let strangers = (0..1_000u32).filter(|n| holds(&mut small, Term::Quad((n + 1).to_be_bytes())));
        assert_eq!(strangers.count(), 0);
        for n in 0..50_000u32 {
            add(&mut builder, 1, None, None, &n.wrapping_mul(0x9e37_79b1).to_be_bytes());
        }
        let mut large = builder.finish();
        assert_eq!(builder.finish().filters.map(|filter| filter.len()), [0; 2], "ids that were skipped");
        assert!(large.filters[1].len() > 8 * CHUNK_WORDS);
        let strangers = (0..10_000u32)
            .filter(|n| holds(&mut large, Term::Quad(n.wrapping_mul(0x85eb_ca6b).to_be_bytes())));
        assert!(strangers.count() < 400);
        // With a million different pieces, nothing could be ruled out.
        for n in 0..1_000_000u32 {
            add(&mut builder, 1, None, None, &n.wrapping_mul(0x9e37_79b1).to_be_bytes());
        }
        assert!(builder.finish().filters[1].is_empty());
    }

    #[test]
    fn a_finished_block_leaves_nothing_in_the_next() {
        let mut builder = Builder::new();
        let entry = |builder: &mut Builder| {
            add(builder, 7, Some(Term::Sent), Some("1.2.3.4:5"), b"\0\0\0\0 temperature");
        };
        entry(&mut builder);
        let first = builder.finish();
        entry(&mut builder);
        let again = builder.finish();
        assert_eq!((first.filters, first.times), (again.filters, again.times));
        assert!(builder.finish().filters.iter().flatten().all(|word| *word == 0));
    }
}

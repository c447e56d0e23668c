//! The page of the ledger, and how it is written: one record of a fixed place, sealed with a sum.
//!
//! It fits into one sector of 512 bytes, so that even a power cut leaves it as it was or as it is to be. It is a row of
//! 64-bit words in little-endian order: the mark, the sum over all that follow, the newest entry's id and time, the time of
//! writing, the messages owed, the datagrams owed by each reason, the number of sockets, and a word for each.

use super::Dues;
use crate::index::Anchor;
use crate::index::checksum;

/// The size of the file.
pub(super) const PAGE_BYTES: usize = 512;

/// What a page begins with; the last byte is its version.
const MARK: u64 = u64::from_le_bytes(*b"udpbook\x01");

/// The words before those of the sockets.
const HEAD_WORDS: usize = 7 + Dues::REASONS;

/// How many sockets fit; the drops of more are only known to the process that counts them.
const MAX_SOCKETS: usize = PAGE_BYTES / 8 - HEAD_WORDS;

/// What is noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The newest entry that the log is known to hold; of an empty one its beginning.
    pub(super) newest: Anchor,
    /// What the log will have to hold behind it.
    pub(super) owed: Dues,
    /// When the page was written, in nanoseconds since 1970.
    pub(super) at_ns: i64,
    /// The listening sockets, in the order of their numbers.
    pub(super) sockets: Vec<SocketDrops>,
}

/// How many drops of a socket are owed to the log, or in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketDrops {
    /// What the socket is known by; 0 if it cannot be known again.
    pub(crate) mark: u32,
    /// The kernel's counter when they were counted last.
    pub(crate) drops: u32,
}

impl Page {
    /// Returns the page as it is written, and the length of what is used of it, in bytes.
    pub(super) fn encode(&self) -> ([u8; PAGE_BYTES], usize) {
        let sockets = &self.sockets[..self.sockets.len().min(MAX_SOCKETS)];
        let head = [self.newest.id, self.newest.at_ns.cast_unsigned(), self.at_ns.cast_unsigned()];
        let words = (head.into_iter().chain([self.owed.messages]).chain(self.owed.lost))
            .chain([sockets.len() as u64])
            .chain(sockets.iter().map(|socket| u64::from(socket.mark) << 32 | u64::from(socket.drops)));
        let mut bytes = [0; PAGE_BYTES];
        let (slots, _) = bytes.as_chunks_mut::<8>();
        slots.iter_mut().skip(2).zip(words).for_each(|(slot, word)| *slot = word.to_le_bytes());
        let used = HEAD_WORDS + sockets.len();
        slots[0] = MARK.to_le_bytes();
        slots[1] = checksum::sum(MARK, &slots[2..used]).to_le_bytes();
        (bytes, used * 8)
    }

    /// Reads a page; none if it is not as it was written.
    pub(super) fn decode(bytes: &[u8; PAGE_BYTES]) -> Option<Self> {
        let (slots, _) = bytes.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(slots[at]);
        let count = usize::try_from(word(HEAD_WORDS - 1)).ok().filter(|count| *count <= MAX_SOCKETS)?;
        let words = &slots[2..HEAD_WORDS + count];
        if word(0) != MARK || word(1) != checksum::sum(MARK, words) {
            return None;
        }
        let mut owed = Dues { messages: word(5), ..Dues::default() };
        owed.lost.iter_mut().enumerate().for_each(|(reason, lost)| *lost = word(6 + reason));
        let socket = |word: u64| SocketDrops { mark: (word >> 32) as u32, drops: word as u32 };
        Some(Self {
            newest: Anchor { id: word(2), at_ns: word(3).cast_signed() },
            owed,
            at_ns: word(4).cast_signed(),
            sockets: (HEAD_WORDS..HEAD_WORDS + count).map(|at| socket(word(at))).collect(),
        })
    }
}

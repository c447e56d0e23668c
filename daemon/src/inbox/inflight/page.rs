//! The page of the in-flight journal: one record at a fixed place, with a checksum.
//!
//! It fits into one sector of 512 bytes, so that a power cut leaves the old page or the new one. It is an array of 64-bit
//! words in little-endian order:
//!
//! | word | content |
//! |---|---|
//! | 0 | `udpbook` and the version of this layout |
//! | 1 | checksum over word 0 and all words from 2 on |
//! | 2, 3 | id and time (ns since 1970) of the newest entry that is durable |
//! | 4 | time of writing (ns since 1970) |
//! | 5 | messages that are received and not durable |
//! | 6, 7, 8 | lost datagrams without a durable gap: by full receive buffer, by full queue, by the end of a daemon |
//! | 9 | number of sockets |
//! | 10, 11 | boot identifier, low word first |
//! | 12 on | for each socket its `SO_COOKIE` and its drop counter |
//!
//! Version 1 had no boot identifier, and one word a socket. Of such a page the sockets are ignored.

use super::counts::EntryCounts;
use crate::index::Anchor;
use crate::index::checksum;

/// The size of the file.
pub(super) const PAGE_BYTES: usize = 512;

/// The first word; its last byte is the version of the layout.
const MAGIC: u64 = u64::from_le_bytes(*b"udpbook\x02");
const MAGIC_VERSION_1: u64 = u64::from_le_bytes(*b"udpbook\x01");

/// The index of the word that holds the number of sockets.
const COUNT: usize = 6 + EntryCounts::REASONS;

/// The words before those of the sockets.
const HEAD_WORDS: usize = COUNT + 3;

/// The number of sockets that fit. Only those that a service manager holds are found again, which are few.
const MAX_SOCKETS: usize = (PAGE_BYTES / 8 - HEAD_WORDS) / 2;

/// The content of the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The newest entry that the log is known to hold; of an empty log its beginning.
    pub(super) newest: Anchor,
    /// What is received and not yet durable behind that entry.
    pub(super) pending: EntryCounts,
    /// When the page was written, in nanoseconds since 1970.
    pub(super) at_ns: i64,
    /// The boot in which the sockets exist; 0 if it is not known.
    pub(super) boot_id: u128,
    /// The listening sockets, in the order of their numbers.
    pub(super) sockets: Vec<SocketDrops>,
}

/// Up to which value of the kernel's counter the drops of a socket are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketDrops {
    /// The socket's `SO_COOKIE`, unique within a boot; 0 where the platform has none.
    pub(crate) cookie: u64,
    pub(crate) drops: u32,
}

impl Page {
    /// Returns the page as it is written, and the length of the part in use, in bytes.
    pub(super) fn encode(&self) -> ([u8; PAGE_BYTES], usize) {
        let sockets = &self.sockets[..self.sockets.len().min(MAX_SOCKETS)];
        let head = [self.newest.id, self.newest.at_ns.cast_unsigned(), self.at_ns.cast_unsigned()];
        let words = (head.into_iter().chain([self.pending.messages]).chain(self.pending.lost))
            .chain([sockets.len() as u64, self.boot_id as u64, (self.boot_id >> 64) as u64])
            .chain(sockets.iter().flat_map(|socket| [socket.cookie, u64::from(socket.drops)]));
        let mut bytes = [0; PAGE_BYTES];
        let (slots, _) = bytes.as_chunks_mut::<8>();
        slots.iter_mut().skip(2).zip(words).for_each(|(slot, word)| *slot = word.to_le_bytes());
        let used = HEAD_WORDS + 2 * sockets.len();
        slots[0] = MAGIC.to_le_bytes();
        slots[1] = checksum::sum(MAGIC, &slots[2..used]).to_le_bytes();
        (bytes, used * 8)
    }

    /// Reads a page; none if it is not valid.
    pub(super) fn decode(bytes: &[u8; PAGE_BYTES]) -> Option<Self> {
        let (slots, _) = bytes.as_chunks::<8>();
        let word = |at: usize| u64::from_le_bytes(slots[at]);
        let count = usize::try_from(word(COUNT)).ok().filter(|count| *count < slots.len())?;
        let (used, count) = match word(0) {
            MAGIC => (HEAD_WORDS + 2 * count, count),
            MAGIC_VERSION_1 => (COUNT + 1 + count, 0),
            _ => return None,
        };
        if word(1) != checksum::sum(word(0), slots.get(2..used)?) {
            return None;
        }
        let mut pending = EntryCounts { messages: word(5), ..EntryCounts::default() };
        pending.lost.iter_mut().enumerate().for_each(|(reason, lost)| *lost = word(6 + reason));
        let socket = |at: usize| SocketDrops { cookie: word(at), drops: word(at + 1) as u32 };
        let boot_id = u128::from(word(HEAD_WORDS - 1)) << 64 | u128::from(word(HEAD_WORDS - 2));
        Some(Self {
            newest: Anchor { id: word(2), at_ns: word(3).cast_signed() },
            pending,
            at_ns: word(4).cast_signed(),
            boot_id: if word(0) == MAGIC { boot_id } else { 0 },
            sockets: (0..count).map(|number| socket(HEAD_WORDS + 2 * number)).collect(),
        })
    }
}

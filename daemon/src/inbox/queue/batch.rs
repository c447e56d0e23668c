//! A batch: what the writer takes from the queue at once.

use std::net::SocketAddr;

use super::item::Item;
use super::packed;

/// A run of received messages is stored as a whole: it ends at this many messages, or this many bytes.
pub(in crate::inbox) const RUN_MESSAGES: usize = 1_024;
pub(in crate::inbox) const RUN_BYTES: usize = 256 * 1024;

/// The memory that an empty batch keeps, in bytes; what a flood needed beyond that is released.
const KEPT_BYTES: usize = 256 * 1024;

/// Items in the order of the log, and the packed messages that they refer to.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The received messages, [`packed`].
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// How many entries of the log the items become.
    pub(crate) entries: usize,
    /// How much memory the items hold outside `bytes` and `items`, in bytes.
    boxed_bytes: usize,
    /// Whether a client waits for an item of this batch.
    pub(super) awaited: bool,
}

impl Batch {
    /// Adds an item that is at most one entry.
    pub(super) fn push(&mut self, item: Item) {
        self.awaited |=
            matches!(item, Item::Sent(_) | Item::Mark(_) | Item::Recode(_) | Item::Hold(_) | Item::Cancel(_));
        self.entries += item.entries();
        self.boxed_bytes += item.boxed_bytes();
        self.items.push(item);
    }

    /// Adds a received message, to the last run if that has room.
    pub(super) fn receive(
        &mut self,
        at_ns: i64,
        peer: SocketAddr,
        local: Option<SocketAddr>,
        payload: &[u8],
    ) {
        let before = self.bytes.len();
        packed::push(&mut self.bytes, at_ns, peer, local, payload);
        let length = self.bytes.len() - before;
        self.entries += 1;
        match self.items.last_mut() {
            Some(Item::Received { messages, bytes }) if *messages < RUN_MESSAGES && *bytes < RUN_BYTES => {
                *messages += 1;
                *bytes += length;
            }
            _ => self.items.push(Item::Received { messages: 1, bytes: length }),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.boxed_bytes + self.items.len() * size_of::<Item>()
    }

    /// Empties the batch and releases what only a flood needed.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        (self.entries, self.boxed_bytes, self.awaited) = (0, 0, false);
        self.bytes.shrink_to(KEPT_BYTES);
        self.items.shrink_to(KEPT_BYTES / size_of::<Item>());
    }
}

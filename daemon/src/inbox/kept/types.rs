//! What is held and who is silent, as it passes between the writer, the sessions and the state.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_config::PeerAddress;

use super::row::{HeldRow, To};
use crate::inbox::entry::SentDetail;

/// How many messages are held at most.
pub(crate) const MAX_HELD: usize = 10_000;

/// How many bytes of payload are held at most.
pub(crate) const MAX_HELD_BYTES: usize = 16 * 1024 * 1024;

/// How many messages are held for one destination at most.
pub(crate) const MAX_HELD_FOR_ONE: usize = 1_000;

/// One user may have this part of each limit on all held messages, as a divisor, so that the other users can hold some too.
pub(crate) const PART_OF_USER: usize = 2;

/// A row of the table `silent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SilentRow {
    /// The time of the notice, in nanoseconds since 1970, UTC.
    pub(crate) since_ns: i64,
    /// The time of the peer's newest message; if none is known, the negative of the time since which nothing came.
    pub(crate) last_ns: i64,
}

impl SilentRow {
    /// Makes the row of a peer of which no message is known, but that nothing came since a time.
    pub(crate) fn without_message(since_ns: i64, quiet_ns: i64) -> Self {
        Self { since_ns, last_ns: -quiet_ns.max(0) }
    }

    /// Returns the time of the peer's newest message, if one is known.
    pub(crate) fn message_ns(self) -> Option<i64> {
        (self.last_ns > 0).then_some(self.last_ns)
    }

    /// Returns the time since which nothing came.
    pub(crate) fn quiet_ns(self) -> i64 {
        self.last_ns.saturating_abs()
    }
}

/// Which limit on held messages is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldFull {
    Messages,
    Bytes,
    ForOne,
    OfInbox,
    OfUser,
}

/// The numbers of messages that are held, or why they are not.
pub(crate) type HoldAnswer = Result<Vec<u64>, HeldFull>;

/// Datagrams to hold; all or none of them are.
#[derive(Clone, Debug)]
pub(crate) struct NewHeld {
    pub(crate) to: To,
    /// In their order.
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) detail: SentDetail,
    pub(crate) at_ns: i64,
    pub(crate) until_ns: i64,
}

/// What one source has sent within a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub(crate) peer: SocketAddr,
    /// Where its newest message was sent to.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) first_id: u64,
    pub(crate) last_id: u64,
    pub(crate) last_ns: i64,
}

/// The changes of a transaction, to be applied once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(super) sources: HashMap<SocketAddr, usize>,
    /// What was received from sources that somebody waits for, in the order of their first messages.
    pub(crate) words: Vec<Word>,
    /// The silent peers that were heard.
    pub(crate) heard: Vec<Arc<str>>,
    pub(crate) held: Vec<HeldRow>,
    /// The numbers of held messages that were sent, cancelled or have expired.
    pub(crate) removed: Vec<u64>,
    /// The peers that fall silent.
    pub(crate) silent: Vec<(Arc<str>, SilentRow)>,
    /// Whether the rows of peers that are no longer watched were removed.
    pub(crate) forgot: bool,
    /// The numbers of messages to hold, or why they are not held.
    pub(crate) hold: Option<HoldAnswer>,
}

/// A peer that is silent from now on.
#[derive(Clone, Debug)]
pub(crate) struct FallsSilent {
    pub(crate) name: Arc<str>,
    /// Its address in the configuration.
    pub(crate) address: PeerAddress,
    /// Its `silent_after`, in seconds.
    pub(crate) seconds: u64,
    /// Id and time of its newest message, if it is known.
    pub(crate) last: Option<(u64, i64)>,
    /// When it began to be watched.
    pub(crate) since_ns: i64,
    /// Whether no message of its is known before this time; of a peer that is heard again, before the one that it has sent.
    pub(crate) is_new: bool,
}

/// What is to be noted because its time has come.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) silent: Vec<FallsSilent>,
    pub(crate) expired: Vec<Arc<HeldRow>>,
    /// Peers that were silent and are no longer watched.
    pub(crate) forgotten: Vec<String>,
}

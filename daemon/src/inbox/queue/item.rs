//! What passes through the queue: entries of the log, read marks and changes to stored messages.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use udpchat_config::Encoding;

use crate::inbox::entry::{GapReason, SentDetail};
use crate::inbox::kept::{Due, HoldAnswer, NewHeld};
use crate::inbox::recovery::segment::Chunk;
use crate::net::reports::Bounce;

/// How long a client waits for its item to become durable before it gets an error.
pub(crate) const RECORD_WAIT: Duration = Duration::from_secs(10);

/// How long the writer waits at most between two attempts while the inbox cannot be written.
pub(crate) const MAX_RETRY_WAIT: Duration = Duration::from_secs(1);

/// How long a client waits then: the writer makes another attempt within this time, and may need some of it.
pub(crate) const FAILING_WAIT: Duration = Duration::from_secs(2 * MAX_RETRY_WAIT.as_secs());

/// A queued item.
#[derive(Debug)]
pub(crate) enum Item {
    /// A run of received messages; their records are in the batch's `bytes`, in the same order.
    Received {
        messages: usize,
        bytes: usize,
    },
    Sent(Box<SentItem>),
    /// The report that a message was not delivered, which becomes a notice.
    Bounce(Box<Bounce>),
    Gap {
        at_ns: i64,
        lost: u64,
        reason: GapReason,
        /// Whose datagrams are missing, if that is known.
        peer: Option<String>,
    },
    Mark(Box<MarkItem>),
    Recode(Box<RecodeItem>),
    Recovered(Box<RecoveredItem>),
    Hold(Box<HoldItem>),
    Cancel(Box<CancelItem>),
    /// Made by the writer itself: what is to be noted because its time has come.
    Due(Box<Due>),
}

impl Item {
    /// Returns whether the client that asked for a change no longer waits for it. What was sent is recorded in any case.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Mark(mark) => mark.stored.as_ref().is_some_and(oneshot::Sender::is_closed),
            Self::Recode(recode) => recode.stored.as_ref().is_some_and(oneshot::Sender::is_closed),
            Self::Hold(hold) => hold.stored.as_ref().is_some_and(oneshot::Sender::is_closed),
            Self::Cancel(cancel) => cancel.stored.as_ref().is_some_and(oneshot::Sender::is_closed),
            Self::Received { .. }
            | Self::Sent(_)
            | Self::Bounce(_)
            | Self::Gap { .. }
            | Self::Recovered(_)
            | Self::Due(_) => false,
        }
    }

    /// Returns how many entries of the log it becomes at most.
    pub(crate) fn entries(&self) -> usize {
        match self {
            Self::Received { messages, .. } => *messages,
            Self::Sent(_) | Self::Bounce(_) | Self::Gap { .. } => 1,
            Self::Mark(_) | Self::Recode(_) | Self::Recovered(_) => 0,
            Self::Hold(_) | Self::Cancel(_) | Self::Due(_) => 0,
        }
    }

    /// Returns how much memory it holds outside itself and the batch's `bytes`, without the few bytes of a detail.
    pub(super) fn boxed_bytes(&self) -> usize {
        match self {
            Self::Received { .. } => 0,
            Self::Gap { peer, .. } => peer.as_ref().map_or(0, String::len),
            Self::Sent(sent) => size_of_val(&**sent) + sent.payload.len(),
            Self::Bounce(bounce) => size_of_val(&**bounce),
            Self::Mark(mark) => size_of_val(&**mark) + mark.consumer.len(),
            Self::Recovered(recovered) => size_of_val(&**recovered) + recovered.chunk.size_bytes(),
            Self::Hold(hold) => {
                let payloads = &hold.new.payloads;
                size_of_val(&**hold)
                    + size_of_val(&payloads[..])
                    + payloads.iter().map(Vec::len).sum::<usize>()
            }
            Self::Cancel(cancel) => size_of_val(&**cancel),
            Self::Due(_) => 0,
            Self::Recode(recode) => {
                size_of_val(&**recode) + size_of_val(&recode.ids[..]) + size_of_val(&recode.peers[..])
            }
        }
    }
}

/// A message that was handed to the kernel.
#[derive(Debug)]
pub(crate) struct SentItem {
    pub(crate) at_ns: i64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) payload: Vec<u8>,
    pub(crate) detail: SentDetail,
    /// The number of the held message that it was, which the same transaction removes.
    pub(crate) held: Option<u64>,
    /// Its running number, by which something may become known of its delivery; none if it went to many, or was refused.
    pub(crate) number: Option<u64>,
    /// Gets the entry's id once it is durable; dropped without a value if it never will be.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// A change of a consumer's read mark.
#[derive(Debug)]
pub(crate) struct MarkItem {
    pub(crate) consumer: String,
    pub(crate) change: MarkChange,
    /// Gets the resulting mark once it is durable; of a removal 1 if there was one, otherwise 0.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// How a read mark changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkChange {
    /// To this id, unless it is higher.
    Raise(u64),
    /// To this id.
    Set(u64),
    Remove,
}

/// Entries of a damaged inbox, to be added with the ids that they had.
#[derive(Debug)]
pub(crate) struct RecoveredItem {
    pub(crate) chunk: Chunk,
    /// Gets the number of entries that are missing in it once it is durable.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// A new encoding for stored messages.
#[derive(Debug)]
pub(crate) struct RecodeItem {
    /// The messages; the caller bounds their number.
    pub(crate) ids: Vec<u64>,
    /// None removes the encoding that was assigned before.
    pub(crate) encoding: Option<Encoding>,
    /// The peers that are given this encoding, or whose encoding is forgotten where that is none.
    pub(crate) peers: Vec<SocketAddr>,
    /// Gets the number of messages that were found once the change is durable.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// A message to hold, as one or several datagrams; all or none of them are held.
#[derive(Debug)]
pub(crate) struct HoldItem {
    pub(crate) new: NewHeld,
    /// Gets the numbers of the datagrams once they are durable, or the limit that is reached.
    pub(crate) stored: Option<oneshot::Sender<HoldAnswer>>,
}

/// A held message that is not to be sent.
#[derive(Debug)]
pub(crate) struct CancelItem {
    pub(crate) id: u64,
    /// Gets 1 once it is durable that it was removed, 0 if it is not held or is being sent.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

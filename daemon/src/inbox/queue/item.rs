//! What goes through the queue: what becomes entries of the log, and what is said about them.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use udpchat_config::Encoding;

use crate::inbox::{GapReason, SentDetail};

/// What is queued.
#[derive(Debug)]
pub(crate) enum Item {
    /// Received messages, one behind the other; their records lie in the heap's `bytes`, in the same order.
    Received {
        messages: usize,
        bytes: usize,
    },
    Sent(Box<SentItem>),
    Gap {
        at_ns: i64,
        lost: u64,
        reason: GapReason,
    },
    Mark(Box<MarkItem>),
    Recode(Box<RecodeItem>),
}

impl Item {
    /// Returns how many entries of the log it becomes.
    pub(crate) fn entries(&self) -> usize {
        match self {
            Self::Received { messages, .. } => *messages,
            Self::Sent(_) | Self::Gap { .. } => 1,
            Self::Mark(_) | Self::Recode(_) => 0,
        }
    }
}

/// A message that was handed to the kernel, on its way into the log.
#[derive(Debug)]
pub(crate) struct SentItem {
    pub(crate) at_ns: i64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) payload: Vec<u8>,
    pub(crate) detail: SentDetail,
    /// Gets the entry's id once it is durable; closed without a word if it never will be.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// A read mark on its way into the inbox.
#[derive(Debug)]
pub(crate) struct MarkItem {
    pub(crate) consumer: String,
    pub(crate) read_id: u64,
    /// Gets the mark as it stands once it is durable.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

/// What some messages are to be read in from now on, on its way into the inbox.
#[derive(Debug)]
pub(crate) struct RecodeItem {
    /// The messages; the caller bounds their number.
    pub(crate) ids: Vec<u64>,
    /// None takes back what was said before.
    pub(crate) encoding: Option<Encoding>,
    /// Who is to be remembered to speak it; with none, of whom everything is to be forgotten.
    pub(crate) peers: Vec<SocketAddr>,
    /// Gets the number of messages that were found once it is durable.
    pub(crate) stored: Option<oneshot::Sender<u64>>,
}

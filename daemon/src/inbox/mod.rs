//! The inbox: one ordered log of entries, in one SQLite file that one thread writes.
//!
//! Received messages, sent messages and gaps share one sequence of rising ids, and everything that reads it
//! (unread, history, a follower, a script's cursor) reads "from id N on". The way in is the [`queue`], the
//! [`writer`] makes it durable, the [`reader`] gives it out. [`file`] opens, makes and sets aside files. The
//! [`inflight`] tells the next daemon what was still on its way when this one ended. The [`index`] follows behind, and lets
//! the reader skip what nobody asked for.

pub(crate) mod address;
pub(crate) mod commit_watch;
pub(crate) mod file;
pub(crate) mod inflight;
pub(crate) mod learned_encodings;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod writer;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use udpchat_api::EncodingBy;
use udpchat_config::Encoding;

/// What an entry is; the number is the one in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Received = 0,
    Sent = 1,
    Gap = 2,
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: u64,
    /// Nanoseconds since 1970, UTC.
    pub(crate) at_ns: i64,
    pub(crate) body: Body,
    /// What a message is to be read in, if somebody has said so since it was stored.
    pub(crate) recoded: Option<Encoding>,
}

/// The part of an entry that its kind decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Received { peer: SocketAddr, local: Option<SocketAddr>, payload: Vec<u8> },
    Sent { peer: SocketAddr, local: Option<SocketAddr>, payload: Vec<u8>, detail: SentDetail },
    Gap(GapDetail),
}

/// What is known of a sent message beside its bytes; JSON in the column `detail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentDetail {
    /// The encoding that the text was sent in, and what chose it; none if bytes were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<SentEncoding>,
    /// Why the kernel refused to send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The name of the user who had it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

/// What somebody has said since it was stored; in the JSON of the column `detail` of any message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct LaterDetail {
    /// The encoding that the message is to be read in.
    #[serde(default)]
    pub(crate) recoded: Option<String>,
}

/// The encoding of a sent text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentEncoding {
    pub(crate) name: String,
    pub(crate) by: EncodingBy,
}

impl SentEncoding {
    /// Returns the encoding, or none if a later version wrote a name that this one does not know.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.name.parse().ok()
    }
}

/// A gap; JSON in the column `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GapDetail {
    pub(crate) lost: u64,
    pub(crate) reason: String,
}

/// Why datagrams are missing at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapReason {
    /// The kernel had no room for them.
    ReceiveBufferFull,
    /// The queue before the writer had no room for them.
    QueueFull,
    /// A daemon had received them, and ended before they were stored.
    DaemonEnded,
}

impl GapReason {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::ReceiveBufferFull, Self::QueueFull, Self::DaemonEnded];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReceiveBufferFull => "receive_buffer_full",
            Self::QueueFull => "queue_full",
            Self::DaemonEnded => "daemon_ended",
        }
    }
}

/// How long a client waits for what it sent or marked to become durable, before it is told that it is not.
pub(crate) const RECORD_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

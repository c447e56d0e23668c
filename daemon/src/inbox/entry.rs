//! Entries of the log, as they are stored.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use udpchat_config::Encoding;
use udpchat_text::Basis;

/// The kind of an entry; the number is the one in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Received = 0,
    Sent = 1,
    Gap = 2,
    Notice = 3,
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: u64,
    /// Nanoseconds since 1970, UTC.
    pub(crate) at_ns: i64,
    pub(crate) body: Body,
    /// The encoding that a client has assigned to the message after it was stored.
    pub(crate) recoded: Option<Encoding>,
}

/// The part of an entry that depends on its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Received { peer: SocketAddr, local: Option<SocketAddr>, payload: Vec<u8> },
    Sent { peer: SocketAddr, local: Option<SocketAddr>, payload: Vec<u8>, detail: SentDetail },
    Gap(GapDetail),
    Notice(NoticeDetail),
}

/// What is stored of a sent message besides its bytes; JSON in the column `detail`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentDetail {
    /// The encoding of the text; none if the client gave bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<SentEncoding>,
    /// Why the kernel refused to send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The name of the user who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// The report that it was not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bounce: Option<BounceDetail>,
    /// The id of the message that its peer sent next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<u64>,
    /// How long it was held before it was sent, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_seconds: Option<u64>,
    /// The interface of the link-local address that it is held for. The number in the address is that of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
}

/// The report that a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BounceDetail {
    pub(crate) reason: String,
    /// The host that reported it; none if it was this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<IpAddr>,
    pub(crate) at_ns: i64,
}

/// The encoding of a sent text, and what chose it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentEncoding {
    pub(crate) name: String,
    pub(crate) by: ChosenBy,
}

impl SentEncoding {
    /// Returns the encoding; none if a later version wrote a name that this version does not know.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.name.parse().ok()
    }
}

/// What chose an encoding; the names are part of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChosenBy {
    /// The request.
    Given,
    /// The configuration.
    Configured,
    /// What was learned of the peer.
    Remembered,
    /// The bytes themselves.
    Detected,
    /// `text.fallback`, since nothing else decided.
    Fallback,
}

impl From<Basis> for ChosenBy {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Given => Self::Given,
            Basis::Configured => Self::Configured,
            Basis::Remembered => Self::Remembered,
            Basis::Detected => Self::Detected,
            Basis::Fallback => Self::Fallback,
        }
    }
}

impl From<ChosenBy> for Basis {
    fn from(chosen: ChosenBy) -> Self {
        match chosen {
            ChosenBy::Given => Self::Given,
            ChosenBy::Configured => Self::Configured,
            ChosenBy::Remembered => Self::Remembered,
            ChosenBy::Detected => Self::Detected,
            ChosenBy::Fallback => Self::Fallback,
        }
    }
}

/// Changes by a client since a message was stored; in the JSON of the column `detail` of any message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct LaterDetail {
    /// The encoding to decode the message with.
    #[serde(default)]
    pub(crate) recoded: Option<String>,
}

/// A gap; JSON in the column `detail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GapDetail {
    pub(crate) lost: u64,
    pub(crate) reason: String,
    /// Of a gap for entries of the log, the first id that is missing; the last one is the id of the gap itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_id: Option<u64>,
    /// Of a gap for datagrams over a limit, their source, unless there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
}

/// A notice; JSON in the column `detail`. [`udpchat_api::Notice`] describes the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NoticeDetail {
    pub(crate) notice: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<u64>,
    /// An address with or without a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) first: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) more: Option<u64>,
}

impl NoticeDetail {
    /// The values of `notice`.
    pub(crate) const BOUNCED: &'static str = "bounced";
    pub(crate) const SILENT: &'static str = "silent";
    pub(crate) const HEARD: &'static str = "heard";
    pub(crate) const EXPIRED: &'static str = "expired";

    /// Returns whether it concerns a message that was sent or was to be sent.
    pub(crate) fn is_about_sending(&self) -> bool {
        [Self::BOUNCED, Self::EXPIRED].contains(&self.notice.as_str())
    }
}

impl GapDetail {
    /// The reason of a gap for entries of a damaged log.
    pub(crate) const DAMAGED: &'static str = "damaged";

    /// The reason of a gap for entries that retention has removed. Such a gap is not stored.
    const REMOVED: &'static str = "retention";

    /// Returns a gap for the removed entries from one id up to another.
    pub(crate) fn removed(first: u64, last: u64) -> Self {
        Self::entries(first, last, Self::REMOVED)
    }

    /// Returns a gap for datagrams that were not stored.
    pub(crate) fn lost(lost: u64, reason: GapReason) -> Self {
        Self { lost, reason: reason.name().to_owned(), first_id: None, peer: None }
    }

    /// Returns a gap for the entries of a damaged log from one id up to another.
    pub(crate) fn damaged(first: u64, last: u64) -> Self {
        Self::entries(first, last, Self::DAMAGED)
    }

    fn entries(first: u64, last: u64, reason: &str) -> Self {
        Self { lost: last - first + 1, reason: reason.to_owned(), first_id: Some(first), peer: None }
    }
}

/// Why datagrams are missing at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapReason {
    /// The kernel's receive buffer was full.
    ReceiveBufferFull,
    /// The queue before the writer was full.
    QueueFull,
    /// A daemon received them and ended before they were stored.
    DaemonEnded,
    /// Their senders were over a limit of the configuration.
    Limited,
}

impl GapReason {
    /// The reasons whose gaps the in-flight journal carries over a kill, in the order of their numbers. What a limit drops is
    /// lost by the administrator's will, as what the access list denies.
    pub(crate) const JOURNALED: [Self; 3] = [Self::ReceiveBufferFull, Self::QueueFull, Self::DaemonEnded];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReceiveBufferFull => "receive_buffer_full",
            Self::QueueFull => "queue_full",
            Self::DaemonEnded => "daemon_ended",
            Self::Limited => "limited",
        }
    }
}

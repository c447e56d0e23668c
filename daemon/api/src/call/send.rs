//! The method `send`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::held::HeldMessage;
use super::method::{Role, is_false};
use crate::entry::{Entry, Raw};
use crate::limits::DEFAULT_SPLIT_BYTES;

call! {
    /// Sends a message. Takes one of `to` and `reply_to`, and one of `text` and `raw`.
    SendParams, "send" for Some(Role::Send) => Sent, {
        /// A peer's name, `host[:port]` or `[v6]:port`; the default port is 7788.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<String>,
        /// The id of an entry: sends to its source, from the address that it was sent to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<u64>,
        /// The message as text, encoded for the peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text: Option<String>,
        /// The message as bytes, which are sent unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub raw: Option<Raw>,
        /// The encoding of `text`; the default is the encoding of the peer, then `text.encoding` of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub encoding: Option<String>,
        /// Whether `text` contains escapes: `\n \r \t \0 \\ \xHH \u{H...}`; `\xHH` is a byte.
        #[serde(default, skip_serializing_if = "is_false")]
        pub escape: bool,
        /// Splits a long message into datagrams, between characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub split: Option<Split>,
        /// Whether an empty message is sent as an empty datagram; otherwise it is an error.
        #[serde(default, skip_serializing_if = "is_false")]
        pub allow_empty: bool,
        /// Whether the message is held until the peer sends a message, and is sent then. The result is [`Sent::Held`].
        #[serde(default, skip_serializing_if = "is_false")]
        pub when_seen: bool,
        /// With `when_seen`, how long the message is held at most: 1 to 7,776,000 seconds (90 days), 604,800 (7 days) if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub for_seconds: Option<u64>,
    }
}

call! {
    /// Resolves the destinations of messages as `send` does, and replaces each list of peers by its members. Sends nothing.
    TargetsParams, "targets" for Some(Role::Send) => TargetsAnswer, {
        /// The destinations: what `to` of `send` accepts, and names of lists; 1 to 64.
        pub to: Vec<String>,
    }
}

/// The destinations, in the order of the request; each one once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TargetsAnswer {
    /// The destinations.
    pub targets: Vec<Target>,
}

/// A destination.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Target {
    /// What `to` of `send` accepts for it: the name of a peer, or an address.
    pub to: String,
    /// The address that messages are sent to now.
    pub peer: SocketAddr,
    /// The encoding of messages to it.
    pub encoding: String,
    /// The list of peers that it is a member of, if the request named that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// The size at which a long message is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Split {
    /// `true` splits at [`DEFAULT_SPLIT_BYTES`], `false` does not split.
    Default(bool),
    /// Splits at this number of bytes.
    Bytes(usize),
}

impl Split {
    /// Returns the maximum size of a datagram in bytes; none if the message is not split.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Default(false) => None,
            Self::Default(true) => Some(DEFAULT_SPLIT_BYTES),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// The stored entry of a sent message; a list of entries if `split` was given; with `when_seen` what is held.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Sent {
    /// The entry.
    One(Box<Entry>),
    /// The entries of the parts, in the order of sending.
    Parts(Vec<Entry>),
    /// The datagrams that are held, in the order in which they will be sent.
    Held {
        /// One for each datagram.
        held: Vec<HeldMessage>,
    },
}

impl Sent {
    /// Returns the entries as a list; none for held messages.
    pub fn into_entries(self) -> Vec<Entry> {
        match self {
            Self::One(entry) => vec![*entry],
            Self::Parts(entries) => entries,
            Self::Held { .. } => Vec::new(),
        }
    }
}

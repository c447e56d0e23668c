//! The methods: the parameters and the result of each.
//!
//! A parameter that the daemon does not know is refused by name. Results may grow new fields; readers pass over
//! those that they do not know.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::entry::{EncodingBy, Entry, Raw};

/// Ties a method's parameters to its name, to who may call it, and to its result.
pub trait Call: Serialize {
    /// The method's name on the wire.
    const METHOD: &'static str;
    /// The role that it takes; none where any role will do.
    const ROLE: Option<Role>;
    /// What the daemon answers.
    type Answer: DeserializeOwned;
}

/// What somebody may do with a daemon. The configuration gives each role to groups of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads what came and went.
    Read,
    /// Sends.
    Send,
    /// Does everything, reading and sending included.
    Admin,
}

impl Role {
    /// Returns its key in the table `control` of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Admin => "admin",
        }
    }
}

/// Defines a parameter type, its name on the wire, the role that it takes and its answer.
macro_rules! call {
    ($(#[$doc:meta])* $params:ident, $method:literal for $role:expr => $answer:ty, { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $params { $($fields)* }

        impl Call for $params {
            const METHOD: &'static str = $method;
            const ROLE: Option<$crate::call::Role> = $role;
            type Answer = $answer;
        }
    };
}

// Behind the macro, which they use.
mod status;
mod talkers;

pub use self::status::{
    AccessStatus, Dropped, GroupStatus, InboxStatus, IndexStatus, QueueStatus, ReceiveBuffer, Refusal,
    SentCounts, State, Status, StatusParams, Traffic,
};
pub use self::talkers::{Talker, TalkersAnswer, TalkersParams};

call! {
    /// Asks for the daemon's version.
    VersionParams, "version" for None => VersionAnswer, {}
}

/// The versions.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VersionAnswer {
    /// The daemon's version.
    pub version: String,
    /// The protocol's number, see [`crate::limits::PROTOCOL`].
    pub protocol: u32,
}

call! {
    /// Sends a message. One of `to` and `reply_to`, one of `text` and `raw`.
    SendParams, "send" for Some(Role::Send) => Sent, {
        /// A peer's name, `host[:port]` or `[v6]:port`; port 7788 if none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<String>,
        /// The id of an entry: sends to where it came from, out of the address it was sent to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reply_to: Option<u64>,
        /// The message as text, encoded for the peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text: Option<String>,
        /// The message as bytes, sent as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub raw: Option<Raw>,
        /// The encoding of `text`; otherwise the peer's, otherwise `text.encoding` of the configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub encoding: Option<String>,
        /// Whether `text` holds escapes: `\n \r \t \0 \\ \xHH \u{H...}`; `\xHH` is a byte.
        #[serde(default, skip_serializing_if = "is_false")]
        pub escape: bool,
        /// Cuts a long message into datagrams, between characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub split: Option<Split>,
        /// Sends an empty datagram if the message is empty, instead of refusing.
        #[serde(default, skip_serializing_if = "is_false")]
        pub allow_empty: bool,
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How to cut a long message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Split {
    /// `true` cuts at [`crate::limits::DEFAULT_SPLIT_BYTES`], `false` does not cut.
    Default(bool),
    /// Cuts at so many bytes.
    Bytes(usize),
}

impl Split {
    /// Returns the most bytes a datagram may have, or none if nothing is to be cut.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Default(false) => None,
            Self::Default(true) => Some(crate::limits::DEFAULT_SPLIT_BYTES),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What was sent, as stored: one entry, or with `split` a list of entries.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Sent {
    /// The entry.
    One(Box<Entry>),
    /// The entries of the parts, in the order of sending.
    Parts(Vec<Entry>),
}

impl Sent {
    /// Returns the entries as a list.
    pub fn into_entries(self) -> Vec<Entry> {
        match self {
            Self::One(entry) => vec![*entry],
            Self::Parts(entries) => entries,
        }
    }
}

call! {
    /// Reads a page of the inbox.
    InboxParams, "inbox" for Some(Role::Read) => InboxAnswer, {
        /// Entries above this id; otherwise above the read mark of `consumer`; otherwise all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// Entries below this id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// At most so many entries, 1 to 1,000; 200 if not given. A page also ends where its line is full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// The consumer whose read mark counts; `default` if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
        /// Which entries; not given means all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<String>,
        /// `in`, `out` or `both`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// Entries of this time and later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<Timestamp>,
        /// Entries before this time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Timestamp>,
        /// Messages whose text matches this regular expression.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// `asc`, oldest first (if not given), or `desc`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub order: Option<Order>,
        /// Gaps too, which `from` and `grep` otherwise leave out.
        #[serde(default, skip_serializing_if = "is_false")]
        pub gaps: bool,
    }
}

/// Which directions are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectionFilter {
    /// Received messages, and gaps.
    In,
    /// Sent messages.
    Out,
    /// Everything.
    #[default]
    Both,
}

/// The order of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Rising ids.
    #[default]
    Asc,
    /// Falling ids.
    Desc,
}

/// A page of the inbox.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct InboxAnswer {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The cursor to go on from: the next `after`, or with `order` `desc` the next `before`.
    pub next: u64,
    /// Whether there may be more now: false once the page reached the end.
    pub more: bool,
    /// How many received messages the consumer has not read.
    pub unread: u64,
}

call! {
    /// Counts everything up to an id as read by a consumer.
    AckParams, "ack" for Some(Role::Read) => AckAnswer, {
        /// The consumer; `default` if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
        /// The id, at most the newest one. A mark never goes back.
        pub id: u64,
    }
}

/// Where the read mark stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AckAnswer {
    /// Everything up to this id is read.
    pub read: u64,
    /// How many received messages are not.
    pub unread: u64,
}

call! {
    /// Asks for a notification `entry` for each entry, until `unsubscribe` or the end of the connection.
    SubscribeParams, "subscribe" for Some(Role::Read) => SubscribeAnswer, {
        /// Entries above this id; from now on if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<Timestamp>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Timestamp>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub gaps: bool,
    }
}

/// The notification's method that carries one entry of a subscription as its parameters.
pub const ENTRY_NOTIFICATION: &str = "entry";

/// Where the subscription begins.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SubscribeAnswer {
    /// Entries above this id will come.
    pub after: u64,
}

call! {
    /// Ends the subscription of this connection.
    UnsubscribeParams, "unsubscribe" for Some(Role::Read) => Empty, {}
}

/// A result that says no more than that it was done.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Empty {}

call! {
    /// Lets stored messages be read in another encoding from now on, a bounded number of them. Bytes never change.
    RecodeParams, "recode" for Some(Role::Admin) => RecodeAnswer, {
        /// The encoding; `auto` takes back what was said before.
        #[serde(rename = "as")]
        pub encoding: String,
        /// Messages above this id; all if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// Messages below this id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<String>,
        /// As in `inbox`, but `in` if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<Timestamp>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<Timestamp>,
        /// As in `inbox`; the text as it is read before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// Remembers that whoever sent these messages speaks the encoding; with `auto`, forgets what they speak.
        #[serde(default, skip_serializing_if = "is_false")]
        pub remember: bool,
        /// Changes nothing, and shows how the first of the messages would read.
        #[serde(default, skip_serializing_if = "is_false")]
        pub dry_run: bool,
    }
}

/// What recoding did, and from where to go on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RecodeAnswer {
    /// How many messages read otherwise from now on, or with `dry_run` would.
    pub recoded: u64,
    /// How many matched, those included that were said to be in this encoding already.
    pub matched: u64,
    /// How many peers are now remembered otherwise than before, or with `dry_run` would be.
    pub remembered: u64,
    /// The cursor to go on from: the next `after`.
    pub next: u64,
    /// Whether there may be more.
    pub more: bool,
    /// With `dry_run`: the first of the messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Recoded>,
}

/// How a message reads, and how it would.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Recoded {
    /// The entry's id.
    pub id: u64,
    /// How it reads now.
    pub before: Reading,
    /// How it would read.
    pub after: Reading,
}

/// The beginning of a message's text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reading {
    /// The text, 200 characters of it at most.
    pub text: String,
    /// The encoding it is read in.
    pub encoding: String,
    /// What chose that.
    pub encoding_by: EncodingBy,
}

call! {
    /// Asks for the named and the seen peers.
    PeersParams, "peers" for Some(Role::Read) => PeersAnswer, {
        /// How many of the newest entries are looked at, and nothing older; if not given, 100,000, and the rest for
        /// peers that were not heard lately.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub window: Option<u64>,
    }
}

/// The peers: named ones first by name, then those heard of, newest first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeersAnswer {
    /// The peers.
    pub peers: Vec<Peer>,
}

/// A peer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Peer {
    /// Its name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address; a configured one may have no port.
    pub address: String,
    /// The encoding that a message to it would be sent in.
    pub encoding: String,
    /// What chose that encoding.
    pub encoding_by: EncodingBy,
    /// When it was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// The id of its newest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<u64>,
    /// How many messages it has in the part of the log that was looked at.
    pub messages: u64,
    /// How many of those the default consumer has not read.
    pub unread: u64,
}

call! {
    /// Has the daemon send itself a datagram through each of its ports, by each family.
    SelfTestParams, "self_test" for Some(Role::Read) => SelfTestAnswer, {}
}

/// What became of the datagrams of a self-test.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SelfTestAnswer {
    /// One for each address and family that is listened on.
    pub tests: Vec<SelfTest>,
}

/// A datagram of a self-test.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SelfTest {
    /// Where it was sent to.
    pub to: SocketAddr,
    /// What became of it.
    pub outcome: SelfTestOutcome,
    /// Why it could not be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of a datagram of a self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTestOutcome {
    /// It came in, and would have been stored.
    Received,
    /// It came in, and the access list refuses its sender: an address of this host.
    Denied,
    /// It did not come in within a second.
    Lost,
    /// It could not be sent.
    NotSent,
}

call! {
    /// Reads the configuration again.
    ReloadParams, "reload" for Some(Role::Admin) => ReloadAnswer, {}
}

/// What a reload did.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReloadAnswer {
    /// The keys that have changed and take effect only at a restart.
    pub needs_restart: Vec<String>,
}

call! {
    /// Stops the daemon, as SIGTERM does.
    StopParams, "stop" for Some(Role::Admin) => Empty, {}
}

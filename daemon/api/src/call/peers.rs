//! The methods `peers` and `talkers`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::method::{Role, is_false, is_zero};
use crate::entry::EncodingBy;

call! {
    /// Lists the configured peers and others that have sent messages.
    PeersParams, "peers" for Some(Role::Read) => PeersAnswer, {
        /// The number of newest entries that are scanned, and nothing older. The default is 100,000, and then the rest
        /// for configured peers without a message among these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub window: Option<u64>,
        /// Lists only the configured peers whose names are behind this one, and the others, but no lists. The default is all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<String>,
    }
}

/// The peers: configured ones by name, then the others, the most recent sender first. As many as fit in a line;
/// [`crate::Client::peers`] gets all.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeersAnswer {
    /// The peers.
    pub peers: Vec<Peer>,
    /// The configured lists of peers, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<PeerList>,
    /// Whether a call with the name of the last peer as `after` returns more peers. The peers without a name come with the last
    /// part.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

/// A list of peers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PeerList {
    /// Its name in the configuration.
    pub name: String,
    /// The names and addresses of its members.
    pub members: Vec<String>,
}

/// A peer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Peer {
    /// Its name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address; that of a configured peer may have no port.
    pub address: String,
    /// The encoding of messages to this peer.
    pub encoding: String,
    /// Why this encoding was chosen.
    pub encoding_by: EncodingBy,
    /// Whether it is the default of the configuration (`text.encoding`), since none of its own is configured or known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub encoding_is_default: bool,
    /// The time of its newest message.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// The id of its newest message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<u64>,
    /// The address and port that its newest message came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_from: Option<String>,
    /// The number of its messages among the scanned entries.
    pub messages: u64,
    /// The number of those that the consumer `default` has not read.
    pub unread: u64,
    /// Of a configured peer, after how many seconds without a message it is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_after: Option<u64>,
    /// The time since which it is silent: that of the notice.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// The time of the first report since its newest message that a message to it was not delivered; of the last 60 minutes.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub bounced_since: Option<Timestamp>,
    /// The number of messages that are held for it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: u64,
    /// Whether the access list denies its address, so that nothing can arrive from it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub denied: bool,
}

call! {
    /// Lists the peers that send most: counts the received messages above an id, by peer.
    TalkersParams, "talkers" for Some(Role::Read) => TalkersAnswer, {
        /// Only entries above this id; the default is the newest 10,000 entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// The maximum number of peers, 1 to 100; the default is 10.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }
}

/// The numbers of messages by peer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TalkersAnswer {
    /// The peers, most messages first.
    pub talkers: Vec<Talker>,
    /// The entries above this id were scanned: 10,000 at most, so this may be above the requested id.
    pub after: u64,
    /// The entries up to this id were scanned: the `after` of the next call.
    pub next: u64,
    /// The number of received messages among the scanned entries, including those of peers that are not listed.
    pub messages: u64,
}

/// A peer, and the amount that it has sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Talker {
    /// Its name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address; that of a configured peer is as in the configuration, and may have no port.
    pub address: String,
    /// The number of its messages.
    pub messages: u64,
    /// The size of their payloads, in bytes.
    pub bytes: u64,
}

//! The method `talkers`: who sends most.

use serde::{Deserialize, Serialize};

use super::{Call, Role};

call! {
    /// Asks who sends most: counts the received messages above an id, by peer.
    TalkersParams, "talkers" for Some(Role::Read) => TalkersAnswer, {
        /// Entries above this id; not given means as many of the newest as are looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// At most so many peers, 1 to 100; 10 if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
    }
}

/// Who has sent how much.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TalkersAnswer {
    /// The peers, most messages first.
    pub talkers: Vec<Talker>,
    /// The entries above this id were looked at: the newest 10,000 at most, so it may be above the one asked for.
    pub after: u64,
    /// The entries up to this id were looked at: the next `after`.
    pub next: u64,
    /// How many received messages there are among them, those of peers that are not listed included.
    pub messages: u64,
}

/// A peer, and how much it has sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Talker {
    /// Its name in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address; that of a configured peer is the one of the configuration, which may have no port.
    pub address: String,
    /// How many messages.
    pub messages: u64,
    /// How many bytes of payload they have.
    pub bytes: u64,
}

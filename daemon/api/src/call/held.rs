//! The methods `held` and `cancel`: messages that wait until their peers send one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::method::{Empty, Role, is_false};

call! {
    /// Lists held messages by number. Without the role `read`, only those that the client's user has given.
    HeldParams, "held" for None => HeldAnswer, {
        /// Only messages above this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// Only messages for this destination, as it is listed in `to`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub to: Option<String>,
    }
}

/// A page of held messages, 200 at most.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct HeldAnswer {
    /// The messages.
    pub held: Vec<HeldMessage>,
    /// Whether there are more above the last one.
    pub more: bool,
}

/// A message that is held until its peer sends one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct HeldMessage {
    /// Its number, which is never used again.
    pub held: u64,
    /// The name of its peer in the configuration, or an address with or without a port.
    pub to: String,
    /// The time when it was given.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
    /// The time until which it is held.
    #[serde(with = "crate::time")]
    pub until: Timestamp,
    /// The first 100 characters of its text, as decoded for its peer; absent in the result of `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The encoding of its text; absent if it was given as bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// In the result of `send`, whether `encoding` is `text.encoding` of the configuration, since no other is configured or known.
    #[serde(default, skip_serializing_if = "is_false")]
    pub encoding_is_default: bool,
    /// The length of the payload, in bytes.
    pub bytes: usize,
    /// The name of the user who gave it, or the uid if there is no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

call! {
    /// Removes a held message, so that it is not sent. The error is `no_such_held` if none has this number (it may have been sent).
    CancelParams, "cancel" for Some(Role::Send) => Empty, {
        /// Its number.
        pub held: u64,
    }
}

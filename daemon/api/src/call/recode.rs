//! The method `recode`.

use serde::{Deserialize, Serialize};

use super::filter::DirectionFilter;
use super::method::{Role, is_false};
use super::senders;
use crate::entry::{EncodingBy, Raw};

call! {
    /// Changes the encoding in which stored messages are decoded, for a limited number of messages a call. Their bytes
    /// never change.
    RecodeParams, "recode" for Some(Role::Admin) => RecodeAnswer, {
        /// The encoding; `auto` removes an encoding that an earlier `recode` has set.
        #[serde(rename = "as")]
        pub encoding: String,
        /// Only messages above this id; the default is 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// Only messages below this id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub from: Vec<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub not_from: Vec<String>,
        /// As in `inbox`, but the default is `in`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<String>,
        /// As in `inbox`; matches the text as decoded before this call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub contains: Option<Raw>,
        /// Whether the encoding is remembered for the senders of these messages; with `auto`, it is forgotten.
        #[serde(default, skip_serializing_if = "is_false")]
        pub remember: bool,
        /// Whether nothing is changed: the answer shows the first messages as they would be decoded.
        #[serde(default, skip_serializing_if = "is_false")]
        pub dry_run: bool,
    }
}

/// The result of one call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RecodeAnswer {
    /// The number of messages that changed, or with `dry_run` would change.
    pub recoded: u64,
    /// The number of messages that matched, including those that had this encoding already.
    pub matched: u64,
    /// The number of peers whose remembered encoding changed, or with `dry_run` would change.
    pub remembered: u64,
    /// With `remember`: the names of the senders whose encoding is configured. That decides, so none is remembered of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configured: Vec<String>,
    /// The cursor of the next call: its `after`.
    pub next: u64,
    /// Whether there may be more messages.
    pub more: bool,
    /// With `dry_run`: the first messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Recoded>,
}

/// A message as it is decoded now, and as it would be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Recoded {
    /// The entry's id.
    pub id: u64,
    /// As it is decoded now.
    pub before: Reading,
    /// As it would be decoded.
    pub after: Reading,
}

/// The beginning of a decoded message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reading {
    /// The text, 200 characters at most.
    pub text: String,
    /// The encoding.
    pub encoding: String,
    /// Why this encoding was chosen.
    pub encoding_by: EncodingBy,
}

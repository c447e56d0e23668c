//! The method `inbox`: pages of the log.

use serde::{Deserialize, Serialize};

use super::filter::{DeliveryFilter, DirectionFilter, Kind};
use super::method::{Role, is_false};
use super::senders;
use crate::entry::{Entry, Raw};

call! {
    /// Reads a page of the inbox.
    InboxParams, "inbox" for Some(Role::Read) => InboxAnswer, {
        /// Only entries above this id; the default is the read mark of `consumer`, without `consumer` all entries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// Only entries below this id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub before: Option<u64>,
        /// The maximum number of entries, 1 to 1,000; the default is 200. A page also ends when its line is full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub limit: Option<u32>,
        /// The consumer whose read mark is used; the default is `default`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
        /// Only entries of these peers: a name, `address` (any port), `address:port` or a network.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub from: Vec<String>,
        /// No entries of these peers, which are named as in `from`.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub not_from: Vec<String>,
        /// Only entries of this direction; the default is `both`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// Only entries of this time and later, in any notation of `--since`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<String>,
        /// Only entries before this time, likewise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<String>,
        /// Only messages whose text matches this regular expression.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// Only messages whose payload contains these bytes, 1 to 1,024.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub contains: Option<Raw>,
        /// The order of the entries; the default is `asc`, oldest first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub order: Option<Order>,
        /// Whether gaps are included although `from`, `grep` or `contains` is given.
        #[serde(default, skip_serializing_if = "is_false")]
        pub gaps: bool,
        /// Whether notices are included, unless `grep` or `contains` is given. Without `from` and with `direction` `both` all
        /// of them; `out` selects `bounced` and `expired`, `in` all others.
        #[serde(default, skip_serializing_if = "is_false")]
        pub notices: bool,
        /// Only entries of these kinds; without any, of every kind. Which gaps and notices are included, `gaps` and `notices`
        /// decide nevertheless.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub only: Vec<Kind>,
        /// Only sent messages of which this is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delivery: Option<DeliveryFilter>,
    }
}

/// The order of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Ascending ids.
    #[default]
    Asc,
    /// Descending ids.
    Desc,
}

/// A page of the inbox.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct InboxAnswer {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The cursor of the next page: its `after`, or with `order` `desc` its `before`.
    pub next: u64,
    /// Whether there may be more entries now: false once a page reached the end.
    pub more: bool,
    /// The number of received messages that the consumer has not read.
    pub unread: u64,
    /// The consumer whose read mark was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The read mark of the consumer; absent if it has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_a_text_or_a_list() {
        let read = |json: &str| serde_json::from_str::<InboxParams>(json).map(|params| params.from);
        assert_eq!(read(r#"{"from":"bob"}"#).unwrap(), ["bob"]);
        assert_eq!(read(r#"{"from":["bob","10.0.0.0/8"]}"#).unwrap(), ["bob", "10.0.0.0/8"]);
        for none in ["{}", r#"{"from":null}"#, r#"{"from":[]}"#] {
            assert!(read(none).unwrap().is_empty(), "{none}");
        }
        let error = read(r#"{"from":5}"#).unwrap_err().to_string();
        assert!(error.contains("a string or a list of strings"), "{error}");
        let written = |from: &[&str]| {
            let from = from.iter().map(|&sender| sender.to_owned()).collect();
            serde_json::to_string(&InboxParams { from, ..InboxParams::default() }).unwrap()
        };
        assert_eq!(written(&[]), "{}");
        assert_eq!(written(&["bob"]), r#"{"from":"bob"}"#);
        assert_eq!(written(&["a", "b"]), r#"{"from":["a","b"]}"#);
    }
}

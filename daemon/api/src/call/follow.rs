//! The methods `subscribe` and `unsubscribe`: entries as they are stored.

use serde::{Deserialize, Serialize};

use super::filter::{DeliveryFilter, DirectionFilter, Kind};
use super::method::{Empty, Role, is_false};
use super::senders;
use crate::entry::Raw;

call! {
    /// Requests a notification `entry` for each entry, until `unsubscribe` or the end of the connection.
    SubscribeParams, "subscribe" for Some(Role::Read) => SubscribeAnswer, {
        /// Only entries above this id; the default is the newest id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub after: Option<u64>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub from: Vec<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "senders")]
        pub not_from: Vec<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub direction: Option<DirectionFilter>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub since: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub until: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub grep: Option<String>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub contains: Option<Raw>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub gaps: bool,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "is_false")]
        pub notices: bool,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub only: Vec<Kind>,
        /// As in `inbox`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub delivery: Option<DeliveryFilter>,
    }
}

/// The method of a notification; its parameters are one entry of a subscription.
pub const ENTRY_NOTIFICATION: &str = "entry";

/// The start of a subscription.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SubscribeAnswer {
    /// The subscription delivers the entries above this id.
    pub after: u64,
}

call! {
    /// Ends the subscription of this connection.
    UnsubscribeParams, "unsubscribe" for Some(Role::Read) => Empty, {}
}

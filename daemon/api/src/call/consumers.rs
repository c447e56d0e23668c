//! The methods `ack`, `consumers`, `set_mark` and `remove_mark`: the positions up to which consumers have read.

use serde::{Deserialize, Serialize};

use super::method::{Role, is_false};

call! {
    /// Marks everything up to an id as read by a consumer.
    AckParams, "ack" for Some(Role::Read) => AckAnswer, {
        /// The consumer; the default is `default`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
        /// The id, at most the newest one. A read mark never decreases.
        pub id: u64,
    }
}

/// The read mark of a consumer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AckAnswer {
    /// Everything up to this id is read.
    pub read: u64,
    /// The number of received messages that are not read.
    pub unread: u64,
    /// Whether the consumer had no read mark before. A user's own mark is never new.
    #[serde(default, skip_serializing_if = "is_false")]
    pub new: bool,
}

call! {
    /// Lists the consumers that have a read mark.
    ConsumersParams, "consumers" for Some(Role::Read) => ConsumersAnswer, {}
}

/// The consumers that have a read mark.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConsumersAnswer {
    /// The consumers, by name.
    pub consumers: Vec<Consumer>,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Consumer {
    /// Its name.
    pub consumer: String,
    /// The uid of the user whose own read mark it is; absent if it belongs to no user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Everything up to this id is read.
    pub read: u64,
    /// The number of received messages that are not read.
    pub unread: u64,
}

call! {
    /// Sets the read mark of a consumer, in either direction.
    SetMarkParams, "set_mark" for Some(Role::Read) => AckAnswer, {
        /// The consumer; the default is `default`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
        /// The id, at most the newest one.
        pub id: u64,
    }
}

call! {
    /// Removes the read mark of a consumer, which is then new.
    RemoveMarkParams, "remove_mark" for Some(Role::Read) => RemoveMarkAnswer, {
        /// The consumer; the default is `default`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<String>,
    }
}

/// The result of removing a read mark.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct RemoveMarkAnswer {
    /// Whether the consumer had one.
    pub removed: bool,
}

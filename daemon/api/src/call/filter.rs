//! Filters that several methods share.

use serde::{Deserialize, Serialize};

/// Selects entries by their direction.
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

/// Selects entries by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Received messages.
    Received,
    /// Sent messages.
    Sent,
    /// Gaps.
    Gaps,
    /// Notices.
    Notices,
}

/// Selects sent messages by what is known of their delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryFilter {
    /// The kernel refused to send them.
    NotSent,
    /// The kernel took them. Nothing else is known.
    Sent,
    /// Their peer sent a message within 60 s.
    Answered,
    /// An ICMP error reported that they were not delivered.
    Bounced,
}

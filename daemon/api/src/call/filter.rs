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

//! What a recording consists of.

use udpchat_api::{Raw, Timestamp};

/// One entry of a recording.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    /// A message to send again.
    Message(Recorded),
    /// A gap.
    Gap,
    /// A notice, which is no message.
    Notice,
    /// A message that the kernel refused to send.
    NeverSent,
    /// A message of the other direction.
    OtherDirection,
    /// A packet of a capture that is no whole datagram.
    NoDatagram,
}

/// A recorded message.
#[derive(Debug, PartialEq)]
pub(super) struct Recorded {
    /// Its name in errors.
    pub(super) place: String,
    /// When it arrived or was sent.
    pub(super) at: Timestamp,
    /// Its bytes.
    pub(super) raw: Raw,
}

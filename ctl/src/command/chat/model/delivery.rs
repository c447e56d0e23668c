//! What is known of the delivery of sent messages: by their entries, by notices, and by what their peers send later.

use std::net::SocketAddr;

use udpchat_api::{Bounce, Delivery, Direction, Message, Timestamp};

use crate::output::reported;

/// How long after a message its peer's next word counts as an answer, in seconds, as in the daemon.
const ANSWER_SECONDS: i64 = 60;

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum Mark {
    /// It was sent; nothing else is known.
    Sent,
    /// Its peer has sent something within a minute.
    Answered,
    /// The network reported that it was not delivered.
    Bounced,
    /// It is held until its peer sends something.
    Held,
}

/// The state of a sent message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct SentState {
    pub(in crate::command::chat) mark: Mark,
    /// Why it bounced, and who says so.
    pub(in crate::command::chat) reason: Option<String>,
}

impl SentState {
    /// Returns the state in an entry; none of a received message, of one that the kernel refused, or from a daemon that does not
    /// tell.
    pub(super) fn of(message: &Message) -> Option<Self> {
        if message.direction == Direction::In {
            return None;
        }
        let mark = match message.delivery? {
            Delivery::Sent => Mark::Sent,
            Delivery::Answered => Mark::Answered,
            Delivery::Bounced => Mark::Bounced,
            Delivery::Other => return None,
        };
        let reason = message.bounce.as_ref().map(|Bounce { reason, from, .. }| reported(reason, *from));
        Some(Self { mark, reason })
    }

    /// Returns the state of a message that is held.
    pub(super) fn held() -> Self {
        Self { mark: Mark::Held, reason: None }
    }

    /// Returns the state of a message that has bounced.
    pub(super) fn bounced(reason: String) -> Self {
        Self { mark: Mark::Bounced, reason: Some(reason) }
    }
}

/// A message that may be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) id: u64,
    to: SocketAddr,
    at: Timestamp,
}

impl Awaited {
    /// Returns it if nothing is known of a message yet.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let is_awaited = message.delivery == Some(Delivery::Sent) && message.direction == Direction::Out;
        is_awaited.then_some(Self { id: message.id, to: message.peer, at: message.at })
    }

    /// Returns whether a received message may still be the answer, by its time.
    pub(super) fn is_open(&self, message: &Message) -> bool {
        message.at.duration_since(self.at).as_secs() <= ANSWER_SECONDS
    }

    /// Returns whether a received message is the answer, as long as that is open.
    pub(super) fn is_answer(&self, message: &Message) -> bool {
        message.peer == self.to
    }
}

//! What is waited for.

use std::time::Duration;

use udpchat_api::call::SubscribeParams;
use udpchat_api::{Entry, Message, Raw};

use crate::command::condition::WhereArgs;
use crate::command::filter::is_like_hex;
use crate::output::hex_pairs;

/// Which entries are waited for, and how long.
#[derive(Default)]
pub(in crate::command) struct Wanted {
    /// With `notices`, notices are waited for, and no messages.
    pub(in crate::command) subscription: SubscribeParams,
    /// What the numbers of a message must fulfil, besides.
    pub(in crate::command) conditions: WhereArgs,
    /// The sender, as errors name it.
    pub(in crate::command) from: Option<String>,
    /// The senders from whom messages count, as `from` of the protocol; those of the subscription may be more.
    pub(in crate::command) senders: Vec<String>,
    pub(in crate::command) count: u64,
    /// None waits for ever.
    pub(in crate::command) timeout: Option<Duration>,
    /// Payloads of sent messages that may return: broadcast and multicast also reach their sender.
    pub(in crate::command) own: Vec<Raw>,
    /// Whether messages are shown as bytes.
    pub(in crate::command) hex: bool,
}

impl Wanted {
    /// Returns whether an entry is of the kind that is waited for.
    pub(super) fn is_waited_for(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Message(message) => !self.subscription.notices && !self.is_own(message),
            Entry::Notice(_) => self.subscription.notices,
            Entry::Gap(_) => false,
        }
    }

    /// Returns whether a message is one of our own that returned: the same bytes, from our own port.
    fn is_own(&self, message: &Message) -> bool {
        let from_our_port = message.local.is_some_and(|local| local.port() == message.peer.port());
        from_our_port && self.own.contains(&message.raw)
    }

    /// Returns what a message must match, as errors show it.
    pub(super) fn pattern(&self) -> Option<String> {
        let bytes = || self.subscription.contains.as_ref().map(|Raw(bytes)| hex_pairs(bytes));
        let pattern = self.subscription.grep.clone().or_else(bytes);
        let conditions = self.conditions.are_given().then(|| self.conditions.to_string());
        pattern.into_iter().chain(conditions).reduce(|pattern, conditions| format!("{pattern}, {conditions}"))
    }

    /// Returns whether the pattern for the text was probably meant for the bytes.
    pub(super) fn is_meant_for_bytes(&self) -> bool {
        self.hex && self.subscription.grep.as_deref().is_some_and(is_like_hex)
    }
}

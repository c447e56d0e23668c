//! Whom a conversation is with.

use std::fmt;
use std::net::SocketAddr;

use udpchat_api::Message;
use udpchat_config::PeerAddress;

/// The other side of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::command::chat) enum Key {
    /// A peer of the configuration, by its name.
    Named(String),
    /// An address without a name.
    Address(SocketAddr),
    /// A host that was typed: the daemon finds its address when the first message goes out.
    Host(String),
}

impl Key {
    /// Returns whom a message came from or went to.
    pub(in crate::command::chat) fn of(message: &Message) -> Self {
        match &message.name {
            Some(name) => Self::Named(name.clone()),
            None => Self::Address(message.peer),
        }
    }

    /// Reads what a user typed, when no known peer has that name.
    pub(in crate::command::chat) fn typed(text: &str) -> Self {
        match text.parse::<PeerAddress>() {
            Ok(address) => Self::Address(address.destination()),
            Err(_) => Self::Host(text.to_owned()),
        }
    }

    /// Tells whether the log can have anything of this peer.
    pub(in crate::command::chat) fn has_history(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

impl fmt::Display for Key {
    /// Writes the peer as the methods of the protocol take it. Not safe to show.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(text) | Self::Host(text) => formatter.write_str(text),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

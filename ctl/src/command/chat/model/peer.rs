//! The peer of a conversation.

use std::fmt;
use std::net::SocketAddr;

use udpchat_api::{Message, Notice};
use udpchat_config::PeerAddress;

/// Identifies the peer of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::command::chat) enum PeerKey {
    /// A peer with a name in the configuration.
    Named(String),
    /// An address without a name.
    Address(SocketAddr),
    /// A typed host, whose address the daemon looks up when the first message is sent.
    Host(String),
}

impl PeerKey {
    /// Returns the peer that sent or received a message.
    pub(in crate::command::chat) fn of(message: &Message) -> Self {
        match &message.name {
            Some(name) => Self::Named(name.clone()),
            None => Self::Address(message.peer),
        }
    }

    /// Parses an address of the daemon's list.
    pub(in crate::command::chat) fn parse(text: &str) -> Self {
        let address = text.parse::<PeerAddress>().ok().and_then(|address| address.destination());
        address.map_or_else(|| Self::Host(text.to_owned()), Self::Address)
    }

    /// Returns whether a message is of this peer. An address is one port, also of a host that has a name.
    pub(in crate::command::chat) fn covers(&self, message: &Message) -> bool {
        match self {
            Self::Named(name) => message.name.as_ref() == Some(name),
            Self::Address(address) => message.peer == *address,
            Self::Host(_) => false,
        }
    }

    /// Returns whether a notice is about this peer.
    pub(in crate::command::chat) fn covers_notice(&self, notice: &Notice) -> bool {
        match self {
            Self::Named(name) => notice.name.as_ref() == Some(name),
            Self::Address(address) => {
                let peer = notice.peer.as_ref().and_then(|peer| peer.parse::<PeerAddress>().ok());
                peer.is_some_and(|peer| peer.matches(*address))
            }
            Self::Host(_) => false,
        }
    }

    /// Returns whether the log can contain entries of this peer.
    pub(in crate::command::chat) fn has_history(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

impl fmt::Display for PeerKey {
    /// Writes the peer as the methods of the protocol expect it. Not safe to show.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(text) | Self::Host(text) => formatter.write_str(text),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

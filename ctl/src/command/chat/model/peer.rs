//! The peer of a conversation.

use std::fmt;
use std::net::SocketAddr;

use udpchat_api::{Gap, Message, Notice};
use udpchat_config::{Network, PeerAddress};

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

    /// Returns whether datagrams of this peer may be missing in a gap.
    pub(in crate::command::chat) fn covers_gap(&self, gap: &Gap) -> bool {
        let Some(source) = &gap.peer else { return self.has_history() };
        match self {
            Self::Named(name) => gap.name.as_ref() == Some(name),
            Self::Address(address) => {
                let is_of_host = source.parse::<PeerAddress>().is_ok_and(|peer| peer.matches(*address));
                is_of_host || source.parse::<Network>().is_ok_and(|network| network.contains(address.ip()))
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

#[cfg(test)]
mod tests {
    use udpchat_api::Timestamp;

    use super::*;

    #[test]
    fn a_gap_of_a_source_belongs_to_its_peer() {
        let gap = |peer: Option<&str>, name: Option<&str>| {
            let (at, reason) = (Timestamp::UNIX_EPOCH, "limited".to_owned());
            let (peer, name) = (peer.map(str::to_owned), name.map(str::to_owned));
            Gap { id: 1, at, lost: 1, reason, first_id: None, peer, name }
        };
        let (bob, address) = (PeerKey::Named("bob".to_owned()), PeerKey::parse("10.0.0.5:9"));
        for (gap, is_of_bob, is_of_address) in [
            (gap(None, None), true, true),
            (gap(Some("10.0.0.4"), Some("bob")), true, false),
            (gap(Some("10.0.0.5"), None), false, true),
            (gap(Some("10.0.0.5:8"), Some("eve")), false, false),
            (gap(Some("10.0.0.0/24"), None), false, true),
        ] {
            assert_eq!(
                (bob.covers_gap(&gap), address.covers_gap(&gap)),
                (is_of_bob, is_of_address),
                "{gap:?}"
            );
            assert!(!PeerKey::Host("host".to_owned()).covers_gap(&gap));
        }
    }
}

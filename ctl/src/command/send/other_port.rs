//! A message to a destination without a port, whose host talks from another port than the default.

use std::net::SocketAddr;
use std::path::Path;

use udpchat_api::call::Peer;
use udpchat_api::{Client, Message};
use udpchat_config::{DEFAULT_PORT, PeerAddress};
use udpchat_locale::tr;

use super::known_peers::KnownPeers;
use super::last_port::{has_port, last_heard};
use crate::output::host;

/// Where the last message of a host came from: not the port that a message to it went to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::command) enum OtherPort {
    /// A peer without a port in the configuration.
    OfPeer { name: String, heard: String },
    /// A host whose address was written without a port, and which was heard from other ports only.
    OfHost { to: String, heard: SocketAddr },
    /// A destination with a port, whose host has sent its last message from another port.
    Since { to: String, heard: SocketAddr, id: u64 },
    /// A destination to whose last port a message was sent, and whose host has sent something from another port since.
    Moved { heard: SocketAddr, id: u64 },
}

impl OtherPort {
    /// Returns it if a message to `to` went to the default port of such a destination.
    pub(in crate::command) async fn of(
        client: &mut Client,
        known: &mut KnownPeers,
        to: &str,
        sent: &Message,
    ) -> Option<Self> {
        let (name, sent_to) = (sent.name.as_deref(), sent.peer);
        let is_possible = match name {
            Some(name) => !has_port(to, name),
            None => to.parse::<PeerAddress>().is_ok_and(|address| address.port().is_none()),
        };
        if sent_to.port() != DEFAULT_PORT || !is_possible {
            return None;
        }
        let peers = &known.get(client).await?.peers;
        match name {
            Some(name) => Self::of_peer(peers, name, sent_to),
            None => Self::of_host(peers, to, sent_to),
        }
    }

    /// Returns it if a message that was not delivered went to a port from which its host does not talk any more: that of a
    /// configured peer, or one that was heard.
    pub(in crate::command) async fn since(socket: &Path, to: &str, sent: &Message) -> Option<Self> {
        let mut client = Client::connect(socket).await.ok()?;
        let mut known = KnownPeers::default();
        let peers = &known.get(&mut client).await?.peers;
        // Of another host, another program may have sent the last message.
        let is_known = sent.name.is_some() || peers.iter().any(|peer| peer.address == sent.peer.to_string());
        let last = last_heard(peers, sent.name.as_deref().unwrap_or(to), sent.peer)?;
        let heard: SocketAddr = last.last_from.as_ref()?.parse().ok()?;
        (is_known && heard.port() != sent.peer.port()).then_some(Self::Since {
            to: sent.name.clone().unwrap_or_else(|| host(sent.peer)),
            heard,
            id: last.last_id?,
        })
    }

    fn of_peer(peers: &[Peer], name: &str, sent_to: SocketAddr) -> Option<Self> {
        let peer = peers.iter().find(|peer| peer.name.as_deref() == Some(name))?;
        let is_host = peer.address.parse::<PeerAddress>().is_ok_and(|address| address.port().is_none());
        let port = |address: &str| address.parse::<SocketAddr>().map(|address| address.port());
        let is_other = |heard: &String| port(heard).is_ok_and(|port| port != sent_to.port());
        let heard = peer.last_from.clone().filter(|heard| is_host && is_other(heard))?;
        Some(Self::OfPeer { name: name.to_owned(), heard })
    }

    fn of_host(peers: &[Peer], to: &str, sent_to: SocketAddr) -> Option<Self> {
        // The address of a configured peer says nothing about what was heard.
        let own = |peer: &Peer| peer.name.is_none().then(|| peer.address.clone());
        let addresses = peers.iter().filter_map(|peer| peer.last_from.clone().or_else(|| own(peer)));
        let mut heard = addresses
            .filter_map(|address| address.parse().ok())
            .filter(|address: &SocketAddr| address.ip() == sent_to.ip());
        // The most recent sender comes first.
        let last = heard.next()?;
        let is_elsewhere = |address: &SocketAddr| address.port() != DEFAULT_PORT;
        (is_elsewhere(&last) && heard.all(|address| is_elsewhere(&address)))
            .then(|| Self::OfHost { to: to.to_owned(), heard: last })
    }

    /// Returns it for a message that went to the last port at its time; none if nothing came from another port since.
    pub(in crate::command) fn of_last_port(self, sent: u64) -> Option<Self> {
        match self {
            Self::Since { heard, id, .. } => (id > sent).then_some(Self::Moved { heard, id }),
            other => Some(other),
        }
    }

    /// Returns whether the destination is no peer of the configuration.
    pub(in crate::command) fn is_of_host(&self) -> bool {
        matches!(self, Self::OfHost { .. })
    }

    /// Describes it, with the command that sends to the other port: `send` or `ask`.
    pub(in crate::command) fn describe(&self, command: &str) -> String {
        match self {
            Self::OfPeer { name, heard } => tr!(
                "`{name}` has no port in the configuration, so the message went to port {port}; the last message of `{name}` came \
                 from {heard}: `udpchatctl {command} {name} TEXT --last-port` sends there",
                name,
                port = DEFAULT_PORT,
                heard,
                command
            ),
            Self::OfHost { to, heard } => tr!(
                "{to} has no port, so the message went to port {port}; that host was last heard from {heard}: \
                 `udpchatctl {command} {to} TEXT --last-port` sends there",
                to,
                port = DEFAULT_PORT,
                heard,
                command
            ),
            Self::Since { to, heard, id } => tr!(
                "the last message from that host, #{id}, came from port {port}: `udpchatctl {command} {to} TEXT --last-port` sends \
                 there; in the configuration, an address without a port is every port of a host",
                id,
                port = heard.port(),
                command,
                to
            ),
            Self::Moved { heard, id } => tr!(
                "its port has changed since: #{id}, the last message from that host, came from port {port}; the same command again \
                 sends there",
                id,
                port = heard.port()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_changed_after_last_port_was_looked_up_is_not_proposed_as_last_port() {
        let since =
            || OtherPort::Since { to: "board".to_owned(), heard: "127.0.0.1:9".parse().unwrap(), id: 7 };
        assert!(since().describe("ask").contains("TEXT --last-port"));
        let moved = since().of_last_port(6).unwrap().describe("ask");
        assert!(
            moved.contains("#7") && moved.contains("port 9") && !moved.contains("--last-port"),
            "{moved}"
        );
        // What came before the message was no reason to send it elsewhere.
        assert_eq!(since().of_last_port(8), None);
    }
}

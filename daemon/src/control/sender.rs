//! The senders by which a filter selects: peers, addresses, networks, and the members of lists.

use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::{Member, Network, PeerAddress, did_you_mean};

use crate::index::predicate::Predicate;
use crate::peers::Configured;
use crate::send::no_interface;

/// How many senders a filter may name.
const MAX_SENDERS: usize = 64;

/// How many senders a filter may have, with the members of the lists that it names.
const MAX_SENDERS_OF_LISTS: usize = 1_024;

/// Whose messages are selected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sender {
    /// A configured peer.
    Peer(PeerAddress),
    /// An address as the client has written it.
    Address(PeerAddress),
    Network(Network),
}

impl Sender {
    /// Returns whether a message of this address and port is one of its own.
    pub(super) fn matches(&self, peer: SocketAddr, configured: &Configured) -> bool {
        match self {
            Self::Peer(address) => configured.is_of_peer(address, peer),
            Self::Address(address) => configured.is_exactly(address, peer),
            Self::Network(network) => network.contains(peer.ip()),
        }
    }

    /// Returns whether messages of its may be among those that a gap names as from `source`, an address or a network.
    pub(super) fn concerns(&self, source: &str) -> bool {
        let (address, network) = (source.parse::<PeerAddress>(), source.parse::<Network>());
        match (self, address, network) {
            (Self::Peer(own) | Self::Address(own), Ok(address), _) => {
                let is_same_port =
                    own.port().is_none() || address.port().is_none_or(|port| own.port() == Some(port));
                own.ip() == address.ip() && is_same_port
            }
            (Self::Peer(own) | Self::Address(own), _, Ok(network)) => network.contains(own.ip()),
            (Self::Network(own), Ok(address), _) => own.contains(address.ip()),
            (Self::Network(own), _, Ok(network)) => {
                own.contains(network.range().addr()) || network.contains(own.range().addr())
            }
            // A later version may name sources in another way.
            _ => true,
        }
    }

    /// Returns whether all that a gap or a notice names as from `source` is its own.
    pub(super) fn covers(&self, source: &str) -> bool {
        match (self, source.parse::<PeerAddress>(), source.parse::<Network>()) {
            (Self::Peer(own) | Self::Address(own), Ok(address), _) => {
                own.ip() == address.ip() && (own.port().is_none() || own.port() == address.port())
            }
            (Self::Network(own), Ok(address), _) => own.contains(address.ip()),
            (Self::Network(own), _, Ok(network)) => own.range().contains(&network.range()),
            _ => false,
        }
    }

    /// Returns what the index knows of its messages: nothing of those of a network.
    pub(super) fn predicate(&self) -> Predicate {
        match self {
            Self::Peer(address) | Self::Address(address) => Predicate::of_peer(address),
            Self::Network(_) => Predicate::Anything,
        }
    }
}

/// Reads the senders of the parameter `name`.
pub(super) fn senders(
    name: &str,
    from: &[String],
    configured: &Configured,
) -> Result<Arc<[Sender]>, ErrorObject> {
    if from.len() > MAX_SENDERS {
        let text = format!("`{name}` names {} senders; at most {MAX_SENDERS} are allowed", from.len());
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    let mut senders = Vec::with_capacity(from.len());
    for from in from {
        match configured.list(from) {
            Some(members) => {
                senders.extend(members.iter().filter_map(|member| of_member(member, configured)));
            }
            None => senders.push(sender(name, from, configured)?),
        }
    }
    senders.sort_unstable();
    senders.dedup();
    if senders.len() > MAX_SENDERS_OF_LISTS {
        let most = MAX_SENDERS_OF_LISTS;
        let text = format!("`{name}` names lists of {} peers; at most {most} are allowed", senders.len());
        return Err(ErrorObject::new(ErrorKind::InvalidParams, text));
    }
    Ok(senders.into())
}

/// Returns the sender that a member of a list is; the configuration has every peer that a list names.
fn of_member(member: &Member, configured: &Configured) -> Option<Sender> {
    match member {
        Member::Peer(name) => Some(Sender::Peer(configured.by_name(name.as_str())?.address.clone())),
        Member::Address(address) => Some(Sender::Address(address.clone())),
    }
}

fn sender(name: &str, from: &str, configured: &Configured) -> Result<Sender, ErrorObject> {
    if let Some(named) = configured.by_name(from) {
        return Ok(Sender::Peer(named.address.clone()));
    }
    if let Ok(address) = from.parse::<PeerAddress>() {
        // A configured peer is waited for. What is typed may be a mistake, which would find nothing.
        if let Some(missing) = address.interface().filter(|interface| !configured.look_up(interface)) {
            return Err(no_interface(missing));
        }
        return Ok(Sender::Address(address));
    }
    let network = || from.contains('/').then(|| from.parse().ok()).flatten();
    network().map(Sender::Network).ok_or_else(|| {
        let text = format!("`{name}`: `{from}` is not a configured peer, an address or a network");
        let hint = did_you_mean(from, configured.names());
        let hint = hint.unwrap_or_else(|| "`udpchatctl peers` lists names and addresses".to_owned());
        ErrorObject::new(ErrorKind::InvalidParams, text).hint(hint)
    })
}

//! The IP addresses whose next message somebody waits for, and the configured peers that they belong to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use udpchat_config::{PeerAddress, Settings, owner};

use super::row::{HeldRow, To};
use crate::net::interface_names::InterfaceNames;

/// A configured peer.
type Named = (Arc<str>, PeerAddress);

/// The addresses.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Why somebody waits. An address for which nobody waits is not here.
    awaited: HashMap<IpAddr, Awaited>,
    /// The configured peers of each address and port, or any port: only these can own it.
    peers: HashMap<(IpAddr, Option<u16>), Vec<Named>>,
    /// The address of each configured peer.
    named: HashMap<Arc<str>, IpAddr>,
}

#[derive(Debug, Default)]
struct Awaited {
    is_watched: bool,
    held: usize,
}

impl Hosts {
    /// Takes the configured peers; the held messages are to be added again.
    pub(super) fn configure(&mut self, settings: &Settings) {
        *self = Self::default();
        for (name, peer) in &settings.peers {
            let (name, ip): (Arc<str>, _) = (name.as_str().into(), peer.address.ip());
            let address = peer.address.value.clone();
            self.peers.entry((ip, address.port())).or_default().push((Arc::clone(&name), address));
            self.named.insert(name, ip);
        }
        for (_, peer, _) in settings.watched_peers() {
            self.awaited.entry(peer.address.ip()).or_default().is_watched = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty()
    }

    pub(super) fn has(&self, ip: IpAddr) -> bool {
        self.awaited.contains_key(&ip)
    }

    /// Returns the configured peer that a source belongs to, by the numbers of interfaces that are known. No system call.
    pub(super) fn owner(&self, source: SocketAddr, interfaces: &InterfaceNames) -> Option<Arc<str>> {
        let ports = [Some(source.port()), None];
        let peers = ports.iter().filter_map(|port| self.peers.get(&(source.ip(), *port))).flatten();
        let peers = peers.map(|(name, address)| (name, address));
        owner(peers, source, |interface, number| interfaces.is_number_of(interface, number)).cloned()
    }

    /// Waits for the peer of a held message, unless its name is no longer configured.
    pub(super) fn add(&mut self, row: &HeldRow) {
        if let Some(ip) = self.ip_of(row) {
            self.awaited.entry(ip).or_default().held += 1;
        }
    }

    pub(super) fn remove(&mut self, row: &HeldRow) {
        if let Some(ip) = self.ip_of(row)
            && let Some(awaited) = self.awaited.get_mut(&ip)
        {
            awaited.held -= 1;
            if awaited.held == 0 && !awaited.is_watched {
                self.awaited.remove(&ip);
            }
        }
    }

    fn ip_of(&self, row: &HeldRow) -> Option<IpAddr> {
        match &row.to {
            To::Name(name) => self.named.get(name.as_str()).copied(),
            address => address.ip(),
        }
    }
}

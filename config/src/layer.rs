//! One layer of settings, whatever it came from: some keys set, each with its origin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{
    Encoding, Group, ListenAddress, LogFormat, LogLevel, MaxAge, MetricsAddress, Network, Origin,
    PeerAddress, PeerName, Setting, Size, UserGroup,
};

/// The keys that a layer sets.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) listen: Option<Setting<Vec<ListenAddress>>>,
    pub(crate) groups: Option<Setting<Vec<Group>>>,
    pub(crate) data_dir: Option<Setting<PathBuf>>,
    pub(crate) receive_buffer: Option<Setting<Size>>,
    pub(crate) socket: Option<Setting<PathBuf>>,
    pub(crate) max_size: Option<Setting<Size>>,
    pub(crate) max_age: Option<Setting<MaxAge>>,
    pub(crate) encoding: Option<Setting<Encoding>>,
    pub(crate) fallback: Option<Setting<Encoding>>,
    pub(crate) level: Option<Setting<LogLevel>>,
    pub(crate) format: Option<Setting<LogFormat>>,
    pub(crate) messages_per_second: Option<Setting<u32>>,
    pub(crate) allow: Option<Setting<Vec<Network>>>,
    pub(crate) deny: Option<Setting<Vec<Network>>>,
    pub(crate) read: Option<Setting<Vec<UserGroup>>>,
    pub(crate) send: Option<Setting<Vec<UserGroup>>>,
    pub(crate) admin: Option<Setting<Vec<UserGroup>>>,
    pub(crate) metrics_listen: Option<Setting<MetricsAddress>>,
    pub(crate) peers: BTreeMap<PeerName, PeerLayer>,
}

/// What a layer says about a peer.
#[derive(Debug)]
pub(crate) struct PeerLayer {
    /// Where the peer is mentioned.
    pub(crate) origin: Origin,
    pub(crate) address: Option<Setting<PeerAddress>>,
    pub(crate) encoding: Option<Setting<Encoding>>,
}

impl Layer {
    /// Lays this layer over a weaker one, key by key.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            listen: self.listen.or(weaker.listen),
            groups: self.groups.or(weaker.groups),
            data_dir: self.data_dir.or(weaker.data_dir),
            receive_buffer: self.receive_buffer.or(weaker.receive_buffer),
            socket: self.socket.or(weaker.socket),
            max_size: self.max_size.or(weaker.max_size),
            max_age: self.max_age.or(weaker.max_age),
            encoding: self.encoding.or(weaker.encoding),
            fallback: self.fallback.or(weaker.fallback),
            level: self.level.or(weaker.level),
            format: self.format.or(weaker.format),
            messages_per_second: self.messages_per_second.or(weaker.messages_per_second),
            allow: self.allow.or(weaker.allow),
            deny: self.deny.or(weaker.deny),
            read: self.read.or(weaker.read),
            send: self.send.or(weaker.send),
            admin: self.admin.or(weaker.admin),
            metrics_listen: self.metrics_listen.or(weaker.metrics_listen),
            peers: peers_over(self.peers, weaker.peers),
        }
    }
}

fn peers_over(
    stronger: BTreeMap<PeerName, PeerLayer>,
    mut weaker: BTreeMap<PeerName, PeerLayer>,
) -> BTreeMap<PeerName, PeerLayer> {
    for (name, peer) in stronger {
        let merged = match weaker.remove(&name) {
            None => peer,
            Some(below) => PeerLayer {
                origin: peer.origin,
                address: peer.address.or(below.address),
                encoding: peer.encoding.or(below.encoding),
            },
        };
        weaker.insert(name, merged);
    }
    weaker
}

//! The peers: their names and encodings from the configuration, and the encodings that are known of them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use udpchat_config::{Encoding, Peer, PeerAddress, PeerName, Settings};
use udpchat_text::{Basis, Decoded, Knowledge};

use crate::inbox::learned_encodings::LearnedEncodings;

/// The peers. A reload changes the configured part.
#[derive(Debug)]
pub(crate) struct Peers {
    settings: watch::Receiver<Arc<Settings>>,
    learned: Arc<LearnedEncodings>,
}

/// The configured peers and encodings of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Configured(Arc<Settings>);

/// A configured peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a PeerAddress,
    pub(crate) encoding: Option<Encoding>,
}

impl Peers {
    pub(crate) fn new(settings: watch::Receiver<Arc<Settings>>, learned: Arc<LearnedEncodings>) -> Self {
        Self { settings, learned }
    }

    /// Returns the current configuration.
    pub(crate) fn configured(&self) -> Configured {
        Configured(Arc::clone(&self.settings.borrow()))
    }

    /// Returns the peers with a learned encoding.
    pub(crate) fn remembered(&self) -> Vec<SocketAddr> {
        self.learned.peers()
    }

    /// Tells whether a person has given this encoding for a peer; without one, whether none is known.
    pub(crate) fn is_given(&self, peer: SocketAddr, encoding: Option<Encoding>) -> bool {
        match (self.learned.of(peer), encoding) {
            (Some(known), Some(encoding)) => known.is_given() && known.encoding == encoding,
            (known, encoding) => known.is_none() && encoding.is_none(),
        }
    }

    /// Decodes the message of entry `id` from a peer: in the encoding that `recode` has set for it, or else as [`Self::decode`]
    /// does.
    pub(crate) fn decode_stored(
        &self,
        configured: &Configured,
        id: u64,
        peer: SocketAddr,
        payload: &[u8],
        recoded: Option<Encoding>,
    ) -> Decoded {
        match recoded {
            Some(encoding) => {
                Decoded { text: udpchat_text::read(payload, encoding), encoding, by: Basis::Given }
            }
            None => self.decode(configured, id, peer, payload),
        }
    }

    /// Decodes the message of entry `id` from a peer in the configured, learned or guessed encoding.
    pub(crate) fn decode(
        &self,
        configured: &Configured,
        id: u64,
        peer: SocketAddr,
        payload: &[u8],
    ) -> Decoded {
        udpchat_text::decode(payload, &self.knowledge(configured, id, peer))
    }

    fn knowledge(&self, configured: &Configured, id: u64, peer: SocketAddr) -> Knowledge {
        let named = configured.of(peer);
        // A peer that is configured with a port is a program of its own, whatever else its host uses.
        let has_port = named.map(|named| named.address.port().is_some());
        let recall = self.learned.recall(peer, has_port == Some(false));
        Knowledge {
            configured: named.and_then(|named| named.encoding).map(Encoding::for_reading),
            given: recall.given,
            remembered: recall
                .own
                .map(|own| own.encoding)
                .or(recall.of_host.filter(|_| has_port != Some(true))),
            known_before: recall.own.is_none_or(|own| own.learned_id != id),
            fallback: configured.0.text.fallback.for_reading(),
        }
    }

    /// Chooses the encoding of a message to a peer.
    pub(crate) fn encoding_towards(&self, configured: &Configured, peer: SocketAddr) -> (Encoding, Basis) {
        let knowledge = self.knowledge(configured, u64::MAX, peer);
        let own = configured.of(peer).and_then(|named| named.encoding);
        match (own, knowledge.given.or(knowledge.remembered)) {
            (Some(own), _) => (own, Basis::Configured),
            (None, Some(known)) => {
                let fallback = *configured.0.text.fallback;
                (udpchat_text::for_answering(known, fallback), Basis::Remembered)
            }
            (None, None) => (*configured.0.text.encoding, Basis::Configured),
        }
    }

    /// Chooses the encoding of a message to `all`, a group or a broadcast address: its own, otherwise the one that all known
    /// peers use among those that it reaches.
    pub(crate) fn encoding_towards_all(
        &self,
        configured: &Configured,
        all: SocketAddr,
        is_reached: impl Fn(SocketAddr) -> bool,
    ) -> (Encoding, Basis) {
        if let Some(own) = configured.of(all).and_then(|named| named.encoding) {
            return (own, Basis::Configured);
        }
        let named = configured.named().filter(|named| named.encoding.is_some());
        let named = named.filter_map(|named| named.address.destination());
        let known = named.chain(self.remembered()).filter(|peer| is_reached(*peer));
        let mut encodings = known.map(|peer| self.encoding_towards(configured, peer).0);
        match encodings.next() {
            Some(first) if encodings.all(|other| other == first) => (first, Basis::Remembered),
            _ => (*configured.0.text.encoding, Basis::Configured),
        }
    }
}

impl Configured {
    /// Returns the configured peers, sorted by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.0.peers.iter().map(Named::new)
    }

    /// Returns the names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named().map(|peer| peer.name)
    }

    /// Finds a peer by its name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Named<'_>> {
        self.named().find(|peer| peer.name == name)
    }

    /// Finds the peer that an address belongs to. A peer with this port comes before one without a port.
    pub(crate) fn of(&self, address: SocketAddr) -> Option<Named<'_>> {
        let matching = || self.0.peers.iter().filter(|(_, peer)| peer.address.matches(address));
        let exact = matching().find(|(_, peer)| peer.address.port().is_some());
        exact.or_else(|| matching().next()).map(Named::new)
    }
}

impl<'a> Named<'a> {
    fn new((name, peer): (&'a PeerName, &'a Peer)) -> Self {
        let encoding = peer.encoding.as_ref().map(|encoding| **encoding);
        Self { name: name.as_str(), address: &peer.address, encoding }
    }
}

//! The peers: their names and encodings from the configuration, and the encodings that were learned from their messages.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use udpchat_api::EncodingBy;
use udpchat_config::{Encoding, PeerAddress, Settings};

use crate::encoding;
use crate::encoding::{Decoded, Knowledge};
use crate::inbox::learned_encodings::Speech;

/// The peers. A reload changes the configured part.
#[derive(Debug)]
pub(crate) struct Peers {
    configured: RwLock<Arc<Configured>>,
    speech: Arc<Speech>,
}

/// The configured peers and encodings.
#[derive(Debug)]
pub(crate) struct Configured {
    named: Vec<Named>,
    encoding: Encoding,
    fallback: Encoding,
}

/// A configured peer.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) address: PeerAddress,
    pub(crate) encoding: Option<Encoding>,
}

impl Peers {
    pub(crate) fn new(settings: &Settings, speech: Arc<Speech>) -> Self {
        Self { configured: RwLock::new(Arc::new(Configured::new(settings))), speech }
    }

    /// Applies a new configuration.
    pub(crate) fn configure(&self, settings: &Settings) {
        let configured = Arc::new(Configured::new(settings));
        *self.configured.write() = configured;
    }

    /// Returns the current configuration.
    pub(crate) fn configured(&self) -> Arc<Configured> {
        Arc::clone(&self.configured.read())
    }

    /// Returns the peers with a learned encoding.
    pub(crate) fn remembered(&self) -> Vec<SocketAddr> {
        self.speech.peers()
    }

    /// Returns the learned encoding of a peer.
    pub(crate) fn known(&self, peer: SocketAddr) -> Option<Encoding> {
        self.speech.of(peer).map(|known| known.encoding)
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
                Decoded { text: encoding::read(payload, encoding), encoding, by: EncodingBy::Given }
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
        let known = self.speech.of(peer);
        let knowledge = Knowledge {
            configured: configured.of(peer).and_then(|named| named.encoding),
            remembered: known.map(|known| known.encoding),
            known_before: known.is_some_and(|known| known.learned_id < id),
            fallback: configured.fallback,
        };
        encoding::decode(payload, &knowledge)
    }

    /// Chooses the encoding of a message to a peer.
    pub(crate) fn encoding_towards(
        &self,
        configured: &Configured,
        peer: SocketAddr,
    ) -> (Encoding, EncodingBy) {
        let own = configured.of(peer).and_then(|named| named.encoding);
        match (own, self.speech.of(peer)) {
            (Some(own), _) => (own, EncodingBy::Configured),
            (None, Some(known)) => (encoding::for_answering(known.encoding), EncodingBy::Remembered),
            (None, None) => (configured.encoding, EncodingBy::Configured),
        }
    }
}

impl Configured {
    fn new(settings: &Settings) -> Self {
        let named = settings
            .peers
            .iter()
            .map(|(name, peer)| Named {
                name: name.as_str().to_owned(),
                address: *peer.address,
                encoding: peer.encoding.as_ref().map(|encoding| **encoding),
            })
            .collect();
        Self { named, encoding: *settings.text.encoding, fallback: *settings.text.fallback }
    }

    /// Returns the configured peers, sorted by name.
    pub(crate) fn named(&self) -> &[Named] {
        &self.named
    }

    /// Finds a peer by its name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Named> {
        self.named.iter().find(|peer| peer.name == name)
    }

    /// Finds the peer that an address belongs to. A peer with this port comes before one without a port.
    pub(crate) fn of(&self, address: SocketAddr) -> Option<&Named> {
        let matching = || self.named.iter().filter(|peer| peer.address.matches(address));
        matching().find(|peer| peer.address.port().is_some()).or_else(|| matching().next())
    }
}

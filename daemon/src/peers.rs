//! The peers: their names and encodings from the configuration, and the encodings that are known of them.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use tokio::sync::watch;
use udpchat_config::{
    Encoding, Interface, Member, Peer, PeerAddress, PeerName, Settings, interface_decides, owner,
};
use udpchat_text::{Basis, Decoded, Knowledge};

use crate::inbox::InboxError;
use crate::inbox::entry::{Body, Stored};
use crate::inbox::learned_encodings::LearnedEncodings;
use crate::inbox::reader::Reader;
use crate::net::interface_names::InterfaceNames;

/// The peers. A reload changes the configured part.
#[derive(Debug)]
pub(crate) struct Peers {
    settings: watch::Receiver<Arc<Settings>>,
    interfaces: Arc<InterfaceNames>,
    learned: Arc<LearnedEncodings>,
}

/// The configured peers and encodings of one moment.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    settings: Arc<Settings>,
    interfaces: Arc<InterfaceNames>,
}

/// A configured peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a PeerAddress,
    pub(crate) encoding: Option<Encoding>,
}

impl Peers {
    pub(crate) fn new(
        settings: watch::Receiver<Arc<Settings>>,
        interfaces: Arc<InterfaceNames>,
        learned: Arc<LearnedEncodings>,
    ) -> Self {
        Self { settings, interfaces, learned }
    }

    /// Returns the current configuration.
    pub(crate) fn configured(&self) -> Configured {
        Configured { settings: Arc::clone(&self.settings.borrow()), interfaces: Arc::clone(&self.interfaces) }
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
            remembered: recall.own.map(|own| own.encoding),
            of_host: recall.of_host.filter(|_| has_port != Some(true)),
            known_before: recall.own.is_none_or(|own| own.learned_id != id),
            fallback: configured.settings.text.fallback.for_reading(),
        }
    }

    /// Returns whether an encoding, chosen for a peer by `by`, is `text.encoding` of the configuration.
    pub(crate) fn is_default(configured: &Configured, peer: SocketAddr, by: Basis) -> bool {
        by == Basis::Configured && configured.of(peer).is_none_or(|named| named.encoding.is_none())
    }

    /// Chooses the encoding of a message to a peer by what is configured for it or known of the peer itself; none if nothing is.
    pub(crate) fn known_towards(
        &self,
        configured: &Configured,
        peer: SocketAddr,
    ) -> Option<(Encoding, Basis)> {
        let knowledge = self.knowledge(configured, u64::MAX, peer);
        let own = configured.of(peer).and_then(|named| named.encoding);
        match (own, knowledge.given.or(knowledge.remembered)) {
            (Some(own), _) => Some((own, Basis::Configured)),
            (None, Some(known)) => Some(configured.answering(known, Basis::Remembered)),
            (None, None) => None,
        }
    }

    /// Chooses the encoding of a message to a peer without its messages: what its host is known to use counts where nothing is
    /// known of the peer.
    pub(crate) fn assumed_towards(&self, configured: &Configured, peer: SocketAddr) -> (Encoding, Basis) {
        let of_host = || self.knowledge(configured, u64::MAX, peer).of_host;
        let known = self.known_towards(configured, peer);
        known
            .or_else(|| Some(configured.answering(of_host()?, Basis::Remembered)))
            .unwrap_or_else(|| configured.default_encoding())
    }

    /// Chooses the encoding of a message to a peer. Where nothing is known of it, it is answered as its newest message was read,
    /// before what its host is known to use; if it has sent none, as the newest of its host. Reads the inbox, so it may block.
    pub(crate) fn encoding_towards(
        &self,
        configured: &Configured,
        peer: SocketAddr,
        reader: &Reader,
    ) -> Result<(Encoding, Basis), InboxError> {
        if let Some(known) = self.known_towards(configured, peer) {
            return Ok(known);
        }
        let has_port = configured.of(peer).is_some_and(|named| named.address.port().is_some());
        let host_is_known = self.knowledge(configured, u64::MAX, peer).of_host.is_some();
        let newest = reader.newest_text(peer, !has_port && !host_is_known)?;
        let shown = newest.and_then(|newest| self.shown_by(configured, &newest));
        Ok(shown.unwrap_or_else(|| self.assumed_towards(configured, peer)))
    }

    /// Returns the encoding of an answer to a peer whose newest message, or that of another port of its host, is the given one;
    /// none if it shows too little. What a person has chosen for another port is not for this one.
    fn shown_by(&self, configured: &Configured, message: &Stored) -> Option<(Encoding, Basis)> {
        let Body::Received { peer, payload, .. } = &message.body else { return None };
        if let Some(proven) = self.knowledge(configured, u64::MAX, *peer).remembered {
            return Some(configured.answering(proven, Basis::Remembered));
        }
        let read = self.decode_stored(configured, message.id, *peer, payload, message.recoded);
        let decides = match read.by {
            // Whole characters of three bytes are hardly anything but UTF-8.
            Basis::Detected if read.encoding == Encoding::UTF_8 => is_wide(&read.text),
            // What has bytes that are no character was read so for want of anything better. What reads far better in another
            // encoding than the fallback is a guess, but it is not UTF-8, which would be the answer's encoding otherwise.
            Basis::Detected | Basis::Fallback => !read.text.contains('\u{fffd}'),
            // Only `--remember` gives the peer the encoding of a recoded message.
            Basis::Given | Basis::Configured | Basis::Remembered => false,
        };
        decides.then(|| configured.answering(read.encoding, read.by))
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
        let encodings = known.filter_map(|peer| Some(self.known_towards(configured, peer)?.0));
        // A peer that sends bytes reads no text at all.
        let mut encodings = encodings.filter(|encoding| !encoding.is_hex());
        match encodings.next() {
            Some(first) if encodings.all(|other| other == first) => (first, Basis::Remembered),
            _ => configured.default_encoding(),
        }
    }
}

/// Returns whether a text has characters of three or more bytes in UTF-8, and none that is damaged.
fn is_wide(text: &str) -> bool {
    !text.contains('\u{fffd}') && text.chars().any(|character| character.len_utf8() >= 3)
}

impl Configured {
    /// Returns `text.encoding`, in which a message goes out where nothing else decides.
    pub(crate) fn default_encoding(&self) -> (Encoding, Basis) {
        (*self.settings.text.encoding, Basis::Configured)
    }

    /// Returns the encoding in which a peer is answered that uses an encoding, with what chose it.
    fn answering(&self, used: Encoding, by: Basis) -> (Encoding, Basis) {
        (udpchat_text::for_answering(used, *self.settings.text.fallback), by)
    }

    /// Returns the configured peers, sorted by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.settings.peers.iter().map(Named::new)
    }

    /// Returns the names of peers and lists.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named().map(|peer| peer.name).chain(self.lists().map(|(name, _)| name))
    }

    /// Returns the lists of peers with their members, sorted by name.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&str, &[Member])> {
        self.settings.lists.iter().map(|(name, members)| (name.as_str(), members.as_slice()))
    }

    /// Finds the members of a list by its name.
    pub(crate) fn list(&self, name: &str) -> Option<&[Member]> {
        self.settings.lists.get(name).map(|members| members.as_slice())
    }

    /// Returns whether the access list accepts messages from an address.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        self.settings.access.allows(ip)
    }

    /// Finds a peer by its name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Named<'_>> {
        self.named().find(|peer| peer.name == name)
    }

    /// Finds the peer that an address belongs to ([`owner`]). No system call: the numbers of interfaces are known.
    pub(crate) fn of(&self, address: SocketAddr) -> Option<Named<'_>> {
        let peers = self.settings.peers.iter().map(|peer| (peer, &*peer.1.address));
        owner(peers, address, |interface, number| self.interfaces.is_number_of(interface, number))
            .map(Named::new)
    }

    /// Finds the peer that a source belongs to, as a limit names one: an address with or without a port, or a network. Without a
    /// port, it is the only peer of that host.
    pub(crate) fn of_source(&self, source: &str) -> Option<Named<'_>> {
        let source: PeerAddress = source.parse().ok()?;
        if source.port().is_some() {
            return self.of(source.destination()?);
        }
        let mut of_host = self.named().filter(|named| {
            named.address.ip() == source.ip() && named.address.interface() == source.interface()
        });
        of_host.next().filter(|_| of_host.next().is_none())
    }

    /// Returns whether an address is that of a configured peer, as [`owner`] finds it.
    pub(crate) fn is_of_peer(&self, peer: &PeerAddress, address: SocketAddr) -> bool {
        // Most addresses are of others.
        if !peer.matches(address) {
            return false;
        }
        let addresses = self.settings.peers.values().map(|peer| &*peer.address);
        let is_on = self.is_on(peer, address).unwrap_or_else(|| !interface_decides(addresses, address));
        is_on && self.of(address).is_none_or(|named| named.address == peer)
    }

    /// Returns whether an address is the given one, on its interface if it has one.
    pub(crate) fn is_exactly(&self, given: &PeerAddress, address: SocketAddr) -> bool {
        given.matches(address) && self.is_on(given, address) == Some(true)
    }

    fn is_on(&self, given: &PeerAddress, address: SocketAddr) -> Option<bool> {
        let is_number_of = |interface: &Interface, number| self.interfaces.is_number_of(interface, number);
        given.is_on_interface_of(address, is_number_of)
    }

    /// Returns an address with the number that the interface of this name has, or had last.
    pub(crate) fn on_interface(&self, mut address: SocketAddrV6, name: &str) -> SocketAddr {
        address.set_scope_id(self.interfaces.last_number(name).unwrap_or(0));
        address.into()
    }

    /// Returns the name of the interface that an address has the number of.
    pub(crate) fn interface_of(&self, address: SocketAddr) -> Option<String> {
        self.interfaces.of_scope(address)
    }

    /// Looks an interface up that a client uses; returns whether this machine has or had it. Its number is remembered, even if
    /// the interface is removed before its creation is noticed.
    pub(crate) fn look_up(&self, interface: &Interface) -> bool {
        self.interfaces.look_up(interface)
    }
}

impl<'a> Named<'a> {
    fn new((name, peer): (&'a PeerName, &'a Peer)) -> Self {
        let encoding = peer.encoding.as_ref().map(|encoding| **encoding);
        Self { name: name.as_str(), address: &peer.address, encoding }
    }
}

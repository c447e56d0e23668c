//! Decides what happens to a datagram: stored, denied, over a limit, our own, or part of a self-test.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::watch;
use udpchat_config::Settings;

use super::dropped_sources::DroppedSources;
use super::limit::{Gate, Limits};
use super::self_test::{Matcher, SelfTests};
use super::types::Datagram;
use crate::inbox::queue::Intake;
use crate::net::address::normalized;
use crate::net::interfaces::{CurrentAddresses, LocalAddresses};

/// What reception needs to classify datagrams.
pub(crate) struct Rules {
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) denied: Arc<DroppedSources<IpAddr>>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) self_tests: Arc<SelfTests>,
    pub(crate) addresses: Arc<CurrentAddresses>,
    /// The ports that all our sockets are bound to.
    pub(crate) ports: Arc<[u16]>,
}

/// Decides for each datagram of one batch whether it is stored, by the rules at the batch's start.
pub(super) struct Classifier<'a> {
    rules: &'a Rules,
    /// The port that the datagrams were sent to.
    port: u16,
    settings: Arc<Settings>,
    local_addresses: Arc<LocalAddresses>,
    self_tests: Option<Matcher<'a>>,
    limits: Option<Gate<'a>>,
}

impl<'a> Classifier<'a> {
    pub(super) fn new(rules: &'a Rules, port: u16) -> Self {
        let (settings, local_addresses) = (Arc::clone(&rules.settings.borrow()), rules.addresses.get());
        let (self_tests, limits) = (rules.self_tests.matcher(), rules.limits.gate());
        Self { rules, port, settings, local_addresses, self_tests, limits }
    }

    /// Queues a datagram, or counts why it is not stored.
    pub(super) fn classify(&mut self, datagram: &Datagram<'_>, intake: &mut Intake<'_>) {
        let Datagram { at_ns, payload, .. } = *datagram;
        let peer = normalized(datagram.peer);
        let local = datagram.local_ip.map(|ip| normalized(SocketAddr::new(ip, self.port)));
        let is_allowed = self.settings.access.allows(peer.ip());
        if self.self_tests.as_mut().is_some_and(|tests| tests.accept(payload, peer, is_allowed)) {
            return;
        }
        if self.is_our_own(peer, local) {
            intake.looped_back(payload.len());
        } else if !is_allowed {
            intake.denied(payload.len());
            self.rules.denied.note(peer.ip(), at_ns, 1);
        } else if self.limits.as_mut().is_some_and(|limits| !limits.admits(peer, at_ns, payload.len())) {
            intake.limited(payload.len());
        } else {
            intake.datagram(at_ns, peer, local, payload);
        }
    }

    /// Returns whether a datagram is one that this daemon sent to a group or broadcast address, which the kernel also
    /// delivers to the sender. Only our sockets can have our port on a local address.
    fn is_our_own(&self, peer: SocketAddr, local: Option<SocketAddr>) -> bool {
        self.rules.ports.contains(&peer.port())
            && local.is_some_and(|local| self.local_addresses.is_multicast_or_broadcast(local.ip()))
            && self.local_addresses.contains(peer.ip())
    }
}

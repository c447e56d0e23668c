//! The peers to which a message was not delivered since they were last heard. The writer publishes them, control shows them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

/// How long a peer is listed.
pub(super) const LISTED: Duration = Duration::from_secs(60 * 60);

/// A peer, and the first report since it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BouncedPeer {
    pub(crate) peer: SocketAddr,
    /// The time of the report, in nanoseconds since 1970, UTC.
    pub(crate) since_ns: i64,
    /// When it was stored.
    pub(crate) stored: Instant,
    /// When the last report was stored.
    pub(crate) last: Instant,
}

/// The list of these peers.
#[derive(Debug, Default)]
pub(crate) struct BouncedPeers(RwLock<Arc<[BouncedPeer]>>);

impl BouncedPeers {
    /// Lists the peers whose report is not too old.
    pub(crate) fn list(&self) -> Vec<BouncedPeer> {
        let now = Instant::now();
        let peers = Arc::clone(&self.0.read());
        peers.iter().filter(|peer| peer.is_listed(now)).copied().collect()
    }

    pub(super) fn publish(&self, peers: impl Iterator<Item = BouncedPeer>) {
        *self.0.write() = peers.collect();
    }
}

impl BouncedPeer {
    pub(super) fn is_listed(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.stored) < LISTED
    }
}

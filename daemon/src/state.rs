//! What the parts of a running daemon share. It is made at the start, and knows nothing above it: neither `control` nor `metrics`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::configuration::Configuration;
use crate::health::{Component, Health};
use crate::inbox::commit_watch::Follower;
use crate::inbox::queue::Queue;
use crate::inbox::reader::Reader;
use crate::log::Logging;
use crate::net::interfaces::CurrentAddresses;
use crate::net::multicast::Groups;
use crate::net::socket::Listener;
use crate::peers::Peers;
use crate::receive::denied::DeniedPeers;
use crate::receive::self_test::SelfTests;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) started: Timestamp,
    pub(crate) configuration: Configuration,
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Where the control socket is.
    pub(crate) socket: PathBuf,
    /// Where metrics are served, if they are.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) progress: Follower,
    pub(crate) peers: Peers,
    pub(crate) groups: Arc<Groups>,
    pub(crate) addresses: Arc<CurrentAddresses>,
    pub(crate) denied: Arc<DeniedPeers>,
    pub(crate) self_tests: Arc<SelfTests>,
    pub(crate) health: Arc<Health>,
    pub(crate) logging: Logging,
    /// Who may look up a host's name now. A look-up may take as long as it likes, and its thread with it.
    pub(crate) lookups: Arc<Semaphore>,
    /// Becomes true when the daemon is to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Asks the daemon to stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Reads from the inbox on a thread that may wait.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ErrorObject> {
        let reader = Arc::clone(&self.reader);
        match tokio::task::spawn_blocking(move || read(&reader)).await {
            Ok(Ok(value)) => {
                self.health.clear(Component::InboxRead);
                Ok(value)
            }
            Ok(Err(error)) => {
                let text = format!("the inbox cannot be read: {error}");
                self.health.report(Component::InboxRead, text.clone());
                Err(ErrorObject::new(ErrorKind::InboxUnavailable, text)
                    .hint("`udpchatctl status` and the daemon's log say more"))
            }
            Err(panic) => {
                Err(ErrorObject::new(ErrorKind::Internal, format!("reading the inbox failed: {panic}")))
            }
        }
    }
}

//! The state that the parts of a running daemon share. Created at the start; does not depend on `control` or `metrics`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use udpchat_api::{ErrorKind, ErrorObject};

use crate::configuration::Configuration;
use crate::health::{Component, Health};
use crate::inbox::InboxError;
use crate::inbox::commit_watch::CommitWatch;
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
    /// The path of the control socket.
    pub(crate) socket: PathBuf,
    /// The address of the metrics endpoint, if enabled.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) commits: CommitWatch,
    pub(crate) peers: Peers,
    pub(crate) groups: Arc<Groups>,
    pub(crate) addresses: Arc<CurrentAddresses>,
    pub(crate) denied: Arc<DeniedPeers>,
    pub(crate) self_tests: Arc<SelfTests>,
    pub(crate) health: Arc<Health>,
    pub(crate) logging: Logging,
    /// Limits concurrent look-ups of names, which block a thread for any time.
    pub(crate) lookups: Arc<Semaphore>,
    /// Becomes true when the daemon is to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Makes the daemon stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Reads from the inbox on a blocking thread.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Reader) -> Result<T, InboxError> + Send + 'static,
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
                    .hint("`udpchatctl status` and the daemon's log show the details"))
            }
            Err(panic) => {
                Err(ErrorObject::new(ErrorKind::Internal, format!("reading the inbox failed: {panic}")))
            }
        }
    }
}

//! What the parts of a running daemon share, and what can be done to all of it: reload, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};
use udpchat_api::{ErrorKind, ErrorObject};
use udpchat_config::{ConfigError, Encoding, Environment, Overrides, Settings};

use crate::health::{Component, Health};
use crate::inbox::commit_watch::Follower;
use crate::inbox::queue::Queue;
use crate::inbox::reader::Reader;
use crate::inbox::writer::retention::Limits;
use crate::log::Logging;
use crate::net::interfaces::CurrentAddresses;
use crate::net::multicast::Groups;
use crate::net::socket::Listener;
use crate::peers::Peers;
use crate::receive::access::Access;
use crate::receive::denied::DeniedPeers;
use crate::receive::self_test::SelfTests;
use crate::service::systemd;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) started: Timestamp,
    /// The settings that it was started with; those that need a restart are in force for good.
    pub(crate) boot: Arc<Settings>,
    /// The settings of the last reload.
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) reloading: Mutex<()>,
    pub(crate) overrides: Overrides,
    pub(crate) environment: Environment,
    pub(crate) listeners: Vec<Arc<Listener>>,
    /// Where the control socket is.
    pub(crate) socket: PathBuf,
    /// Where metrics are served, if they are.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) progress: Follower,
    pub(crate) peers: Peers,
    pub(crate) access: Arc<Access>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) addresses: Arc<CurrentAddresses>,
    pub(crate) denied: Arc<DeniedPeers>,
    pub(crate) self_tests: Arc<SelfTests>,
    pub(crate) health: Arc<Health>,
    pub(crate) logging: Logging,
    /// Who may look up a host's name now. A look-up may take as long as it likes, and its thread with it.
    pub(crate) lookups: Arc<Semaphore>,
    pub(crate) fallback: watch::Sender<Encoding>,
    pub(crate) limits: watch::Sender<Limits>,
    /// Becomes true when the daemon is to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Daemon {
    /// Returns the settings that a reload can change.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Asks the daemon to stop.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Reads the configuration again and applies what can change while running; returns the keys that cannot.
    ///
    /// A configuration that is refused changes nothing.
    pub(crate) fn reload(&self) -> Result<Vec<&'static str>, ConfigError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        systemd::reloading();
        let outcome = self.reload_now();
        systemd::reloaded();
        outcome
    }

    fn reload_now(&self) -> Result<Vec<&'static str>, ConfigError> {
        let new = match Settings::load(&self.overrides, &self.environment) {
            Ok(new) => new,
            Err(error) => {
                warn!("{}", refusal(&error));
                return Err(error);
            }
        };
        let needs_restart = self.boot.changed_needing_restart(&new);
        self.access.configure(&new);
        self.groups.configure(&new);
        self.peers.configure(&new);
        self.fallback.send_replace(*new.text.fallback);
        self.limits.send_replace(Limits::of(&new));
        self.queue.nudge();
        self.logging.set_level(*new.log.level);
        self.settings.send_replace(Arc::new(new));
        match needs_restart.as_slice() {
            [] => info!("configuration reloaded"),
            keys => warn!("configuration reloaded; only a restart changes: {}", keys.join(", ")),
        }
        Ok(needs_restart)
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

/// Says in one line why a configuration is refused: the first line of the error names the place, the others draw it,
/// which is for terminals.
pub(crate) fn refusal(error: &ConfigError) -> String {
    let error = error.to_string();
    let line = error.lines().next().unwrap_or_default();
    format!("the configuration is refused, the running one stays: {line}")
}

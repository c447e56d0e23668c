//! What the sessions of the control socket share: the daemon's state, and what only the control socket needs.

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, watch};
use tracing::warn;
use udpchat_config::Settings;

use super::audit::Audit;
use super::client::UserNames;
use super::roles::Rules;
use super::socket::SocketFile;
use crate::service::accounts;
use crate::state::Daemon;

/// The control side of a running daemon.
#[derive(Debug)]
pub(crate) struct Control {
    pub(super) daemon: Arc<Daemon>,
    pub(super) rules: watch::Sender<Arc<Rules>>,
    /// The settings that `rules` come from.
    applied: Mutex<Arc<Settings>>,
    /// None where the socket has no file.
    file: Option<SocketFile>,
    pub(super) names: Arc<UserNames>,
    pub(crate) audit: Arc<Audit>,
}

impl Control {
    /// Combines the shared state with the rules of its current settings, and with the file of the socket if it has one.
    /// `lookups` limits concurrent look-ups of user names.
    pub(crate) fn new(
        daemon: Arc<Daemon>,
        rules: Rules,
        file: Option<SocketFile>,
        lookups: Arc<Semaphore>,
    ) -> Self {
        Self {
            applied: Mutex::new(daemon.settings()),
            daemon,
            rules: watch::Sender::new(Arc::new(rules)),
            file,
            names: Arc::new(UserNames::new(lookups)),
            audit: Arc::default(),
        }
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// Applies the roles of each reload to sessions, to new connections and to the socket's file.
    pub(super) async fn follow_settings(self: Arc<Self>) {
        let mut settings = self.daemon.settings.subscribe();
        loop {
            self.apply_settings().await;
            if settings.changed().await.is_err() {
                return;
            }
        }
    }

    /// Gives roles to the groups that the current settings name, and the socket's file the mode that follows, unless that
    /// has been done. Waits for the look-up of the groups, which may take any time.
    pub(super) async fn apply_settings(self: &Arc<Self>) {
        let mut applied = self.applied.lock().await;
        let settings = self.daemon.settings();
        if Arc::ptr_eq(&applied, &settings) {
            return;
        }
        let (control, new) = (Arc::clone(self), Arc::clone(&settings));
        let looked_up = tokio::task::spawn_blocking(move || {
            let rules = Arc::new(look_up(&new));
            control.names.forget();
            control.rules.send_replace(Arc::clone(&rules));
            if let Some(file) = &control.file {
                file.adapt(&rules);
            }
        });
        if looked_up.await.is_ok() {
            *applied = settings;
        }
    }
}

/// Looks up the groups that the settings name, and warns of those that do not exist.
pub(crate) fn look_up(settings: &Settings) -> Rules {
    let (rules, warnings) = Rules::of(settings, accounts::own_uid(), accounts::group_id);
    for warning in warnings {
        warn!("{warning}");
    }
    rules
}

//! What the sessions of the control socket share: the daemon's state, and what only the control socket needs.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
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
    applied: watch::Sender<Arc<Settings>>,
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
            applied: watch::Sender::new(daemon.settings()),
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
        // A reload may have come before this subscription.
        settings.mark_changed();
        while settings.changed().await.is_ok() {
            let new = Arc::clone(&settings.borrow_and_update());
            if Arc::ptr_eq(&new, &self.applied.borrow()) {
                continue;
            }
            let (control, to_apply) = (Arc::clone(&self), Arc::clone(&new));
            // Even if this panics, a reload that waits for it must get its response.
            let _applied = tokio::task::spawn_blocking(move || control.apply(&to_apply)).await;
            self.applied.send_replace(new);
        }
    }

    /// Gives roles to the groups that the settings name, and the socket's file the mode that follows. The look-up of the
    /// groups may block for any time.
    fn apply(&self, settings: &Settings) {
        let rules = Arc::new(look_up(settings));
        self.names.forget();
        self.rules.send_replace(Arc::clone(&rules));
        if let Some(file) = &self.file {
            file.adapt(&rules);
        }
    }

    /// Waits until the roles of the current settings are applied.
    pub(super) async fn settings_applied(&self) {
        let is_current = |applied: &Arc<Settings>| Arc::ptr_eq(applied, &self.daemon.settings());
        // The sender is part of `self`: this cannot fail.
        let _applied = self.applied.subscribe().wait_for(is_current).await.is_ok();
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

//! The state that the sessions of the control socket share: the daemon's, and that of the control socket itself.

use std::sync::Arc;

use tokio::sync::watch;
use udpchat_config::Settings;

use super::audit::Audit;
use super::client::UserNames;
use super::memory::{Memory, chargeable};
use super::pattern::Patterns;
use super::roles::Rules;
use super::socket::ControlSocket;
use super::users::Users;
use crate::health::{Component, Health};
use crate::service::accounts;
use crate::state::Daemon;

/// The control side of a running daemon.
#[derive(Debug)]
pub(crate) struct Control {
    pub(super) daemon: Arc<Daemon>,
    pub(super) rules: watch::Sender<Arc<Rules>>,
    pub(crate) socket: ControlSocket,
    pub(super) names: Arc<UserNames>,
    /// The memory that all clients may make the daemon hold.
    pub(super) memory: Arc<Memory>,
    pub(super) patterns: Arc<Patterns>,
    pub(crate) audit: Arc<Audit>,
}

impl Control {
    /// Combines the shared state with the rules of its settings, what is wrong with their groups, and the socket. Each reload
    /// applies the new roles.
    pub(crate) fn new(
        daemon: Arc<Daemon>,
        (rules, problem): (Rules, Option<String>),
        socket: ControlSocket,
    ) -> Arc<Self> {
        report(&daemon.health, Component::UserGroups, problem);
        report(&daemon.health, Component::SocketDirectory, socket.obstacle(&rules));
        let names = Arc::new(UserNames::new(Arc::clone(&daemon.lookups)));
        let rules = watch::Sender::new(Arc::new(rules));
        let memory_bytes = usize::try_from(daemon.configuration.boot().control.max_memory.bytes());
        let memory_bytes = chargeable(memory_bytes.unwrap_or(usize::MAX));
        let memory = Memory::new(Arc::new(Users::new(memory_bytes)));
        let (patterns, audit) = (Arc::default(), Arc::default());
        let control = Arc::new(Self { daemon, rules, socket, names, memory, patterns, audit });
        // Avoids a cycle of references.
        let applied = Arc::downgrade(&control);
        control.daemon.configuration.on_reload(move |settings| {
            if let Some(control) = applied.upgrade() {
                control.apply(settings);
            }
        });
        control
    }

    #[cfg(fuzzing)]
    pub(crate) fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.borrow())
    }

    /// Gives roles to the groups that the settings name, and the socket's file the mode that follows. The look-up of the
    /// groups may block for any time.
    fn apply(&self, settings: &Settings) {
        let (rules, problem) = look_up(settings);
        report(&self.daemon.health, Component::UserGroups, problem);
        let rules = Arc::new(rules);
        self.names.forget();
        // The listener creates a missing file again, with the mode that it must have.
        if !self.socket.is_missing() {
            self.socket.adapt(&rules);
        }
        report(&self.daemon.health, Component::SocketDirectory, self.socket.obstacle(&rules));
        self.rules.send_replace(rules);
    }
}

/// Looks up the groups that the settings name; returns with the rules what is wrong with groups that give no access.
pub(crate) fn look_up(settings: &Settings) -> (Rules, Option<String>) {
    let (rules, warnings) = Rules::of(settings, accounts::own_uid(), accounts::group_id);
    (rules, (!warnings.is_empty()).then(|| warnings.join("; ")))
}

/// Reports a condition, or that it is over.
fn report(health: &Health, component: Component, problem: Option<String>) {
    match problem {
        Some(problem) => health.report(component, problem),
        None => health.clear(component),
    }
}

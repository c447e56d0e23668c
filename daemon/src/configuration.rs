//! The configuration in force. A reload publishes new settings, and every part reads the newest ones where it uses them.
//!
//! Few parts must act on new settings instead, such as joining groups: they register for that with
//! [`Configuration::on_reload`].

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};
use udpchat_config::{ConfigError, Environment, Overrides, Settings};

use crate::inbox::writer::retention::limit_default_size;
use crate::service::systemd;

/// The settings of a running daemon, and what is needed to load them again.
pub(crate) struct Configuration {
    boot: Arc<Settings>,
    current: watch::Sender<Arc<Settings>>,
    overrides: Overrides,
    environment: Environment,
    /// Locked during a reload, so that there is one at a time.
    appliers: Mutex<Vec<Applier>>,
}

type Applier = Box<dyn Fn(&Settings) + Send + Sync>;

/// The outcome of a reload: the changed keys that need a restart, or why the configuration is refused.
pub(crate) type Reloaded = Result<Vec<&'static str>, ConfigError>;

impl fmt::Debug for Configuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Configuration").field("current", &self.current).finish_non_exhaustive()
    }
}

impl Configuration {
    /// Takes the settings that were loaded from these sources at the start.
    pub(crate) fn new(settings: Settings, overrides: Overrides, environment: Environment) -> Self {
        let boot = Arc::new(settings);
        let current = watch::Sender::new(Arc::clone(&boot));
        Self { boot, current, overrides, environment, appliers: Mutex::default() }
    }

    /// Returns the settings at the start. Keys that need a restart keep these values.
    pub(crate) fn boot(&self) -> &Settings {
        &self.boot
    }

    /// Returns the settings of the last reload.
    pub(crate) fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.current.borrow())
    }

    /// Returns the keys that a reload has changed and only a restart applies.
    pub(crate) fn needs_restart(&self) -> Vec<&'static str> {
        self.boot.changed_needing_restart(&self.current())
    }

    /// Returns access to the settings of the last reload.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.current.subscribe()
    }

    /// Has each reload call `apply` with the new settings. A reload ends when all such calls have returned.
    pub(crate) fn on_reload(&self, apply: impl Fn(&Settings) + Send + Sync + 'static) {
        self.appliers.lock().push(Box::new(apply));
    }

    /// Loads the configuration again and applies what can change while running; returns the keys that cannot. May block.
    ///
    /// An invalid configuration changes nothing. `note` gets the outcome before another reload can begin, so that outcomes are
    /// noted in the order of the reloads.
    pub(crate) fn reload(&self, note: impl FnOnce(&Reloaded)) -> Reloaded {
        let appliers = self.appliers.lock();
        systemd::reloading();
        let outcome = self.load_and_apply(&appliers);
        systemd::reloaded();
        note(&outcome);
        outcome
    }

    fn load_and_apply(&self, appliers: &[Applier]) -> Reloaded {
        let mut new = Settings::load(&self.overrides, &self.environment)?;
        // An editor may be about to replace it.
        if let Some(gone) = self.current().files.iter().find(|file| !new.files.contains(file)) {
            return Err(ConfigError::gone(gone.clone()));
        }
        limit_default_size(&mut new, &self.boot.data_dir);
        let new = Arc::new(new);
        self.current.send_replace(Arc::clone(&new));
        for apply in appliers {
            apply(&new);
        }
        warn_of_doubts(&new);
        Ok(self.boot.changed_needing_restart(&new))
    }
}

/// Logs that the configuration was reloaded, with the changed keys that need a restart.
pub(crate) fn log_reloaded(needs_restart: &[&str]) {
    match needs_restart {
        [] => info!("configuration reloaded"),
        keys => warn!("configuration reloaded; only a restart changes: {}", keys.join(", ")),
    }
}

/// Logs what is valid and probably not meant: nothing else would show it.
pub(crate) fn warn_of_doubts(settings: &Settings) {
    for doubt in settings.doubts() {
        warn!("{doubt}");
    }
}

/// Describes in one line why a configuration is refused. The error's first line has the place and the reason; the others
/// quote the file, for terminals.
pub(crate) fn refusal(error: &ConfigError) -> String {
    let error = error.to_string();
    let line = error.lines().next().unwrap_or_default();
    format!("the configuration is refused, the running one stays: {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_a_reload_is_noted_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
        std::fs::write(&file, "").unwrap();
        let environment = Environment::of_process();
        let settings = Settings::load(&overrides, &environment).unwrap();
        let configuration = Configuration::new(settings, overrides, environment);
        for (text, is_valid) in [("", true), ("no_such_key = 1", false)] {
            std::fs::write(&file, text).unwrap();
            let mut noted = None;
            let reloaded = configuration.reload(|outcome| {
                assert!(configuration.appliers.try_lock().is_none(), "another reload could begin");
                noted = Some(outcome.is_ok());
            });
            assert_eq!((reloaded.is_ok(), noted), (is_valid, Some(is_valid)));
        }
    }
}

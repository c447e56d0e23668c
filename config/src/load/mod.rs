//! Loads the settings: applies each layer in turn, weakest first, to the defaults.

use std::path::{Path, PathBuf};

use crate::check::check;
use crate::file::{Presence, apply, read};
use crate::paths::{
    CONFIG_VARIABLE, DATA_DIR_VARIABLE, Environment, LISTEN_VARIABLE, LOG_VARIABLE, SOCKET_VARIABLE,
    socket_in, system_config_file, system_control_socket, system_data_dir, user_config_file, user_data_dir,
    user_runtime_socket,
};
use crate::value::shown;
use crate::{ConfigError, ConfigErrors, Origin, Overrides, Setting, Settings, UserGroup, ValueError};

impl Settings {
    /// Reads every layer and applies it, as [`Self::load_whole`] does.
    ///
    /// # Errors
    /// The first one of those.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        Self::load_whole(overrides, environment).map_err(|errors| *errors.first)
    }

    /// Reads every layer and applies it.
    ///
    /// # Errors
    /// If a file cannot be read, or a value of a layer is not valid; each error contains the place. All mistakes of the files are
    /// returned, or without any, all violations of rules.
    pub fn load_whole(overrides: &Overrides, environment: &Environment) -> Result<Self, ConfigErrors> {
        let mut settings = Self::without_paths();
        if overrides.system {
            apply_system(&mut settings);
        }
        let mut mistakes = Vec::new();
        for (path, presence) in config_files(overrides, environment)? {
            if let Some(text) = read(&path, presence)? {
                mistakes.extend(apply(&mut settings, &text, &path));
                settings.files.push(path);
            }
        }
        ConfigErrors::none_of(mistakes)?;
        apply_environment(&mut settings, environment)?;
        apply_flags(&mut settings, overrides, environment)?;
        complete_paths(&mut settings, environment)?;
        settings.separate_lists()?;
        ConfigErrors::none_of(check(&settings))?;
        Ok(settings)
    }
}

/// Applies `--system`, which replaces defaults only.
fn apply_system(settings: &mut Settings) {
    const ORIGIN: Origin = Origin::Flag("--system");
    settings.data_dir = Setting::new(system_data_dir(), ORIGIN);
    settings.socket = Setting::new(system_control_socket(), ORIGIN);
    settings.control.read = Setting::new(vec![UserGroup::of_the_system()], ORIGIN);
    settings.control.send = settings.control.read.clone();
}

/// Lists the files to read, weakest first.
fn config_files(
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Vec<(PathBuf, Presence)>, ConfigError> {
    let flag = overrides.config.as_deref().map(|path| (path, Origin::Flag("--config")));
    let variable =
        || Some((Path::new(environment.variable(CONFIG_VARIABLE)?), Origin::Environment(CONFIG_VARIABLE)));
    if let Some((path, origin)) = flag.or_else(variable) {
        let named = absolute(path, origin, environment)?;
        return Ok(vec![(named.value, Presence::Required)]);
    }
    let mut files = vec![system_config_file(environment)];
    if !overrides.system {
        files.extend(user_config_file(environment));
    }
    Ok(files.into_iter().map(|file| (file, Presence::Optional)).collect())
}

fn apply_environment(settings: &mut Settings, environment: &Environment) -> Result<(), ConfigError> {
    let path = |name: &'static str| {
        let value = environment.variable(name);
        value.map(|value| absolute(Path::new(value), Origin::Environment(name), environment)).transpose()
    };
    let addresses = |text: &str| text.split(',').map(str::parse).collect::<Result<_, _>>();
    put(&mut settings.listen, parse_variable(environment, LISTEN_VARIABLE, addresses)?);
    put(&mut settings.data_dir, path(DATA_DIR_VARIABLE)?);
    put(&mut settings.socket, path(SOCKET_VARIABLE)?);
    put(&mut settings.log.level, parse_variable(environment, LOG_VARIABLE, str::parse)?);
    Ok(())
}

fn apply_flags(
    settings: &mut Settings,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<(), ConfigError> {
    let path = |given: &Option<PathBuf>, name| {
        given.as_deref().map(|path| absolute(path, Origin::Flag(name), environment)).transpose()
    };
    let listen = Some(overrides.listen.clone()).filter(|addresses| !addresses.is_empty());
    put(&mut settings.listen, flag("--listen", listen));
    put(&mut settings.data_dir, path(&overrides.data_dir, "--data-dir")?);
    put(&mut settings.socket, path(&overrides.socket, "--socket")?);
    put(&mut settings.log.level, flag("--log-level", overrides.log_level));
    put(&mut settings.log.format, flag("--log-format", overrides.log_format));
    Ok(())
}

/// Sets the paths that no layer sets. The socket may depend on the data directory.
fn complete_paths(settings: &mut Settings, environment: &Environment) -> Result<(), ConfigError> {
    if settings.data_dir.origin == Origin::Default {
        settings.data_dir.value = user_data_dir(environment).ok_or(ConfigError::NoDataDir)?;
    }
    if settings.socket.origin == Origin::Default {
        settings.socket.value =
            user_runtime_socket(environment).unwrap_or_else(|| socket_in(&settings.data_dir));
    }
    Ok(())
}

fn put<T>(setting: &mut Setting<T>, stronger: Option<Setting<T>>) {
    if let Some(stronger) = stronger {
        *setting = stronger;
    }
}

fn flag<T>(name: &'static str, value: Option<T>) -> Option<Setting<T>> {
    value.map(|value| Setting::new(value, Origin::Flag(name)))
}

fn parse_variable<T>(
    environment: &Environment,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<Option<Setting<T>>, ConfigError> {
    let Some(value) = environment.variable(name) else { return Ok(None) };
    let text = value.to_str().ok_or_else(|| ValueError::new("the value is not UTF-8", "write it in UTF-8"));
    match text.and_then(parse) {
        Ok(value) => Ok(Some(Setting::new(value, Origin::Environment(name)))),
        Err(error) => Err(ConfigError::bad_value(Origin::Environment(name), error)),
    }
}

fn absolute(path: &Path, origin: Origin, environment: &Environment) -> Result<Setting<PathBuf>, ConfigError> {
    if path.as_os_str().is_empty() {
        return Err(ConfigError::rejected(&origin, "the path is empty", "name a path, or leave it out"));
    }
    match environment.absolute(path) {
        Some(absolute) => Ok(Setting::new(absolute, origin)),
        None => {
            let message = format!("{} is relative, and the current directory does not exist", shown(path));
            Err(ConfigError::rejected(&origin, message, "write an absolute path, with a leading `/`"))
        }
    }
}

#[cfg(test)]
mod tests;

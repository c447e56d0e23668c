//! The locations of files, as pure functions of an explicit environment.
//!
//! They follow the XDG Base Directory Specification: a variable that is empty, or a directory that is not
//! absolute, counts as unset.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub(crate) const CONFIG_VARIABLE: &str = "UDPCHAT_CONFIG";
pub(crate) const DATA_DIR_VARIABLE: &str = "UDPCHAT_DATA_DIR";
pub(crate) const LISTEN_VARIABLE: &str = "UDPCHAT_LISTEN";
pub(crate) const LOG_VARIABLE: &str = "UDPCHAT_LOG";
pub(crate) const SOCKET_VARIABLE: &str = "UDPCHAT_SOCKET";

const SOCKET_NAME: &str = "control.sock";

/// Holds the environment variables and directories that settings and paths depend on.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    uid: u32,
    current_dir: Option<PathBuf>,
    system_config_file: PathBuf,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            uid: nix::unistd::geteuid().as_raw(),
            // A deleted directory has no path. Only relative paths need it.
            current_dir: std::env::current_dir().ok(),
            system_config_file: PathBuf::from("/etc/udpchat/config.toml"),
        }
    }

    /// Creates an environment of user 1000 with only these variables: the current directory is `/`, and no system-wide file is
    /// read.
    #[cfg(test)]
    pub(crate) fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        Self {
            variables: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            uid: 1000,
            current_dir: Some(PathBuf::from("/")),
            system_config_file: PathBuf::from("/nonexistent/udpchat/config.toml"),
        }
    }

    /// Replaces the directory that relative paths start from.
    #[cfg(test)]
    pub(crate) fn with_current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(directory.into());
        self
    }

    /// Replaces the path of the system-wide configuration file.
    #[cfg(test)]
    pub(crate) fn with_system_config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.system_config_file = file.into();
        self
    }

    /// Returns a variable's value, `None` if it is unset or empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Makes a path absolute against the current directory; `None` if it is relative and there is no such directory.
    pub(crate) fn absolute(&self, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        // `join` would keep a leading `./` in the middle of the path, which users see.
        let relative: PathBuf = path.components().skip_while(|c| c.as_os_str() == ".").collect();
        Some(self.current_dir.as_ref()?.join(relative))
    }

    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// Returns the XDG directory that a variable names, by default `below_home` in the home directory.
    fn xdg_directory(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        self.directory(name).or_else(|| self.directory("HOME").map(|home| home.join(below_home)))
    }
}

/// Returns the system-wide configuration file: `/etc/udpchat/config.toml`.
pub(crate) fn system_config_file(environment: &Environment) -> PathBuf {
    environment.system_config_file.clone()
}

/// Returns the system's data directory: `/var/lib/udpchat`.
pub(crate) fn system_data_dir() -> PathBuf {
    PathBuf::from("/var/lib/udpchat")
}

/// Returns the system's control socket: `/run/udpchat/control.sock`.
pub fn system_control_socket() -> PathBuf {
    PathBuf::from("/run/udpchat").join(SOCKET_NAME)
}

/// Returns the user's configuration file: `$XDG_CONFIG_HOME/udpchat/config.toml`, by default in `~/.config`.
///
/// `None` if neither that variable nor `HOME` is set.
pub(crate) fn user_config_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.xdg_directory("XDG_CONFIG_HOME", ".config")?.join("udpchat/config.toml"))
}

/// Returns the user's data directory: `$XDG_DATA_HOME/udpchat`, by default in `~/.local/share`.
///
/// `None` if neither that variable nor `HOME` is set.
pub(crate) fn user_data_dir(environment: &Environment) -> Option<PathBuf> {
    Some(environment.xdg_directory("XDG_DATA_HOME", ".local/share")?.join("udpchat"))
}

/// Returns the user's control socket: `$XDG_RUNTIME_DIR/udpchat/control.sock`. `None` if the variable is unset.
pub(crate) fn user_runtime_socket(environment: &Environment) -> Option<PathBuf> {
    Some(environment.directory("XDG_RUNTIME_DIR")?.join("udpchat").join(SOCKET_NAME))
}

/// Returns the control socket of a daemon that the user has started in a session with `XDG_RUNTIME_DIR`, for a client without
/// that variable: `su`, cron and some `ssh` sessions do not set it. systemd gives it this value (pam_systemd(8)).
fn session_socket(environment: &Environment) -> Option<PathBuf> {
    let directory = Path::new("/run/user").join(environment.uid.to_string());
    environment.directory("XDG_RUNTIME_DIR").is_none().then(|| directory.join("udpchat").join(SOCKET_NAME))
}

/// Returns the control socket in a data directory.
pub(crate) fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Lists the control sockets that a client should try, in this order.
///
/// A path given by the flag `--socket` (`explicit`) or by `UDPCHAT_SOCKET` is the only candidate. Otherwise the user's
/// sockets come before the system's. The list has the sockets in the runtime directory and in the data directories:
/// the daemon may have been started without `XDG_RUNTIME_DIR`, by cron for example, or the client.
pub fn control_socket_candidates(environment: &Environment, explicit: Option<&Path>) -> Vec<PathBuf> {
    let variable = |name| environment.variable(name).map(Path::new);
    let absolute = |path: &Path| environment.absolute(path).unwrap_or_else(|| path.to_owned());
    if let Some(only) = explicit.or_else(|| variable(SOCKET_VARIABLE)) {
        return vec![absolute(only)];
    }
    let places = [
        user_runtime_socket(environment),
        variable(DATA_DIR_VARIABLE).map(|directory| socket_in(&absolute(directory))),
        user_data_dir(environment).map(|directory| socket_in(&directory)),
        session_socket(environment),
        Some(system_control_socket()),
    ];
    let mut candidates = Vec::new();
    for place in places.into_iter().flatten() {
        if !candidates.contains(&place) {
            candidates.push(place);
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::from_pairs(pairs.iter().copied())
    }

    fn paths(paths: &[&str]) -> Vec<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn xdg_variables_come_before_the_home_directory() {
        let home = environment(&[("HOME", "/home/a")]);
        assert_eq!(user_config_file(&home).unwrap(), Path::new("/home/a/.config/udpchat/config.toml"));
        assert_eq!(user_data_dir(&home).unwrap(), Path::new("/home/a/.local/share/udpchat"));
        assert_eq!(user_runtime_socket(&home), None);

        let all = environment(&[
            ("HOME", "/home/a"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_DATA_HOME", "/d"),
            ("XDG_RUNTIME_DIR", "/r"),
        ]);
        assert_eq!(user_config_file(&all).unwrap(), Path::new("/c/udpchat/config.toml"));
        assert_eq!(user_data_dir(&all).unwrap(), Path::new("/d/udpchat"));
        assert_eq!(user_runtime_socket(&all).unwrap(), Path::new("/r/udpchat/control.sock"));
    }

    #[test]
    fn empty_and_relative_xdg_variables_count_as_unset() {
        for value in ["", "relative", "./here"] {
            let odd = environment(&[
                ("HOME", "/home/a"),
                ("XDG_CONFIG_HOME", value),
                ("XDG_DATA_HOME", value),
                ("XDG_RUNTIME_DIR", value),
            ]);
            assert_eq!(user_config_file(&odd).unwrap(), Path::new("/home/a/.config/udpchat/config.toml"));
            assert_eq!(user_data_dir(&odd).unwrap(), Path::new("/home/a/.local/share/udpchat"));
            assert_eq!(user_runtime_socket(&odd), None);
        }
    }

    #[test]
    fn without_a_home_a_user_has_no_paths() {
        for homeless in [environment(&[]), environment(&[("HOME", "")])] {
            assert_eq!(user_config_file(&homeless), None);
            assert_eq!(user_data_dir(&homeless), None);
            let expected = paths(&["/run/user/1000/udpchat/control.sock", "/run/udpchat/control.sock"]);
            assert_eq!(control_socket_candidates(&homeless, None), expected);
        }
    }

    #[test]
    fn the_system_has_its_own_paths() {
        assert_eq!(system_config_file(&Environment::of_process()), Path::new("/etc/udpchat/config.toml"));
        assert_eq!(system_data_dir(), Path::new("/var/lib/udpchat"));
        assert_eq!(system_control_socket(), Path::new("/run/udpchat/control.sock"));
    }

    #[test]
    fn a_named_socket_is_the_only_candidate() {
        let env = environment(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("UDPCHAT_SOCKET", "s/env.sock")])
            .with_current_dir("/there");
        assert_eq!(control_socket_candidates(&env, Some(Path::new("/flag.sock"))), paths(&["/flag.sock"]));
        assert_eq!(control_socket_candidates(&env, Some(Path::new("./f.sock"))), paths(&["/there/f.sock"]));
        assert_eq!(control_socket_candidates(&env, None), paths(&["/there/s/env.sock"]));
    }

    #[test]
    fn the_users_sockets_are_tried_before_the_systems() {
        let env = environment(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("UDPCHAT_DATA_DIR", "/data")]);
        let expected = paths(&[
            "/r/udpchat/control.sock",
            "/data/control.sock",
            "/h/.local/share/udpchat/control.sock",
            "/run/udpchat/control.sock",
        ]);
        assert_eq!(control_socket_candidates(&env, None), expected);
    }

    #[test]
    fn no_candidate_is_tried_twice() {
        let env = environment(&[("XDG_DATA_HOME", "/d"), ("UDPCHAT_DATA_DIR", "/d/udpchat")]);
        let expected = paths(&[
            "/d/udpchat/control.sock",
            "/run/user/1000/udpchat/control.sock",
            "/run/udpchat/control.sock",
        ]);
        assert_eq!(control_socket_candidates(&env, None), expected);
    }
}

//! All settings, made of their layers.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::check::check;
use crate::file::{Presence, read};
use crate::layer::{Layer, PeerLayer};
use crate::paths::{
    CONFIG_VARIABLE, DATA_DIR_VARIABLE, Environment, LISTEN_VARIABLE, LOG_VARIABLE, SOCKET_VARIABLE,
    socket_in, system_config_file, system_control_socket, system_data_dir, user_config_file, user_data_dir,
    user_runtime_socket,
};
use crate::{
    ConfigError, Encoding, Group, ListenAddress, LogFormat, LogLevel, MaxAge, MetricsAddress, Network,
    Origin, PeerAddress, PeerName, Setting, Size, UserGroup, ValueError,
};

/// Holds every setting of the daemon, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The configuration files that were read, weakest first.
    pub files: Vec<PathBuf>,
    /// Where to receive: 1 to 64 addresses; port 0 asks the system for one.
    pub listen: Setting<Vec<SocketAddr>>,
    /// The multicast groups to join; at most 64, none twice.
    pub groups: Setting<Vec<Group>>,
    /// Where the inbox is kept; absolute.
    pub data_dir: Setting<PathBuf>,
    /// The receive buffer to ask of the kernel, 4 KiB to 1 GiB.
    pub receive_buffer: Setting<Size>,
    /// The control socket; absolute, at most 107 bytes.
    pub socket: Setting<PathBuf>,
    /// The table `inbox`.
    pub inbox: Inbox,
    /// The table `text`.
    pub text: Text,
    /// The table `log`.
    pub log: Log,
    /// The table `access`.
    pub access: Access,
    /// The table `control`.
    pub control: Control,
    /// The table `metrics`.
    pub metrics: Metrics,
    /// The named peers; no two have the same address.
    pub peers: BTreeMap<PeerName, Peer>,
}

/// Limits what the inbox keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// How large the inbox may grow on disk, at least 1 MiB; the oldest entries go first.
    pub max_size: Setting<Size>,
    /// How old an entry may get.
    pub max_age: Setting<MaxAge>,
}

/// Says which encodings are assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// For sending to a peer that has none of its own.
    pub encoding: Setting<Encoding>,
    /// For received bytes that are not UTF-8 and tell nothing else; never UTF-16.
    pub fallback: Setting<Encoding>,
}

/// Says what is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How much is logged.
    pub level: Setting<LogLevel>,
    /// How lines are written.
    pub format: Setting<LogFormat>,
    /// How many lines for received messages may be logged in a second, and as many for sent ones; 0 logs none of them.
    pub messages_per_second: Setting<u32>,
}

/// Says whose messages are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// From where; empty allows everyone.
    pub allow: Setting<Vec<Network>>,
    /// From where not, even if allowed.
    pub deny: Setting<Vec<Network>>,
}

/// Says who may use the control socket, beside root and the user that the daemon runs as; at most 16 groups for each
/// role, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Who may read what was received and sent.
    pub read: Setting<Vec<UserGroup>>,
    /// Who may send.
    pub send: Setting<Vec<UserGroup>>,
    /// Who may do everything.
    pub admin: Setting<Vec<UserGroup>>,
}

/// Says where the daemon's counters can be read over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// At which address of this machine, if at any.
    pub listen: Setting<MetricsAddress>,
}

/// Describes a named peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it sends from and is sent to.
    pub address: Setting<PeerAddress>,
    /// What it writes and reads, if that was said.
    pub encoding: Option<Setting<Encoding>>,
}

/// Holds what flags give; the strongest layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`: one file instead of the usual ones.
    pub config: Option<PathBuf>,
    /// `--listen`, any number of times; empty if not given.
    pub listen: Vec<ListenAddress>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--system`: the system's paths instead of the user's.
    pub system: bool,
    /// `--log-level`.
    pub log_level: Option<LogLevel>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

impl Settings {
    /// Reads every layer and lays them over one another.
    ///
    /// # Errors
    /// When a file cannot be read or a value in any layer cannot be used; the error tells where it stands.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let mut layers = Layer::default();
        let mut files = Vec::new();
        for (path, presence) in config_files(overrides, environment)? {
            if let Some(layer) = read(&path, presence)? {
                layers = layer.over(layers);
                files.push(path);
            }
        }
        layers = environment_layer(environment)?.over(layers);
        layers = flag_layer(overrides, environment)?.over(layers);
        let data_dir = data_dir(&mut layers, overrides, environment)?;
        let socket = socket(&mut layers, overrides, environment, &data_dir);
        let mut settings = Self::defaults(data_dir, socket);
        settings.files = files;
        if overrides.system {
            let group = || Setting::new(vec![UserGroup::of_the_system()], Origin::Flag("--system"));
            (settings.control.read, settings.control.send) = (group(), group());
        }
        settings.apply(layers)?;
        check(&settings)?;
        Ok(settings)
    }

    /// Returns the defaults, with the inbox and the control socket in the given directory.
    pub fn default_in(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        let socket = socket_in(&data_dir);
        Self::defaults(Setting::default_of(data_dir), Setting::default_of(socket))
    }

    fn defaults(data_dir: Setting<PathBuf>, socket: Setting<PathBuf>) -> Self {
        Self {
            files: Vec::new(),
            listen: Setting::default_of(vec![ListenAddress::DEFAULT.socket_address()]),
            groups: Setting::default_of(Vec::new()),
            data_dir,
            receive_buffer: Setting::default_of(Size::from_mib(8)),
            socket,
            inbox: Inbox {
                max_size: Setting::default_of(Size::from_mib(4 * 1024)),
                max_age: Setting::default_of(MaxAge::UNLIMITED),
            },
            text: Text {
                encoding: Setting::default_of(Encoding::UTF_8),
                fallback: Setting::default_of(Encoding::GB18030),
            },
            log: Log {
                level: Setting::default_of(LogLevel::Info),
                format: Setting::default_of(LogFormat::Text),
                messages_per_second: Setting::default_of(100),
            },
            access: Access { allow: Setting::default_of(Vec::new()), deny: Setting::default_of(Vec::new()) },
            control: Control {
                read: Setting::default_of(Vec::new()),
                send: Setting::default_of(Vec::new()),
                admin: Setting::default_of(Vec::new()),
            },
            metrics: Metrics { listen: Setting::default_of(MetricsAddress::NOWHERE) },
            peers: BTreeMap::new(),
        }
    }

    /// Puts what the layers set in the place of the defaults.
    fn apply(&mut self, layers: Layer) -> Result<(), ConfigError> {
        let listen = layers.listen.map(|listen| {
            listen.map(|addresses| addresses.into_iter().map(ListenAddress::socket_address).collect())
        });
        put(&mut self.listen, listen);
        put(&mut self.groups, layers.groups);
        put(&mut self.receive_buffer, layers.receive_buffer);
        put(&mut self.inbox.max_size, layers.max_size);
        put(&mut self.inbox.max_age, layers.max_age);
        put(&mut self.text.encoding, layers.encoding);
        put(&mut self.text.fallback, layers.fallback);
        put(&mut self.log.level, layers.level);
        put(&mut self.log.format, layers.format);
        put(&mut self.log.messages_per_second, layers.messages_per_second);
        put(&mut self.access.allow, layers.allow);
        put(&mut self.access.deny, layers.deny);
        put(&mut self.control.read, layers.read);
        put(&mut self.control.send, layers.send);
        put(&mut self.control.admin, layers.admin);
        put(&mut self.metrics.listen, layers.metrics_listen);
        for (name, peer) in layers.peers {
            let peer = complete(&name, peer)?;
            self.peers.insert(name, peer);
        }
        Ok(())
    }
}

fn put<T>(setting: &mut Setting<T>, stronger: Option<Setting<T>>) {
    if let Some(stronger) = stronger {
        *setting = stronger;
    }
}

fn complete(name: &PeerName, peer: PeerLayer) -> Result<Peer, ConfigError> {
    let PeerLayer { origin, address, encoding } = peer;
    let address = address.ok_or_else(|| {
        let hint = "write for example: address = \"192.168.43.159:8080\"";
        ConfigError::rejected(&origin, format!("peer `{name}` has no address"), hint)
    })?;
    Ok(Peer { address, encoding })
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

fn environment_layer(environment: &Environment) -> Result<Layer, ConfigError> {
    let path = |name: &'static str| {
        let value = environment.variable(name);
        value.map(|value| absolute(Path::new(value), Origin::Environment(name), environment)).transpose()
    };
    let addresses = |text: &str| text.split(',').map(str::parse).collect::<Result<Vec<_>, _>>();
    Ok(Layer {
        listen: variable(environment, LISTEN_VARIABLE, addresses)?,
        data_dir: path(DATA_DIR_VARIABLE)?,
        socket: path(SOCKET_VARIABLE)?,
        level: variable(environment, LOG_VARIABLE, LogLevel::from_str)?,
        ..Layer::default()
    })
}

fn variable<T>(
    environment: &Environment,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<Option<Setting<T>>, ConfigError> {
    let Some(value) = environment.variable(name) else { return Ok(None) };
    let origin = Origin::Environment(name);
    let parsed =
        text_of(value).and_then(parse).map_err(|error| ConfigError::bad_value(origin.clone(), error))?;
    Ok(Some(Setting::new(parsed, origin)))
}

fn text_of(value: &OsStr) -> Result<&str, ValueError> {
    value.to_str().ok_or_else(|| ValueError::new("the value is not UTF-8", "write it in plain characters"))
}

fn flag_layer(overrides: &Overrides, environment: &Environment) -> Result<Layer, ConfigError> {
    let path = |given: &Option<PathBuf>, name| {
        given.as_deref().map(|path| absolute(path, Origin::Flag(name), environment)).transpose()
    };
    let listen = Some(overrides.listen.clone()).filter(|addresses| !addresses.is_empty());
    Ok(Layer {
        listen: listen.map(|addresses| Setting::new(addresses, Origin::Flag("--listen"))),
        data_dir: path(&overrides.data_dir, "--data-dir")?,
        socket: path(&overrides.socket, "--socket")?,
        level: overrides.log_level.map(|level| Setting::new(level, Origin::Flag("--log-level"))),
        format: overrides.log_format.map(|format| Setting::new(format, Origin::Flag("--log-format"))),
        ..Layer::default()
    })
}

fn absolute(path: &Path, origin: Origin, environment: &Environment) -> Result<Setting<PathBuf>, ConfigError> {
    if path.as_os_str().is_empty() {
        return Err(ConfigError::rejected(&origin, "the path is empty", "name a path, or leave it out"));
    }
    match environment.absolute(path) {
        Some(absolute) => Ok(Setting::new(absolute, origin)),
        None => {
            let message = format!("{} is relative, and the current directory is gone", path.display());
            Err(ConfigError::rejected(&origin, message, "write the path from the root, with a leading `/`"))
        }
    }
}

fn data_dir(
    layers: &mut Layer,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Setting<PathBuf>, ConfigError> {
    if let Some(set) = layers.data_dir.take() {
        return Ok(set);
    }
    if overrides.system {
        return Ok(Setting::new(system_data_dir(), Origin::Flag("--system")));
    }
    user_data_dir(environment).map(Setting::default_of).ok_or(ConfigError::NoDataDir)
}

fn socket(
    layers: &mut Layer,
    overrides: &Overrides,
    environment: &Environment,
    data_dir: &Path,
) -> Setting<PathBuf> {
    if let Some(set) = layers.socket.take() {
        return set;
    }
    if overrides.system {
        return Setting::new(system_control_socket(), Origin::Flag("--system"));
    }
    Setting::default_of(user_runtime_socket(environment).unwrap_or_else(|| socket_in(data_dir)))
}

#[cfg(test)]
mod tests;

//! The definition of every setting. A new key needs a line here, and its default and explanation in `udpchat.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::key::{AppliedBy, Field, Key};
use crate::paths::socket_in;
use crate::value::toml_key;
use crate::{
    ByteRate, ConfigError, DatagramRate, Encoding, Group, ListenAddress, LogFormat, LogLevel, MaxAge, Member,
    MetricsAddress, Network, Origin, PeerAddress, PeerName, Setting, SilentAfter, Size, UserGroup,
};

/// Defines [`Settings`], a struct for each table, and [`KEYS`].
///
/// A key is written `name: type = default, applied by, example in TOML;`.
macro_rules! settings {
    (
        { $($(#[$doc:meta])* $key:ident: $type:ty = $default:expr, $applied_by:ident, $example:literal;)* }
        $(
            $(#[$table_doc:meta])*
            $table:ident: $table_type:ident {
                $(
                    $(#[$inner_doc:meta])*
                    $inner:ident: $inner_type:ty = $inner_default:expr, $inner_applied_by:ident, $inner_example:literal;
                )*
            }
        )*
    ) => {
        /// Holds every setting of the daemon, checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            /// The configuration files that were read, weakest first.
            pub files: Vec<PathBuf>,
            $($(#[$doc])* pub $key: Setting<$type>,)*
            $(#[doc = concat!("The table `", stringify!($table), "`.")] pub $table: $table_type,)*
            /// The named peers; no two have the same address.
            pub peers: BTreeMap<PeerName, Peer>,
            /// The lists of peers, with their members; no list is a member of another one.
            pub lists: BTreeMap<PeerName, Setting<Vec<Member>>>,
        }

        $(
            $(#[$table_doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $table_type { $($(#[$inner_doc])* pub $inner: Setting<$inner_type>,)* }
        )*

        impl Settings {
            /// Returns the defaults that depend on nothing; the paths are empty.
            pub(crate) fn without_paths() -> Self {
                Self {
                    files: Vec::new(),
                    $($key: Setting::default_of($default),)*
                    $($table: $table_type { $($inner: Setting::default_of($inner_default),)* },)*
                    peers: BTreeMap::new(),
                    lists: BTreeMap::new(),
                }
            }
        }

        /// Every key except those of peers, in the order of the default file.
        pub(crate) const KEYS: &[Key<Settings>] = &[
            $(Key {
                path: stringify!($key),
                applied_by: AppliedBy::$applied_by,
                example: $example,
                field: |settings| &settings.$key,
                field_mut: |settings| &mut settings.$key,
            },)*
            $($(Key {
                path: concat!(stringify!($table), ".", stringify!($inner)),
                applied_by: AppliedBy::$inner_applied_by,
                example: $inner_example,
                field: |settings| &settings.$table.$inner,
                field_mut: |settings| &mut settings.$table.$inner,
            },)*)*
        ];
    };
}

settings! {
    {
        /// The addresses to receive on: 1 to 64; for port 0 the system chooses a port.
        listen: Vec<ListenAddress> = vec![ListenAddress::DEFAULT], Restart, r#"["[::]:7788"]"#;
        /// The multicast groups to join: at most 64, without duplicates.
        groups: Vec<Group> = Vec::new(), Reload, r#"["239.1.2.3", "ff02::1%eth0"]"#;
        /// The directory of the inbox; absolute.
        data_dir: PathBuf = PathBuf::new(), Restart, r#""/var/lib/udpchat""#;
        /// The receive buffer to request from the kernel, 4 KiB to 1 GiB.
        receive_buffer: Size = Size::from_mib(8), Restart, r#""8MiB""#;
        /// The control socket; absolute, at most 107 bytes.
        socket: PathBuf = PathBuf::new(), Restart, r#""/run/udpchat/control.sock""#;
    }

    /// Limits what the inbox keeps.
    inbox: Inbox {
        /// The maximum size on disk, at least 1 MiB; the oldest entries are deleted first.
        max_size: Size = Size::from_mib(4 * 1024), Reload, r#""4GiB""#;
        /// The maximum age of an entry.
        max_age: MaxAge = MaxAge::UNLIMITED, Reload, r#""90d""#;
    }

    /// Sets the encodings that are assumed.
    text: Text {
        /// For sending to a peer without an encoding of its own.
        encoding: Encoding = Encoding::UTF_8, Reload, r#""utf-8""#;
        /// For received bytes that are not UTF-8 and give no other indication; never UTF-16.
        fallback: Encoding = Encoding::GB18030, Reload, r#""gb18030""#;
    }

    /// Sets what is logged, and how.
    log: Log {
        /// The least severe level that is logged.
        level: LogLevel = LogLevel::Info, Reload, r#""info""#;
        /// The format of the lines.
        format: LogFormat = LogFormat::Text, Restart, r#""text""#;
        /// The most lines a second for received messages, and as many for sent ones; 0 logs none of them.
        messages_per_second: u32 = 100, Reload, "100";
    }

    /// Limits from where messages are accepted, and how many.
    access: Access {
        /// The networks to accept messages from; empty accepts all.
        allow: Vec<Network> = Vec::new(), Reload, r#"["192.168.0.0/16"]"#;
        /// The networks to accept nothing from, even if `allow` contains them.
        deny: Vec<Network> = Vec::new(), Reload, r#"["192.168.7.9"]"#;
        /// How many datagrams are accepted from one address, or from one /64 of IPv6.
        limit: DatagramRate = DatagramRate::UNLIMITED, Reload, r#""500/s""#;
        /// How many bytes are accepted from it.
        bytes: ByteRate = ByteRate::UNLIMITED, Reload, r#""1MiB/s""#;
    }

    /// Gives roles on the control socket to groups of users, at most 16 for each role, without duplicates. Root and the
    /// user that the daemon runs as have every role. Limits what the connections may take.
    control: Control {
        /// The groups that may read what was received and sent.
        read: Vec<UserGroup> = Vec::new(), Reload, r#"["udpchat"]"#;
        /// The groups that may send.
        send: Vec<UserGroup> = Vec::new(), Reload, r#"["udpchat"]"#;
        /// The groups that may do everything.
        admin: Vec<UserGroup> = Vec::new(), Reload, r#"["udpchat-admin"]"#;
        /// How much memory all connections may make the daemon hold, 8 MiB to 1 GiB.
        max_memory: Size = Size::from_mib(32), Restart, r#""32MiB""#;
    }

    /// Sets where the daemon serves its metrics over HTTP.
    metrics: Metrics {
        /// The loopback address to serve on, if any.
        listen: MetricsAddress = MetricsAddress::NOWHERE, Restart, r#""127.0.0.1:17788""#;
    }
}

/// Describes a named peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The address that it sends from and receives at.
    pub address: Setting<PeerAddress>,
    /// The encoding that it reads and writes, if configured.
    pub encoding: Option<Setting<Encoding>>,
    /// How many datagrams are accepted from it, instead of `access.limit`.
    pub limit: Option<Setting<DatagramRate>>,
    /// How many bytes are accepted from it, instead of `access.bytes`.
    pub bytes: Option<Setting<ByteRate>>,
    /// After how long without a message it counts as silent, if configured.
    pub silent_after: Option<Setting<SilentAfter>>,
    /// The members, while the settings are loaded. Then a table with members is one of [`Settings::lists`].
    pub(crate) members: Option<Setting<Vec<Member>>>,
}

impl Control {
    /// Returns whether any group of users has a role.
    pub fn has_roles(&self) -> bool {
        [&self.read, &self.send, &self.admin].iter().any(|groups| !groups.is_empty())
    }
}

impl Peer {
    /// Returns whether it has a limit of its own.
    pub fn has_limit(&self) -> bool {
        self.limit.as_ref().is_some_and(|limit| limit.a_second().is_some())
            || self.bytes.as_ref().is_some_and(|bytes| bytes.a_second().is_some())
    }

    /// Creates a peer that `origin` mentions; loading the settings fails if no address is set later.
    pub(crate) fn without_address(origin: Origin) -> Self {
        let address = Setting::new(PeerAddress::NONE, origin);
        Self { address, encoding: None, limit: None, bytes: None, silent_after: None, members: None }
    }
}

/// Every key of a peer, in the order of the default file.
pub(crate) const PEER_KEYS: &[Key<Peer>] = &[
    Key {
        path: "peers.NAME.address",
        applied_by: AppliedBy::Reload,
        example: r#""192.168.43.159:8080""#,
        field: |peer| &peer.address,
        field_mut: |peer| &mut peer.address,
    },
    Key {
        path: "peers.NAME.encoding",
        applied_by: AppliedBy::Reload,
        example: r#""gbk""#,
        field: |peer| &peer.encoding,
        field_mut: |peer| &mut peer.encoding,
    },
    Key {
        path: "peers.NAME.limit",
        applied_by: AppliedBy::Reload,
        example: r#""5000/s""#,
        field: |peer| &peer.limit,
        field_mut: |peer| &mut peer.limit,
    },
    Key {
        path: "peers.NAME.bytes",
        applied_by: AppliedBy::Reload,
        example: r#""10MiB/s""#,
        field: |peer| &peer.bytes,
        field_mut: |peer| &mut peer.bytes,
    },
    Key {
        path: "peers.NAME.silent_after",
        applied_by: AppliedBy::Reload,
        example: r#""10m""#,
        field: |peer| &peer.silent_after,
        field_mut: |peer| &mut peer.silent_after,
    },
    Key {
        path: "peers.NAME.members",
        applied_by: AppliedBy::Reload,
        example: r#"["bob", "10.0.0.9:9000"]"#,
        field: |peer| &peer.members,
        field_mut: |peer| &mut peer.members,
    },
];

/// Lists the path and the example of every key, in the order of the default file.
pub(crate) fn paths_and_examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    let keys = KEYS.iter().map(|key| (key.path, key.example));
    keys.chain(PEER_KEYS.iter().map(|key| (key.path, key.example)))
}

impl Settings {
    /// Returns the defaults, with the inbox and the control socket in the given directory.
    pub fn default_in(data_dir: impl Into<PathBuf>) -> Self {
        let mut settings = Self::without_paths();
        settings.data_dir.value = data_dir.into();
        settings.socket.value = socket_in(&settings.data_dir);
        settings
    }

    /// Moves the peers with members to the lists.
    ///
    /// # Errors
    /// A list has a key of a peer.
    pub(crate) fn separate_lists(&mut self) -> Result<(), ConfigError> {
        for (name, mut list) in std::mem::take(&mut self.peers) {
            let Some(members) = list.members.take() else {
                self.peers.insert(name, list);
                continue;
            };
            let message = match &list {
                Peer { address, .. } if **address != PeerAddress::NONE => {
                    format!("`{name}` has members and an address")
                }
                Peer { encoding: Some(_), .. } => format!("`{name}` has members and an encoding"),
                Peer { limit: Some(_), .. } | Peer { bytes: Some(_), .. } => {
                    format!("`{name}` has members and a limit")
                }
                Peer { silent_after: Some(_), .. } => format!("`{name}` has members and silent_after"),
                _ => {
                    self.lists.insert(name, members);
                    continue;
                }
            };
            let hint = "a list has only members; a peer has an address and no members";
            return Err(ConfigError::rejected(&members.origin, message, hint));
        }
        Ok(())
    }

    /// Lists the keys whose values differ in `new` and that only a restart applies. Origins are not compared.
    pub fn changed_needing_restart(&self, new: &Self) -> Vec<&'static str> {
        let value = |key: &Key<Self>, settings| (key.field)(settings).get().map(|(value, _)| value);
        KEYS.iter()
            .filter(|key| key.applied_by == AppliedBy::Restart && value(key, self) != value(key, new))
            .map(|key| key.path)
            .collect()
    }

    /// Lists every value as key, value in TOML, and origin, in the order of the default file.
    pub fn listing(&self) -> Vec<(String, String, String)> {
        let mut list = Vec::new();
        let mut push = |path: String, field: &dyn Field| {
            if let Some((value, origin)) = field.get() {
                list.push((path, value, origin.to_string()));
            }
        };
        for key in KEYS {
            push(key.path.to_owned(), (key.field)(self));
        }
        for (name, peer) in &self.peers {
            for key in PEER_KEYS {
                push(key.path.replace("NAME", &toml_key(name.as_str())), (key.field)(peer));
            }
        }
        for (name, members) in &self.lists {
            push(format!("peers.{}.members", toml_key(name.as_str())), members);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings::default_in("/d/a\"b");
        let origin = Origin::File { path: "/c.toml".into(), line: 7 };
        for (name, address, encoding) in
            [("bob", "1.2.3.4:80", None), ("小明", "1.2.3.5", Some(Encoding::GBK))]
        {
            let address = Setting::new(address.parse().unwrap(), origin.clone());
            let encoding = encoding.map(|encoding| Setting::new(encoding, origin.clone()));
            let silent_after =
                encoding.is_some().then(|| Setting::new("90m".parse().unwrap(), origin.clone()));
            let peer = Peer { address, encoding, silent_after, ..Peer::without_address(origin.clone()) };
            settings.peers.insert(name.parse().unwrap(), peer);
        }
        let members = ["bob", "1.2.3.6"].map(|member| member.parse().unwrap()).to_vec();
        settings.lists.insert("lab".parse().unwrap(), Setting::new(members, origin));
        settings
    }

    #[test]
    fn every_value_is_listed_as_toml_with_its_origin() {
        let listing = settings().listing();
        let shown: Vec<_> = listing.iter().map(|(k, v, o)| format!("{k} = {v} # {o}")).collect();
        let expected = r#"listen = ["[::]:7788"] # default
groups = [] # default
data_dir = "/d/a\"b" # default
receive_buffer = "8MiB" # default
socket = "/d/a\"b/control.sock" # default
inbox.max_size = "4GiB" # default
inbox.max_age = "" # default
text.encoding = "utf-8" # default
text.fallback = "gb18030" # default
log.level = "info" # default
log.format = "text" # default
log.messages_per_second = 100 # default
access.allow = [] # default
access.deny = [] # default
access.limit = "" # default
access.bytes = "" # default
control.read = [] # default
control.send = [] # default
control.admin = [] # default
control.max_memory = "32MiB" # default
metrics.listen = "" # default
peers.bob.address = "1.2.3.4:80" # /c.toml:7
peers."小明".address = "1.2.3.5" # /c.toml:7
peers."小明".encoding = "gbk" # /c.toml:7
peers."小明".silent_after = "90m" # /c.toml:7
peers.lab.members = ["bob", "1.2.3.6"] # /c.toml:7"#;
        assert_eq!(shown.join("\n"), expected);
    }

    #[test]
    fn a_listing_is_a_configuration_file() {
        let mut settings = settings();
        settings.data_dir.value = "/odd/\u{1b}\u{202e}\\'x".into();
        let text: String = settings.listing().iter().map(|(k, v, _)| format!("{k} = {v}\n")).collect();
        let mut read = Settings::default_in("/d");
        assert_eq!(crate::file::apply(&mut read, &text, Path::new("/x")), []);
        read.separate_lists().unwrap();
        let values =
            |settings: &Settings| settings.listing().into_iter().map(|(k, v, _)| (k, v)).collect::<Vec<_>>();
        assert_eq!(values(&read), values(&settings));
    }

    #[test]
    fn each_key_that_needs_a_restart_is_named() {
        let old = settings();
        let mut new = old.clone();
        assert!(old.changed_needing_restart(&new).is_empty());
        new.listen.value.push("127.0.0.1:1".parse().unwrap());
        new.data_dir.value = "/e".into();
        new.receive_buffer.value = "1MiB".parse().unwrap();
        new.socket.value = "/s".into();
        new.log.format.value = LogFormat::Json;
        new.control.max_memory.value = "64MiB".parse().unwrap();
        new.metrics.listen.value = "127.0.0.1:1".parse().unwrap();
        assert_eq!(
            old.changed_needing_restart(&new),
            [
                "listen",
                "data_dir",
                "receive_buffer",
                "socket",
                "log.format",
                "control.max_memory",
                "metrics.listen"
            ]
        );
    }

    #[test]
    fn reloadable_keys_and_new_origins_need_no_restart() {
        let old = settings();
        let mut new = old.clone();
        new.listen.origin = Origin::Flag("--listen");
        new.groups.value.push("239.1.2.3".parse().unwrap());
        new.peers.clear();
        new.lists.clear();
        new.access.deny.value.push("10.0.0.0/8".parse().unwrap());
        new.access.limit.value = "500/s".parse().unwrap();
        new.access.bytes.value = "1MiB/s".parse().unwrap();
        new.control.read.value.push("users".parse().unwrap());
        new.text.encoding.value = Encoding::GBK;
        new.inbox.max_size.value = "1GiB".parse().unwrap();
        new.inbox.max_age.value = "1d".parse().unwrap();
        new.log.level.value = LogLevel::Debug;
        new.log.messages_per_second.value = 1;
        assert!(old.changed_needing_restart(&new).is_empty());
    }
}

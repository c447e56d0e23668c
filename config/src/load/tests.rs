//! The order of the layers, the defaults, and well-formed values that are refused.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use tempfile::TempDir;

use super::*;
use crate::settings::paths_and_examples;
use crate::{DEFAULT_FILE, DEFAULT_PORT, Encoding, LogFormat, LogLevel};

/// A home directory and a system-wide file for one test.
struct Host {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    overrides: Overrides,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_str().unwrap().to_owned();
        Self { directory, variables: vec![("HOME", home)], overrides: Overrides::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn system_file(&self, text: &str) -> PathBuf {
        self.write("etc.toml", text)
    }

    fn user_file(&self, text: &str) -> PathBuf {
        self.write(".config/udpchat/config.toml", text)
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    fn environment(&self) -> Environment {
        Environment::from_pairs(self.variables.clone())
            .with_system_config_file(self.path("etc.toml"))
            .with_current_dir("/here")
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        Settings::load(&self.overrides, &self.environment())
    }

    /// Loads a user's file that is refused; returns the message without the path of the file, and the hint.
    fn refused(text: &str) -> (String, String) {
        let host = Self::new();
        let file = host.user_file(text);
        let error = host.load().unwrap_err();
        (error.to_string().replace(file.to_str().unwrap(), "FILE"), error.hint().unwrap())
    }
}

/// Writes a configuration that sets every key to its example.
fn every_example() -> String {
    let line = |(path, example): (&str, _)| {
        let name = if path.ends_with(".members") { "lab" } else { "bob" };
        format!("{} = {example}\n", path.replace("NAME", name))
    };
    paths_and_examples().map(line).collect()
}

fn in_file(path: &Path, line: u32) -> Origin {
    Origin::File { path: path.to_owned(), line }
}

#[test]
fn without_settings_the_documented_defaults_apply() {
    let mut host = Host::new();
    let settings = host.load().unwrap();
    assert_eq!(*settings.listen, ["[::]:7788".parse().unwrap()]);
    assert_eq!(settings.listen[0].port(), DEFAULT_PORT);
    assert!(settings.groups.is_empty());
    assert_eq!(*settings.data_dir, host.path(".local/share/udpchat"));
    assert_eq!(*settings.socket, host.path(".local/share/udpchat/control.sock"));
    assert_eq!(settings.receive_buffer.bytes(), 8 << 20);
    assert_eq!(settings.inbox.max_size.bytes(), 4 << 30);
    assert_eq!(settings.inbox.max_age.limit(), None);
    assert_eq!(*settings.text.encoding, Encoding::UTF_8);
    assert_eq!(*settings.text.fallback, Encoding::GB18030);
    assert_eq!(*settings.log.level, LogLevel::Info);
    assert_eq!(*settings.log.format, LogFormat::Text);
    assert_eq!(*settings.log.messages_per_second, 100);
    assert!(settings.access.allow.is_empty() && settings.access.deny.is_empty());
    assert!(settings.control.read.is_empty() && settings.control.send.is_empty());
    assert!(settings.control.admin.is_empty());
    assert_eq!(settings.metrics.listen.socket_address(), None);
    assert!(settings.peers.is_empty() && settings.files.is_empty());
    assert!(settings.listing().iter().all(|(_, _, origin)| origin == "default"));

    host.set("XDG_RUNTIME_DIR", "/run/user/7");
    assert_eq!(*host.load().unwrap().socket, Path::new("/run/user/7/udpchat/control.sock"));
}

#[test]
fn each_layer_is_stronger_than_the_one_before() {
    let mut host = Host::new();
    let listen = |host: &Host| {
        let settings = host.load().unwrap();
        (settings.listen[0].port(), settings.listen.origin)
    };
    assert_eq!(listen(&host), (7788, Origin::Default));
    let system = host.system_file("\nlisten = ['[::]:1']");
    assert_eq!(listen(&host), (1, in_file(&system, 2)));
    let user = host.user_file("\n\nlisten = ['[::]:2']");
    assert_eq!(listen(&host), (2, in_file(&user, 3)));
    host.set("UDPCHAT_LISTEN", "[::]:3");
    assert_eq!(listen(&host), (3, Origin::Environment("UDPCHAT_LISTEN")));
    host.overrides.listen = vec!["[::]:4".parse().unwrap()];
    assert_eq!(listen(&host), (4, Origin::Flag("--listen")));
    assert_eq!(host.load().unwrap().files, [system, user]);
}

#[test]
fn a_layer_replaces_single_keys_of_tables_and_peers() {
    let host = Host::new();
    let system = host.system_file(
        "[log]\nlevel='warn'\nformat='json'\n[peers.bob]\naddress='1.2.3.4'\nencoding='gbk'\n[peers.al]\naddress='1.2.3.9'",
    );
    let user = host.user_file("[log]\nlevel='debug'\n[peers.bob]\naddress='1.2.3.5'");
    let settings = host.load().unwrap();
    assert_eq!(settings.log.level, Setting::new(LogLevel::Debug, in_file(&user, 2)));
    assert_eq!(settings.log.format, Setting::new(LogFormat::Json, in_file(&system, 3)));
    let bob = &settings.peers["bob"];
    assert_eq!(bob.address, Setting::new("1.2.3.5".parse().unwrap(), in_file(&user, 4)));
    assert_eq!(bob.encoding, Some(Setting::new(Encoding::GBK, in_file(&system, 6))));
    assert_eq!(settings.peers.len(), 2);
}

#[test]
fn every_key_of_the_users_file_wins_over_the_systems() {
    let host = Host::new();
    let text = every_example();
    host.system_file(&text);
    let user = host.user_file(&text);
    for (key, _, origin) in host.load().unwrap().listing() {
        assert!(origin.starts_with(user.to_str().unwrap()), "{key}: {origin}");
    }
}

#[test]
fn the_users_file_follows_xdg_config_home() {
    let mut host = Host::new();
    host.user_file("listen = ['[::]:1']");
    let moved = host.write("conf/udpchat/config.toml", "listen = ['[::]:2']");
    let directory = host.path("conf").to_str().unwrap().to_owned();
    host.set("XDG_CONFIG_HOME", &directory);
    assert_eq!(host.load().unwrap().files, [moved]);
}

#[test]
fn a_named_file_replaces_both_usual_ones() {
    let mut host = Host::new();
    host.system_file("listen = ['[::]:1']");
    host.user_file("broken");
    let (by_variable, by_flag) = (host.write("v.toml", ""), host.write("f.toml", "[log]\nlevel='warn'"));
    host.set("UDPCHAT_CONFIG", by_variable.to_str().unwrap());
    let settings = host.load().unwrap();
    assert_eq!(settings.files, [by_variable]);
    assert_eq!(settings.listen.origin, Origin::Default);
    host.overrides.config = Some(by_flag.clone());
    assert_eq!(host.load().unwrap().files, [by_flag]);
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let mut host = Host::new();
    host.set("UDPCHAT_CONFIG", "v.toml");
    assert_eq!(host.load().unwrap_err().to_string(), "cannot read /here/v.toml: no such file");
    host.overrides.config = Some("f.toml".into());
    assert_eq!(host.load().unwrap_err().to_string(), "cannot read /here/f.toml: no such file");
}

#[test]
fn the_system_uses_its_own_paths_and_no_users_file() {
    let mut host = Host::new();
    host.set("XDG_RUNTIME_DIR", "/run/user/7");
    host.user_file("broken");
    let system = host.system_file("listen = ['[::]:1']");
    host.overrides.system = true;
    let settings = host.load().unwrap();
    assert_eq!(settings.files, [system]);
    assert_eq!(settings.data_dir, Setting::new("/var/lib/udpchat".into(), Origin::Flag("--system")));
    assert_eq!(settings.socket, Setting::new("/run/udpchat/control.sock".into(), Origin::Flag("--system")));
    let group = Setting::new(vec!["udpchat".parse().unwrap()], Origin::Flag("--system"));
    assert_eq!((&settings.control.read, &settings.control.send), (&group, &group));
    assert_eq!(settings.control.admin, Setting::default_of(Vec::new()));

    host.overrides.data_dir = Some("/d".into());
    let settings = host.load().unwrap();
    assert_eq!(*settings.data_dir, Path::new("/d"));
    assert_eq!(*settings.socket, Path::new("/run/udpchat/control.sock"));
}

#[test]
fn a_file_overrides_the_systems_groups() {
    let mut host = Host::new();
    host.overrides.system = true;
    let file = host.system_file("[control]\nread = []\nadmin = ['ops', 7, '8']");
    let settings = host.load().unwrap();
    assert_eq!(settings.control.read, Setting::new(Vec::new(), in_file(&file, 2)));
    assert_eq!(settings.control.send.origin, Origin::Flag("--system"));
    let admin = ["ops".parse().unwrap(), UserGroup::Gid(7), UserGroup::Gid(8)];
    assert_eq!(settings.control.admin, Setting::new(admin.into(), in_file(&file, 3)));
}

#[test]
fn every_variable_and_every_flag_sets_its_value() {
    let mut host = Host::new();
    host.set("UDPCHAT_LISTEN", "127.0.0.1:1, [::1]:2");
    host.set("UDPCHAT_DATA_DIR", "v/data");
    host.set("UDPCHAT_SOCKET", "/v.sock");
    host.set("UDPCHAT_LOG", "trace");
    let settings = host.load().unwrap();
    assert_eq!(*settings.listen, ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    let variable = Origin::Environment;
    assert_eq!(settings.data_dir, Setting::new("/here/v/data".into(), variable("UDPCHAT_DATA_DIR")));
    assert_eq!(settings.socket, Setting::new("/v.sock".into(), variable("UDPCHAT_SOCKET")));
    assert_eq!(settings.log.level, Setting::new(LogLevel::Trace, variable("UDPCHAT_LOG")));

    host.overrides = Overrides {
        data_dir: Some("./f/data".into()),
        socket: Some("f.sock".into()),
        log_level: Some(LogLevel::Error),
        log_format: Some(LogFormat::Json),
        ..Overrides::default()
    };
    let settings = host.load().unwrap();
    assert_eq!(settings.data_dir, Setting::new("/here/f/data".into(), Origin::Flag("--data-dir")));
    assert_eq!(settings.socket, Setting::new("/here/f.sock".into(), Origin::Flag("--socket")));
    assert_eq!(settings.log.level, Setting::new(LogLevel::Error, Origin::Flag("--log-level")));
    assert_eq!(settings.log.format, Setting::new(LogFormat::Json, Origin::Flag("--log-format")));
}

#[test]
fn the_socket_follows_the_data_dir_in_effect() {
    let host = Host::new();
    host.user_file("data_dir = '/elsewhere'");
    assert_eq!(*host.load().unwrap().socket, Path::new("/elsewhere/control.sock"));
}

#[test]
fn empty_variables_count_as_unset() {
    let mut host = Host::new();
    for name in ["UDPCHAT_CONFIG", "UDPCHAT_LISTEN", "UDPCHAT_DATA_DIR", "UDPCHAT_SOCKET", "UDPCHAT_LOG"] {
        host.set(name, "");
    }
    assert!(host.load().unwrap().listing().iter().all(|(_, _, origin)| origin == "default"));
}

#[test]
fn a_bad_variable_is_named_with_a_hint() {
    for (name, value, message, hint) in [
        ("UDPCHAT_LISTEN", "127.0.0.1:70000", "port 70000 is out of range, 0 to 65535", "[::]:7788"),
        ("UDPCHAT_LISTEN", "[::]:1,,", "the address is empty", "[::]:7788"),
        ("UDPCHAT_LOG", "loud", "unknown log level `loud`", "choose one of"),
    ] {
        let mut host = Host::new();
        host.set(name, value);
        let error = host.load().unwrap_err();
        assert_eq!(error.to_string(), format!("environment {name}: {message}"));
        assert!(error.hint().unwrap().contains(hint));
    }
    let not_text = std::ffi::OsString::from_vec(vec![0xff]);
    let environment =
        Environment::from_pairs([("HOME".into(), "/h".into()), ("UDPCHAT_LOG".to_owned(), not_text)]);
    let error = Settings::load(&Overrides::default(), &environment).unwrap_err();
    assert_eq!(error.to_string(), "environment UDPCHAT_LOG: the value is not UTF-8");
}

#[test]
fn an_empty_path_in_a_flag_is_refused() {
    let mut host = Host::new();
    host.overrides.data_dir = Some(PathBuf::new());
    assert_eq!(host.load().unwrap_err().to_string(), "flag --data-dir: the path is empty");
}

#[test]
fn without_a_home_a_data_dir_is_required() {
    let homeless = Environment::from_pairs([("XDG_RUNTIME_DIR", "/run/user/7")]);
    let mut overrides = Overrides::default();
    assert_eq!(Settings::load(&overrides, &homeless), Err(ConfigError::NoDataDir));
    overrides.data_dir = Some("/d".into());
    assert_eq!(*Settings::load(&overrides, &homeless).unwrap().data_dir, Path::new("/d"));
    let system = Overrides { system: true, ..Overrides::default() };
    assert!(Settings::load(&system, &homeless).is_ok());
}

#[test]
fn values_beyond_their_limits_are_refused_with_their_line() {
    let many = format!("listen = [{}]", "'[::]:0', ".repeat(65));
    let many_groups = format!("groups = [{}]", "'239.1.2.3', ".repeat(65));
    let members: Vec<_> =
        (0..257).map(|number| format!("'10.0.{}.{}'", number / 256, number % 256)).collect();
    let many_members = format!("[peers.lab]\nmembers = [{}]", members.join(","));
    let many_networks = format!("[access]\ndeny = [{}]", "'1::/9', ".repeat(2_049));
    let many_users = format!("[control]\nsend = [{}]", "'a', ".repeat(17));
    let long = format!("\nsocket = '/{}'", "s".repeat(107));
    for (text, message, hint) in [
        ("\nlisten = []", "FILE:2: no address to listen on", "leave `listen` out"),
        (&*many, "FILE:1: 65 addresses to listen on, at most 64", "[::]:7788"),
        ("listen = ['[::]:1', '[::]:1']", "FILE:1: address [::]:1 is given twice", "leave one"),
        (&*many_groups, "FILE:1: 65 groups to join, at most 64", "second daemon"),
        ("\ngroups = ['ff02::1%a', 'ff02::1%a']", "FILE:2: group ff02::1%a is given twice", "leave one"),
        ("receive_buffer = '4095B'", "FILE:1: receive_buffer 4095B is out of range, 4KiB to 1GiB", "8MiB"),
        ("receive_buffer = '1025MiB'", "FILE:1: receive_buffer 1025MiB is out of range", "8MiB"),
        ("[inbox]\nmax_size = '1023KiB'", "FILE:2: inbox.max_size 1023KiB is too small", "4GiB"),
        (&long, "FILE:2: socket path /sss", "--socket"),
        (&*many_networks, "FILE:2: access.deny has 2049 networks, at most 2048", "firewall"),
        (&*many_users, "FILE:2: control.send: 17 groups, at most 16", "one group"),
        ("[control]\nadmin = ['a', 7, '7']", "FILE:2: control.admin: group 7 is given twice", "leave one"),
        ("[text]\n\nfallback = 'utf-16be'", "FILE:3: text.fallback cannot be utf-16be", "utf-16le"),
        ("[text]\nfallback = 'bytes'", "FILE:2: text.fallback cannot be hex", "encoding = \"hex\""),
        ("[text]\nencoding = 'hex'", "FILE:2: text.encoding cannot be hex", "encoding = \"hex\""),
        ("[peers.bob]\nencoding = 'gbk'", "FILE:1: peer `bob` has no address", "address ="),
        (
            "[peers.bob]\naddress = '1.2.3.4:5'\n[peers.al]\naddress = '::ffff:1.2.3.4'\n[peers.cy]\naddress = '1.2.3.4'",
            "FILE:6: peers `al` and `cy` have the same address 1.2.3.4",
            "two names",
        ),
        ("[peers.lab]\nmembers = []", "FILE:2: list `lab` has no members", "members ="),
        (&*many_members, "FILE:2: list `lab` has 257 members, at most 256", "several"),
        (
            "[peers.lab]\nmembers = ['1.2.3.4', '1.2.3.4']",
            "FILE:2: list `lab`: 1.2.3.4 is given twice",
            "leave",
        ),
        (
            "[peers.bob]\naddress = '1.2.3.4'\n[peers.lab]\nmembers = ['bub']",
            "FILE:4: list `lab`: no peer is called `bub`",
            "did you mean `bob`?",
        ),
        (
            "[peers.a]\nmembers = ['b']\n[peers.b]\nmembers = ['a']",
            "FILE:2: list `a`: `b` is a list",
            "its members",
        ),
        ("[peers.a]\nmembers = ['a']", "FILE:2: list `a`: `a` is a list", "its members"),
        (
            "[peers.lab]\naddress = '1.2.3.4'\nmembers = ['1.2.3.5']",
            "FILE:3: `lab` has members and an address",
            "only members",
        ),
        (
            "[peers.lab]\nencoding = 'gbk'\nmembers = ['1.2.3.5']",
            "FILE:3: `lab` has members and an encoding",
            "only members",
        ),
        (
            "[peers.lab]\nbytes = '1MiB/s'\nmembers = ['1.2.3.5']",
            "FILE:3: `lab` has members and a limit",
            "only members",
        ),
        (
            "[peers.lab]\nsilent_after = '1h'\nmembers = ['1.2.3.5']",
            "FILE:3: `lab` has members and silent_after",
            "only members",
        ),
        (
            "[peers.all]\naddress = '239.1.2.3'\nsilent_after = '1h'",
            "FILE:3: peer `all` is a group or a broadcast address",
            "the peers themselves",
        ),
        (
            "[peers.all]\naddress = '255.255.255.255:9'\nsilent_after = '1h'",
            "FILE:3: peer `all` is a group or a broadcast address",
            "the peers themselves",
        ),
    ] {
        let (said, given) = Host::refused(text);
        assert!(said.starts_with(message), "{text}: {said}");
        assert!(given.contains(hint), "{text}: {given}");
    }
}

#[test]
fn values_at_their_limits_are_accepted() {
    for text in [
        format!("listen = [{}]", "'[::]:0', ".repeat(64)),
        "groups = ['239.1.2.3', '239.1.2.3%eth0', 'ff02::1']".to_owned(),
        "receive_buffer = '4KiB'".to_owned(),
        "receive_buffer = '1GiB'".to_owned(),
        "[inbox]\nmax_size = '1MiB'".to_owned(),
        format!("socket = '/{}'", "s".repeat(106)),
        "[text]\nencoding = 'utf-16le'".to_owned(),
        "[peers.a]\naddress='1.2.3.4:5'\n[peers.b]\naddress='1.2.3.4'".to_owned(),
    ] {
        let host = Host::new();
        host.user_file(&text);
        assert!(host.load().is_ok(), "{text}: {:?}", host.load());
    }
}

#[test]
fn the_default_file_sets_exactly_the_defaults() {
    let host = Host::new();
    let values = |host: &Host| -> Vec<_> {
        host.load().unwrap().listing().into_iter().map(|(key, value, _)| (key, value)).collect()
    };
    let defaults = values(&host);
    let file = host.user_file(DEFAULT_FILE);
    assert_eq!(values(&host), defaults);
    let prefix = file.to_str().unwrap();
    for (key, _, origin) in host.load().unwrap().listing() {
        let depends_on_user = ["data_dir", "socket", "control.read", "control.send"].contains(&&*key);
        assert_eq!(origin.starts_with(prefix), !depends_on_user, "{key}: {origin}");
    }
}

#[test]
fn the_default_file_has_every_key() {
    let host = Host::new();
    let is_commented_out = |line: &str| {
        const COMMENTED_OUT: [&str; 10] = [
            "data_dir",
            "socket",
            "read",
            "send",
            "address",
            "encoding",
            "limit",
            "bytes",
            "silent_after",
            "members",
        ];
        let is_key = |key: &&str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = "));
        line.starts_with("[peers.") || COMMENTED_OUT.iter().any(is_key)
    };
    let uncommented: String = DEFAULT_FILE
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| is_commented_out(rest)).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let file = host.user_file(&uncommented);
    let listing = host.load().unwrap().listing();
    let prefix = file.to_str().unwrap();
    assert!(listing.iter().all(|(_, _, origin)| origin.starts_with(prefix)), "{listing:?}");
    let without_name = |key: &str| key.replace("peers.bob", "peers.NAME").replace("peers.lab", "peers.NAME");
    let listed: Vec<_> = listing.iter().map(|(key, _, _)| without_name(key)).collect();
    let known: Vec<_> = paths_and_examples().map(|(path, _)| path).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_example_of_every_key_is_valid() {
    let host = Host::new();
    host.user_file(&every_example());
    assert_eq!(host.load().unwrap().listing().len(), paths_and_examples().count());
}

#[test]
fn defaults_in_a_directory_are_all_default() {
    let settings = Settings::default_in("/d");
    assert_eq!(*settings.data_dir, Path::new("/d"));
    assert_eq!(*settings.socket, Path::new("/d/control.sock"));
    assert_eq!(check(&settings), []);
}

//! Configuration: its mistakes, its layers, its defaults, and what a reload changes.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use encoding_rs::GBK;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Background, Daemon, Peer, Ran, Refused, command_in, ctl_without_daemon, eventually, new_folder, texts,
};

fn folder_with(config: &str) -> TempDir {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    folder
}

/// Prepares a daemon with nothing but a home directory.
fn bare(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("HOME", home);
    command
}

// Mistakes.

#[track_caller]
fn assert_mistake(config: &str, line: u32, message: &str, hint: &str) {
    let folder = folder_with(config);
    assert_told(&folder, &Daemon::refused(folder.path(), &["--check-config"]), line, message, hint);
}

#[track_caller]
fn assert_told(folder: &TempDir, refused: &Refused, line: u32, message: &str, hint: &str) {
    let Refused { code, stderr } = refused;
    let (what, advice) = stderr.split_once("hint: ").unwrap_or((stderr, ""));
    let place = format!("error: {}:{line}:", folder.path().join("config.toml").display());
    assert_eq!(*code, Some(2), "{stderr}");
    assert!(what.starts_with(&place) && what.contains(message) && advice.contains(hint), "{stderr}");
}

#[test]
fn a_daemon_does_not_start_with_a_mistake_and_makes_nothing() {
    let folder = folder_with("\nlisen = []");
    let refused = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_told(&folder, &refused, 2, "unknown key `lisen`", "`listen`");
    assert!(!folder.path().join("data").exists() && !folder.path().join("s").exists());
}

#[test]
fn an_unknown_key_is_refused_with_line_and_the_nearest_one() {
    assert_mistake("\nlisen = []", 2, "unknown key `lisen`", "`listen`");
    assert_mistake("[log]\n\nlevle = 'info'", 3, "unknown key `levle` in [log]", "`level`");
    assert_mistake("[peers.bob]\nport = 3", 2, "unknown key `port` in [peers.bob]", "`address`");
}

#[test]
fn a_wrong_type_is_refused_with_line_and_an_example() {
    assert_mistake("listen = '[::]:1'", 1, "expected a list", "listen = [");
    assert_mistake("\n[inbox]\nmax_age = 90", 3, "expected a span of time", "90d");
    assert_mistake("[peers]\nbob = '1.2.3.4'", 2, "expected a table", "[peers.bob]");
}

#[test]
fn a_bad_value_of_each_kind_is_refused_with_line_and_hint() {
    for (config, line, message, hint) in [
        ("listen = ['localhost:1']", 1, "is a host name", "[::]:7788"),
        ("listen = ['1.2.3.4:70000']", 1, "port 70000 is out of range", "[::]:7788"),
        ("receive_buffer = 'big'", 1, "`big` is not a size", "8MiB"),
        ("[inbox]\nmax_size = '4 apples'", 2, "`4 apples` is not a size", "4GiB"),
        ("[inbox]\nmax_age = 'long'", 2, "`long`", "90d"),
        ("[text]\nencoding = 'gbkk'", 2, "unknown encoding `gbkk`", "`gbk`"),
        ("[text]\nfallback = 'foo'", 2, "unknown encoding `foo`", "gb18030"),
        ("[log]\nlevel = 'loud'", 2, "unknown log level `loud`", "error, warn, info"),
        ("[log]\nformat = 'xml'", 2, "unknown log format `xml`", "text, json"),
        ("[log]\nmessages_per_second = -1", 2, "a whole number from 0", "100"),
        ("[access]\nallow = ['lan']", 2, "`lan` is not a network", "192.168.0.0/16"),
        ("[access]\ndeny = ['1.2.3.4/33']", 2, "is not a network", "192.168.0.0/16"),
        ("[peers.bob]\naddress = 'bob.lan'", 2, "is a host name", "udpchatctl send"),
        ("[peers.bob]\naddress = '1.2.3.4:0'", 2, "port 0", "192.168"),
        ("[peers.'a b']\naddress = '1.2.3.4'", 1, "contains white space", "letters"),
        ("data_dir = 'inbox'", 1, "is not absolute", "leading `/`"),
        ("socket = '~/s'", 1, "is not absolute", "not expanded"),
    ] {
        assert_mistake(config, line, message, hint);
    }
}

#[test]
fn values_that_do_not_go_together_are_refused_with_line_and_hint() {
    for (config, line, message, hint) in [
        ("\nlisten = []", 2, "no address to listen on", "leave `listen` out"),
        ("listen = ['[::]:1', '[::]:1']", 1, "[::]:1 is given twice", "leave one"),
        ("receive_buffer = '1KiB'", 1, "receive_buffer 1KiB is out of range", "8MiB"),
        ("[inbox]\nmax_size = '1KiB'", 2, "inbox.max_size 1KiB is too small", "4GiB"),
        ("[text]\nfallback = 'utf-16le'", 2, "text.fallback cannot be utf-16le", "encoding ="),
        (
            "[peers.a]\naddress='1.2.3.4:5'\n[peers.b]\naddress='1.2.3.4:5'",
            4,
            "same address 1.2.3.4:5",
            "keep one",
        ),
        ("[peers.a]\nencoding='gbk'", 1, "peer `a` has no address", "address ="),
    ] {
        assert_mistake(config, line, message, hint);
    }
}

#[test]
fn a_syntax_error_is_refused_with_line_and_hint() {
    assert_mistake("\n\nlisten = ", 3, "", "key = value");
    assert_mistake("[inbox]\nmax_size = 4GiB", 2, "", "quotes");
    assert_mistake("listen = []\nlisten = []", 2, "duplicate key", "once");
    assert_mistake("[peers.小明]", 1, "", r#"[peers."小明"]"#);
}

#[test]
fn a_configuration_file_that_is_named_has_to_be_there() {
    let folder = new_folder();
    let missing = folder.path().join("config.toml");
    let refused = Daemon::refused(folder.path(), &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let texts = [missing.to_str().unwrap(), "no such file", "hint: ", "--config"];
    assert!(texts.iter().all(|text| refused.stderr.contains(text)), "{refused:?}");
    let named = bare(folder.path()).env("UDPCHAT_CONFIG", &missing).arg("--check-config").output().unwrap();
    assert_eq!(named.status.code(), Some(2));
    assert!(String::from_utf8(named.stderr).unwrap().contains(missing.to_str().unwrap()));
}

#[test]
fn bad_variables_and_flags_are_refused_by_name() {
    let folder = new_folder();
    for (variable, value) in [("UDPCHAT_LISTEN", "127.0.0.1:70000"), ("UDPCHAT_LOG", "loud")] {
        let output = bare(folder.path()).env(variable, value).arg("--check-config").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("environment {variable}")) && stderr.contains("hint: "), "{stderr}");
    }
    for flag in [&["--listen", "localhost:1"], &["--log-level", "loud"], &["--log-format", "xml"]] {
        let output = bare(folder.path()).args(flag).arg("--check-config").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(flag.iter().all(|word| stderr.contains(word)) && stderr.contains("hint: "), "{stderr}");
    }
}

// Layers.

/// Runs `--check-config` and returns each key with its value and where it came from.
#[track_caller]
fn listing(command: &mut Command) -> BTreeMap<String, (String, String)> {
    let output = command.arg("--check-config").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |line: &str| {
        let (key, rest) = line.split_once(" = ").unwrap();
        let (value, origin) = rest.rsplit_once("  # ").unwrap();
        (key.trim().to_owned(), (value.trim().to_owned(), origin.to_owned()))
    };
    text.lines().map(row).collect()
}

#[track_caller]
fn assert_listed(listing: &BTreeMap<String, (String, String)>, key: &str, value: &str, origin: &str) {
    assert_eq!(listing[key], (value.to_owned(), origin.to_owned()), "{key}");
}

#[test]
fn check_config_prints_every_value_with_where_it_came_from() {
    let folder = new_folder();
    let file = folder.path().join(".config/udpchat/config.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "[log]\nmessages_per_second = 7\n[peers.bob]\naddress = '1.2.3.4:5'").unwrap();
    let listing = listing(bare(folder.path()).env("UDPCHAT_LOG", "warn").args(["--listen", "127.0.0.1:9"]));
    let data_dir = folder.path().join(".local/share/udpchat");
    assert_listed(&listing, "listen", r#"["127.0.0.1:9"]"#, "flag --listen");
    assert_listed(&listing, "data_dir", &format!("{data_dir:?}"), "default");
    assert_listed(&listing, "log.level", r#""warn""#, "environment UDPCHAT_LOG");
    assert_listed(&listing, "log.messages_per_second", "7", &format!("{}:2", file.display()));
    assert_listed(&listing, "peers.bob.address", r#""1.2.3.4:5""#, &format!("{}:4", file.display()));
    assert_listed(&listing, "inbox.max_size", r#""4GiB""#, "default");
    for key in ["receive_buffer", "socket", "inbox.max_age", "text.encoding", "text.fallback", "log.format"] {
        assert_eq!(listing[key].1, "default", "{key}");
    }
    assert!(listing.contains_key("access.allow") && listing.contains_key("access.deny"));
}

#[test]
fn a_variable_is_stronger_than_the_file_and_a_flag_than_both() {
    let folder = new_folder();
    let at = |name: &str| folder.path().join(name);
    let file = format!(
        "listen = ['127.0.0.1:1']\ndata_dir = {:?}\nsocket = {:?}\nlog.level = 'error'",
        at("file-data"),
        at("file-socket")
    );
    fs::write(at("c.toml"), file).unwrap();
    let command = |variables: bool, flags: bool| {
        let mut command = bare(folder.path());
        command.arg("--config").arg(at("c.toml"));
        if variables {
            command.env("UDPCHAT_LISTEN", "127.0.0.1:2").env("UDPCHAT_DATA_DIR", at("variable-data"));
            command.env("UDPCHAT_SOCKET", at("variable-socket")).env("UDPCHAT_LOG", "warn");
        }
        if flags {
            command.args(["--listen", "127.0.0.1:3", "--log-level", "debug"]);
            command.arg("--data-dir").arg(at("flag-data")).arg("--socket").arg(at("flag-socket"));
        }
        listing(&mut command)
    };
    for (listing, layer, port, level) in [
        (command(false, false), "file", 1, "error"),
        (command(true, false), "variable", 2, "warn"),
        (command(true, true), "flag", 3, "debug"),
        (command(false, true), "flag", 3, "debug"),
    ] {
        let value = |key: &str| listing[key].0.clone();
        assert_eq!(value("listen"), format!(r#"["127.0.0.1:{port}"]"#));
        assert_eq!(value("data_dir"), format!("{:?}", at(&format!("{layer}-data"))));
        assert_eq!(value("socket"), format!("{:?}", at(&format!("{layer}-socket"))));
        assert_eq!(value("log.level"), format!("{level:?}"));
    }
}

#[test]
fn the_strongest_layer_is_what_a_daemon_runs_with() {
    let folder = new_folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("c.toml"), format!("data_dir = {:?}\nsocket = {:?}", at("1"), at("1.s"))).unwrap();
    let mut command = bare(folder.path());
    command.env("UDPCHAT_LISTEN", "127.0.0.1:0").arg("--config").arg(at("c.toml"));
    assert_runs_in(&mut command, &at("1"), &at("1.s"));
    command.env("UDPCHAT_DATA_DIR", at("2")).env("UDPCHAT_SOCKET", at("2.s"));
    assert_runs_in(&mut command, &at("2"), &at("2.s"));
    command.arg("--data-dir").arg(at("3")).arg("--socket").arg(at("3.s"));
    assert_runs_in(&mut command, &at("3"), &at("3.s"));
}

#[track_caller]
fn assert_runs_in(command: &mut Command, data: &Path, socket: &Path) {
    let mut daemon = Background::start(command);
    let status = daemon.answers_on(socket).call("status", json!({}));
    assert_eq!((&status["data_dir"], &status["socket"]), (&json!(data), &json!(socket)));
    assert!(data.join("inbox.db").is_file());
}

#[test]
fn check_config_opens_no_port_and_makes_no_file() {
    let folder = folder_with("");
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = held.local_addr().unwrap().to_string();
    listing(command_in(folder.path()).args(["--listen", &listen]));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.toml"]);
}

#[test]
fn the_shipped_file_is_right_and_says_the_defaults() {
    let folder = new_folder();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/udpchat.toml");
    let values = |listing: BTreeMap<String, (String, String)>| -> Vec<_> {
        listing.into_iter().map(|(key, (value, _))| (key, value)).collect()
    };
    let said = values(listing(bare(folder.path()).arg("--config").arg(shipped)));
    assert_eq!(said, values(listing(&mut bare(folder.path()))));
}

// Defaults.

/// Starts a daemon without arguments and checks that it works with its places below `home`, its socket at `socket`,
/// and that the client finds it in the same environment.
#[track_caller]
fn assert_works_without_arguments(home: &Path, runtime: Option<&Path>, socket: &Path) {
    let data = home.join(".local/share/udpchat");
    let mut environment = vec![("HOME", home)];
    environment.extend(runtime.map(|runtime| ("XDG_RUNTIME_DIR", runtime)));
    let mut command = bare(home);
    // The port of the default may be in use on this machine.
    command.envs(environment.iter().copied()).env("UDPCHAT_LISTEN", "127.0.0.1:0");
    let mut daemon = Background::start(&mut command);
    daemon.answers_on(socket);
    let status = ctl_without_daemon(&["--json", "status"], &environment).json().remove(0);
    assert_eq!(status["pid"], daemon.pid());
    assert_eq!((&status["data_dir"], &status["socket"]), (&json!(data), &json!(socket)));
    assert!(data.join("inbox.db").is_file());
    let stopped = ctl_without_daemon(&["stop"], &environment);
    assert_eq!(stopped.ok(), "stopped\n");
    assert!(daemon.wait().0.success());
    assert!(!socket.exists());
}

#[test]
fn without_arguments_the_inbox_and_the_socket_are_below_the_home() {
    let home = new_folder();
    let socket = home.path().join(".local/share/udpchat/control.sock");
    assert_works_without_arguments(home.path(), None, &socket);
}

#[test]
fn without_arguments_the_socket_is_in_the_runtime_directory_where_there_is_one() {
    let (home, runtime) = (new_folder(), new_folder());
    let socket = runtime.path().join("udpchat/control.sock");
    assert_works_without_arguments(home.path(), Some(runtime.path()), &socket);
}

#[test]
fn the_default_is_port_7788_of_every_address() {
    let home = new_folder();
    assert_listed(&listing(&mut bare(home.path())), "listen", r#"["[::]:7788"]"#, "default");
}

// Reload.

fn rewrite(daemon: &Daemon, config: &str) {
    fs::write(daemon.path("config.toml"), config).unwrap();
}

#[test]
fn sighup_changes_peers_and_text_at_once() {
    let mut daemon = Daemon::start();
    let peer = Peer::new();
    rewrite(&daemon, &format!("[peers.bob]\naddress = '{}'\nencoding = 'gbk'", peer.name()));
    daemon.signal(Signal::SIGHUP);
    daemon.log_line("configuration reloaded");
    peer.say(daemon.address(), "一", GBK);
    daemon.stored(1);
    let entry = daemon.entries().remove(0);
    assert_eq!((&entry["name"], &entry["text"]), (&json!("bob"), &json!("一")));
    let _receipt = daemon.ctl(&["send", "bob", "你好"]).ok();
    assert_eq!(peer.receive().0, GBK.encode("你好").0.as_ref());
}

#[test]
fn reload_changes_how_peers_without_an_encoding_are_written_to() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    rewrite(&daemon, "[text]\nencoding = 'gbk'");
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
    let _receipt = daemon.ctl(&["send", &peer.name(), "你好"]).ok();
    assert_eq!(peer.receive().0, GBK.encode("你好").0.as_ref());
}

#[test]
fn reload_changes_the_level_of_the_log_at_once() {
    let folder = folder_with("[log]\nlevel = 'warn'");
    let mut daemon = Background::start(command_in(folder.path()).args(["--listen", "127.0.0.1:0"]));
    let mut rpc = daemon.answers_on(&folder.path().join("s"));
    let listen = rpc.call("status", json!({}))["listen"][0].as_str().unwrap().parse().unwrap();
    let mut set_level_and_hear = |level: &str, text: &str| {
        fs::write(folder.path().join("config.toml"), format!("log.level = '{level}'")).unwrap();
        rpc.call("reload", json!({}));
        Peer::new().send(listen, text);
    };
    set_level_and_hear("info", "now");
    daemon.line_with(r#""text":"now""#);
    set_level_and_hear("warn", "not now");
    daemon.signal(Signal::SIGTERM);
    let (ended, lines) = daemon.wait();
    assert!(ended.success());
    assert!(!lines.iter().any(|line| line.contains("not now")), "{lines:#?}");
}

#[test]
fn a_bad_file_is_refused_at_a_reload_and_the_running_configuration_stays() {
    let peer = Peer::new();
    let good = format!("[peers.bob]\naddress = '{}'", peer.name());
    let mut daemon = Daemon::start_with(&good, &[]);
    rewrite(&daemon, "[peers.al]\naddress = '1.2.3.4'\n[log]\nlevel = 'loud'");
    let place = format!("{}:4:9: unknown log level `loud`", daemon.path("config.toml").display());
    let refused = daemon.ctl(&["reload"]);
    assert_eq!(refused.stdout, "");
    refused.fails(1, &["the running one stays", &place, "hint: ", "error, warn, info"]);
    daemon.signal(Signal::SIGHUP);
    eventually("the refusal in the log", || {
        let refusals = daemon.log().iter().filter(|line| line.contains("unknown log level `loud`")).count();
        // One for each of the two ways.
        (refusals == 2).then_some(())
    });
    let _receipt = daemon.ctl(&["send", "bob", "still bob"]).ok();
    assert_eq!(peer.receive().0, b"still bob");
    let Ran { stderr, .. } = daemon.ctl(&["send", "al", "hi"]);
    assert!(stderr.contains("`al`"), "nothing of the bad file is in force: {stderr}");
}

const NEEDS_RESTART: &str = "listen = ['127.0.0.1:0']\nreceive_buffer = '1MiB'\n\
                             [inbox]\nmax_size = '1GiB'\n";

fn needs_restart(reloaded: &Value) -> Vec<&str> {
    reloaded["needs_restart"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
}

#[test]
fn a_reload_names_the_keys_that_need_a_restart() {
    let mut daemon = Daemon::start_with("listen = ['127.0.0.1:0', '127.0.0.2:0']", &[]);
    let keys = ["listen", "receive_buffer"];
    rewrite(&daemon, NEEDS_RESTART);
    assert_eq!(needs_restart(&daemon.ctl(&["--json", "reload"]).json()[0]), keys);
    daemon.log_line(&format!("configuration reloaded; only a restart changes: {}", keys.join(", ")));
    assert_eq!(daemon.listen().len(), 2);
}

#[test]
fn what_needs_a_restart_is_named_at_every_reload_until_then() {
    let daemon = Daemon::start_with("listen = ['127.0.0.1:0', '127.0.0.2:0']", &[]);
    rewrite(&daemon, NEEDS_RESTART);
    let first = daemon.rpc().call("reload", json!({}));
    assert_eq!(daemon.rpc().call("reload", json!({})), first);
    rewrite(&daemon, "listen = ['127.0.0.1:0', '127.0.0.2:0']");
    assert!(needs_restart(&daemon.rpc().call("reload", json!({}))).is_empty(), "it runs with these");
}

#[test]
fn status_tells_what_the_daemon_runs_with_after_a_reload_that_needs_a_restart() {
    let folder = new_folder();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let config = |data: &str, buffer: &str| format!("data_dir = {:?}\nreceive_buffer = '{buffer}'", at(data));
    fs::write(at("c.toml"), config("old", "64KiB")).unwrap();
    let mut command = bare(folder.path());
    command.args(["--listen", "127.0.0.1:0"]).arg("--socket").arg(at("s")).arg("--config").arg(at("c.toml"));
    let mut daemon = Background::start(&mut command);
    let mut rpc = daemon.answers_on(&at("s"));
    fs::write(at("c.toml"), config("new", "32KiB")).unwrap();
    assert_eq!(needs_restart(&rpc.call("reload", json!({}))), ["data_dir", "receive_buffer"]);
    let status = rpc.call("status", json!({}));
    assert_eq!(status["data_dir"], json!(at("old")));
    assert_eq!(status["receive_buffer"]["asked"], 64 * 1024);
}

// The ports.

#[test]
fn a_receive_buffer_smaller_than_asked_for_is_told_in_status_and_log() {
    let mut daemon = Daemon::start_with("receive_buffer = '1GiB'", &[]);
    let buffer = daemon.status()["receive_buffer"].clone();
    assert_eq!(buffer["asked"], 1024 * 1024 * 1024);
    let warning = daemon.log().into_iter().find(|line| line.contains("smaller receive buffer"));
    if buffer["granted"].as_u64() < buffer["asked"].as_u64() {
        let warning: Value = serde_json::from_str(&warning.expect("a warning")).unwrap();
        assert_eq!((&warning["level"], &warning["asked_bytes"]), (&json!("WARN"), &buffer["asked"]));
        assert_eq!(warning["granted_bytes"], buffer["granted"]);
    } else {
        assert_eq!(warning, None);
    }
}

#[test]
fn a_receive_buffer_as_asked_for_is_told_without_a_warning() {
    let mut daemon = Daemon::start_with("receive_buffer = '16KiB'", &[]);
    assert_eq!(daemon.status()["receive_buffer"], json!({ "asked": 16_384, "granted": 16_384 }));
    assert!(!daemon.log().iter().any(|line| line.contains("smaller receive buffer")));
}

/// Tells whether this machine has IPv6, and says so if not.
fn has_ipv6() -> bool {
    let has = UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6");
    }
    has
}

/// Sends a message from an address of the same family to each of these, and checks that all arrive where they were
/// sent to.
#[track_caller]
fn assert_hears_at(daemon: &Daemon, addresses: &[SocketAddr]) {
    for (sent, address) in addresses.iter().enumerate() {
        let peer = Peer::at(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
        peer.send(*address, address.to_string());
        daemon.stored(sent as u64 + 1);
    }
    let entries = daemon.entries();
    assert_eq!(texts(&entries), addresses.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry["local"] == entry["text"]), "{entries:#?}");
}

#[test]
fn every_listening_address_is_shown_with_its_real_port_and_works() {
    if !has_ipv6() {
        return;
    }
    let flags = ["--listen", "127.0.0.1:0", "--listen", "[::1]:0", "--listen", "127.0.0.2:0"];
    let daemon = Daemon::start_with("", &flags);
    let listen = daemon.status()["listen"].clone();
    assert_eq!(listen, json!(daemon.listen()));
    let hosts: Vec<_> = daemon.listen().iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.1", "::1", "127.0.0.2"]);
    assert!(daemon.listen().iter().all(|address| address.port() != 0), "{listen}");
    assert_hears_at(&daemon, daemon.listen());
}

#[test]
fn one_port_serves_both_families_over_one_socket() {
    if !has_ipv6() {
        return;
    }
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    let port = daemon.address().port();
    assert_hears_at(&daemon, &loopback(port));
}

#[test]
fn one_port_can_be_listened_on_for_each_family_by_itself() {
    if !has_ipv6() {
        return;
    }
    let port = free_port();
    let (v6, v4) = (format!("[::]:{port}"), format!("0.0.0.0:{port}"));
    let daemon = Daemon::start_with("", &["--listen", &v6, "--listen", &v4]);
    assert_eq!(daemon.status()["listen"], json!([v6, v4]));
    assert_hears_at(&daemon, &loopback(port));
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// Finds a port that is free for both families, below those that the system gives away by itself.
fn free_port() -> u16 {
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| UdpSocket::bind(("::", *port)).is_ok();
    (first..first + 1_000).find(is_free).expect("a free port")
}

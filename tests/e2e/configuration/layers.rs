//! The layers of the configuration: defaults, file, variables and flags.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{
    Background, OtherUser, can_mount, command_in, ctl_without_daemon, finish, new_folder, path_with_programs,
};

use super::{bare, folder_with};

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
fn check_config_prints_every_value_with_its_origin() {
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
fn flags_override_variables_which_override_the_file() {
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
fn the_daemon_runs_with_the_strongest_layer() {
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
fn check_config_opens_no_port_and_creates_no_file() {
    let folder = folder_with("");
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = held.local_addr().unwrap().to_string();
    listing(command_in(folder.path()).args(["--listen", &listen]));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.toml"]);
}

#[test]
fn check_config_notes_whose_silence_is_not_noticed() {
    let peers = "[peers.dev]\naddress = '10.0.0.7'\nsilent_after = '1m'\n[peers.off]\naddress = '10.0.0.8'\n";
    let folder = folder_with(&format!("{peers}[access]\ndeny = ['10.0.0.0/24']\n"));
    let checked = command_in(folder.path()).arg("--check-config").output().unwrap();
    let stderr = String::from_utf8(checked.stderr).unwrap();
    let notes: Vec<_> = stderr.lines().filter(|line| line.contains("silent")).collect();
    assert_eq!(
        notes,
        ["note: the access list denies peers with `silent_after`, so their silence is not noticed: dev"]
    );
}

#[test]
fn check_config_notes_what_a_start_here_would_fail_at() {
    let folder = folder_with("listen = ['203.0.113.77:7788', '0.0.0.0:7788', '127.0.0.1:7789']\n");
    let checked = |command: &mut Command| {
        let output = command.arg("--check-config").stdout(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && stderr.ends_with("the configuration is valid\n"), "{stderr}");
        stderr.lines().filter(|line| line.starts_with("note: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let notes = checked(&mut command_in(folder.path()));
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(
        note.contains("`listen` names the address 203.0.113.77, which this machine does not have"),
        "{note}"
    );
    fs::write(folder.path().join("config.toml"), "").unwrap();
    assert_eq!(checked(&mut command_in(folder.path())), Vec::<String>::new());

    let Some(other) = OtherUser::get() else { return };
    let data = other.folder().join("data");
    fs::create_dir(&data).unwrap();
    let socket = other.folder().join("s");
    let mut command = other.command(env!("CARGO_BIN_EXE_udpchatd"));
    command
        .env_clear()
        .args(["--listen", "127.0.0.1:7789", "--data-dir"])
        .arg(&data)
        .arg("--socket")
        .arg(&socket);
    let notes = checked(&mut command);
    let wanted = [
        format!("note: this user cannot use the data directory {}: ", data.display()),
        format!("note: this user cannot create the control socket {}: ", socket.display()),
    ];
    let all = wanted.iter().zip(&notes).all(|(wanted, note)| note.starts_with(wanted));
    assert!(notes.len() == 2 && all, "{notes:?}");
}

#[test]
fn the_shipped_file_is_valid_and_holds_the_defaults() {
    let folder = new_folder();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/udpchat.toml");
    let values = |listing: BTreeMap<String, (String, String)>| -> Vec<_> {
        listing.into_iter().map(|(key, (value, _))| (key, value)).collect()
    };
    let said = values(listing(bare(folder.path()).arg("--config").arg(shipped)));
    assert_eq!(said, values(listing(&mut bare(folder.path()))));
}

/// Starts a daemon without arguments and checks that it works with its folders below `home`, its socket at `socket`,
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
fn default_paths_are_below_the_home_directory() {
    let home = new_folder();
    let socket = home.path().join(".local/share/udpchat/control.sock");
    assert_works_without_arguments(home.path(), None, &socket);
}

#[test]
fn the_default_socket_is_in_the_runtime_directory() {
    let (home, runtime) = (new_folder(), new_folder());
    let socket = runtime.path().join("udpchat/control.sock");
    assert_works_without_arguments(home.path(), Some(runtime.path()), &socket);
}

/// Runs both programs with a `/run` of their own. The client has no `XDG_RUNTIME_DIR`, as after `su`.
const SESSION: &str = r#"
    set -e
    mount -t tmpfs none /run
    runtime="/run/user/$(id -u)"
    mkdir -p -m 700 "$runtime"
    XDG_RUNTIME_DIR="$runtime" udpchatd --listen 127.0.0.1:0 >"$HOME/log" 2>&1 &
    trap "kill $!" EXIT
    until udpchatctl --socket "$runtime/udpchat/control.sock" version >"$HOME/version" 2>&1; do kill -0 $!; done
    udpchatctl --json status
"#;

#[test]
fn a_client_without_the_runtime_directory_finds_the_daemon() {
    if !can_mount() {
        return;
    }
    let home = new_folder();
    let mut session = Command::new("unshare");
    session.args(["--mount", "sh", "-c", SESSION]).env_clear().env("PATH", path_with_programs());
    let status = finish(session.env("HOME", home.path()), b"").json().remove(0);
    let socket = status["socket"].as_str().unwrap();
    assert!(socket.starts_with("/run/user/") && socket.ends_with("/udpchat/control.sock"), "{socket}");
}

#[test]
fn the_default_is_port_7788_of_every_address() {
    let home = new_folder();
    assert_listed(&listing(&mut bare(home.path())), "listen", r#"["[::]:7788"]"#, "default");
}

//! A daemon that cannot start names the cause, and changes nothing.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use udpchat_api::safe::is_unsafe;

use crate::support::{
    Account, Background, Daemon, OtherUser, Peer, Refused, new_folder, text_command_in, texts, with_paths,
};

#[track_caller]
fn assert_unharmed(daemon: &Daemon) {
    let before = daemon.status()["stored"].as_u64().unwrap();
    daemon.receive_from(&Peer::new(), ["still here"]);
    let status = daemon.status();
    assert_eq!((&status["stored"], &status["state"]), (&json!(before + 1), &json!("ok")));
    assert_eq!(texts(&daemon.entries()).last(), Some(&"still here"));
}

#[test]
fn a_port_in_use_has_a_hint_for_ss() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let refused = Daemon::refused(folder.path(), &["--listen", &format!("127.0.0.1:{port}")]);
    let (address, finder) = (format!("127.0.0.1:{port}"), format!("ss -lunp 'sport = :{port}'"));
    refused.fails(&[&address, "in use", "hint: ", &finder]);
    assert!(!folder.path().join("s").exists(), "no socket is left behind");
}

#[test]
fn a_foreign_address_is_named() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    // TEST-NET-1: no machine has it.
    let refused = Daemon::refused(folder.path(), &["--listen", "192.0.2.1:7788"]);
    refused.fails(&["192.0.2.1:7788", "hint: ", "ip address"]);
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let first = Daemon::start();
    let pid = first.pid().to_string();
    let second = Daemon::refused_at(&first.path("data"), &first.path("s2"));
    second.fails(&[first.path("data").to_str().unwrap(), &pid, "hint: ", "--data-dir"]);
    assert!(!first.path("s2").exists());
    assert_unharmed(&first);
}

#[test]
fn a_refused_start_is_a_line_of_a_json_log() {
    let first = Daemon::start();
    let refused = Daemon::refused(first.folder.path(), &["--log-format", "json"]);
    let line: serde_json::Value = serde_json::from_str(refused.stderr.trim()).unwrap();
    assert_eq!((refused.code, &line["level"]), (Some(1), &json!("ERROR")));
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("is in use by udpchatd with process id"), "{line}");
    assert!(line["hint"].as_str().unwrap().contains("--data-dir"), "{line}");
}

#[test]
fn a_socket_of_a_variable_is_named_with_it() {
    let first = Daemon::start();
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "listen = ['127.0.0.1:0']").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("UDPCHAT_SOCKET", first.socket()).env("HOME", folder.path());
    command.arg("--config").arg(folder.path().join("config.toml"));
    Daemon::refused_by(&mut command)
        .fails(&["(from UDPCHAT_SOCKET) is in use by udpchatd", "unset that variable"]);
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let first = Daemon::start();
    let pid = first.pid().to_string();
    let second = Daemon::refused_at(&first.path("data2"), &first.socket());
    second.fails(&[first.socket().to_str().unwrap(), &pid, "hint: ", "--socket"]);
    assert_unharmed(&first);
}

#[test]
fn a_file_as_data_directory_is_kept() {
    let folder = new_folder();
    let place = folder.path().join("data");
    fs::write(&place, "precious").unwrap();
    for data in [&place, &place.join("below")] {
        Daemon::refused_at(data, &folder.path().join("s")).fails(&[data.to_str().unwrap(), "--data-dir"]);
    }
    assert_eq!(fs::read(&place).unwrap(), b"precious");
}

/// Prepares a daemon with a limit of open files.
fn with_open_files(limit: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command.env_clear().args(["-c", &format!(r#"ulimit {limit} && exec "$0" "$@""#)]);
    let daemon = text_command_in(folder);
    command.arg(daemon.get_program()).args(daemon.get_args()).args(["--listen", "127.0.0.1:0"]);
    command.env("HOME", folder);
    command
}

#[test]
fn too_few_open_files_are_refused() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let refused = Daemon::refused_by(&mut with_open_files("-n 20", folder.path()));
    refused.fails(&["may open 20 files", "hint", "ulimit -n 1024", "LimitNOFILE=1024"]);
    assert!(!folder.path().join("s").exists() && !folder.path().join("data").exists());
}

#[test]
fn the_limit_of_open_files_is_raised() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let mut daemon = Background::start(&mut with_open_files("-Sn 20 && ulimit -Hn 700", folder.path()));
    let mut rpc = daemon.answers_on(&folder.path().join("s"));
    rpc.call("version", json!({}));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().collect::<Vec<_>>()[3..5], ["700", "700"]);
}

#[test]
fn few_open_files_are_enough_and_warned_of() {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    let mut daemon = Background::start(&mut with_open_files("-n 64", folder.path()));
    daemon.line_with("not enough for 256 connections");
    let mut rpc = daemon.answers_on(&folder.path().join("s"));
    assert_eq!(rpc.call("status", json!({}))["state"], "ok");
}

/// Checks that a daemon refuses a directory in this state, names it, and changes nothing in it.
#[track_caller]
fn assert_unsafe(is_data: bool, make_unsafe: impl FnOnce(&Path), texts: &[&str]) {
    let folder = new_folder();
    // Within reach of all users.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let places = ["data", "run"].map(|name| folder.path().join(name));
    for place in &places {
        fs::create_dir(place).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let place = &places[if is_data { 0 } else { 1 }];
    make_unsafe(place);
    let refused = Daemon::refused_at(&places[0], &places[1].join("s"));
    refused.fails(&[&[place.to_str().unwrap(), "is not safe", "hint: "], texts].concat());
    assert_eq!(fs::read_dir(place).unwrap().count(), 0);
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    for is_data in [true, false] {
        let open = |place: &Path| fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
        assert_unsafe(
            is_data,
            open,
            &["every user (mode 0777)", "`chmod go-w ", "keeps other users out; `--"],
        );
    }
}

#[test]
fn only_a_private_group_may_write_to_a_directory() {
    let Some(other) = OtherUser::get() else { return };
    let data = other.folder().join("data");
    fs::create_dir(&data).unwrap();
    let prepare = |account: &Account| {
        std::os::unix::fs::chown(&data, Some(account.uid), Some(account.uid)).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o770)).unwrap();
        let mut command = other.command_of(account, env!("CARGO_BIN_EXE_udpchatd"));
        with_paths(&mut command, &data, &data.join("s"));
        command
    };
    let without_name = Account::new(54_321, &[]);
    Daemon::refused_by(&mut prepare(&without_name)).fails(&["the group with gid 54321 (mode 0770)"]);
    // The user and the group `daemon`, which every system has.
    let mut daemon = Background::start(&mut prepare(&Account::new(1, &[])));
    assert_eq!(daemon.answers_on(&data.join("s")).call("status", json!({}))["state"], "ok");
}

#[test]
fn a_directory_out_of_reach_of_others_may_have_any_mode() {
    let folder = new_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    with_paths(command.env_clear(), &data, &data.join("s"));
    let mut daemon = Background::start(&mut command);
    assert_eq!(daemon.answers_on(&data.join("s")).call("status", json!({}))["state"], "ok");
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let Some(_) = OtherUser::get() else { return };
    for is_data in [true, false] {
        let give_away = |place: &Path| std::os::unix::fs::chown(place, Some(54_321), None).unwrap();
        let texts = [
            "belongs to the user with uid 54321",
            "(mode 0700) belongs to user 54321",
            ": ",
            "`sudo -u '#54321'`",
        ];
        assert_unsafe(is_data, give_away, &texts);
    }
}

/// A user without a name, who finds what root left behind.
const STRANGER: u32 = 54_321;

/// Runs the daemon as another user; returns what it prints when it is refused.
#[track_caller]
fn refused_to_stranger(other: &OtherUser, data: &Path, socket: &Path, args: &[&str]) -> String {
    let mut command = other.command_of(&Account::new(STRANGER, &[]), env!("CARGO_BIN_EXE_udpchatd"));
    with_paths(&mut command, data, socket).args(args);
    let Refused { code, stderr } = Daemon::refused_by(&mut command);
    assert!(code.is_some_and(|code| code != 0), "{stderr}");
    stderr
}

#[test]
fn what_root_left_behind_is_given_to_the_user() {
    let Some(other) = OtherUser::get() else { return };
    let place = |name: &str| other.folder().join(name);
    let belongs = |path: &Path| {
        format!("{} belongs to user root (0), and this program runs as user {STRANGER}", path.display())
    };
    let run = place("run");
    make(&run, STRANGER, 0o700);

    // A directory of root's, such as a daemon makes that is started with `sudo`.
    let data = place("udpchat");
    make(&data, 0, 0o700);
    let hint = refused_to_stranger(&other, &data, &run.join("s"), &[]);
    let command = format!("`sudo chown -R {STRANGER} {}` gives it to this user", data.display());
    assert!(hint.contains(&belongs(&data)) && hint.contains(&command), "{hint}");
    // An empty one of root's.
    let empty = place("empty");
    make(&empty, 0, 0o755);
    let hint = refused_to_stranger(&other, &empty, &run.join("s"), &[]);
    let command = format!("`sudo chown -R {STRANGER} {}` gives it to this user", empty.display());
    assert!(hint.contains(&belongs(&empty)) && hint.contains(&command), "{hint}");
    // An empty one of a colleague's.
    let theirs = place("theirs");
    make(&theirs, 54_322, 0o755);
    let hint = refused_to_stranger(&other, &theirs, &run.join("s"), &[]);
    let command = format!("`sudo chown -R {STRANGER} {}` gives it to this user", theirs.display());
    assert!(hint.contains(&command) && hint.contains("`sudo -u '#54322'`"), "{hint}");
    // A configuration of root's.
    let config = place("config.toml");
    fs::write(&config, "").unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let path = config.to_str().unwrap();
    let hint = refused_to_stranger(&other, &run, &run.join("s"), &["--config", path]);
    let command = format!("`sudo chgrp {STRANGER} {path} && sudo chmod g+r {path}` lets it read the file");
    assert!(hint.contains(&command) && hint.contains("--config"), "{hint}");
    // The directory of a socket for the groups of the configuration.
    let groups = place("groups.toml");
    fs::write(&groups, "control.read = ['daemon']").unwrap();
    let (socket, path) = (place("shared-run").join("s"), groups.to_str().unwrap());
    let hint = refused_to_stranger(&other, &run, &socket, &["--config", path]);
    assert!(hint.contains(&format!("`sudo install -d -m 755 -o {STRANGER} ")), "{hint}");
    // No directory, and none can be made.
    let new = place("new");
    let hint = refused_to_stranger(&other, &new, &run.join("s"), &[]);
    let command = format!("`sudo install -d -m 700 -o {STRANGER} {}`", new.display());
    assert!(hint.contains(&command) && hint.contains("--data-dir"), "{hint}");
    // Files of root's in a directory of the user's own.
    for name in ["lock", "inbox.db"] {
        let (data, file) = (place(&format!("mixed-{name}")), place(&format!("mixed-{name}")).join(name));
        make(&data, STRANGER, 0o700);
        fs::write(data.join("inbox.db"), "").unwrap();
        std::os::unix::fs::chown(data.join("inbox.db"), Some(STRANGER), None).unwrap();
        fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let hint = refused_to_stranger(&other, &data, &run.join("s"), &[]);
        let command = format!("`sudo chown -R {STRANGER} {}`", data.display());
        assert!(hint.contains(&belongs(&file)) && hint.contains(&command), "{name}: {hint}");
    }
}

#[test]
fn a_foreign_path_is_left_to_its_owner() {
    let Some(other) = OtherUser::get() else { return };
    let place = |name: &str| other.folder().join(name);
    let (own, run) = (place("own"), place("run"));
    make(&own, STRANGER, 0o700);
    make(&run, STRANGER, 0o700);
    // The data directory of another user's daemon, which could not use it any more.
    let service = place("service");
    make(&service, 54_322, 0o755);
    let inbox = service.join("inbox.db");
    fs::write(&inbox, "").unwrap();
    std::os::unix::fs::chown(&inbox, Some(54_322), None).unwrap();
    // The directory of the system's daemon may not even be listed.
    let closed_service = place("udpchat");
    make(&closed_service, 54_322, 0o700);
    let owner = ": run it as that user, with `sudo -u '#54322'`";
    for data in [&service, &closed_service] {
        let hint = refused_to_stranger(&other, data, &run.join("s"), &[]);
        assert!(hint.contains(owner) && !hint.contains("chown"), "{hint}");
    }
    // Root checks it, and is not meant to take it.
    let mut check = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    with_paths(check.env_clear(), &service, &run.join("s")).arg("--check-config");
    let checked = check.output().unwrap();
    let hint = String::from_utf8(checked.stdout).unwrap() + &String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success() && hint.contains(owner) && !hint.contains("chown"), "{hint}");
    // A directory of the system, one that is shared with other files, and one that only root may pass.
    let (srv, shared, closed) = (place("srv"), place("shared"), place("closed"));
    make(&srv, 0, 0o755);
    fs::write(srv.join("file"), "").unwrap();
    make(&shared, 0, 0o755);
    make(&closed, 0, 0o700);
    fs::write(shared.join("inbox.db"), "").unwrap();
    fs::write(shared.join("thesis"), "").unwrap();
    // A directory of a third user's.
    let theirs = place("theirs");
    make(&theirs, 54_322, 0o700);
    // An inbox to recover.
    let file = place("inbox.db.damaged");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let path = file.to_str().unwrap();

    let socket = run.join("s");
    for (data, socket, args, foreign, account, flag) in [
        (&srv, &socket, &[][..], (&srv, "0755"), "root", "--data-dir"),
        (&shared, &socket, &[], (&shared, "0755"), "root", "--data-dir"),
        (&closed.join("udpchat"), &socket, &[], (&closed, "0700"), "root", "--data-dir"),
        (&theirs, &socket, &[], (&theirs, "0700"), "'#54322'", "--data-dir"),
        (&own, &srv.join("s"), &[], (&srv, "0755"), "root", "--socket"),
        (&own, &socket, &["--recover", path], (&file, "0600"), "root", ""),
    ] {
        let hint = refused_to_stranger(&other, data, socket, args);
        let belongs = format!("{} (mode {}) belongs to user ", foreign.0.display(), foreign.1);
        let owner = format!("choose another path, or run it as that user, with `sudo -u {account}`");
        assert!(hint.contains(&belongs) && hint.contains(&owner) && hint.contains(flag), "{hint}");
        assert!(!["chown", "chmod", "install"].iter().any(|command| hint.contains(command)), "{hint}");
    }
}

/// Creates a directory of a user.
fn make(path: &Path, owner: u32, mode: u32) {
    fs::create_dir(path).unwrap();
    std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_socket_may_be_in_a_directory_with_the_sticky_bit() {
    let folder = new_folder();
    let shared = folder.path().join("tmp");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    with_paths(command.env_clear(), &folder.path().join("data"), &shared.join("s"));
    let mut daemon = Background::start(&mut command);
    assert_eq!(daemon.answers_on(&shared.join("s")).call("status", json!({}))["state"], "ok");
}

#[test]
fn arguments_are_shown_escaped() {
    let hostile = "x\u{1b}]0;owned\u{7}\u{202e}y\nhint: lie";
    let folder = new_folder();
    let config = folder.path().join(hostile);
    fs::write(&config, "[text]\nfallback = 'x'\n").unwrap();
    let below = format!("/proc/{hostile}");
    let flag = format!("--{hostile}");
    let socket = format!("/{}{hostile}", "s".repeat(120));
    for args in [
        &[hostile][..],
        &[&flag],
        &["--listen", hostile],
        &["--log-level", hostile],
        &["--config", &below],
        &["--config", config.to_str().unwrap()],
        &["--data-dir", &below],
        &["--data-dir", folder.path().join("d").to_str().unwrap(), "--socket", &socket],
        &["--data-dir", folder.path().join("d").to_str().unwrap(), "--socket", &below],
        &["--data-dir", &below, "--backup", &below],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
        command.env_clear().env("HOME", folder.path()).env("CLICOLOR_FORCE", "1").args(args);
        let Refused { code, stderr } = Daemon::refused_by(&mut command);
        assert!(code.is_some_and(|code| code != 0), "{args:?}: {stderr}");
        let without_style = stderr.replace("\u{1b}[", "");
        assert!(!without_style.contains(|c: char| is_unsafe(c) && c != '\n'), "{args:?}: {stderr:?}");
        assert!(!stderr.lines().any(|line| line.starts_with("hint: lie")), "{args:?}: {stderr}");
        assert!(stderr.contains(r"x\u{1b}]0;owned"), "{args:?}: {stderr}");
    }
}

#[test]
fn an_unwritable_data_directory_is_refused() {
    let Some(other) = OtherUser::get() else { return };
    let data = other.folder().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = other.command(env!("CARGO_BIN_EXE_udpchatd"));
    let refused = Daemon::refused_by(with_paths(&mut command, &data, &data.join("s")));
    let texts = [data.to_str().unwrap(), "denied", "hint: ", "--data-dir"];
    refused.fails(&texts);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
}

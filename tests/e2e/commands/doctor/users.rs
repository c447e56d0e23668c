//! What `doctor` finds about daemons and files of other users.

use std::fs::Permissions;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use super::{assert_finding, findings, of, problems};
use crate::support::{Account, Completed, Daemon, OtherUser, finish};

#[test]
fn a_socket_of_another_user_names_its_owner() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = Daemon::start();
    // The folder must be accessible to the other user; otherwise the folder would be the cause.
    std::fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = other.command(env!("CARGO_BIN_EXE_udpchatctl"));
    let ran = command.args(["--json", "doctor"]).env("UDPCHAT_SOCKET", daemon.socket()).output().unwrap();
    let ran = Completed {
        code: ran.status.code(),
        stdout: String::from_utf8(ran.stdout).unwrap(),
        stderr: String::from_utf8(ran.stderr).unwrap(),
    };
    let found = findings(&ran, 1);
    let socket = daemon.socket();
    let parts = [socket.to_str().unwrap(), "cannot be opened", "belongs to user root (0)"];
    assert_finding(&found, "problem", "daemon", &parts);
    let as_root = format!("`sudo udpchatctl --socket {} doctor` checks this daemon", socket.display());
    assert_finding(&found, "problem", "daemon", &[&as_root]);
    // What a daemon of this user would listen on is no matter.
    assert!(!found.iter().any(|finding| finding["topic"] == "port"), "{found:#?}");
}

/// A user without a name, whose processes are none of the tests'.
const STRANGER: u32 = 54_322;

/// Runs the doctor as another user, with a configuration and without a daemon of that user's.
fn of_a_stranger(other: &OtherUser, config: &str) -> Completed {
    let file = other.folder().join("config.toml");
    std::fs::write(&file, config).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let mut command = other.command_of(&Account::new(STRANGER, &[]), env!("CARGO_BIN_EXE_udpchatctl"));
    finish(command.args(["--json", "doctor"]).env("UDPCHAT_CONFIG", &file).env_remove("UDPCHAT_SOCKET"), b"")
}

#[test]
fn a_daemon_of_another_user_is_not_to_be_stopped() {
    let Some(other) = OtherUser::get() else { return };
    let daemon = Daemon::start();
    let found = findings(&of_a_stranger(&other, &format!("listen = ['{}']", daemon.address())), 1);
    let port = daemon.address().port();
    let held = format!("UDP port {port} is held by a program of user root that this user may not inspect");
    let also = "; user root also runs udpchatd (pid ";
    assert_finding(&found, "problem", "port", &[&held, also, "`sudo ss -lunp 'sport"]);
    let running =
        [", user root) is running, but at none of these sockets", "`sudo udpchatctl doctor`", "[control]"];
    assert_finding(&found, "problem", "daemon", &running);
    assert!(!of(&found, "problem", "port").contains("stop"), "{found:#?}");

    // Another program: this user cannot stop it either.
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let found = findings(&of_a_stranger(&other, &format!("listen = ['{}']", held.local_addr().unwrap())), 1);
    let seen = of(&found, "problem", "port");
    assert!(seen.contains("`sudo ss -lunp") && !seen.contains("stop"), "{found:#?}");
}

#[test]
fn directories_of_another_user_are_named() {
    let Some(other) = OtherUser::get() else { return };
    let data = other.folder().join("udpchat");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    let found = findings(&of_a_stranger(&other, &format!("data_dir = '{}'", data.display())), 1);
    let command = format!("`sudo chown -R {STRANGER} {}`", data.display());
    let cannot = format!("a daemon of this user cannot use {}", data.display());
    assert_finding(&found, "problem", "configuration", &[&cannot, "belongs to user root (0)", &command]);
}

#[test]
fn what_a_user_may_not_read_is_unknown() {
    let Some(other) = OtherUser::get() else { return };
    let account = Account::new(STRANGER, &[]);
    let config = format!("[control]\nsend = [{STRANGER}]\n[peers.bob]\naddress = '127.0.0.1:9'");
    let daemon = Daemon::start_with(&config, &[]);
    std::fs::set_permissions(daemon.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let doctor = |peer: &str| findings(&other.ctl(&account, &daemon, &["--json", "doctor", peer]), 1);
    let unknown = "whether 127.0.0.1:9 has sent anything is unknown: `inbox` requires role `read`";
    assert_finding(&doctor("127.0.0.1:9"), "warning", "peer", &[unknown]);
    let unknown =
        ["the names of peers are unknown: `peers` requires role `read`", "hint: \"`read` is for root"];
    assert_finding(&doctor("bob"), "warning", "peer", &unknown);
    assert!(!problems(&doctor("bob")).contains(&"peer"));
}

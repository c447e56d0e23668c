//! A client and a daemon that do not see each other's processes, as in a container.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{READERS, SENDERS, UID, account, config, start};
use crate::support::{Account, Daemon, OtherUser, Peer, available, command_in, finish, new_folder};

/// Runs a command in a new PID namespace, in which it sees no process of another namespace.
fn in_pid_namespace(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.arg(command.get_program()).args(command.get_args()).env_clear();
    unshare.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.env("PATH", std::env::var_os("PATH").unwrap());
    unshare
}

#[test]
fn a_client_of_another_pid_namespace_has_the_roles_of_its_user() {
    let Some(other) = OtherUser::get() else { return };
    if !available("unshare") {
        return;
    }
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), config()).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut contained = in_pid_namespace(command_in(folder.path()).args(["--listen", "127.0.0.1:0"]));
    contained.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Neither sees the process of the other, in either case.
    for daemon in [start(&config(), &[]), Daemon::start_by(folder, &mut contained)] {
        let peer = Peer::new();
        let to = peer.name();
        let ctl = |account: &Account, args: &[&str]| {
            let mut ctl = other.command_of(account, env!("CARGO_BIN_EXE_udpchatctl"));
            finish(&mut in_pid_namespace(ctl.arg("--socket").arg(daemon.socket()).args(args)), b"")
        };
        let (reader, sender) = (account(&[READERS]), account(&[SENDERS]));
        for account in [&reader, &sender] {
            let versions = ctl(account, &["version"]).ok();
            assert!(versions.contains("udpchatd"), "{versions}");
        }
        let _sent = ctl(&sender, &["send", &to, "contained"]).ok();
        assert_eq!(peer.receive().0, b"contained");
        ctl(&reader, &["send", &to, "x"]).fails(6, &["`send`", "role `send`"]);
        ctl(&sender, &["inbox"]).fails(6, &["`inbox`", "role `read`"]);
        ctl(&account(&[]), &["version"]).fails(6, &["has no role"]);
        assert_eq!(daemon.entries()[0]["by"], UID.to_string());
    }
}

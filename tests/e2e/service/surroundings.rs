//! Minimal environments: no variables, no home directory, no user name, closed descriptors, a
//! container with a read-only root. The daemon starts there or names the exact cause.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Background, Daemon, OtherUser, Peer, available, is_root, new_folder, texts};

/// Prepares a daemon with an empty environment, and no flags beside its port.
fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().args(["--listen", "127.0.0.1:0"]);
    command
}

#[test]
fn without_a_home_it_needs_a_data_directory() {
    let refused = Daemon::refused_by(&mut bare());
    assert_eq!(refused.code, Some(2));
    let expected = "error: no place for the inbox: neither XDG_DATA_HOME nor HOME is set\n\
                    hint: name a directory with `--data-dir`\n";
    assert_eq!(refused.stderr, expected);

    let folder = new_folder();
    let mut daemon = Background::start(bare().arg("--data-dir").arg(folder.path()));
    // As cron runs it: no runtime directory, so the socket is beside the inbox.
    daemon.answers_on(&folder.path().join("control.sock"));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().0.success());
}

#[test]
fn a_user_without_a_name_can_run_it() {
    let Some(other) = OtherUser::get() else { return };
    let folder = new_folder();
    std::os::unix::fs::chown(folder.path(), Some(54_321), Some(54_321)).unwrap();
    let program = other.command(env!("CARGO_BIN_EXE_udpchatd"));
    let copy = program.get_args().find(|word| Path::new(word).is_absolute()).unwrap();
    let mut command = Command::new("setpriv");
    command.env_clear().args(["--reuid", "54321", "--regid", "54321", "--clear-groups", "--"]).arg(copy);
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).current_dir("/");
    let mut daemon = Background::start(&mut command);
    let mut rpc = daemon.answers_on(&folder.path().join("control.sock"));
    assert_eq!(rpc.call("status", serde_json::json!({}))["state"], "ok");
}

#[test]
fn it_starts_with_closed_standard_descriptors() {
    let folder = new_folder();
    let mut command = Command::new("sh");
    let daemon = bare();
    let script = "exec \"$@\" <&- >&- 2>&-";
    command.env_clear().args(["-c", script, "sh"]).arg(daemon.get_program()).args(daemon.get_args());
    let mut daemon = Background::start(command.arg("--data-dir").arg(folder.path()));
    let mut rpc = daemon.answers_on(&folder.path().join("control.sock"));
    let status = rpc.call("status", serde_json::json!({}));
    let peer = Peer::new();
    peer.send(status["listen"][0].as_str().unwrap().parse().unwrap(), "kept");
    let entries = crate::support::eventually("the message", || {
        Some(rpc.entries(serde_json::json!({ "after": 0 }))).filter(|entries| !entries.is_empty())
    });
    assert_eq!(texts(&entries), ["kept"], "no log line went into the inbox's file");
}

/// Prepares a daemon of the system as the first process of a container: a read-only root, in which what `writable` lists is a
/// file system of its own, no environment, and no network but loopback.
fn contained(root: &Path, writable: &[&str]) -> Option<Command> {
    if !is_root() || !available("unshare") {
        return None;
    }
    let mounts: String =
        writable.iter().map(|path| format!("mount -t tmpfs none \"$1{path}\" && ")).collect();
    let script = format!(
        "mount --rbind / \"$1\" && mount -o remount,ro,bind \"$1\" && mkdir -p /run && {mounts} \
         ip link set lo up; exec chroot \"$1\" env -i \"$2\" --system --listen 127.0.0.1:0"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--net", "sh", "-c", &script, "sh"]);
    command.arg(root).arg(env!("CARGO_BIN_EXE_udpchatd"));
    Some(command)
}

#[test]
fn it_serves_in_a_read_only_container() {
    let folder = new_folder();
    let Some(mut command) = contained(folder.path(), &["/var/lib", "/run"]) else { return };
    let mut daemon = Background::start(&mut command);
    let line = daemon.line_with(" ready ");
    assert!(line.contains("socket=/run/udpchat/control.sock data_dir=/var/lib/udpchat pid=1"), "{line}");
    // To the first process of a container, a signal comes only if it is waited for.
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    let first = std::fs::read_to_string(children).unwrap();
    let stopped = Command::new("kill").args(["-TERM", first.trim()]).status().unwrap();
    assert!(stopped.success());
    daemon.line_with("SIGTERM: stopping");
    assert!(daemon.wait().0.success());
}

#[test]
fn a_read_only_data_directory_is_named() {
    let folder = new_folder();
    let Some(mut command) = contained(folder.path(), &["/run"]) else { return };
    let refused = Daemon::refused_by(&mut command);
    assert_eq!(refused.code, Some(1));
    let expected = "error: cannot use the data directory /var/lib/udpchat\n  caused by: Read-only file system\n\
                    hint: it is read-only here: `--data-dir` takes another; under systemd `ReadWritePaths=` opens this one\n";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);

    let Some(mut command) = contained(folder.path(), &["/var/lib"]) else { return };
    let refused = Daemon::refused_by(&mut command);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("error: cannot create the control socket /run/udpchat/control.sock"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("`--socket` sets another path"), "{}", refused.stderr);
}

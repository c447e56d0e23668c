//! The file of the control socket: its mode from the beginning, and that it never replaces another file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Background, Daemon, Refused, Rpc, eventually, new_folder, scaled};

/// Polls a path, once more after the request to end, and returns every mode that it has seen there.
fn watch_modes(path: PathBuf, end: Arc<AtomicBool>) -> JoinHandle<BTreeSet<u32>> {
    thread::spawn(move || {
        let mut seen = BTreeSet::new();
        loop {
            let last = end.load(Ordering::SeqCst);
            seen.extend(fs::symlink_metadata(&path).map(|metadata| metadata.mode() & 0o7777));
            if last {
                return seen;
            }
        }
    })
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Starts a daemon under a umask and with groups that may read, with folders that it must create, and checks every mode.
#[track_caller]
fn assert_modes_under(umask: &str, readers: &[u32], socket_mode: u32, directory_mode: u32) {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), format!("control.read = {readers:?}")).unwrap();
    let (socket, data) = (folder.path().join("run/here/s"), folder.path().join("var/data"));
    let end = Arc::new(AtomicBool::new(false));
    let modes = watch_modes(socket.clone(), Arc::clone(&end));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!(r#"umask {umask}; exec "$0" "$@""#), env!("CARGO_BIN_EXE_udpchatd")]);
    shell.env("HOME", folder.path()).args(["--listen", "127.0.0.1:0"]);
    shell.arg("--config").arg(folder.path().join("config.toml"));
    let mut daemon = Background::start(shell.arg("--socket").arg(&socket).arg("--data-dir").arg(&data));
    daemon.line_with("ready");
    end.store(true, Ordering::SeqCst);
    assert_eq!(modes.join().unwrap(), BTreeSet::from([socket_mode]), "umask {umask}");
    for (directory, wanted) in
        [("run", directory_mode), ("run/here", directory_mode), ("var", 0o700), ("var/data", 0o700)]
    {
        assert_eq!(mode(&folder.path().join(directory)), wanted, "umask {umask}: {directory}");
    }
    let files = [data.as_path(), socket.parent().unwrap()].map(|folder| fs::read_dir(folder).unwrap());
    for file in files.into_iter().flatten().map(|file| file.unwrap().path()).filter(|file| *file != socket) {
        assert_eq!(mode(&file), 0o600, "umask {umask}: {}", file.display());
    }
}

#[test]
fn socket_and_inbox_are_private_with_any_umask() {
    for _ in 0..scaled(8, 50) {
        for umask in ["000", "022", "077"] {
            assert_modes_under(umask, &[], 0o600, 0o700);
        }
    }
}

#[test]
fn a_group_socket_has_its_mode_with_any_umask() {
    let (own, another) = (nix::unistd::getegid().as_raw(), 4_000_000_001);
    for _ in 0..scaled(6, 50) {
        for umask in ["000", "022", "077"] {
            assert_modes_under(umask, &[own], 0o660, 0o755);
            assert_modes_under(umask, &[own, another], 0o666, 0o755);
        }
    }
}

#[test]
fn the_socket_of_a_killed_daemon_is_replaced() {
    let daemon = Daemon::start();
    let (folder, flags) = daemon.into_folder();
    let left = fs::symlink_metadata(folder.path().join("s")).unwrap();
    assert!(left.file_type().is_socket());
    let daemon = Daemon::start_in(folder, flags);
    assert_eq!(daemon.status()["pid"], daemon.pid());
    assert_eq!(mode(&daemon.socket()), 0o600);
}

/// Creates something at the path of the socket, and checks that a daemon refuses to start.
#[track_caller]
fn assert_refuses_socket_path(put: impl FnOnce(&Path), texts: &[&str]) -> tempfile::TempDir {
    let folder = new_folder();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    put(&folder.path().join("s"));
    let Refused { code, stderr } = Daemon::refused(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(folder.path().join("s").to_str().unwrap()), "{stderr}");
    assert!(texts.iter().all(|text| stderr.contains(text)), "{stderr}");
    folder
}

#[test]
fn a_file_at_the_socket_path_is_kept() {
    let put = |path: &Path| fs::write(path, "precious").unwrap();
    let folder = assert_refuses_socket_path(put, &["not a socket", "hint: ", "--socket"]);
    assert_eq!(fs::read(folder.path().join("s")).unwrap(), b"precious");
}

#[test]
fn a_directory_at_the_socket_path_is_kept() {
    let put = |path: &Path| {
        fs::create_dir(path).unwrap();
        fs::write(path.join("inside"), "precious").unwrap();
    };
    let folder = assert_refuses_socket_path(put, &["not a socket", "hint: "]);
    assert_eq!(fs::read(folder.path().join("s/inside")).unwrap(), b"precious");
}

#[test]
fn a_link_at_the_socket_path_is_kept() {
    let put = |path: &Path| {
        fs::write(path.with_file_name("target"), "precious").unwrap();
        symlink("target", path).unwrap();
    };
    let folder = assert_refuses_socket_path(put, &["not a socket", "hint: "]);
    assert_eq!(fs::read(folder.path().join("target")).unwrap(), b"precious");
    assert_eq!(fs::read_link(folder.path().join("s")).unwrap(), Path::new("target"));
    // One that points nowhere must not be followed either.
    let put = |path: &Path| symlink("nowhere", path).unwrap();
    let folder = assert_refuses_socket_path(put, &["not a socket"]);
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn a_listening_program_keeps_its_socket() {
    let mut listener = None;
    let put = |path: &Path| listener = Some(UnixListener::bind(path).unwrap());
    let folder = assert_refuses_socket_path(put, &["another program listens", "hint: "]);
    let listener = listener.unwrap();
    // A client that connected before.
    listener.set_nonblocking(true).unwrap();
    while listener.accept().is_ok() {}
    let mut client = UnixStream::connect(folder.path().join("s")).unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut received = String::new();
    listener.accept().unwrap().0.read_to_string(&mut received).unwrap();
    assert_eq!(received, "hello");
}

#[test]
fn a_stopping_daemon_removes_only_its_own_socket() {
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    fs::write(daemon.path("other"), "precious").unwrap();
    fs::rename(daemon.path("other"), daemon.socket()).unwrap();
    rpc.call("stop", json!({}));
    assert!(daemon.wait().success());
    assert_eq!(fs::read(daemon.socket()).unwrap(), b"precious");
}

/// What removes it may be a cleaner of old files, or the end of a login session.
#[test]
fn a_removed_socket_is_created_again() {
    let daemon = Daemon::start_with(&format!("control.read = [{}]", nix::unistd::getegid()), &[]);
    let mut before = daemon.rpc();
    for remove in [
        (|daemon| fs::remove_file(daemon.socket()).unwrap()) as fn(&Daemon),
        |daemon| fs::rename(daemon.socket(), daemon.path("elsewhere")).unwrap(),
        |daemon| {
            fs::remove_file(daemon.path("s.lock")).unwrap();
            fs::remove_file(daemon.socket()).unwrap();
        },
    ] {
        remove(&daemon);
        eventually("the socket to be there again", || UnixStream::connect(daemon.socket()).ok());
        assert_eq!(daemon.status()["pid"], daemon.pid());
        eventually("its mode", || (mode(&daemon.socket()) == 0o660).then_some(()));
    }
    // A client that was connected stays connected.
    assert_eq!(before.call("status", json!({}))["pid"], daemon.pid());
    assert_eq!(before.call("status", json!({}))["state"], "ok");
}

#[test]
fn a_socket_in_a_removed_directory_waits_for_it() {
    let folder = new_folder();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    let socket = run.join("s");
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpchatd"));
    command.env_clear().env("HOME", folder.path()).stderr(Stdio::piped());
    command
        .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
        .arg(folder.path().join("data"));
    let daemon = Daemon::start_by(folder, command.arg("--socket").arg(&socket));
    let mut before = Rpc::connect(&socket);
    // The daemon may create its socket again in between.
    eventually("the removal of the directory", || fs::remove_dir_all(&run).ok());
    eventually("the problem to be reported", || {
        let status = before.call("status", json!({}));
        status["problems"].to_string().contains("was removed and cannot be created").then_some(())
    });
    fs::create_dir(&run).unwrap();
    // The daemon's lock is held, as where only the socket was removed.
    fs::write(run.join("s.lock"), daemon.pid().to_string()).unwrap();
    let mut status = Command::new(env!("CARGO_BIN_EXE_udpchatctl"));
    let ran = status.env_clear().arg("--socket").arg(&socket).arg("status").output().unwrap();
    let printed = String::from_utf8(ran.stderr).unwrap();
    let there_again = socket.exists();
    assert!(there_again || printed.contains(&format!("kill -HUP {}", daemon.pid())), "{printed}");
    daemon.signal(Signal::SIGHUP);
    eventually("the socket to be there again", || UnixStream::connect(&socket).ok());
    let mut after = Rpc::connect(&socket);
    eventually("the problem to end", || (after.call("status", json!({}))["state"] == "ok").then_some(()));
}

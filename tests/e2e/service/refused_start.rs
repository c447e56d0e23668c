//! A daemon that cannot start names the cause, and changes nothing.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Daemon, OtherUser, Peer, new_folder, texts, with_paths};

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

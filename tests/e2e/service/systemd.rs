//! Under a service manager: sockets that outlive the daemon, notifications, and the watchdog.

use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Daemon, Delay, Manager, Peer, available, texts};

#[test]
fn datagrams_between_two_daemons_are_received() {
    let mut manager = Manager::new();
    let (address, peer) = (manager.udp.local_addr().unwrap(), Peer::new());
    peer.send(address, "before the first");
    let mut daemon = manager.start(&[]);
    let _status = daemon.stored(1);
    assert_eq!(daemon.listen(), [address], "the default address is not listened on beside");

    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    assert!(daemon.socket().exists(), "the control socket belongs to the manager");
    peer.send(address, "after a stop");
    manager.stopped(daemon);
    let daemon = manager.start(&[]);
    let _status = daemon.stored(1);

    daemon.signal(Signal::SIGKILL);
    peer.send(address, "after a kill");
    manager.stopped(daemon);
    let daemon = manager.start(&[]);
    let _status = daemon.stored(1);
    assert_eq!(texts(&daemon.entries()), ["before the first", "after a stop", "after a kill"]);
    assert_eq!(daemon.status()["socket"], json!(daemon.socket()));
    assert_eq!(daemon.ctl(&["send", &peer.name(), "from the same port"]).code, Some(0));
    assert_eq!(peer.receive().1, address);
}

#[test]
fn a_client_between_two_daemons_is_served() {
    let mut manager = Manager::new();
    let socket = manager.folder().join("s");
    let mut early = crate::support::Rpc::connect(&socket);
    early.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"version\"}\n");
    let _daemon = manager.start(&[]);
    assert_eq!(early.line().unwrap()["result"]["protocol"], 1);
}

#[test]
fn a_stop_says_that_the_next_message_starts_it_again() {
    let mut manager = Manager::new();
    let daemon = manager.start(&[]);
    let stopped = daemon.ctl(&["stop"]);
    let note = "the next message or command starts it again";
    assert!(stopped.stdout == "stopped\n" && stopped.stderr.contains(note), "{stopped:?}");
    assert!(
        stopped.stderr.contains("`systemctl --user stop udpchatd.socket udpchatd.service`"),
        "{stopped:?}"
    );
    manager.stopped(daemon);
    let daemon = manager.start(&[]);
    assert_eq!(daemon.ctl(&["--json", "stop"]).json()[0]["socket_activated"], true);
    let own = Daemon::start();
    assert_eq!(own.ctl(&["stop"]).ok(), "stopped\n");
}

#[test]
fn a_removed_file_of_a_passed_control_socket_is_a_problem() {
    let mut manager = Manager::new();
    let mut daemon = manager.start(&[]);
    let mut rpc = daemon.rpc();
    std::fs::remove_file(daemon.socket()).unwrap();
    let _problem = daemon.log_with("was removed, so no client can connect");
    assert_eq!(rpc.call("status", json!({}))["state"], "degraded");
    daemon.ctl(&["status"]).fails(3, &["was removed, so no client can connect", "start udpchatd"]);
}

#[test]
fn configured_addresses_are_bound_beside_passed_sockets() {
    let mut manager = Manager::new();
    let address = manager.udp.local_addr().unwrap();
    let same = address.to_string();
    let mut daemon = manager.start(&["--listen", &same, "--listen", "127.0.0.1:0"]);
    assert_eq!(daemon.listen()[0], address);
    assert_eq!(daemon.listen().len(), 2);
    assert_eq!(daemon.log().iter().filter(|line| line.contains("is not in `listen`")).count(), 0);
    manager.stopped(daemon);

    let mut daemon = manager.start(&["--listen", "127.0.0.1:0"]);
    assert_eq!((daemon.listen()[0], daemon.listen().len()), (address, 2), "it is received on all the same");
    assert_eq!(daemon.log().iter().filter(|line| line.contains("is not in `listen`")).count(), 1);
}

#[test]
fn an_address_conflicting_with_a_passed_socket_is_refused() {
    let manager = Manager::new();
    let other = format!("0.0.0.0:{}", manager.udp.local_addr().unwrap().port());
    let refused = Daemon::refused_by(&mut manager.command(&["--listen", &other]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("socket unit"), "{}", refused.stderr);
}

#[test]
fn an_unusable_passed_socket_is_refused_by_name() {
    let manager = Manager::new();
    let mut command = manager.command(&[]);
    // Standard input is empty here.
    command.env("LISTEN_FDNAMES", "web\u{1b}:control");
    let refused = Daemon::refused_by(&mut command);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(r"socket 1 (web\u001b), which is not a socket"), "{}", refused.stderr);
    assert!(refused.stderr.contains(r#""hint":""#), "{}", refused.stderr);
}

#[test]
fn notifications_cover_start_reload_problems_and_stop() {
    let mut manager = Manager::new();
    let daemon = manager.start(&[]);
    let ready = manager.notification();
    let address = manager.udp.local_addr().unwrap();
    assert_eq!(ready, format!("READY=1\nSTATUS=Receiving on {address}: 0 messages stored, 0 lost\n"));

    assert_eq!(daemon.ctl(&["reload"]).code, Some(0));
    let reloading = manager.notification();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(manager.notification(), "READY=1\n");
    let config = daemon.path("config.toml");
    let valid = std::fs::read(&config).unwrap_or_default();
    std::fs::write(&config, "wrong = 1").unwrap();
    daemon.signal(Signal::SIGHUP);
    assert!(manager.notification().starts_with("RELOADING=1"));
    assert_eq!(
        manager.notification(),
        "READY=1\n",
        "a configuration that is refused does not end the service"
    );
    manager.notification_starting_with("STATUS=Degraded: the configuration is refused");
    std::fs::write(&config, valid).unwrap();
    daemon.signal(Signal::SIGHUP);
    manager.notification_starting_with("STATUS=Receiving on");

    let lock = rusqlite::Connection::open(daemon.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    Peer::new().send(address, "cannot be stored");
    manager.notification_starting_with("STATUS=Degraded: the inbox cannot be written");
    drop(lock);
    manager.notification_starting_with("STATUS=Receiving on");

    daemon.signal(Signal::SIGTERM);
    assert!(manager.notification().starts_with("STOPPING=1\nSTATUS=Stopping"));
}

const LIMIT: Duration = Duration::from_secs(2);

#[test]
fn an_idle_daemon_notifies_the_watchdog() {
    let mut manager = Manager::new().with_watchdog(LIMIT);
    let daemon = manager.start(&[]);
    for _ in 0..10 {
        manager.notification_starting_with("WATCHDOG=1");
    }
    Peer::new().send(manager.udp.local_addr().unwrap(), "counted");
    let address = manager.udp.local_addr().unwrap();
    manager.notification_starting_with(&format!("STATUS=Receiving on {address}: 1 messages stored, 0 lost"));
    drop(daemon);
}

#[track_caller]
fn assert_hang_stops_notifications(thread: &str, calls: &str, name: &str) {
    if !available("strace") {
        return;
    }
    let mut manager = Manager::new().with_watchdog(LIMIT);
    let mut daemon = manager.start(&[]);
    manager.notification_starting_with("WATCHDOG=1");
    let hang = Delay::hang(&daemon, thread, calls);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"wakes it", manager.udp.local_addr().unwrap()).unwrap();
    let line = loop {
        let line = daemon.log_with("has made no progress for");
        if line.contains(name) {
            break line;
        }
    };
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    // Earlier notifications are read; then none comes for twice the usual interval.
    let mut notifications = Vec::new();
    while let Some(one) = manager.notification_within(LIMIT / 2) {
        notifications.push(one);
        assert!(notifications.len() < 10, "{notifications:?}");
    }
    drop(hang);
    manager.notification_starting_with("WATCHDOG=1");
    let _status = daemon.stored(1);
}

#[test]
fn a_hanging_receiver_stops_the_notifications() {
    assert_hang_stops_notifications("receive-0", "recvmmsg", "reception on 127.0.0.1");
}

#[test]
fn a_hanging_disk_stops_the_notifications() {
    assert_hang_stops_notifications("writer", "fsync,fdatasync,pwrite64", "the writer of the inbox");
}

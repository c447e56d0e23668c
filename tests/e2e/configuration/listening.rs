//! The configured sockets: addresses, address families and the receive buffer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::support::{Daemon, Peer, has_ipv6, texts};

#[test]
fn status_and_log_report_a_smaller_receive_buffer() {
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
fn a_granted_receive_buffer_causes_no_warning() {
    let mut daemon = Daemon::start_with("receive_buffer = '16KiB'", &[]);
    assert_eq!(daemon.status()["receive_buffer"], json!({ "asked": 16_384, "granted": 16_384 }));
    assert!(!daemon.log().iter().any(|line| line.contains("smaller receive buffer")));
}

/// Sends a message from an address of the same family to each of these, and checks that all arrive where they were
/// sent to.
#[track_caller]
fn assert_receives_at(daemon: &Daemon, addresses: &[SocketAddr]) {
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
fn every_listening_address_receives_on_its_shown_port() {
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
    assert_receives_at(&daemon, daemon.listen());
}

#[test]
fn one_port_serves_both_families_over_one_socket() {
    if !has_ipv6() {
        return;
    }
    let daemon = Daemon::start_with("", &["--listen", "[::]:0"]);
    let port = daemon.address().port();
    assert_receives_at(&daemon, &loopback(port));
}

#[test]
fn one_port_serves_both_families_over_two_sockets() {
    if !has_ipv6() {
        return;
    }
    let port = free_port();
    let (v6, v4) = (format!("[::]:{port}"), format!("0.0.0.0:{port}"));
    let daemon = Daemon::start_with("", &["--listen", &v6, "--listen", &v4]);
    assert_eq!(daemon.status()["listen"], json!([v6, v4]));
    assert_receives_at(&daemon, &loopback(port));
}

#[test]
fn an_address_beside_its_wildcard_leaves_no_other_out() {
    if !has_ipv6() {
        return;
    }
    let port = free_port();
    let specific = |text: &str| -> SocketAddr { format!("{text}:{port}").parse().unwrap() };
    for (wildcard, others) in [("[::]", &["127.0.0.2", "[::1]"][..]), ("0.0.0.0", &["127.0.0.2"])] {
        let listen: Vec<_> = [&[wildcard], others].concat().iter().map(|ip| format!("{ip}:{port}")).collect();
        let mut daemon = Daemon::start_with(&format!("listen = {listen:?}"), &[]);
        assert_eq!(daemon.status()["listen"], json!([format!("{wildcard}:{port}")]));
        let mut sent_to = vec![specific("127.0.0.1"), specific("127.0.0.2"), specific("127.0.0.3")];
        sent_to.extend((wildcard == "[::]").then(|| specific("[::1]")));
        assert_receives_at(&daemon, &sent_to);
        assert!(
            daemon
                .log()
                .iter()
                .any(|line| line.contains("127.0.0.2") && line.contains("no socket of its own"))
        );
    }
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// Finds a port that is free for both families, below the system's ephemeral ports. Each call looks among others, since the tests run
/// at once.
fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16 + 100 * CALLS.fetch_add(1, Relaxed);
    let is_free = |port: &u16| UdpSocket::bind(("::", *port)).is_ok();
    (first..first + 100).find(is_free).expect("a free port")
}

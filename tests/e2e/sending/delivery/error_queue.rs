//! The error queue of the socket: when it is on, and what forged and earlier errors do.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use serde_json::json;

use super::{bounced, send};
use crate::support::{DEADLINE, Daemon, Forger, Manager, Peer, closed, eventually, eventually_within};

/// How long the daemon asks for reports after a message, with an allowance for a busy machine.
const WATCHES: Duration = Duration::from_secs(DEADLINE.as_secs() + 5);

fn is_on(socket: &UdpSocket) -> bool {
    getsockopt(socket, sockopt::Ipv4RecvErr).unwrap()
}

/// Returns how often threads of a process have waited for something.
fn waits(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let waits = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    threads.filter_map(|thread| waits(fs::read_to_string(thread.unwrap().path().join("status")).ok()?)).sum()
}

#[test]
fn it_is_on_only_while_a_message_is_recent() {
    let mut manager = Manager::new();
    let daemon = manager.start(&[]);
    let mut rpc = daemon.rpc();
    assert!(!is_on(&manager.udp));
    // What goes to many is not watched.
    let _sent = rpc.reply("send", json!({ "to": "255.255.255.255:9", "text": "x" }));
    assert!(!is_on(&manager.udp));
    send(&mut rpc, closed("127.0.0.1"), "x");
    assert!(is_on(&manager.udp));
    assert_eq!(daemon.status()["icmp"]["watching"], true);
    bounced(&daemon, 1);
    eventually_within(WATCHES, "the end of watching", || (!is_on(&manager.udp)).then_some(()));
    assert_eq!(daemon.status()["icmp"]["watching"], false);
    // The idle daemon waits for something to happen. A check of the inbox wakes it every ten seconds.
    eventually("an idle second", || {
        let before = waits(daemon.pid());
        std::thread::sleep(Duration::from_secs(1));
        (waits(daemon.pid()) == before).then_some(())
    });
    send(&mut rpc, closed("127.0.0.1"), "y");
    bounced(&daemon, 2);
    daemon.signal(Signal::SIGTERM);
    let mut daemon = daemon;
    assert!(daemon.wait().success());
    assert!(!is_on(&manager.udp), "off at the stop");
    manager.stopped(daemon);
}

#[test]
fn a_start_on_a_socket_with_errors_goes_on_without_a_problem() {
    let mut manager = Manager::new();
    let mut daemon = manager.start(&[]);
    send(&mut daemon.rpc(), closed("127.0.0.1"), "x");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    assert!(is_on(&manager.udp), "the option outlives a killed daemon");
    setsockopt(&manager.udp, sockopt::Ipv4RecvErr, &true).unwrap();
    for _ in 0..20 {
        // Some fail with the error of the one before.
        let _sent = manager.udp.send_to(b"of nobody", closed("127.0.0.1"));
    }
    manager.stopped(daemon);
    let mut daemon = manager.start(&[]);
    assert!(!is_on(&manager.udp));
    let peer = Peer::new();
    daemon.receive_from(&peer, ["word"]);
    let status = daemon.status();
    assert_eq!((&status["state"], &status["icmp"]["ignored"]), (&json!("ok"), &json!(0)), "{status}");
    assert!(!daemon.log().iter().any(|line| line.contains("cannot receive")));
    manager.stopped(daemon);
}

#[test]
fn forged_reports_lose_nothing_and_switch_it_off() {
    let Some(mut forger) = Forger::new() else { return };
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let SocketAddr::V4(local) = daemon.address() else { panic!("IPv4") };
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    let forge = |forger: &mut Forger, local: SocketAddrV4| (0..1_000).for_each(|_| forger.report(local));
    let id = send(&mut rpc, peer.address(), "x");
    eventually("the end of watching", || {
        forge(&mut forger, local);
        (daemon.status()["icmp"]["watching"] == false).then_some(())
    });
    let ignored = daemon.status()["icmp"]["ignored"].as_u64().unwrap();
    assert!(ignored > 200, "{ignored}");
    forge(&mut forger, local);
    send(&mut rpc, peer.address(), "it is not switched on again for a while");
    assert!(daemon.status()["icmp"]["watching"] == false);
    daemon.receive_from(&peer, (0..500).map(|number| number.to_string()));
    let status = daemon.status();
    assert_eq!((&status["stored"], &status["kernel_drops"]), (&json!(500), &json!(0)), "{status}");
    assert_eq!((&status["state"], &status["sent"]["bounced"]), (&json!("ok"), &json!(0)), "{status}");
    assert_eq!(super::entry(&mut rpc, id)["delivery"], "answered");
    assert!(!daemon.log().iter().any(|line| line.contains("cannot receive")));
}

#[test]
fn reports_of_every_kind_are_no_problem_of_reception() {
    let Some(mut forger) = Forger::new() else { return };
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let SocketAddr::V4(local) = daemon.address() else { panic!("IPv4") };
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    let id = send(&mut rpc, peer.address(), "it is on");
    // Fewer than a flood of reports; of a network, a host, a packet that is too big, and a firewall.
    const ROUNDS: u64 = 40;
    for _ in 0..ROUNDS {
        for code in [0, 1, 4, 13] {
            forger.report_as(local, code);
            peer.send(local.into(), "word");
        }
    }
    let status = daemon.stored(4 * ROUNDS);
    assert_eq!(
        (&status["state"], &status["icmp"]["ignored"]),
        (&json!("ok"), &json!(4 * ROUNDS)),
        "{status}"
    );
    assert_eq!(super::entry(&mut rpc, id)["delivery"], "answered");
    assert!(!daemon.log().iter().any(|line| line.contains("cannot receive")));
}

#[test]
fn the_books_balance_beside_bounces() {
    let daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    let (to, peer) = (daemon.address(), Peer::new());
    let flood = std::thread::spawn(move || {
        for number in 0..20_000 {
            peer.send(to, format!("{number}"));
        }
    });
    let (mut rpc, dead) = (daemon.rpc(), closed("127.0.0.1"));
    let mut sends = 0;
    while !flood.is_finished() || sends < 50 {
        send(&mut rpc, dead, "x");
        sends += 1;
    }
    flood.join().unwrap();
    let status = eventually("all to be accounted for", || {
        let status = daemon.status();
        let number = |pointer: &str| status.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap();
        let arrived = number("/received/datagrams") + number("/kernel_drops");
        (arrived == 20_000 && number("/queued") == 0).then(|| status.clone())
    });
    let stored = status["stored"].as_u64().unwrap() + status["dropped"]["queue_full"].as_u64().unwrap();
    assert_eq!(status["received"]["datagrams"], stored, "{status}");
    assert_eq!((&status["sent"]["failed"], &status["state"]), (&json!(0), &json!("ok")), "{status}");
}

//! What `doctor` finds between this host and its peers: addresses, firewalls, the access list, ports and routes.

use super::{LISTEN, assert_finding, findings, healthy, like_a_self_test, problems};
use crate::support::{Daemon, Peer, available, eventually};

#[test]
fn a_daemon_on_loopback_only_is_a_problem() {
    let daemon = Daemon::start();
    let ran = daemon.ctl(&["--json", "doctor"]);
    let found = findings(&ran, 1);
    let only = format!("listens on {} only", daemon.address());
    let every = format!("[::]:{}", daemon.address().port());
    assert_finding(&found, "problem", "listen", &[&only, "no other machine", &every]);
    assert!(ran.stderr.contains("\"exit\":1") && ran.stderr.contains("found"), "{}", ran.stderr);
}

#[test]
fn an_access_list_that_denies_everybody_is_a_problem() {
    let Some((network, here)) = healthy(&format!("{LISTEN}[access]\ndeny = ['10.1.0.0/24', '127.0.0.1']"))
    else {
        return;
    };
    let there = Daemon::start_on(&network.there, LISTEN);
    for _ in 0..3 {
        let _receipt = there.ctl(&["send", "10.1.0.1", "x"]).ok();
    }
    eventually("the datagrams to be refused", || (here.status()["dropped"]["denied"] == 3).then_some(()));
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor", "10.1.0.2"]), 1);
    assert_finding(
        &found,
        "problem",
        "access",
        &["every received datagram was refused", "10.1.0.2 (3, at 20"],
    );
    assert_finding(&found, "warning", "self-test", &["127.0.0.1:7788", "the access list refused it"]);
    assert_finding(&found, "ok", "self-test", &["[::1]:7788"]);
    assert_finding(&found, "problem", "peer", &["10.1.0.2 are refused: `access.deny` contains 10.1.0.0/24"]);
    assert_eq!(problems(&found), ["access", "peer"]);
    assert_eq!(here.status()["dropped"]["denied"], 3, "the refused self-test is not counted");
}

#[test]
fn disabled_ipv6_is_named() {
    let Some((network, here)) = healthy(LISTEN) else { return };
    network.here.sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 0);
    assert_finding(&found, "warning", "listen", &["IPv6 is disabled on this machine", "disable_ipv6=0"]);
    assert_finding(&found, "warning", "self-test", &["cannot send to [::1]:7788"]);
    assert_finding(&found, "ok", "self-test", &["127.0.0.1:7788 arrived"]);
}

#[test]
fn a_dropping_firewall_is_named_and_fails_the_self_test() {
    if !available("nft") {
        return;
    }
    let Some((network, here)) = healthy(LISTEN) else { return };
    network.here.administer("nft", "add table inet guard");
    let chain = "add chain inet guard input { type filter hook input priority 0; policy drop; }";
    network.here.administer("nft", chain);
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 1);
    assert_finding(
        &found,
        "warning",
        "firewall",
        &["nftables rejects", "may block datagrams", "udp dport 7788 accept"],
    );
    assert_finding(&found, "problem", "self-test", &["127.0.0.1:7788 did not arrive", "[::1]:7788 did not"]);
    assert_eq!(problems(&found), ["self-test"; 2]);
    network.here.administer("nft", "add rule inet guard input udp dport 7788 accept");
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 0);
    assert_finding(&found, "ok", "firewall", &["nftables rejects some", "allows UDP port 7788"]);
    assert_eq!(here.status()["received"]["datagrams"], 0);
    // The daemon still waits for the dropped self-tests. This datagram is none of them.
    let there = Daemon::start_on(&network.there, LISTEN);
    let _receipt = there.ctl(&["send", "10.1.0.1", &like_a_self_test()]).ok();
    let _status = here.stored(1);
    assert_eq!(here.entries()[0]["text"], like_a_self_test());
}

#[test]
fn a_sender_to_the_previous_port_is_a_warning() {
    let (daemon, peer) = (Daemon::start(), Peer::new());
    let old = daemon.address().port();
    daemon.receive_from(&peer, ["to the old port"]);
    let daemon = daemon.start_again();
    let found = findings(&daemon.ctl(&["--json", "doctor"]), 1);
    let last = format!("#1 from {} at", peer.name());
    let tcpdump = format!("`sudo tcpdump -ni any udp port {old}`");
    assert_finding(
        &found,
        "warning",
        "traffic",
        &[&last, &format!("came to port {old}, on which"), &tcpdump],
    );
    daemon.receive_from(&peer, ["to the new port"]);
    assert_finding(
        &findings(&daemon.ctl(&["--json", "doctor"]), 1),
        "ok",
        "traffic",
        &["1 datagram arrived"],
    );
}

#[test]
fn a_peer_that_sends_from_another_port_is_a_warning() {
    let (asked, other) = (Peer::new(), Peer::new());
    let config = format!("[peers.bob]\naddress = '{}'\n[peers.host]\naddress = '127.0.0.1'", asked.name());
    let daemon = Daemon::start_with(&config, &[]);
    daemon.receive_from(&other, ["from another port"]);
    let doctor = |peer: &str| findings(&daemon.ctl(&["--json", "doctor", peer]), 1);
    let elsewhere = format!("from port {}", other.address().port());
    let nothing =
        format!("no message from {} is in the inbox; the last one from that host is #1", asked.name());
    for peer in ["bob", &asked.name()] {
        let hint = "`address = \\\"127.0.0.1\\\"`";
        assert_finding(&doctor(peer), "warning", "peer", &[&nothing, &elsewhere, hint]);
    }
    // Without a port, every message of the host counts.
    assert_finding(&doctor("host"), "ok", "peer", &["the last message from it is #1 at 20", &elsewhere]);
    daemon.receive_from(&asked, ["from its port"]);
    assert_finding(&doctor("bob"), "ok", "peer", &["the last message from it is #2 at 20"]);
}

#[test]
fn a_group_on_the_wrong_interface_is_a_problem() {
    let config = format!("{LISTEN}groups = ['239.1.2.3%wlan7', 'ff02::7788']");
    let Some((network, here)) = healthy(&config) else { return };
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor"]), 1);
    assert_finding(
        &found,
        "problem",
        "groups",
        &["239.1.2.3%wlan7 is not joined on wlan7", "no such interface"],
    );
    assert_finding(&found, "ok", "groups", &["ff02::7788 is joined on eth0"]);
    assert_eq!(problems(&found), ["groups"]);
}

#[test]
fn an_unreachable_peer_is_a_problem() {
    let config = format!("{LISTEN}[peers.far]\naddress = '10.99.0.1'\n[peers.near]\naddress = '10.1.0.2'");
    let Some((network, here)) = healthy(&config) else { return };
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor", "far"]), 1);
    assert_finding(
        &found,
        "problem",
        "peer",
        &["far is 10.99.0.1:7788", "cannot be reached: network is unreachable"],
    );
    assert_eq!(problems(&found), ["peer"]);

    // No host has this address: the kernel sends three ARP requests, a second apart.
    let _receipt = here.ctl(&["send", "10.1.0.77", "x"]).ok();
    let found = eventually("the kernel to give up", || {
        let ran = here.ctl_on(&network.here, &["--json", "doctor", "10.1.0.77"]);
        (ran.code == Some(1)).then(|| findings(&ran, 1))
    });
    assert_finding(&found, "problem", "peer", &["10.1.0.77 does not answer on the link"]);
    assert_finding(&found, "ok", "peer", &["the last message to it, #1 at 20"]);

    let there = Daemon::start_on(&network.there, LISTEN);
    let _receipt = there.ctl(&["send", "10.1.0.1", "hello"]).ok();
    let _status = here.stored(1);
    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor", "near"]), 0);
    assert_finding(
        &found,
        "ok",
        "peer",
        &["near is 10.1.0.2:7788: a route exists, with source address 10.1.0.1"],
    );
    assert_finding(&found, "ok", "peer", &["the last message from it is #2 at 20"]);
    assert_eq!(there.status()["received"]["datagrams"], 0, "nothing was sent to the peer");

    let found = findings(&here.ctl_on(&network.here, &["--json", "doctor", "no body"]), 1);
    assert_finding(&found, "problem", "peer", &["`no body` is neither a peer nor a known host"]);
}

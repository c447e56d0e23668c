//! Reports of the network: which message they concern, and where they are shown.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};

use serde_json::json;

use super::{bounced, delivered, notices, send};
use crate::support::{Daemon, Peer, closed, eventually};

#[test]
fn a_message_to_a_closed_port_bounces_with_a_notice() {
    for (listen, ip) in [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let daemon = Daemon::start_with("", &["--listen", listen]);
        let (mut rpc, peer) = (daemon.rpc(), closed(ip));
        let mut follower = daemon.rpc();
        follower.call("subscribe", json!({ "after": 0, "notices": true }));
        let id = send(&mut rpc, peer, "你好");
        let entry = delivered(&mut rpc, id, "bounced");
        assert_eq!(entry["bounce"]["reason"], "port_unreachable", "{entry}");
        assert_eq!(entry["bounce"]["from"], ip, "{entry}");
        assert_eq!(entry["text"], "你好");
        assert_eq!(follower.entry()["id"], id);
        let notice = follower.entry();
        let expected = json!({
            "type": "notice", "id": id + 1, "at": entry["bounce"]["at"], "notice": "bounced", "about": id,
            "peer": peer, "reason": "port_unreachable", "from": ip,
        });
        assert_eq!(notice, expected);
        let status = daemon.status();
        assert_eq!((&status["sent"]["bounced"], &status["state"]), (&json!(1), &json!("ok")), "{status}");
    }
}

#[test]
fn only_clients_that_ask_get_notices_and_nobody_has_to_read_them() {
    let daemon = Daemon::start();
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    let id = send(&mut rpc, closed("127.0.0.1"), "x");
    bounced(&daemon, 1);
    assert_eq!(rpc.entries(json!({ "after": 0 })).len(), 1);
    assert_eq!(notices(&mut rpc).len(), 1);
    assert_eq!(rpc.entries(json!({ "after": 0, "notices": true, "direction": "in" })).len(), 0);
    assert_eq!(rpc.entries(json!({ "after": 0, "notices": true, "direction": "out" })).len(), 2);
    let mut follower = daemon.rpc();
    follower.call("subscribe", json!({ "after": 0 }));
    daemon.receive_from(&peer, ["word"]);
    assert_eq!(follower.entry()["id"], id);
    assert_eq!(follower.entry()["text"], "word");
    assert_eq!(daemon.status()["inbox"]["unread"], 1);
    let page = rpc.call("inbox", json!({ "consumer": "reader", "notices": true }));
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["unread"]), (3, &json!(1)), "{page}");
}

#[test]
fn only_messages_to_dead_peers_bounce() {
    const MESSAGES: usize = 600;
    let daemon = Daemon::start_with("log.messages_per_second = 0", &["--listen", "[::]:0"]);
    let mut rpc = daemon.rpc();
    let live: Vec<_> = (0..10).map(|number| Peer::at(["127.0.0.1:0", "[::1]:0"][number % 2])).collect();
    let dead: Vec<_> = (0..10).map(|number| closed(["127.0.0.1", "::1"][number % 2])).collect();
    let (mut to_dead, mut to_live) = (HashSet::new(), Vec::new());
    for number in 0..MESSAGES {
        let (peer, text) = (number * 7 % 10, format!("text {}", number % 5));
        let id = send(&mut rpc, dead[peer], &text);
        to_dead.insert(id);
        to_live.push(send(&mut rpc, live[peer].address(), &text));
        assert_eq!(live[peer].receive().0, text.as_bytes(), "a live peer's message failed");
    }
    bounced(&daemon, MESSAGES as u64);
    for entry in rpc.entries(json!({ "after": 0, "direction": "out" })) {
        let expected = if to_dead.contains(&entry["id"].as_u64().unwrap()) { "bounced" } else { "sent" };
        assert_eq!(entry["delivery"], expected, "{entry}");
    }
    let status = daemon.status();
    assert_eq!(status["sent"], json!({ "datagrams": 2 * MESSAGES, "failed": 0, "bounced": MESSAGES }));
    assert_eq!((&status["icmp"]["ignored"], &status["state"]), (&json!(0), &json!("ok")), "{status}");
    eventually("the notices to count every bounce", || {
        let written = notices(&mut rpc);
        let left_out: u64 = written.iter().filter_map(|notice| notice["more"].as_u64()).sum();
        assert!(written.len() >= 10, "{}", written.len());
        (written.len() as u64 + left_out == MESSAGES as u64).then_some(())
    });
}

#[test]
fn peers_that_are_not_reached_are_listed_until_they_are_heard() {
    // The peer binds it later.
    let quiet = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let daemon = Daemon::start_with(&format!("[peers.bob]\naddress = '{quiet}'\n"), &[]);
    let mut rpc = daemon.rpc();
    let mut bob = || rpc.call("peers", json!({}))["peers"][0].take();
    assert!(bob()["bounced_since"].is_null());
    let mut sender = daemon.rpc();
    let id = send(&mut sender, quiet, "1");
    let first = delivered(&mut sender, id, "bounced");
    let id = send(&mut sender, quiet, "2");
    delivered(&mut sender, id, "bounced");
    assert_eq!(bob()["bounced_since"], first["bounce"]["at"]);
    daemon.receive_from(&Peer::at(&quiet.to_string()), ["back"]);
    assert!(bob()["bounced_since"].is_null());
}

#[test]
fn what_was_outstanding_at_a_kill_stays_sent() {
    let mut daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    let id = send(&mut rpc, Peer::new().address(), "x");
    daemon.signal(nix::sys::signal::Signal::SIGKILL);
    daemon.wait();
    let daemon = daemon.start_again();
    assert_eq!(super::entry(&mut daemon.rpc(), id)["delivery"], "sent");
}

#[test]
fn a_refused_message_and_one_to_a_group_have_no_reports() {
    let daemon = Daemon::start();
    let mut rpc = daemon.rpc();
    // A socket that is bound to loopback reaches no other machine.
    let error = rpc.error("send", json!({ "to": "192.0.2.1:9", "text": "x" }));
    let id = error["data"]["entry"].as_u64().expect("an entry");
    let refused = super::entry(&mut rpc, id);
    assert!(refused["delivery"].is_null() && refused["error"].is_string(), "{refused}");
    let status = daemon.status();
    assert_eq!(status["icmp"]["ignored"], 0, "{status}");
    let group: SocketAddr = "224.0.0.1:9".parse().unwrap();
    // Whether it can be sent depends on the routes of the machine.
    let _sent = rpc.reply("send", json!({ "to": group, "text": "x" }));
    assert_eq!(daemon.status()["sent"]["bounced"], 0);
}

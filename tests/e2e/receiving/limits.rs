//! How much an address may send: `access.limit`, `access.bytes`, and the limits of configured peers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Daemon, Peer, eventually, scaled};

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Reads the status, in which the counters balance.
#[track_caller]
fn balanced(daemon: &Daemon) -> Value {
    let status = daemon.status();
    let dropped: u64 = status["dropped"].as_object().unwrap().values().map(number).sum();
    let accounted = number(&status["stored"]) + dropped + number(&status["queued"]);
    assert_eq!(number(&status["received"]["datagrams"]), accounted, "{status}");
    status
}

/// Returns the gaps for datagrams over a limit: whose, and how many.
fn gaps(daemon: &Daemon) -> Vec<(Option<String>, u64)> {
    let entries = daemon.entries();
    let gaps = entries.iter().filter(|entry| entry["type"] == "gap");
    gaps.map(|gap| {
        assert_eq!(gap["reason"], "limited", "{gap}");
        (gap["peer"].as_str().map(str::to_owned), number(&gap["lost"]))
    })
    .collect()
}

/// Waits until all that was sent is stored, or is in a gap; returns how many are, and the status.
#[track_caller]
fn settled(daemon: &Daemon, sent: u64) -> (u64, Value) {
    eventually("all to be stored or in a gap", || {
        let in_gaps: u64 = gaps(daemon).iter().map(|(_, lost)| lost).sum();
        // After the gaps, since it names the senders only when these are written.
        let status = balanced(daemon);
        let limited = number(&status["dropped"]["limited"]);
        let is_settled = status["received"]["datagrams"] == sent && status["queued"] == 0;
        (is_settled && in_gaps == limited).then_some((limited, status))
    })
}

fn write_config(daemon: &Daemon, text: &str) {
    std::fs::write(daemon.path("config.toml"), text).unwrap();
    assert_eq!(daemon.ctl(&["reload"]).ok(), "reloaded\n");
}

/// Returns how many messages of an address are stored.
fn stored_of(daemon: &Daemon, address: &str) -> usize {
    let messages = daemon.rpc().call("inbox", json!({ "from": [address], "limit": 1_000 }));
    let entries = messages["entries"].as_array().unwrap();
    entries.iter().filter(|entry| entry["type"] == "message").count()
}

#[test]
fn a_sender_over_its_limit_leaves_gaps_with_its_address() {
    let config = "[access]\nlimit = '10/s'\ndeny = ['127.0.0.4']\n[peers]\nnoisy.address = '127.0.0.2'\n";
    let mut daemon = Daemon::start_with(config, &[]);
    let (noisy, quiet) = (Peer::at("127.0.0.2:0"), Peer::at("127.0.0.3:0"));
    let denied = Peer::at("127.0.0.4:0");
    (0..30).for_each(|_| denied.send(daemon.address(), "not allowed"));
    (0..150).for_each(|_| noisy.send(daemon.address(), "noise"));
    (0..20).for_each(|_| quiet.send(daemon.address(), "of the burst"));
    let (limited, status) = settled(&daemon, 200);
    // Some more may pass while the machine is slow.
    assert!((1..=130).contains(&limited), "{limited}");
    assert_eq!((&status["stored"], &status["dropped"]["denied"]), (&json!(170 - limited), &json!(30)));
    assert_eq!(status["state"], "ok", "it is the administrator's will");
    assert_eq!(stored_of(&daemon, "127.0.0.3"), 20);
    assert!(gaps(&daemon).iter().all(|(peer, _)| peer.as_deref() == Some("127.0.0.2")));
    let over = &status["access"]["limited"];
    assert_eq!((&over[0]["address"], &over[0]["datagrams"]), (&json!("127.0.0.2"), &json!(limited)));
    assert_eq!((&status["access"]["limit"], &status["access"]["bytes"]), (&json!("10/s"), &json!("")));

    let of_gap = "of noisy (127.0.0.2) left out here: over the limit";
    let form = daemon.ctl(&["inbox", "-n", "400", "-F", "{{text}}"]).stderr;
    assert!(form.contains(of_gap), "{form}");
    let _line = daemon.log_with("datagrams over the limit are left out, ");
    assert!(daemon.ctl(&["inbox", "-n", "400"]).ok().contains(of_gap));
    assert!(daemon.ctl(&["status"]).ok().contains("\nover the limit:  noisy (127.0.0.2) ("));
    let found = daemon.ctl(&["--json", "doctor"]);
    assert!(
        found.stdout.contains("over the limit were left out, most recently from noisy (127.0.0.2)"),
        "{}",
        found.stdout
    );
    for (from, is_shown) in [("noisy", true), ("127.0.0.2", true), ("127.0.0.3", false)] {
        for gaps in [true, false] {
            let page = daemon.rpc().call("inbox", json!({ "from": [from], "gaps": gaps, "limit": 1_000 }));
            let is_gap = |entry: &Value| entry["type"] == "gap";
            assert_eq!(page["entries"].as_array().unwrap().iter().any(is_gap), is_shown, "{from}");
        }
        assert_eq!(daemon.ctl(&["inbox", "--from", from]).ok().contains(of_gap), is_shown, "{from}");
    }
    let found = daemon.ctl(&["--json", "inbox", "--from", "noisy"]).ok();
    assert!(found.contains(r#""peer":"127.0.0.2","name":"noisy""#), "{found}");
}

#[test]
fn a_limit_on_bytes_counts_payloads() {
    let daemon = Daemon::start_with("[access]\nbytes = '1KiB/s'\n", &[]);
    let (large, small) = (Peer::at("127.0.0.2:0"), Peer::at("127.0.0.3:0"));
    large.send(daemon.address(), [7; 60_000]);
    (0..20).for_each(|_| large.send(daemon.address(), "too late"));
    (0..20).for_each(|_| small.send(daemon.address(), "of the burst"));
    let (limited, _) = settled(&daemon, 41);
    assert_eq!((limited, stored_of(&daemon, "127.0.0.2"), stored_of(&daemon, "127.0.0.3")), (20, 1, 20));
}

#[test]
fn a_reload_changes_the_limits_at_once() {
    let daemon = Daemon::start();
    let peer = Peer::new();
    let fifty = || (0..50).for_each(|_| peer.send(daemon.address(), "x"));
    let received = |sent: u64| {
        eventually("all to be received", || {
            (balanced(&daemon)["received"]["datagrams"] == sent).then_some(())
        });
    };
    fifty();
    received(50);
    write_config(&daemon, "[access]\nlimit = '1/s'");
    fifty();
    received(100);
    let limited = number(&balanced(&daemon)["dropped"]["limited"]);
    assert!(limited > 0);
    write_config(
        &daemon,
        &format!("[access]\nlimit = '1/s'\n[peers.x]\naddress = '{}'\nlimit = ''", peer.name()),
    );
    fifty();
    received(150);
    write_config(&daemon, "");
    fifty();
    let (after, status) = settled(&daemon, 200);
    assert_eq!((after, number(&status["stored"])), (limited, 200 - limited));
}

#[test]
fn a_stop_writes_the_last_gap() {
    let mut daemon = Daemon::start_with("[access]\nlimit = '1/s'\n", &[]);
    let peer = Peer::new();
    (0..10).for_each(|_| peer.send(daemon.address(), "x"));
    let limited = eventually("all to be received", || {
        let status = balanced(&daemon);
        (status["received"]["datagrams"] == 10).then(|| number(&status["dropped"]["limited"]))
    });
    for _ in 0..5 {
        let tests = daemon.rpc().call("self_test", json!({}))["tests"].take();
        assert_eq!(tests[0]["outcome"], "received", "a self-test has no limit: {tests}");
    }
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success());
    let daemon = daemon.start_again();
    assert!(limited > 0);
    assert_eq!(gaps(&daemon).iter().map(|(_, lost)| lost).sum::<u64>(), limited);
    assert_eq!(daemon.status()["lost_before"], 0);
}

/// Each of the strangers sends from an address of its own, as fast as the daemon reads.
#[test]
fn a_configured_peer_loses_nothing_among_strangers() {
    let config = "[access]\nlimit = '1/s'\n[peers.camera]\naddress = '127.0.0.2'\nlimit = '100/s'\n";
    let daemon = Daemon::start_with(config, &[]);
    let camera = Peer::at("127.0.0.2:0");
    let strangers = scaled(20_000, 1_000_000);
    let (mut pictures, mut due, mut rpc) = (0, Instant::now(), daemon.rpc());
    for number in 0..strangers {
        let address = Ipv4Addr::from(0x7F01_0001 + u32::try_from(number).unwrap());
        Peer::at(&SocketAddr::from((address, 0)).to_string()).send(daemon.address(), "forged");
        if due <= Instant::now() {
            camera.send(daemon.address(), "picture");
            pictures += 1;
            due = Instant::now() + Duration::from_millis(10);
        }
        if number % 100 == 0 {
            // No more than fits into the receive buffer: what the kernel drops is not the matter here.
            let sent = json!(number + 1 + pictures);
            eventually("the daemon to read", || {
                (rpc.call("status", json!({}))["received"]["datagrams"] == sent).then_some(())
            });
        }
    }
    let sent = (strangers + pictures) as u64;
    let (limited, status) = settled(&daemon, sent);
    assert_eq!((&status["kernel_drops"], &status["dropped"]["queue_full"]), (&json!(0), &json!(0)));
    let stored = number(&status["stored"]);
    assert_eq!((stored + limited, limited > 0), (sent, true));
    let own = daemon.ctl(&["--json", "inbox", "--from", "camera", "-n", "1000000"]).ok().lines().count();
    assert_eq!(own, pictures, "of {strangers} strangers {limited} were over the limit");
}

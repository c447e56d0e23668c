//! Held messages and silent peers over kills and restarts: none is lost, at most one is doubled by a kill, their order is kept, and
//! a silent peer is told once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::random::{Random, seed};
use crate::support::{Daemon, Peer, eventually_within, scaled};

/// How many kills, and how many restarts with a silent peer, in the short and in the full size.
const KILLS: (usize, usize) = (8, 500);
const RESTARTS: (usize, usize) = (3, 100);

/// How many messages are held before each kill.
const HELD: usize = 6;

/// The longest time between the peer's message and the kill: that of all held messages, and more.
const MAX_WAIT_MS: usize = 200;

const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn held_messages_survive_kills_in_order() {
    let (seed, kills) = (seed(), scaled(KILLS.0, KILLS.1));
    let mut random = Random(seed);
    let dev = Arc::new(Peer::new());
    // All of them would not fit in the peer's receive buffer.
    let received = std::thread::spawn({
        let dev = Arc::clone(&dev);
        move || received_until_end(&dev)
    });
    let config = format!("[peers.dev]\naddress = '{}'\n", dev.name());
    let mut daemon = Daemon::start_with(&config, &[]);
    let mut given = 0;
    for _ in 0..kills {
        let mut rpc = daemon.rpc();
        for _ in 0..HELD {
            rpc.call("send", json!({ "to": "dev", "text": given.to_string(), "when_seen": true }));
            given += 1;
        }
        drop(rpc);
        dev.send(daemon.address(), "awake");
        std::thread::sleep(Duration::from_millis(random.below(MAX_WAIT_MS) as u64));
        daemon.signal(Signal::SIGKILL);
        daemon.wait();
        daemon = daemon.start_again();
    }
    eventually_within(WITHIN, "all to be sent", || {
        dev.send(daemon.address(), "awake");
        (daemon.status()["held"]["messages"] == 0).then_some(())
    });
    dev.send(dev.address(), "end");
    let got = received.join().unwrap();
    let mut counts: HashMap<usize, usize> = HashMap::new();
    got.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
    let lost: Vec<_> = (0..given).filter(|number| !counts.contains_key(number)).collect();
    let doubled = got.len() - counts.len();
    let mut seen = HashSet::new();
    let first: Vec<_> = got.into_iter().filter(|number| seen.insert(*number)).collect();
    eprintln!("held: seed {seed}, {kills} kills, {given} messages, {} lost, {doubled} doubled", lost.len());
    assert_eq!(lost, Vec::<usize>::new());
    assert!(doubled <= kills, "{doubled} doubled");
    assert!(first.is_sorted(), "{first:?}");
}

/// Returns the numbers that a peer receives before another text.
fn received_until_end(peer: &Peer) -> Vec<usize> {
    std::iter::from_fn(|| String::from_utf8(peer.receive().0).unwrap().parse().ok()).collect()
}

#[test]
fn a_silent_peer_is_told_once_over_restarts() {
    let restarts = scaled(RESTARTS.0, RESTARTS.1);
    let dev = Peer::at("127.0.0.9:0");
    let mut daemon = Daemon::start_with("[peers.dev]\naddress = '127.0.0.9'\nsilent_after = '10s'\n", &[]);
    let began = Instant::now();
    daemon.receive_from(&dev, ["here"]);
    eventually_within(WITHIN, "the silence", || (notices(&daemon) == ["silent"]).then_some(()));
    assert!(began.elapsed() >= Duration::from_secs(10));
    for restart in 0..restarts {
        if restart % 2 == 0 {
            daemon.signal(Signal::SIGKILL);
            daemon.wait();
        }
        daemon = daemon.start_again();
        assert_eq!(notices(&daemon), ["silent"], "restart {restart}");
    }
    daemon.receive_from(&dev, ["back"]);
    eventually_within(WITHIN, "the notice", || (notices(&daemon) == ["silent", "heard"]).then_some(()));
    eprintln!("silence: {restarts} restarts, one notice each");
}

fn notices(daemon: &Daemon) -> Vec<String> {
    let entries = daemon.rpc().call("inbox", json!({ "notices": true, "limit": 1_000 }));
    let entries: &Vec<Value> = entries["entries"].as_array().unwrap();
    entries.iter().filter_map(|entry| Some(entry["notice"].as_str()?.to_owned())).collect()
}

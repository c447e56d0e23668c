//! Messages that bounce: each is known, none is another's, and nothing that is received is lost beside them.
//!
//! Closed ports of loopback make the kernel report real ICMP errors. The full size is that of the promises; the figures are printed.

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use udpchat_api::Timestamp;

use crate::client::Client;
use crate::counters::Counters;
use crate::load::{CONFIG, check_integrity};
use crate::random::{Random, seed};
use crate::support::{DEADLINE, Daemon, Forger, Manager, Peer, Rpc, closed, eventually, id, scaled};

/// How many messages go to a closed port, over each family, in the short and in the full size.
const MESSAGES: (usize, usize) = (200, 1_000);

/// How many messages go to 200 peers, half of which are dead.
const MIXED: (usize, usize) = (1_000, 20_000);
const PEERS: usize = 200;
const TEXTS: usize = 50;

/// How many messages a client sends before it reads the answers.
const AT_ONCE: usize = 64;

/// How many clients send beside a flood.
const SENDERS: usize = 6;

/// How many datagrams are received beside bounces, and beside forged reports at the second rate.
const FLOOD: (usize, usize) = (100_000, 2_500_000);
const BESIDE_FORGED: (usize, usize) = (2_000, 10_000);
const FORGED_A_SECOND: f64 = 50_000.0;
const RECEIVED_A_SECOND: f64 = 4_000.0;

/// How many daemons are killed.
const KILLS: (usize, usize) = (5, 200);

fn start() -> Daemon {
    Daemon::start_with(CONFIG, &["--listen", "[::]:0"])
}

fn send(rpc: &mut Rpc, to: SocketAddr, text: &str) -> u64 {
    id(&rpc.call("send", json!({ "to": to, "text": text })))
}

/// Waits until all reports are stored, or none has come for a while; returns how many messages have bounced.
fn bounced(daemon: &Daemon, all: u64) -> u64 {
    const NO_MORE: Duration = Duration::from_secs(6);
    let (mut newest, mut since) = (0, Instant::now());
    eventually("the last report", || {
        let now = daemon.status()["sent"]["bounced"].as_u64().unwrap();
        if now != newest {
            (newest, since) = (now, Instant::now());
        }
        (now == all || since.elapsed() > NO_MORE).then_some(now)
    })
}

fn nanoseconds(value: &Value) -> i128 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().as_nanosecond()
}

#[test]
fn every_message_to_a_closed_port_bounces_and_none_to_a_live_one_fails() {
    let rounds = scaled(MESSAGES.0, MESSAGES.1);
    for ip in ["127.0.0.1", "::1"] {
        let daemon = start();
        let (mut rpc, dead, live) =
            (daemon.rpc(), closed(ip), Peer::at(&SocketAddr::new(ip.parse().unwrap(), 0).to_string()));
        for round in 0..rounds {
            send(&mut rpc, dead, &format!("dead {round}"));
            // A failed send is an error of the call.
            send(&mut rpc, live.address(), "live");
            live.receive();
        }
        let all = bounced(&daemon, rounds as u64);
        let mut sent = rpc.entries(json!({ "after": 0, "direction": "out" }));
        sent.retain(|entry| entry["delivery"] == "bounced");
        let mut times: Vec<_> = sent
            .iter()
            .map(|entry| (nanoseconds(&entry["bounce"]["at"]) - nanoseconds(&entry["at"])) / 1_000)
            .collect();
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        let (median, late, last) = (at(50), at(99), at(100));
        eprintln!(
            "bounces: {ip}: {all} of {rounds}, after p50 {median} us, p99 {late} us, at most {last} us"
        );
        assert_eq!(all, rounds as u64);
        assert!(sent.iter().all(|entry| entry["peer"] == json!(dead)));
        assert_eq!(daemon.status()["sent"]["failed"], 0);
    }
}

#[test]
fn only_messages_to_dead_peers_bounce() {
    let (seed, messages) = (seed(), scaled(MIXED.0, MIXED.1));
    let (daemon, mut random) = (start(), Random(seed));
    let ip = |number: usize| if number % 4 < 2 { "127.0.0.1" } else { "::1" };
    let peers: Vec<_> = (0..PEERS)
        .map(|number| {
            let live = number.is_multiple_of(2).then(|| UdpSocket::bind((ip(number), 0)).unwrap());
            let address = live.as_ref().map_or_else(|| closed(ip(number)), |live| live.local_addr().unwrap());
            (address, live)
        })
        .collect();
    let (mut rpc, mut to_dead) = (daemon.rpc(), HashMap::new());
    for _ in 0..messages {
        let (address, live) = &peers[random.below(PEERS)];
        let id = send(&mut rpc, *address, &format!("text {}", random.below(TEXTS)));
        to_dead.insert(id, live.is_none());
    }
    let dead = to_dead.values().filter(|is_dead| **is_dead).count();
    let all = bounced(&daemon, dead as u64);
    let mut wrong = 0;
    for entry in rpc.entries(json!({ "after": 0, "direction": "out" })) {
        wrong += usize::from(entry["delivery"] == "bounced" && !to_dead[&id(&entry)]);
    }
    let status = daemon.status();
    eprintln!(
        "bounces: seed {seed}, {messages} messages, {all} of {dead} bounced, {wrong} to live peers, {}",
        status["icmp"]
    );
    assert_eq!((all, wrong), (dead as u64, 0));
    assert_eq!((&status["state"], &status["sent"]["failed"]), (&json!("ok"), &json!(0)), "{status}");
}

#[test]
fn floods_are_accounted_for_beside_bounces() {
    let datagrams = scaled(FLOOD.0, FLOOD.1) as u64;
    let daemon = start();
    let to = SocketAddr::from(([127, 0, 0, 1], daemon.address().port()));
    let is_over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (mut rpc, is_over) = (daemon.rpc(), Arc::clone(&is_over));
            thread::spawn(move || {
                let (dead, mut sent) = (closed("127.0.0.1"), 0_u64);
                let request =
                    json!({ "jsonrpc": "2.0", "id": 1, "method": "send", "params": { "to": dead, "text": "x" } });
                let requests = format!("{request}\n").repeat(AT_ONCE);
                while !is_over.load(Ordering::Relaxed) || sent == 0 {
                    rpc.write(requests.as_bytes());
                    // A full queue refuses to send.
                    let mut is_sent = |_: &usize| rpc.line().unwrap().get("error").is_none();
                    sent += (0..AT_ONCE).filter(&mut is_sent).count() as u64;
                }
                sent
            })
        })
        .collect();
    let (peer, began) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Instant::now());
    for number in 0..datagrams {
        peer.send_to(&number.to_le_bytes(), to).unwrap();
    }
    let took = began.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let sent: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    let counters = eventually("all to be accounted for", || {
        let counters = Counters::of(&daemon.status());
        counters.is_settled(datagrams).then_some(counters)
    });
    let all = bounced(&daemon, sent);
    eprintln!("bounces: {datagrams} sent in {took:?} beside {sent} messages, {all} bounced: {counters:?}");
    counters.check_settled(datagrams).unwrap();
    let status = daemon.status();
    assert_eq!((&status["state"], &status["sent"]["failed"]), (&json!("ok"), &json!(0)), "{status}");
}

/// Calls `act` at a rate with the number of earlier calls, until it returns false.
fn paced(a_second: f64, mut act: impl FnMut(u64) -> bool) {
    let (began, mut number) = (Instant::now(), 0);
    while act(number) {
        number += 1;
        let due = Duration::from_secs_f64(number as f64 / a_second);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

#[test]
fn forged_reports_lose_nothing() {
    let Some(mut forger) = Forger::new() else { return };
    let datagrams = scaled(BESIDE_FORGED.0, BESIDE_FORGED.1) as u64;
    let daemon = start();
    let local = SocketAddrV4::new([127, 0, 0, 1].into(), daemon.address().port());
    let (mut rpc, peer) = (daemon.rpc(), Peer::new());
    send(&mut rpc, peer.address(), "it is on");
    let is_over = Arc::new(AtomicBool::new(false));
    let forging = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let (began, mut forged) = (Instant::now(), 0_u64);
            paced(FORGED_A_SECOND, |number| {
                forger.report(local);
                forged = number + 1;
                !is_over.load(Ordering::Relaxed)
            });
            (forged, began.elapsed())
        }
    });
    paced(RECEIVED_A_SECOND, |number| {
        peer.send(local.into(), "x");
        number + 1 < datagrams
    });
    is_over.store(true, Ordering::Relaxed);
    let (forged, took) = forging.join().unwrap();
    let status = daemon.stored(datagrams);
    eprintln!(
        "bounces: {forged} forged in {took:?}, {} of {datagrams} stored, {}",
        status["stored"], status["icmp"]
    );
    assert_eq!((&status["state"], &status["kernel_drops"]), (&json!("ok"), &json!(0)), "{status}");
}

#[test]
fn kills_leave_no_untrue_state() {
    let (seed, kills) = (seed(), scaled(KILLS.0, KILLS.1));
    let mut random = Random(seed);
    let mut manager = Manager::new();
    std::fs::write(manager.folder().join("config.toml"), CONFIG).unwrap();
    let mut daemon = manager.start(&[]);
    let (answering, silent, dead) = (Peer::new(), Peer::new(), closed("127.0.0.1"));
    let (mut states, mut slowest) = (HashMap::new(), Duration::ZERO);
    for kill in 0..kills {
        let newest = daemon.status()["inbox"]["newest_id"].as_u64().unwrap();
        let (socket, to) = (daemon.socket(), daemon.address());
        let peers = [answering.address(), silent.address(), dead];
        let load = thread::spawn(move || {
            let mut client = Client::new(socket, DEADLINE);
            for number in 0_u64.. {
                let peer = peers[number as usize % peers.len()];
                if client.reply("send", &json!({ "to": peer, "text": number.to_string() })).is_none() {
                    return;
                }
            }
        });
        let began = Instant::now();
        let time = Duration::from_millis(20 + random.below(200) as u64);
        while began.elapsed() < time {
            answering.send(to, "word");
            thread::sleep(Duration::from_millis(2));
        }
        daemon.signal(Signal::SIGKILL);
        let _ended = daemon.wait();
        load.join().unwrap();
        check_integrity(&daemon.path("data")).unwrap();
        manager.stopped(daemon);
        let began = Instant::now();
        daemon = manager.start(&[]);
        slowest = slowest.max(began.elapsed());
        while manager.notification_within(Duration::from_millis(1)).is_some() {}
        let entries = daemon.rpc().entries(json!({ "after": newest, "notices": true }));
        for entry in entries {
            check(&entry, &answering, &silent, dead).unwrap_or_else(|wrong| panic!("kill {kill}: {wrong}"));
            let state = entry["delivery"].as_str().or_else(|| entry["notice"].as_str()).unwrap_or("word");
            *states.entry(state.to_owned()).or_insert(0_u64) += 1;
        }
    }
    eprintln!("bounces: seed {seed}, {kills} kills, {states:?}, the slowest start {slowest:?}");
    assert!(
        ["sent", "answered", "bounced", "word"].iter().all(|state| states.contains_key(*state)),
        "{states:?}"
    );
}

/// Checks what is known of an entry against what its peer does.
fn check(entry: &Value, answering: &Peer, silent: &Peer, dead: SocketAddr) -> Result<(), String> {
    let (peer, delivery) = (&entry["peer"], entry["delivery"].as_str());
    let is_true = match (entry["type"].as_str(), delivery) {
        (Some("notice"), _) => entry["notice"] == "bounced" && *peer == json!(dead),
        (_, None | Some("sent")) => true,
        (_, Some("answered")) => {
            *peer == json!(answering.address()) && entry["answer"].as_u64() > entry["id"].as_u64()
        }
        (_, Some("bounced")) => *peer == json!(dead) && *peer != json!(silent.address()),
        (_, Some(_)) => false,
    };
    if is_true { Ok(()) } else { Err(entry.to_string()) }
}

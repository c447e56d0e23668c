//! `kill -9` under load: nothing that was acknowledged is lost or changed, the inbox is not damaged, the next daemon starts
//! within a second, and it reports as many lost datagrams as are missing.
//!
//! A service manager holds the port, so that datagrams that wait in the kernel are not lost with a daemon. Half of the kills come
//! at any moment: then at most the batch that a receiver has fetched and not yet counted is missing without a report. The
//! other half come while nothing arrives and the disk has not yet stored what was received: then the report is exact.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde_json::json;

use crate::load::{Acknowledged, CONFIG, Load, account, check_integrity};
use crate::random::{Random, seed};
use crate::support::{Daemon, Manager, Peer, eventually, scaled};

/// How many kills, in the short and in the full size, and how many of one inbox.
const KILLS: (usize, usize) = (20, 500);
const KILLS_OF_ONE_INBOX: usize = 25;

/// How many datagrams a receiver fetches at once.
const BATCH: u64 = 64;

/// The time of a start in milliseconds: with an allowance for a machine that has other work, and as promised, in the full size.
const STARTS_WITHIN: (usize, usize) = (2_000, 1_000);

#[test]
fn kills_under_load_lose_nothing_acknowledged() {
    let (seed, kills) = (seed(), scaled(KILLS.0, KILLS.1));
    let mut random = Random(seed);
    let mut figures = Figures::default();
    let mut left = kills;
    while left > 0 {
        let of_this = left.min(KILLS_OF_ONE_INBOX);
        kill_often(of_this, &mut random, &mut figures);
        left -= of_this;
    }
    eprintln!("kills: seed {seed}, {kills} kills, {figures:?}");
    assert_eq!(json!(figures.wrong), json!([]));
}

#[derive(Debug, Default)]
struct Figures {
    /// Entries that were shown or answered for.
    acknowledged: usize,
    sent: u64,
    /// Datagrams with a gap.
    reported: u64,
    /// Datagrams that are missing without a gap: in any kill, and in those at a quiet moment.
    residual: u64,
    quiet_residual: u64,
    slowest_start: Duration,
    wrong: Vec<String>,
}

/// Kills one daemon after the other on the same inbox.
fn kill_often(kills: usize, random: &mut Random, figures: &mut Figures) {
    let mut manager = Manager::new();
    std::fs::write(manager.folder().join("config.toml"), CONFIG).unwrap();
    let mut daemon = manager.start(&[]);
    let (mut sent, mut all) = (0, Acknowledged::default());
    for kill in 0..kills {
        let before = daemon.status();
        let newest = before["inbox"]["newest_id"].as_u64().unwrap();
        let load = Load::start(&daemon, sent, Random(random.next()));
        thread::sleep(Duration::from_millis(20 + random.below(300) as u64));
        let is_quiet = random.below(2) == 0;
        let lock = is_quiet.then(|| hold_lock(&daemon));
        if is_quiet {
            thread::sleep(Duration::from_millis(random.below(50) as u64));
            let received = before["received"]["datagrams"].as_u64().unwrap() + load.end_datagrams() - sent;
            eventually("all to be received", || {
                (daemon.status()["received"]["datagrams"] == received).then_some(())
            });
        }
        daemon.signal(Signal::SIGKILL);
        let _ended = daemon.wait();
        drop(lock);
        let (acknowledged, next) = load.end();
        let mut wrong = Vec::from_iter(check_integrity(&daemon.path("data")).err());
        manager.stopped(daemon);
        let began = Instant::now();
        daemon = manager.start(&[]);
        let start = began.elapsed();
        // Nothing else reads them, and a daemon blocks on a manager that does not read.
        while manager.notification_within(Duration::from_millis(1)).is_some() {}
        if start > Duration::from_millis(scaled(STARTS_WITHIN.0, STARTS_WITHIN.1) as u64) {
            wrong.push(format!("a start took {start:?}"));
        }
        // What waited in the kernel comes before this.
        wait_for_all(&daemon);
        let status = daemon.status();
        if status["state"] != "ok" {
            wrong.push(format!("{status}"));
        }
        let entries = daemon.rpc().entries(json!({ "after": newest }));
        match account(&entries, sent..next) {
            Err(error) => wrong.push(error),
            Ok(account) => {
                let most = if is_quiet { 0 } else { BATCH };
                if account.residual > most || status["lost_before"] != account.lost {
                    wrong.push(format!("{account:?} with at most {most} missing uncounted, and {status}"));
                }
                figures.residual += account.residual;
                figures.quiet_residual += if is_quiet { account.residual } else { 0 };
                figures.reported += account.lost;
            }
        }
        wrong.extend(acknowledged.missing_in(&daemon, &entries));
        wrong.extend(all.add(acknowledged));
        figures.wrong.extend(wrong.into_iter().map(|wrong| format!("kill {kill}: {wrong:.2000}")));
        figures.sent += next - sent;
        figures.slowest_start = figures.slowest_start.max(start);
        sent = next;
    }
    let entries = daemon.entries();
    let wrong = all.missing_in(&daemon, &entries);
    figures.wrong.extend(wrong.into_iter().map(|wrong| format!("in the end: {wrong}")));
    if daemon.status()["inbox"]["entries"] != entries.len() {
        figures.wrong.push(format!("{} entries, and {}", entries.len(), daemon.status()));
    }
    figures.acknowledged += all.len();
}

/// Holds the database's write lock: received datagrams stay in the daemon's memory.
fn hold_lock(daemon: &Daemon) -> Connection {
    let holder = Connection::open(daemon.database()).unwrap();
    holder.busy_timeout(Duration::from_secs(10)).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

/// Sends a datagram, and waits until it is stored.
pub(crate) fn wait_for_all(daemon: &Daemon) {
    let peer = Peer::new();
    peer.send(daemon.address(), "all");
    eventually("all to be stored", || {
        let newest = daemon.rpc().call("inbox", json!({ "order": "desc", "limit": 1, "from": peer.name() }));
        (newest["entries"][0]["text"] == "all").then_some(())
    });
}

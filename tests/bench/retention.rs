//! Measures the cost and effect of `inbox.max_size`: how long sends wait while the oldest entries are removed, how large
//! the data directory becomes compared with `inbox.max_size`, and whether stopped or many readers let the write-ahead log
//! grow.
//!
//! `cargo bench --bench retention`, or with `-- quick` to see only that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::daemon::{Counters, Daemon};
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::{bytes_in, mebibytes};
use harness::statistics::part;
use harness::support::{Guard, Rpc};
use harness::table::table;
use nix::sys::signal::Signal;
use serde_json::json;

/// Datagrams a second, and how long each is.
const RATE: u64 = 20_000;
const BYTES: usize = 400;
/// The time between two checks of file sizes, and between two sent messages.
const INTERVAL: Duration = Duration::from_millis(20);

const FOLLOWERS: usize = 8;
const PAGE_READERS: usize = 16;

/// The readers of the inbox during a flood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    None,
    /// Followers that are stopped by a signal, in the midst of a line.
    Stopped,
    /// Many that read page after page, from the beginning to the end and again.
    Many,
}

struct Trial {
    name: &'static str,
    /// `inbox.max_size`, in MiB.
    limit: u64,
    readers: Readers,
}

#[derive(Default)]
struct Outcome {
    /// How long each sent message took until it was durable, in milliseconds.
    sends: Vec<f64>,
    /// The size of the data directory and of the write-ahead log, in bytes.
    most: u64,
    at_the_end: u64,
    most_wal: u64,
    entries: u64,
    oldest: u64,
    counters: Counters,
}

const NO_LIMIT: u64 = 64 * 1024;

fn main() {
    harness::play_role();
    let options = Options::read();
    // The flood must be several times the limit, so that most of the time is spent at the limit.
    let (limit, seconds) = options.pick((8, 3), (128, 60));
    let trials = [
        Trial { name: "no limit", limit: NO_LIMIT, readers: Readers::None },
        Trial { name: "limit", limit, readers: Readers::None },
        Trial { name: "limit, followers stopped", limit, readers: Readers::Stopped },
        Trial { name: "limit, many page readers", limit, readers: Readers::Many },
    ];
    let rows: Vec<_> = trials.iter().map(|trial| row(trial, &measure(trial, seconds))).collect();
    table(
        &format!(
            "{RATE} datagrams of {BYTES} bytes a second for {seconds} s; `send` until durable, in milliseconds"
        ),
        &[
            "inbox",
            "send p50",
            "p99",
            "max",
            "lost",
            "entries",
            "oldest",
            "limit",
            "size at the end",
            "at most",
            "wal at most",
        ],
        &rows,
    );
}

fn row(trial: &Trial, outcome: &Outcome) -> Vec<String> {
    let limit = match trial.limit {
        NO_LIMIT => "-".to_owned(),
        limit => format!("{limit} MiB"),
    };
    let times = [0.5, 0.99, 1.0].map(|share| format!("{:.2}", part(&outcome.sends, share)));
    let mut row = vec![trial.name.to_owned()];
    row.extend(times);
    row.extend([outcome.counters.lost(), outcome.entries, outcome.oldest].map(|number| number.to_string()));
    row.push(limit);
    row.extend([outcome.at_the_end, outcome.most, outcome.most_wal].map(mebibytes));
    row
}

fn measure(trial: &Trial, seconds: u64) -> Outcome {
    let config = format!("receive_buffer = \"64MiB\"\ninbox.max_size = \"{}MiB\"\n", trial.limit);
    let mut daemon = Daemon::start(&config);
    let over = Arc::new(AtomicBool::new(false));
    let flood = Flood::paced(daemon.address(), RATE, seconds, BYTES);
    let (sending, began) = (flood.start(), Instant::now());
    let readers = read(trial.readers, &daemon, &over);
    let mut outcome = Outcome::default();
    watch(&daemon, began + Duration::from_secs(seconds), &mut outcome);
    over.store(true, Ordering::Relaxed);
    let sent = sending.wait().datagrams;
    outcome.counters = daemon.wait_until_stored(sent);
    // Pending maintenance gets a moment.
    thread::sleep(Duration::from_secs(1));
    outcome.at_the_end = bytes_in(&daemon.data_dir());
    outcome.most = outcome.most.max(outcome.at_the_end);
    let inbox = daemon.status()["inbox"].take();
    outcome.entries = inbox["entries"].as_u64().unwrap();
    outcome.oldest = inbox["oldest_id"].as_u64().unwrap();
    for reader in readers.pages {
        reader.join().unwrap();
    }
    outcome
}

/// Sends messages at intervals, and records the sizes of the files; the first quarter of the time is for filling.
fn watch(daemon: &Daemon, until: Instant, outcome: &mut Outcome) {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = sink.local_addr().unwrap().to_string();
    let mut rpc = daemon.connect();
    let from = Instant::now() + until.saturating_duration_since(Instant::now()) / 4;
    while Instant::now() < until {
        let began = Instant::now();
        rpc.call("send", json!({ "to": to, "text": "how are you?" }));
        if began > from {
            outcome.sends.push(began.elapsed().as_secs_f64() * 1e3);
        }
        outcome.most = outcome.most.max(bytes_in(&daemon.data_dir()));
        outcome.most_wal = outcome.most_wal.max(length(&daemon.data_dir().join("inbox.db-wal")));
        thread::sleep(INTERVAL);
    }
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len())
}

/// The readers during a flood.
#[derive(Default)]
struct Reading {
    _followers: Vec<Guard>,
    pages: Vec<JoinHandle<()>>,
}

fn read(readers: Readers, daemon: &Daemon, over: &Arc<AtomicBool>) -> Reading {
    match readers {
        Readers::None => Reading::default(),
        Readers::Stopped => Reading {
            _followers: (0..FOLLOWERS).map(|_| stopped_follower(daemon)).collect(),
            pages: Vec::new(),
        },
        Readers::Many => {
            let reader = |_| {
                let (mut rpc, over) = (daemon.connect(), Arc::clone(over));
                thread::spawn(move || read_pages(&mut rpc, &over))
            };
            Reading { pages: (0..PAGE_READERS).map(reader).collect(), ..Reading::default() }
        }
    }
}

/// Starts a follower, waits until it prints, and stops it.
fn stopped_follower(daemon: &Daemon) -> Guard {
    let follower = Guard::start(daemon.ctl(&["inbox", "--all", "--follow", "--json"]).stdout(Stdio::null()));
    thread::sleep(Duration::from_millis(50));
    follower.signal(Signal::SIGSTOP);
    follower
}

fn read_pages(rpc: &mut Rpc, over: &AtomicBool) {
    let mut after = json!(0);
    while !over.load(Ordering::Relaxed) {
        let mut page = rpc.call("inbox", json!({ "after": after, "limit": 1000 }));
        after = if page["more"] == true { page["next"].take() } else { json!(0) };
    }
}

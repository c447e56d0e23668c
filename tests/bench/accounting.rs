//! Checks that every datagram of a flood is accounted for: sent = dropped by the kernel + received; received = stored +
//! dropped + queued; and the gaps in the log add up to the loss. Then checks that loads which fit the buffers lose nothing.
//!
//! `cargo bench --bench accounting`; `-- quick` is a short form, `-- floods` and `-- room` run one of the two parts.
//! Fails if a sum does not match, or if a full run loses datagrams of a load that must fit.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::fs;
use std::process::ExitCode;

use harness::daemon::{Counters, Daemon};
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::mebibytes;
use harness::table::{progress, table};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const PARTS: [&str; 2] = ["floods", "room"];
const SENDERS: u64 = 4;

/// `kind` of a gap in the inbox.
const GAP: i64 = 2;

/// A kind of flood and its requirement.
struct Trial {
    name: String,
    buffer: &'static str,
    /// Each has its own sender.
    floods: Vec<Flood>,
    must_keep_all: bool,
}

/// The result of a flood.
struct Outcome {
    sent: u64,
    counters: Counters,
    /// The losses that the gaps in the log report.
    gaps: i128,
    granted: u64,
    peak_memory: u64,
    /// Datagrams that this machine dropped before they reached any socket, which no receiver can count.
    before_sockets: u64,
}

impl Outcome {
    /// Returns whether every datagram is accounted for, except those that this machine dropped before any socket: no
    /// receiver can count them, and they may be another program's.
    fn balances(&self) -> bool {
        let [sent, received, gaps] = self.residuals();
        (0..=i128::from(self.before_sockets)).contains(&sent) && received == 0 && gaps == 0
    }

    /// Returns the residuals of the three sums.
    fn residuals(&self) -> [i128; 3] {
        let Counters { received, stored, queued, kernel_drops, queue_full, dropped } = self.counters;
        [
            i128::from(self.sent) - i128::from(kernel_drops) - i128::from(received),
            i128::from(received) - i128::from(stored) - i128::from(dropped) - i128::from(queued),
            i128::from(kernel_drops) + i128::from(queue_full) - self.gaps,
        ]
    }
}

fn main() -> ExitCode {
    harness::play_role();
    let options = Options::read();
    let mut trials = Vec::new();
    if options.wants("floods", &PARTS) {
        trials.extend(floods(&options));
    }
    if options.wants("room", &PARTS) {
        trials.extend(room(&options));
    }
    let outcomes: Vec<_> = trials.iter().inspect(|trial| progress(&trial.name)).map(run).collect();
    print(&trials, &outcomes);
    let bad = |(trial, outcome): (&Trial, &Outcome)| {
        !outcome.balances() || (trial.must_keep_all && outcome.counters.lost() > 0)
    };
    match trials.iter().zip(&outcomes).filter(|pair| bad(*pair)).count() {
        0 => ExitCode::SUCCESS,
        count => {
            println!("\n{count} of {} failed", trials.len());
            ExitCode::FAILURE
        }
    }
}

/// Floods that exceed small buffers.
fn floods(options: &Options) -> Vec<Trial> {
    let datagrams = options.number().unwrap_or(options.pick(100_000, 2_500_000));
    let mut trials = Vec::new();
    for _ in 0..options.pick(1, 5) {
        for (bytes, buffer) in [(100, "208KiB"), (100, "4MiB"), (1400, "208KiB"), (1400, "4MiB")] {
            let flood = Flood::unpaced(NOWHERE.parse().unwrap(), datagrams / SENDERS, bytes);
            trials.push(Trial {
                name: format!("{datagrams} of {bytes} bytes, {SENDERS} senders"),
                buffer,
                floods: vec![flood; SENDERS as usize],
                must_keep_all: false,
            });
        }
    }
    trials
}

/// Loads that must fit: a flood into a large buffer, and a steady stream into a small one.
fn room(options: &Options) -> Vec<Trial> {
    let nowhere = NOWHERE.parse().unwrap();
    let (datagrams, rate, seconds) = options.pick((100_000, 20_000, 2), (10_000_000, 100_000, 60));
    let trial = |name, buffer, flood| {
        let must_keep_all = !options.quick();
        Trial { name, buffer, floods: vec![flood], must_keep_all }
    };
    vec![
        trial(format!("{datagrams} at once"), "64MiB", Flood::unpaced(nowhere, datagrams, 100)),
        trial(format!("{rate} a second for {seconds} s"), "4MiB", Flood::paced(nowhere, rate, seconds, 100)),
    ]
}

/// The target of a flood whose daemon has not been started yet.
const NOWHERE: &str = "127.0.0.1:0";

fn run(trial: &Trial) -> Outcome {
    // Large enough to keep everything: retention is another benchmark.
    let config = format!("receive_buffer = \"{}\"\ninbox.max_size = \"64GiB\"\n", trial.buffer);
    let mut daemon = Daemon::start(&config);
    let before = lost_before_sockets();
    let to = daemon.address();
    let sending: Vec<_> = trial.floods.iter().map(|flood| Flood { to, ..flood.clone() }.start()).collect();
    let sent = sending.into_iter().map(|sending| sending.wait().datagrams).sum();
    let counters = daemon.wait_until_stored(sent);
    let before_sockets = lost_before_sockets() - before;
    let granted = daemon.granted();
    let peak_memory = daemon.process().peak_memory();
    let folder = daemon.stop();
    let gaps = gaps(&folder.path().join("data/inbox.db"));
    Outcome { sent, counters, gaps, granted, peak_memory, before_sockets }
}

/// Adds up the losses that the gaps in an inbox report.
fn gaps(inbox: &std::path::Path) -> i128 {
    let inbox = Connection::open_with_flags(inbox, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = inbox.prepare("SELECT detail FROM entry WHERE kind = ?1").unwrap();
    let details = query.query_map([GAP], |row| row.get::<_, String>(0)).unwrap();
    let lost = details.map(|detail| {
        let detail: Value = serde_json::from_str(&detail.unwrap()).unwrap();
        i128::from(detail["lost"].as_u64().unwrap())
    });
    lost.sum()
}

/// Returns how many packets this machine has dropped before the sockets: the second column of `softnet_stat`, with a line
/// for each processor.
fn lost_before_sockets() -> u64 {
    let lines = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let second = lines.lines().filter_map(|line| line.split_whitespace().nth(1));
    second.map(|count| u64::from_str_radix(count, 16).unwrap()).sum()
}

fn print(trials: &[Trial], outcomes: &[Outcome]) {
    let row = |(trial, outcome): (&Trial, &Outcome)| {
        let [sent, received, gaps] = outcome.residuals();
        let Counters { stored, kernel_drops, dropped, .. } = outcome.counters;
        vec![
            trial.name.clone(),
            mebibytes(outcome.granted),
            format!("{:.2}", stored as f64 / outcome.sent as f64 * 100.0),
            kernel_drops.to_string(),
            dropped.to_string(),
            format!("{sent} {received} {gaps}"),
            outcome.before_sockets.to_string(),
            mebibytes(outcome.peak_memory),
        ]
    };
    let rows: Vec<_> = trials.iter().zip(outcomes).map(row).collect();
    table(
        "accounting of floods; residuals of sent, of received, of the gaps in the log",
        &["flood", "buffer", "kept %", "kernel", "dropped", "residuals", "before sockets", "peak memory"],
        &rows,
    );
}

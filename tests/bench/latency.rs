//! Measures the time from sending a message to its line in `udpchatctl inbox --follow`, which includes the commit. Measured
//! idle, and with a steady stream of other messages, which the same follower prints.
//!
//! `cargo bench --bench latency`, or with `-- quick` to see only that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use harness::daemon::{Counters, Daemon};
use harness::flood::Flood;
use harness::options::Options;
use harness::statistics::part;
use harness::support::{Guard, eventually};
use harness::table::table;

/// The time between two samples.
const INTERVAL: Duration = Duration::from_millis(5);
/// The prefix of a sample; no other message contains it.
const SAMPLE: &str = "sample-";
/// How long to wait for a sample.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The load beside the samples.
struct Load {
    name: String,
    /// Messages a second.
    rate: u64,
    samples: usize,
}

/// The results of the samples.
struct Outcome {
    /// In milliseconds.
    times: Vec<f64>,
    sent: usize,
    counters: Counters,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let seconds = options.pick(2, 10);
    let mut loads = vec![Load { name: "idle".into(), rate: 0, samples: options.pick(200, 2000) }];
    for rate in [20_000, 50_000] {
        let samples = (Duration::from_secs(seconds).as_secs_f64() / INTERVAL.as_secs_f64()) as usize;
        loads.push(Load { name: format!("{rate} others a second"), rate, samples });
    }
    let rows: Vec<_> = loads.iter().map(|load| row(load, &measure(load))).collect();
    table(
        "from the sender to the follower's line, in milliseconds",
        &["beside", "samples", "seen", "p50", "p99", "max", "lost of all"],
        &rows,
    );
}

fn row(load: &Load, outcome: &Outcome) -> Vec<String> {
    let figure = |share| format!("{:.2}", part(&outcome.times, share));
    vec![
        load.name.clone(),
        outcome.sent.to_string(),
        outcome.times.len().to_string(),
        figure(0.5),
        figure(0.99),
        figure(1.0),
        outcome.counters.lost().to_string(),
    ]
}

fn measure(load: &Load) -> Outcome {
    let mut daemon = Daemon::start("receive_buffer = \"64MiB\"\n");
    let mut follower = Follower::start(&daemon);
    let seconds = (INTERVAL * load.samples as u32).as_secs() + 1;
    let others = (load.rate > 0).then(|| Flood::paced(daemon.address(), load.rate, seconds, 100).start());
    // The flood's process begins to send a little later.
    thread::sleep(Duration::from_millis(100));
    let sent = send_samples(daemon.address(), load.samples);
    let times = sent.iter().enumerate().filter_map(|(number, &sent)| follower.seen(number, sent)).collect();
    let others = others.map_or(0, |others| others.wait().datagrams);
    let counters = daemon.wait_until_stored(others + sent.len() as u64);
    Outcome { times, sent: sent.len(), counters }
}

/// Sends samples, and returns when each was sent.
fn send_samples(to: SocketAddr, count: usize) -> Vec<Instant> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let sample = |number| {
        let due = began + INTERVAL * number as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let text = format!("{SAMPLE}{number} temperature=21.5 humidity=40 door=closed battery=97 signal=-61");
        let sent = Instant::now();
        socket.send_to(text.as_bytes(), to).unwrap();
        sent
    };
    (0..count).map(sample).collect()
}

/// A running `udpchatctl inbox --follow`, and the samples that it has printed.
struct Follower {
    _process: Guard,
    seen: Receiver<(usize, Instant)>,
    /// The first one that was not requested yet.
    next: Option<(usize, Instant)>,
}

impl Follower {
    /// Starts it, and waits until it follows.
    fn start(daemon: &Daemon) -> Self {
        let mut command = daemon.ctl(&["inbox", "--follow"]);
        let mut process = Guard::start(command.stdout(Stdio::piped()));
        let output = process.pipes().1.unwrap();
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || watch(output, &sender));
        let first = eventually("the follower", || {
            // Numbers above those of the real samples are ignored.
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(format!("{SAMPLE}{} hello", usize::MAX).as_bytes(), daemon.address()).unwrap();
            seen.recv_timeout(Duration::from_millis(100)).ok()
        });
        let mut follower = Self { _process: process, seen, next: Some(first) };
        follower.pass_first_ones();
        follower
    }

    /// Skips the messages that were sent to detect its start.
    fn pass_first_ones(&mut self) {
        while self.seen.recv_timeout(Duration::from_millis(300)).is_ok() {}
        self.next = None;
    }

    /// Returns how many milliseconds after it was sent a sample was printed; none if it was not.
    fn seen(&mut self, number: usize, sent: Instant) -> Option<f64> {
        loop {
            let (seen, at) = match self.next.take() {
                Some(next) => next,
                None => self.seen.recv_timeout(MAX_WAIT).ok()?,
            };
            if seen == number {
                return Some((at - sent).as_secs_f64() * 1e3);
            }
            if seen > number {
                self.next = Some((seen, at));
                return None;
            }
        }
    }
}

/// Notes when the line of each sample was read.
fn watch(output: ChildStdout, seen: &Sender<(usize, Instant)>) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some((_, sample)) = line.split_once(SAMPLE) {
            let at = Instant::now();
            let number = sample.split(' ').next().unwrap().parse().unwrap();
            if seen.send((number, at)).is_err() {
                return;
            }
        }
        line.clear();
    }
}

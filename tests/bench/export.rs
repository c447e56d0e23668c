//! Measures speed and memory, on both sides, of reading the whole inbox: `udpchatctl export` in each of its formats, and
//! `udpchatctl inbox --all --json`.
//!
//! `cargo bench --bench export`, with another number of entries `cargo bench --bench export -- 100000`, or with
//! `-- quick`. Formats that `udpchatctl` does not support are left out.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use harness::daemon::Daemon;
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::{ProcessStats, mebibytes};
use harness::statistics::median;
use harness::support::Guard;
use harness::table::table;

/// Datagrams a second while the inbox is filled, and the number of peers: a load that a busy machine can process.
const RATE: u64 = 100_000;
const PEERS: u64 = 1000;

const COMMANDS: [&[&str]; 5] = [
    &["inbox", "--all", "--json"],
    &["export", "--format", "jsonl"],
    &["export", "--format", "pcap"],
    &["export", "--format", "csv"],
    &["export", "--format", "csv", "--fields", "1"],
];

/// The result of a run.
#[derive(Default)]
struct Run {
    seconds: f64,
    bytes: u64,
    lines: u64,
    peak_memory: u64,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let entries = options.number().unwrap_or(options.pick(50_000, 1_000_000));
    let rounds = options.pick(1, 5);
    let mut daemon = Daemon::start("receive_buffer = \"64MiB\"\ninbox.max_size = \"64GiB\"\n");
    let flood = Flood::mixed(daemon.address(), entries, PEERS);
    let sent = Flood { rate: RATE, ..flood }.send().datagrams;
    daemon.wait_until_stored(sent);
    daemon.wait_until_indexed();
    let entries = daemon.status()["inbox"]["entries"].as_u64().unwrap();

    let mut rows = Vec::new();
    for command in COMMANDS {
        if !is_known(&daemon, command) {
            println!("left out: udpchatctl {}, which it does not support", command.join(" "));
            continue;
        }
        rows.push(row(&daemon, command, entries, rounds, "/dev/null", to_nowhere));
        rows.push(row(&daemon, command, entries, rounds, "a pipe", to_a_pipe));
    }
    table(
        &format!("{entries} entries, median of {rounds}"),
        &[
            "udpchatctl",
            "to",
            "seconds",
            "entries/s",
            "MiB/s",
            "lines",
            "its peak memory",
            "the daemon grew by",
        ],
        &rows,
    );
    println!("the daemon's peak memory: {}", mebibytes(daemon.process().peak_memory()));
}

/// Returns whether `udpchatctl` has a command.
fn is_known(daemon: &Daemon, command: &[&str]) -> bool {
    let help = daemon.ctl(&[command[0], "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    help.unwrap().success()
}

fn row(
    daemon: &Daemon,
    command: &[&str],
    entries: u64,
    rounds: usize,
    to: &str,
    run: fn(&Daemon, &[&str]) -> Run,
) -> Vec<String> {
    let memory = daemon.process().memory();
    let runs: Vec<_> = (0..rounds).map(|_| run(daemon, command)).collect();
    let grown = daemon.process().memory().saturating_sub(memory);
    let seconds = median(&runs.iter().map(|run| run.seconds).collect::<Vec<_>>());
    let (bytes, lines) = (runs[0].bytes, runs[0].lines);
    let shown = |number: u64, text: String| if number == 0 { "-".to_owned() } else { text };
    vec![
        command.join(" "),
        to.to_owned(),
        format!("{seconds:.2}"),
        format!("{:.0}", entries as f64 / seconds),
        shown(bytes, format!("{:.1}", bytes as f64 / seconds / 1024.0 / 1024.0)),
        shown(lines, lines.to_string()),
        mebibytes(runs.iter().map(|run| run.peak_memory).max().unwrap_or(0)),
        mebibytes(grown),
    ]
}

fn to_nowhere(daemon: &Daemon, command: &[&str]) -> Run {
    let began = Instant::now();
    let mut process = Guard::start(daemon.ctl(command).stdout(Stdio::null()));
    let mut run = Run::default();
    while process.try_wait().is_none() {
        // A process that has just ended has no memory any more.
        run.peak_memory = run.peak_memory.max(ProcessStats::of(process.pid()).peak_memory());
        thread::sleep(Duration::from_millis(5));
    }
    run.seconds = began.elapsed().as_secs_f64();
    assert!(process.wait().success());
    run
}

fn to_a_pipe(daemon: &Daemon, command: &[&str]) -> Run {
    let began = Instant::now();
    let mut process = Guard::start(daemon.ctl(command).stdout(Stdio::piped()));
    let mut output = process.pipes().1.unwrap();
    let (mut run, mut buffer) = (Run::default(), vec![0; 1 << 16]);
    loop {
        let read = output.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        if run.bytes >> 20 != (run.bytes + read as u64) >> 20 {
            run.peak_memory = ProcessStats::of(process.pid()).peak_memory();
        }
        run.bytes += read as u64;
        if !command.contains(&"pcap") {
            run.lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
        }
    }
    run.seconds = began.elapsed().as_secs_f64();
    assert!(process.wait().success());
    run
}

//! Measures the effect of a million source addresses: memory, cost of a datagram, and response times, before and after
//! each of them has sent one message, in every encoding that is learned.
//!
//! `cargo bench --bench strangers`, with another number of addresses `-- 100000`, or `-- quick` to see that it runs.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

mod harness;

use std::process::Stdio;
use std::time::Instant;

use harness::daemon::Daemon;
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::mebibytes;
use harness::statistics::median;
use harness::table::{progress, table};

/// The number of commands for each median.
const ROUNDS: usize = 20;

/// The commands that are timed.
const COMMANDS: [&[&str]; 4] =
    [&["status"], &["peers"], &["inbox", "-n", "20"], &["inbox", "--from", "127.0.0.1", "-n", "20"]];

/// The state of the daemon at a moment.
struct State {
    memory: u64,
    /// Processor time for a datagram of a usual flood, in microseconds.
    cost: f64,
    /// The time of each command, in milliseconds.
    answers: Vec<f64>,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let addresses = options.number().unwrap_or(options.pick(20_000, 1_000_000));
    let usual = options.pick(20_000, 1_000_000);
    let mut daemon = Daemon::start(
        "receive_buffer = \"64MiB\"\ninbox.max_size = \"64GiB\"\nlog.messages_per_second = 0\n",
    );
    let mut sent = 0;
    progress("a usual flood, before");
    let before = state(&mut daemon, usual, &mut sent);
    progress(&format!("one message from each of {addresses} addresses"));
    let strangers = Flood::strangers(daemon.address(), addresses);
    let cpu = daemon.process().cpu();
    sent += strangers.send().datagrams;
    let counters = daemon.wait_until_stored(sent);
    let cost = (daemon.process().cpu() - cpu).as_secs_f64() * 1e6 / addresses as f64;
    daemon.wait_until_indexed();
    progress("a usual flood, after");
    let after = state(&mut daemon, usual, &mut sent);
    print(&before, &after);
    println!(
        "{addresses} addresses: {cost:.2} us each, {} lost; at most {} in all",
        counters.lost(),
        mebibytes(daemon.process().peak_memory())
    );
}

/// Floods the daemon from ten peers, waits until it is idle, and measures it.
fn state(daemon: &mut Daemon, datagrams: u64, sent: &mut u64) -> State {
    let flood = Flood::mixed(daemon.address(), datagrams, 10);
    let before = daemon.process().cpu();
    *sent += flood.send().datagrams;
    daemon.wait_until_stored(*sent);
    let cost = (daemon.process().cpu() - before).as_secs_f64() * 1e6 / datagrams as f64;
    daemon.wait_until_indexed();
    let answers = COMMANDS.iter().map(|command| answer(daemon, command)).collect();
    State { memory: daemon.process().memory(), cost, answers }
}

/// Returns how long a command takes, in milliseconds.
fn answer(daemon: &Daemon, command: &[&str]) -> f64 {
    let time = |_| {
        let began = Instant::now();
        assert!(daemon.ctl(command).stdout(Stdio::null()).status().unwrap().success(), "{command:?}");
        began.elapsed().as_secs_f64() * 1e3
    };
    median(&(0..ROUNDS).map(time).collect::<Vec<_>>())
}

fn print(before: &State, after: &State) {
    let row = |name: &str, before: f64, after: f64| {
        vec![name.to_owned(), format!("{before:.2}"), format!("{after:.2}"), format!("{:.2}", after / before)]
    };
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut rows = vec![
        row("memory, MiB", mebibytes(before.memory), mebibytes(after.memory)),
        row("us a datagram, from ten peers", before.cost, after.cost),
    ];
    for (number, command) in COMMANDS.iter().enumerate() {
        let name = format!("udpchatctl {}, ms", command.join(" "));
        rows.push(row(&name, before.answers[number], after.answers[number]));
    }
    table("before and after the strangers", &["", "before", "after", "ratio"], &rows);
}

//! Only for benchmarks: floods from separate processes, the counters of the daemon, the cost of a process, statistics and
//! tables. Code that tests use too is in `tests/support`.

#![expect(dead_code, reason = "a benchmark uses a part of what they share")]

pub(crate) mod bare;
pub(crate) mod before;
pub(crate) mod daemon;
pub(crate) mod flood;
pub(crate) mod options;
pub(crate) mod process_stats;
mod random;
mod sender;
pub(crate) mod statistics;
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[path = "../../support/mod.rs"]
pub(crate) mod support;
pub(crate) mod table;
mod texts;

/// The first argument of a process that is to send, and of one that is to receive, in the place of the benchmark.
const SENDER: &str = "as-sender";
const RECEIVER: &str = "as-receiver";

/// Runs as a sender or receiver if this process was started as one, and then never returns. Every benchmark calls it first:
/// these roles run in separate processes, so that their processor time is measured separately.
pub(crate) fn play_role() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(SENDER) => sender::run(&arguments.next().expect("a flood")),
        Some(RECEIVER) => bare::run(&arguments.next().expect("a manner")),
        _ => return,
    }
    std::process::exit(0);
}

/// Prepares this program as another process.
fn role(name: &str, argument: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args([name, argument]);
    command
}

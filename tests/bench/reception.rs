//! Measures the cost of a received datagram: processor time and memory of `udpchatd`, of bare receive loops (the lower
//! bound), and of programs that write datagrams to a file. Measured in turns, in one run; compare the ratios.
//!
//! `cargo bench --bench reception`, or with `-- quick` to see only that it runs. `tests/bench/install-peers` installs
//! the other programs; `before.rs` says how another build of `udpchatd` takes part.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

#[path = "reception/contender.rs"]
mod contender;
mod harness;

use std::thread;
use std::time::{Duration, Instant};

use contender::{CONTENDERS, Contender, Running};
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::mebibytes;
use harness::statistics::median;
use harness::table::{progress, table};

/// The result of a round of one contender.
struct Round {
    kept_part: f64,
    /// Processor time for each datagram that was sent, in microseconds: dropped ones cost something too.
    cost_sent: f64,
    /// The same for each that was kept.
    cost: f64,
    seconds: f64,
    kept: f64,
    peak_memory: u64,
}

fn main() {
    harness::play_role();
    let options = Options::read();
    let contenders: Vec<_> = CONTENDERS.iter().filter(|contender| contender.is_there()).collect();
    print_buffers(&contenders);
    let rounds = options.pick(1, 5);
    compare(&contenders, options.pick(100_000, 5_000_000), 100, rounds);
    compare(&contenders, options.pick(20_000, 1_000_000), 1400, rounds);
}

fn print_buffers(contenders: &[&Contender]) {
    println!("receive buffers:");
    for contender in contenders {
        println!("  {:30} {}", contender.name, contender.start(100).buffer());
    }
}

/// Floods each contender in turns, and prints what it cost.
fn compare(contenders: &[&Contender], datagrams: u64, bytes: usize, rounds: usize) {
    let mut results: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
    for number in 1..=rounds {
        for (contender, results) in contenders.iter().zip(&mut results) {
            progress(&format!("{bytes} bytes, round {number} of {rounds}: {}", contender.name));
            results.push(round(contender, datagrams, bytes));
        }
    }
    let middle = |rounds: &[Round], of: fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
    let base = middle(&results[0], |round| round.cost);
    let row = |(contender, rounds): (&&Contender, &Vec<Round>)| {
        let cost = middle(rounds, |round| round.cost);
        vec![
            contender.name.to_owned(),
            format!("{:.2}", middle(rounds, |round| round.kept_part) * 100.0),
            format!("{:.2}", middle(rounds, |round| round.cost_sent)),
            format!("{cost:.2}"),
            format!("{:.2}", cost / base),
            format!("{:.2}", middle(rounds, |round| round.seconds)),
            format!("{:.0}", middle(rounds, |round| round.kept / round.seconds / 1e3)),
            mebibytes(rounds.iter().map(|round| round.peak_memory).max().unwrap_or(0)),
        ]
    };
    let rows: Vec<_> = contenders.iter().zip(&results).map(row).collect();
    table(
        &format!(
            "{datagrams} datagrams of {bytes} bytes from one sender, unpaced; median of {rounds} in turns"
        ),
        &["receiver", "kept %", "us/sent", "us/kept", "ratio", "seconds", "1000/s", "peak memory"],
        &rows,
    );
}

/// Starts a contender, warms it up, floods it, and waits until it has done its work.
fn round(contender: &Contender, datagrams: u64, bytes: usize) -> Round {
    let mut running = contender.start(bytes);
    let flood = Flood::unpaced(running.address(), (datagrams / 50).clamp(1000, 20_000), bytes);
    let warm = kept(&mut running, flood.send().datagrams);
    let before = running.process().cpu();
    let sent = Flood { datagrams, ..flood }.send();
    let all_sent = Instant::now();
    let kept = kept(&mut running, warm.datagrams + sent.datagrams);
    let cost = (running.process().cpu() - before).as_secs_f64() * 1e6;
    let sending = sent.time.as_secs_f64();
    let sent = sent.datagrams as f64;
    let new = (kept.datagrams - warm.datagrams) as f64;
    Round {
        kept_part: new / sent,
        cost_sent: cost / sent,
        cost: cost / new,
        seconds: sending + kept.at.saturating_duration_since(all_sent).as_secs_f64(),
        kept: new,
        peak_memory: running.process().peak_memory(),
    }
}

/// How many datagrams a contender has kept, and since when.
struct Kept {
    datagrams: u64,
    at: Instant,
}

/// Waits until a contender has kept all that was sent, or until nothing more has come for a while.
fn kept(running: &mut Running, sent: u64) -> Kept {
    const QUIET: Duration = Duration::from_secs(1);
    let mut kept = Kept { datagrams: running.kept(), at: Instant::now() };
    while kept.datagrams < sent && kept.at.elapsed() < QUIET {
        thread::sleep(Duration::from_millis(20));
        let now = running.kept();
        if now != kept.datagrams {
            kept = Kept { datagrams: now, at: Instant::now() };
        }
    }
    kept
}

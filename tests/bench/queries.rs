//! Measures the cost of queries of a large inbox and of `grep` on a text log of the same messages: whole processes, in
//! turns, in one run. Then the time from a start to the first answer, the space of a message, and the cost of receiving into
//! a large and into an empty inbox.
//!
//! `cargo bench --bench queries`, with a smaller number of entries `cargo bench --bench queries -- 1000000`, or with
//! `-- quick`. `before.rs` says how another build takes part.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "it prints and panics")]

#[path = "queries/corpus.rs"]
mod corpus;
mod harness;
#[path = "queries/question.rs"]
mod question;
#[path = "queries/text_log.rs"]
mod text_log;

use std::fs;
use std::time::Duration;

use corpus::{CONFIG, Corpus, PEERS};
use harness::before;
use harness::daemon::Daemon;
use harness::flood::Flood;
use harness::options::Options;
use harness::process_stats::{bytes_in, mebibytes};
use harness::statistics::{median, part};
use harness::support::new_folder;
use harness::table::table;
use question::Question;
use serde_json::Value;
use tempfile::TempDir;

/// The file name of the index beside the inbox.
const INDEX: &str = "index.db";

fn main() {
    harness::play_role();
    let options = Options::read();
    let entries = options.number().unwrap_or(options.pick(100_000, 10_000_000));
    let mut daemon = Daemon::start(CONFIG);
    let corpus = Corpus::fill(&mut daemon, entries);
    println!("the index was behind for {:.1} s after that", daemon.wait_until_indexed().as_secs_f64());
    let folder = new_folder();
    let log = text_log::write(&daemon.data_dir().join("inbox.db"), folder.path());
    println!("the same messages as a text log: {}", mebibytes(fs::metadata(&log).unwrap().len()));

    let mut questions = question::all(&daemon, &corpus, &log);
    let before = before::folder().map(|_| {
        let mut daemon = Daemon::start_before(CONFIG);
        let corpus = Corpus::fill(&mut daemon, entries);
        daemon.wait_until_indexed();
        questions.extend(question::before(&daemon, &corpus));
        daemon
    });
    ask(&mut questions, options.pick(3, 20));
    drop(before);
    let answers = answers(&daemon, &questions);
    let daemon = start_again(daemon, options.pick(2, 5));
    let daemon = without_index(daemon, &questions, &answers);
    let daemon = room(daemon, entries);
    reception(daemon, options.pick(50_000, 1_000_000), options.pick(1, 3));
}

/// Runs all queries in turns, and prints how long they took. A query that has used its share of time is not repeated.
fn ask(questions: &mut [Question], rounds: usize) {
    const SHARE: Duration = Duration::from_secs(60);
    for round in 0..rounds {
        for question in questions.iter_mut() {
            if round < 3 || question.taken() < SHARE {
                question.ask();
            }
        }
    }
    let base = median(questions[0].times());
    let row = |question: &Question| {
        let times = question.times();
        let middle = median(times);
        vec![
            question.name.clone(),
            format!("{middle:.2}"),
            format!("{:.2}", part(times, 1.0)),
            format!("{:.2}", middle / base),
            question.lines().to_string(),
            times.len().to_string(),
        ]
    };
    let rows: Vec<_> = questions.iter().map(row).collect();
    table(
        "whole processes, in turns",
        &["question", "median ms", "max ms", "ratio", "lines", "rounds"],
        &rows,
    );
}

/// Returns the entries that the daemon finds for each question; questions to other programs have none.
fn answers(daemon: &Daemon, questions: &[Question]) -> Vec<Vec<Value>> {
    questions.iter().map(|question| question.entries(daemon)).collect()
}

/// Starts the daemon again on the full inbox, and prints how soon it answers.
fn start_again(mut daemon: Daemon, rounds: usize) -> Daemon {
    let (mut versions, mut pages, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let folder = daemon.stop();
        let answered;
        (daemon, answered) = Daemon::start_timed(folder);
        versions.push(answered.version.as_secs_f64() * 1e3);
        pages.push(answered.inbox.as_secs_f64() * 1e3);
        memory = memory.max(daemon.process().memory());
    }
    println!("\nfrom the start of the daemon on this inbox, median of {rounds}:");
    println!("  to the first answer to `version`  {:8.1} ms", median(&versions));
    println!("  to the first answer to `inbox`    {:8.1} ms", median(&pages));
    println!("  memory then                       {:>8}", mebibytes(memory));
    daemon
}

/// Repeats the queries while the index is rebuilt: the answers must be the same.
fn without_index(daemon: Daemon, questions: &[Question], answers: &[Vec<Value>]) -> Daemon {
    let folder = daemon.stop();
    let removed = remove_index(&folder);
    let mut daemon = Daemon::start_in(folder);
    if removed == 0 {
        println!("\nthere is no {INDEX} to be removed");
        return daemon;
    }
    println!("\nwith the index removed, and being made:");
    for (question, answer) in questions.iter().zip(answers) {
        if question.is_to_daemon() {
            let behind = daemon.status()["index"]["behind"].as_u64().unwrap_or(0);
            let (entries, took) = question.entries_timed(&daemon);
            assert!(entries == *answer, "{} has other answers without the index", question.name);
            println!(
                "  {:34} {:9.1} ms, the same, {behind} entries behind",
                question.name,
                took.as_secs_f64() * 1e3
            );
        }
    }
    println!("  made after {:.1} s more", daemon.wait_until_indexed().as_secs_f64());
    daemon
}

fn remove_index(folder: &TempDir) -> usize {
    let files = fs::read_dir(folder.path().join("data")).unwrap().map(|file| file.unwrap());
    let ours = files.filter(|file| file.file_name().to_str().is_some_and(|name| name.starts_with(INDEX)));
    ours.map(|file| fs::remove_file(file.path()).unwrap()).count()
}

/// Prints how much room each file takes for a message.
fn room(daemon: Daemon, entries: u64) -> Daemon {
    let folder = daemon.stop();
    println!("\non the disk:");
    for file in fs::read_dir(folder.path().join("data")).unwrap().map(Result::unwrap) {
        let bytes = file.metadata().unwrap().len();
        let name = file.file_name();
        println!(
            "  {:12} {:>12}, {:6.1} bytes a message",
            name.to_str().unwrap(),
            mebibytes(bytes),
            bytes as f64 / entries as f64
        );
    }
    let bytes = bytes_in(&folder.path().join("data"));
    println!(
        "  {:12} {:>12}, {:6.1} bytes a message",
        "all",
        mebibytes(bytes),
        bytes as f64 / entries as f64
    );
    Daemon::start_in(folder)
}

/// Receives into the full inbox and into an empty one, in turns, and prints the cost of a datagram, including the later
/// work of the index.
fn reception(mut full: Daemon, datagrams: u64, rounds: usize) {
    let mut empty = Daemon::start(CONFIG);
    let (mut into_full, mut into_empty) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        into_full.push(cost(&mut full, datagrams));
        into_empty.push(cost(&mut empty, datagrams));
    }
    let (into_full, into_empty) = (median(&into_full), median(&into_empty));
    println!(
        "\nprocessor time for a received datagram, {datagrams} unpaced from {PEERS} peers, median of {rounds}:"
    );
    println!("  into an empty inbox    {into_empty:.2} us");
    println!("  into this inbox        {into_full:.2} us, ratio {:.2}", into_full / into_empty);
    println!("  peak memory then       {}", mebibytes(full.process().peak_memory()));
}

/// Returns the cost of receiving a datagram, in microseconds.
fn cost(daemon: &mut Daemon, datagrams: u64) -> f64 {
    daemon.wait_until_indexed();
    let (cpu, before) = (daemon.process().cpu(), daemon.counters());
    let sent = Flood::mixed(daemon.address(), datagrams, PEERS).send().datagrams;
    let after = daemon.wait_until_stored(before.arrived() + sent);
    daemon.wait_until_indexed();
    let spent = (daemon.process().cpu() - cpu).as_secs_f64() * 1e6;
    spent / (after.stored - before.stored) as f64
}

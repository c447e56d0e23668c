//! System calls that fail: each errno at each call of the data path, once, every second time, and until the fault ends.
//!
//! Of each combination: the daemon lives; it goes on receiving, or reports a problem within a second; within five seconds of the
//! end of the fault it has no problem; no kind of line is logged more than once a second; the counters balance, and nothing that
//! was sent is missing in them.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::counters::Counters;
use crate::random::{Random, seed};
use crate::steady::{
    BEGINS_WITHIN, ENDS_WITHIN, Progress, Rate, Steady, falsely_answered, floods, is_degraded, number,
    settled,
};
use crate::support::{Daemon, Injection, available, scaled};

const CALLS: [&str; 6] = ["recvmmsg", "sendto,sendmsg", "accept4", "openat", "fsync", "pwrite64"];

const ERRNOS: [&str; 14] = [
    "EAGAIN",
    "EINTR",
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "EPERM",
    "EACCES",
    "ENOBUFS",
    "ENOMEM",
    "EIO",
    "ENOSPC",
    "EROFS",
    "EMFILE",
    "EINVAL",
];

/// Once, every second call, every call of each thread.
const WHEN: [&str; 3] = ["1", "1+2", "1+"];

/// How long a fault lasts.
const FAULT: Duration = Duration::from_millis(2_500);

#[test]
fn failing_system_calls_do_not_stop_reception_silently() {
    if !available("strace") {
        return;
    }
    let all: Vec<_> = CALLS
        .iter()
        .flat_map(|call| {
            ERRNOS.iter().flat_map(move |errno| WHEN.iter().map(move |when| (*call, *errno, *when)))
        })
        .collect();
    let seed = seed();
    let chosen = choose(&all, scaled(6, all.len()), seed);
    eprintln!("seed {seed}: {} of {} combinations", chosen.len(), all.len());
    let mut wrong = Vec::new();
    for (call, errno, when) in chosen {
        let faults = run(call, errno, when);
        eprintln!("{call} {errno} {when}: {}", if faults.is_empty() { "right" } else { "WRONG" });
        wrong.extend(faults.into_iter().map(|fault| format!("{call} {errno} {when}: {fault}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Chooses combinations: one of each call in turn, as the seed says.
fn choose<T: Copy>(all: &[T], number: usize, seed: u64) -> Vec<T> {
    if number >= all.len() {
        return all.to_vec();
    }
    let part = all.len() / number;
    let mut random = Random(seed);
    (0..number).map(|turn| all[turn * part + random.below(part)]).collect()
}

/// Runs one combination; returns what was wrong.
fn run(call: &str, errno: &str, when: &str) -> Vec<String> {
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    // Accepted before the fault.
    let mut client = Client::new(daemon.socket(), BEGINS_WITHIN);
    let load = Steady::start(&daemon, Rate::SLOW);
    let mut wrong = Vec::new();
    let began = Instant::now();
    let fault = Injection::start(daemon.pid(), call, errno, when);
    let attached = Instant::now();
    let mut reception = Progress::or_problem("/received/datagrams");
    while attached.elapsed() < FAULT {
        let Some(status) = client.status() else {
            reception.pause();
            continue;
        };
        if let Some(fault) = reception.reading(&status) {
            wrong.push(fault);
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    drop(fault);
    let ended = Instant::now();
    let mut last = client.status_in_the_end();
    let at_the_end = number(&last, "/received/datagrams");
    while is_degraded(&last) || number(&last, "/received/datagrams") <= at_the_end {
        if ended.elapsed() > ENDS_WITHIN {
            wrong.push(format!("not over: {last}"));
            break;
        }
        thread::sleep(Duration::from_millis(50));
        last = client.status_in_the_end();
    }
    let (sent, answered) = load.end();
    wrong.extend(Counters::of(&settled(&mut client, sent)).check_settled(sent).err());
    wrong.extend(falsely_answered(&answered, &daemon.entries()));
    wrong.extend(floods(&daemon.log(), began.elapsed()));
    wrong
}

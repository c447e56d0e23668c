//! System calls that fail: each errno at each call of the data path, once, every second time, and until the fault ends.
//!
//! Of each combination: the daemon lives; it goes on receiving, or reports a problem within a second; within five seconds of the
//! end of the fault it has no problem; no kind of line is logged more than once a second; the counters balance, and nothing that
//! was sent is missing in them.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::counters::Counters;
use crate::random::seed;
use crate::support::{Daemon, Injection, Peer, available, eventually_within, scaled};

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

/// The promised times, with an allowance for a busy machine on which every call of the daemon stops for strace.
const BEGINS_WITHIN: Duration = Duration::from_millis(1_000 + 500);
const ENDS_WITHIN: Duration = Duration::from_millis(5_000 + 1_000);

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
    let mut state = seed;
    // A linear congruential generator (Knuth, MMIX).
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..number).map(|turn| all[turn * part + random() % part]).collect()
}

/// Sends datagrams and messages, and opens connections, until it is dropped.
struct Load {
    sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(daemon: &Daemon) -> Self {
        let (sent, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (address, socket) = (daemon.address(), daemon.socket());
        let (count, over) = (Arc::clone(&sent), Arc::clone(&is_over));
        let datagrams = thread::spawn(move || {
            let peer = Peer::new();
            while !over.load(Ordering::Relaxed) {
                peer.send(address, "datagram");
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let (over, to) = (Arc::clone(&is_over), Peer::new());
        let mut client = Client::new(daemon.socket(), BEGINS_WITHIN);
        let messages = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let _reply = client.call("send", &json!({ "to": to.name(), "text": "x" }));
                thread::sleep(Duration::from_millis(20));
            }
        });
        let over = Arc::clone(&is_over);
        let connections = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // The backlog may be full while nothing is accepted.
                drop(UnixStream::connect(&socket));
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { sent, is_over, threads: vec![datagrams, messages, connections] }
    }

    /// Ends it; returns how many datagrams were sent.
    fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.sent.load(Ordering::Relaxed)
    }
}

/// Runs one combination; returns what was wrong.
fn run(call: &str, errno: &str, when: &str) -> Vec<String> {
    let mut daemon = Daemon::start_with("log.messages_per_second = 0", &[]);
    // Accepted before the fault.
    let mut client = Client::new(daemon.socket(), BEGINS_WITHIN);
    let load = Load::start(&daemon);
    let mut wrong = Vec::new();
    let began = Instant::now();
    let fault = Injection::start(daemon.pid(), call, errno, when);
    let attached = Instant::now();
    let (mut received, mut progress) = (0, Instant::now());
    while attached.elapsed() < FAULT {
        // Without an answer, the counters show afterwards whether it received.
        let Some(now) = client.status() else {
            progress = Instant::now();
            continue;
        };
        let datagrams = number(&now, "/received/datagrams");
        if datagrams > received || is_degraded(&now) {
            (received, progress) = (datagrams, Instant::now());
        }
        if progress.elapsed() > BEGINS_WITHIN {
            wrong.push(format!("deaf without a problem: {now}"));
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
    let sent = load.end();
    let settled = eventually_within(Duration::from_secs(20), "the counters to account for all", || {
        let status = client.status()?;
        Some(Counters::of(&status)).filter(|counters| counters.is_settled(sent))
    });
    wrong.extend(settled.check_settled(sent).err());
    wrong.extend(floods(&daemon.log(), began.elapsed()));
    wrong
}

fn is_degraded(status: &Value) -> bool {
    status["state"] == "degraded"
}

fn number(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap()
}

/// Finds kinds of lines that were logged more often than once a second. A line that a problem is resolved is of another kind.
fn floods(log: &[String], time: Duration) -> Vec<String> {
    let mut kinds = BTreeMap::<String, u64>::new();
    for line in log {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let message = line["message"].as_str().unwrap_or_default();
        let kind = message.split([':', '(']).next().unwrap_or_default();
        // Readers are events, not faults; each new connection logs one.
        if kind != "reads" && kind != "sent" {
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }
    let most = time.as_secs() + 2;
    let floods = kinds.into_iter().filter(|(_, lines)| *lines > most);
    floods.map(|(kind, lines)| format!("{lines} lines in {time:?}: {kind}")).collect()
}

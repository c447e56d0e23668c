//! A steady load during a fault, and what every reading of the status must show.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::counters::Counters;
use crate::load::as_stored;
use crate::support::{Daemon, Peer, id};

/// The promised times, with an allowance for a busy machine on which every call of the daemon may stop for strace.
pub(crate) const BEGINS_WITHIN: Duration = Duration::from_millis(1_000 + 500);
pub(crate) const ENDS_WITHIN: Duration = Duration::from_millis(5_000 + 1_000);

/// The datagrams that a peer sends: their length in bytes, how many at once, and the pause between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) bytes: usize,
    pub(crate) burst: u64,
    pub(crate) pause: Duration,
}

impl Rate {
    /// 200 small datagrams a second.
    pub(crate) const SLOW: Self = Self { bytes: 10, burst: 1, pause: Duration::from_millis(5) };
}

/// Sends datagrams and messages, and opens connections, until it is ended.
pub(crate) struct Steady {
    sent: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    others: Vec<JoinHandle<()>>,
    sender: JoinHandle<Vec<Value>>,
}

impl Steady {
    pub(crate) fn start(daemon: &Daemon, rate: Rate) -> Self {
        let (sent, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (address, socket) = (daemon.address(), daemon.socket());
        let (count, over) = (Arc::clone(&sent), Arc::clone(&is_over));
        let datagrams = thread::spawn(move || {
            let peer = Peer::new();
            while !over.load(Ordering::Relaxed) {
                for _ in 0..rate.burst {
                    // Counted before, so that a status never shows more than were sent.
                    let number = count.fetch_add(1, Ordering::SeqCst);
                    peer.send(address, format!("{number:<width$}", width = rate.bytes));
                }
                thread::sleep(rate.pause);
            }
        });
        let (over, to) = (Arc::clone(&is_over), Peer::new());
        let mut client = Client::new(daemon.socket(), BEGINS_WITHIN);
        let sender = thread::spawn(move || {
            let mut answered = Vec::new();
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("message {number}");
                let answer = client.call("send", &json!({ "to": to.name(), "text": text }));
                answered.extend(answer.and_then(as_stored));
                thread::sleep(Duration::from_millis(20));
            }
            answered
        });
        let over = Arc::clone(&is_over);
        let connections = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // The backlog may be full while nothing is accepted.
                drop(UnixStream::connect(&socket));
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { sent, is_over, others: vec![datagrams, connections], sender }
    }

    /// Returns how many datagrams were sent up to now, or are being sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Ends it; returns how many datagrams were sent, and the entries of the answered sends.
    pub(crate) fn end(self) -> (u64, Vec<Value>) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.others {
            thread.join().unwrap();
        }
        (self.sent.load(Ordering::SeqCst), self.sender.join().unwrap())
    }
}

/// Waits until the counters account for all datagrams, or for a time limit, and returns the status.
#[track_caller]
pub(crate) fn settled(client: &mut Client, sent: u64) -> Value {
    let began = Instant::now();
    loop {
        let status = client.status_in_the_end();
        if Counters::of(&status).is_settled(sent) || began.elapsed() > Duration::from_secs(20) {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A counter that must rise from reading to reading.
pub(crate) struct Progress {
    counter: &'static str,
    /// Whether a problem is as good.
    or_problem: bool,
    last: u64,
    since: Instant,
}

impl Progress {
    /// Watches the counter at a JSON pointer, which must rise always.
    pub(crate) fn of(counter: &'static str) -> Self {
        Self { counter, or_problem: false, last: 0, since: Instant::now() }
    }

    /// Watches a counter that must rise unless a problem is reported.
    pub(crate) fn or_problem(counter: &'static str) -> Self {
        Self { or_problem: true, ..Self::of(counter) }
    }

    /// Adds a reading; returns what is wrong.
    pub(crate) fn reading(&mut self, status: &Value) -> Option<String> {
        let now = number(status, self.counter);
        if now > self.last || (self.or_problem && is_degraded(status)) {
            (self.last, self.since) = (now, Instant::now());
        }
        let without = if self.or_problem { ", without a problem" } else { "" };
        let is_late = self.since.elapsed() > BEGINS_WITHIN;
        is_late.then(|| format!("{} does not rise{without}: {status}", self.counter))
    }

    /// Leaves out the time up to now: without an answer, the counters show afterwards what has happened.
    pub(crate) fn pause(&mut self) {
        self.since = Instant::now();
    }
}

pub(crate) fn is_degraded(status: &Value) -> bool {
    status["state"] == "degraded"
}

pub(crate) fn number(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap()
}

/// Finds answered sends that are not in the inbox as they were answered.
pub(crate) fn falsely_answered(answered: &[Value], entries: &[Value]) -> Option<String> {
    let there: BTreeMap<_, _> = entries.iter().map(|entry| (id(entry), entry)).collect();
    let lost: Vec<_> = answered.iter().filter(|entry| there.get(&id(entry)) != Some(entry)).collect();
    (!lost.is_empty()).then(|| format!("answered and not stored: {lost:?}"))
}

/// Finds kinds of lines that were logged more often than once a second. A line that a problem is resolved is of another kind.
pub(crate) fn floods(log: &[String], time: Duration) -> Vec<String> {
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

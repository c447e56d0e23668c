//! Reads the counters, memory and descriptors of a daemon again and again while a campaign loads it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::counters::Counters;
use crate::support::Daemon;
use crate::support::proc::status_number;

/// How long it waits after a reading.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest time that an answer may take on a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What a daemon uses, and what it has counted, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) counters: Counters,
    pub(crate) newest_id: u64,
    /// In KiB.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
}

/// All readings of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) readings: Vec<Reading>,
    pub(crate) slowest: Duration,
    pub(crate) wrong: Vec<String>,
}

impl Watched {
    /// Returns the medians of memory and descriptors of the readings in one of three parts of the time, from 0 on.
    pub(crate) fn medians(&self, third: usize) -> (u64, u64) {
        let length = self.readings.len();
        let part = &self.readings[length * third / 3..length * (third + 1) / 3];
        (median(part, |reading| reading.memory), median(part, |reading| reading.descriptors))
    }
}

fn median(readings: &[Reading], value: impl Fn(&Reading) -> u64) -> u64 {
    let mut values: Vec<_> = readings.iter().map(value).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

/// Returns the memory of a daemon in KiB; 0 if it has ended.
pub(crate) fn memory(pid: u32) -> u64 {
    status_number(pid, "VmRSS:").unwrap_or(0)
}

/// Returns how many descriptors a daemon has; 0 if it has ended.
pub(crate) fn descriptors(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64)
}

/// Returns how many of them are sockets.
pub(crate) fn sockets(pid: u32) -> u64 {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count() as u64
}

/// The running observation.
pub(crate) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Watched>,
}

impl Watch {
    /// Starts it. Identity B is expected at every reading, and an answer to each request.
    pub(crate) fn start(daemon: &Daemon) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, pid) = (Arc::clone(&is_over), daemon.pid());
        let client = Client::new(daemon.socket(), ANSWERS_WITHIN);
        Self { is_over, thread: thread::spawn(move || watch(client, pid, &over)) }
    }

    /// Ends it.
    pub(crate) fn end(self) -> Watched {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn watch(mut client: Client, pid: u32, is_over: &AtomicBool) -> Watched {
    let mut watched = Watched::default();
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let Some(status) = client.status() else {
            watched.wrong.push(format!("no status after {} readings", watched.readings.len()));
            break;
        };
        watched.slowest = watched.slowest.max(began.elapsed());
        let counters = Counters::of(&status);
        watched.wrong.extend(counters.check().err());
        watched.readings.push(Reading {
            counters,
            newest_id: status["inbox"]["newest_id"].as_u64().unwrap(),
            memory: memory(pid),
            descriptors: descriptors(pid),
        });
        thread::sleep(PAUSE);
    }
    watched
}

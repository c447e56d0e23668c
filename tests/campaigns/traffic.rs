//! A peer that sends numbered datagrams at a rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::Peer;

/// How long it sleeps when nothing is due.
const PAUSE: Duration = Duration::from_millis(1);

/// The running peer.
pub(crate) struct Traffic {
    sent: Arc<AtomicU64>,
    rate: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Traffic {
    /// Starts it, with the number of datagrams a second.
    pub(crate) fn start(to: SocketAddr, rate: u64) -> Self {
        let (sent, rate) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(rate)));
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (sent, rate, is_over) = (Arc::clone(&sent), Arc::clone(&rate), Arc::clone(&is_over));
            move || run(to, &sent, &rate, &is_over)
        });
        Self { sent, rate, is_over, thread }
    }

    /// Changes the number of datagrams a second.
    pub(crate) fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Ends it; returns how many datagrams it has sent.
    pub(crate) fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

fn run(to: SocketAddr, sent: &AtomicU64, rate: &AtomicU64, is_over: &AtomicBool) {
    let peer = Peer::new();
    let (mut last, mut due) = (Instant::now(), 0.0);
    while !is_over.load(Ordering::Relaxed) {
        let now = Instant::now();
        due += now.duration_since(last).as_secs_f64() * rate.load(Ordering::Relaxed) as f64;
        last = now;
        while due >= 1.0 {
            let number = sent.load(Ordering::Relaxed);
            let length = 20 + (number * 131 % 160) as usize;
            peer.send(to, format!("{number:length$}"));
            sent.store(number + 1, Ordering::Relaxed);
            due -= 1.0;
        }
        thread::sleep(PAUSE);
    }
}

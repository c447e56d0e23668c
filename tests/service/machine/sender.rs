//! A peer that sends consecutive numbers at a steady rate, whether or not a daemon listens.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::PORT;

/// How often it sends. The figure is that of a peer which sends in small bursts, as most do.
const STEP: Duration = Duration::from_millis(2);

/// A running sender.
pub(crate) struct Sender {
    sent: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Starts to send numbers from 0 on, `a_second` of them each second, to the service's port on 127.0.0.1.
    pub(super) fn start(socket: UdpSocket, a_second: u32) -> Self {
        let (sent, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let parts = (Arc::clone(&sent), Arc::clone(&end));
        let thread = Some(thread::spawn(move || send(&socket, a_second, &parts.0, &parts.1)));
        Self { sent, end, thread }
    }

    /// Returns how many it has sent up to now.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until it has sent `more` further numbers.
    pub(crate) fn wait_for(&self, more: u64) {
        let all = self.sent() + more;
        while self.sent() < all {
            thread::sleep(STEP);
        }
    }

    /// Ends it, and returns how many it has sent.
    pub(crate) fn stop(mut self) -> u64 {
        self.end.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.sent()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
    }
}

fn send(socket: &UdpSocket, a_second: u32, sent: &AtomicU64, end: &AtomicBool) {
    let a_step = f64::from(a_second) * STEP.as_secs_f64();
    let (mut due, mut next) = (0.0, Instant::now());
    let mut number = 0_u64;
    while !end.load(Ordering::SeqCst) {
        due += a_step;
        while due >= 1.0 {
            // Without a receiver the datagram is lost; an unconnected socket gets no error.
            socket.send_to(number.to_string().as_bytes(), ("127.0.0.1", PORT)).unwrap();
            number += 1;
            due -= 1.0;
        }
        sent.store(number, Ordering::SeqCst);
        // A machine that was too busy is not made up for: the burst would be another test.
        next = (next + STEP).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

//! Learns from the network which datagrams were not delivered.
//!
//! An unconnected socket hears of ICMP errors only while it has an error queue. Then the error of one datagram ends another
//! call as well, so the queue is switched on by a message whose delivery matters, and off some seconds after the last one.
//! What it holds takes room in the receive buffer, and anybody can forge it: a flood of reports that match nothing switches it
//! off.

mod outstanding;
pub(crate) mod reason;
pub(crate) mod report;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::outstanding::{Outstanding, REPORT_WAIT};
use self::report::Report;
pub(crate) use self::report::{Bounce, without_this_host};
use super::platform;
use super::route::Route;
use crate::clock;
use crate::faults::is_report;

/// How many errors are taken from the queue at once.
const MAX_AT_ONCE: usize = 64;

/// How often a call is made at most that meets errors of other datagrams.
const MAX_TRIES: usize = 16;

/// The queue is switched off for a while once so many reports within this time match nothing.
const MAX_UNMATCHED: u32 = 200;
const UNMATCHED_WINDOW: Duration = Duration::from_millis(100);
const FLOOD_PAUSE: Duration = Duration::from_secs(10);

/// How long after the end a call may still meet an error.
const LATE_ERRORS: Duration = Duration::from_secs(1);

/// A socket, with the address that it is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) socket: &'a UdpSocket,
    pub(crate) local: SocketAddr,
}

/// The reports about the datagrams of one socket.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    is_on: AtomicBool,
    ignored: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    outstanding: Outstanding,
    /// When the newest outstanding message was sent; none while the queue is off.
    last_sent: Option<Instant>,
    ended: Option<Instant>,
    /// Until when it stays off after a flood.
    paused_until: Option<Instant>,
    /// Since when reports that match nothing are counted, and how many there were.
    unmatched: Option<(Instant, u32)>,
}

/// What is learned while a datagram is sent.
#[derive(Debug, Default)]
pub(crate) struct SendReports {
    /// Earlier messages that were not delivered.
    pub(crate) bounces: Vec<Bounce>,
    /// Whether the error queue was switched on, so that it has to be switched off.
    pub(crate) has_begun: bool,
}

impl Reports {
    /// Returns whether the kernel is asked for reports now.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Returns how many reports matched no message.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Returns whether a call may meet the error of an earlier datagram.
    pub(crate) fn may_disturb(&self) -> bool {
        self.is_on() || self.state.lock().may_disturb(Instant::now())
    }

    /// Returns when it is to be switched off; none if it is off.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        self.state.lock().last_sent.map(|sent| sent + REPORT_WAIT)
    }
}

impl State {
    fn may_disturb(&self, now: Instant) -> bool {
        let is_late = |ended: Instant| now.saturating_duration_since(ended) < LATE_ERRORS;
        self.last_sent.is_some() || self.ended.is_some_and(is_late)
    }

    /// Counts a report that matches nothing; returns whether they are a flood.
    fn count_unmatched(&mut self, now: Instant) -> bool {
        let is_current = |since: Instant| now.saturating_duration_since(since) < UNMATCHED_WINDOW;
        let (since, count) = self.unmatched.filter(|(since, _)| is_current(*since)).unwrap_or((now, 0));
        self.unmatched = Some((since, count + 1));
        count + 1 > MAX_UNMATCHED
    }
}

impl Reports {
    /// Sends a datagram, without waiting. With a running number, reports about it are awaited.
    ///
    /// The error of another datagram does not end it: the queue is emptied, and the call repeated. An error that is returned is
    /// that of this datagram.
    pub(crate) fn send(
        &self,
        bound: Bound<'_>,
        payload: &[u8],
        to: SocketAddr,
        route: Route,
        number: Option<u64>,
        learned: &mut SendReports,
    ) -> io::Result<()> {
        let now = Instant::now();
        // Held until the message is among the outstanding ones: a report may come before the call returns.
        let mut state = self.state.lock();
        if number.is_some() {
            learned.has_begun |= self.begin(bound, &mut state, now);
        }
        let send = || platform::send(bound.socket, bound.local, payload, to, route);
        let sent = if state.may_disturb(now) {
            repeat(send, || self.take_into(bound, &mut state, &mut learned.bounces))
        } else {
            Some(send())
        };
        sent.unwrap_or_else(|| self.send_without_reports(bound, &mut state, send))?;
        if let Some(number) = number
            && state.last_sent.is_some()
        {
            state.last_sent = Some(now);
            state.outstanding.add(number, to, payload, now);
        }
        Ok(())
    }

    /// Sends with the error queue switched off, so that no call meets an error of another datagram. A report that comes meanwhile
    /// is lost.
    fn send_without_reports(
        &self,
        bound: Bound<'_>,
        state: &mut State,
        send: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let is_on = state.last_sent.is_some();
        let _off = platform::queue_errors(bound.socket, bound.local, false);
        let sent = send();
        if is_on && platform::queue_errors(bound.socket, bound.local, true).is_err() {
            self.switch_off(bound, state);
        }
        sent
    }

    /// Takes what the error queue has; returns the messages that were not delivered, and whether there were any reports.
    pub(crate) fn take(&self, bound: Bound<'_>) -> (Vec<Bounce>, bool) {
        let mut bounces = Vec::new();
        let reports = self.take_into(bound, &mut self.state.lock(), &mut bounces);
        (bounces, reports > 0)
    }

    /// Switches the error queue off if the last message is long enough ago; returns what was still in it.
    pub(crate) fn end(&self, bound: Bound<'_>) -> Vec<Bounce> {
        let mut state = self.state.lock();
        let is_over = |sent: Instant| sent.elapsed() >= REPORT_WAIT;
        if !state.last_sent.is_some_and(is_over) {
            return Vec::new();
        }
        let mut bounces = Vec::new();
        // Switching it off empties it.
        while self.take_into(bound, &mut state, &mut bounces) > 0 {}
        self.switch_off(bound, &mut state);
        bounces
    }

    /// Switches the error queue off, because the daemon stops and sends nothing more.
    pub(crate) fn close(&self, bound: Bound<'_>) {
        let mut state = self.state.lock();
        if state.last_sent.is_some() {
            self.switch_off(bound, &mut state);
        }
    }

    /// Switches the error queue on, unless it is or has to stay off; returns whether it is on only now.
    fn begin(&self, bound: Bound<'_>, state: &mut State, now: Instant) -> bool {
        if state.last_sent.is_some() || state.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        // Without it, messages are sent as well, and nothing is known of them.
        if platform::queue_errors(bound.socket, bound.local, true).is_err() {
            return false;
        }
        state.last_sent = Some(now);
        self.is_on.store(true, Ordering::Relaxed);
        true
    }

    fn switch_off(&self, bound: Bound<'_>, state: &mut State) {
        // If it fails, the reports are taken and pass as unmatched.
        let _off = platform::queue_errors(bound.socket, bound.local, false);
        self.is_on.store(false, Ordering::Relaxed);
        state.outstanding.clear();
        (state.last_sent, state.ended, state.unmatched) = (None, Some(Instant::now()), None);
    }

    /// Takes errors from the queue; returns how many reports were among them.
    fn take_into(&self, bound: Bound<'_>, state: &mut State, bounces: &mut Vec<Bounce>) -> usize {
        let now = Instant::now();
        let (mut reports, mut is_flood) = (0, false);
        platform::take_errors(bound.socket, MAX_AT_ONCE, |report| {
            reports += 1;
            if let Some(number) = state.outstanding.take(report.to, report.quoted, now) {
                let Report { to: peer, reason, from, .. } = *report;
                bounces.push(Bounce { number, peer, reason, from, at_ns: clock::now_ns() });
            } else {
                self.ignored.fetch_add(1, Ordering::Relaxed);
                is_flood |= state.count_unmatched(now);
            }
        });
        if is_flood && state.last_sent.is_some() {
            state.paused_until = Some(now + FLOOD_PAUSE);
            self.switch_off(bound, state);
        }
        reports
    }
}

/// Repeats a call that meets errors of other datagrams, and has the error queue emptied by `take`, which returns how many reports
/// it had. Returns none if it is not known whether the last error is that of this datagram.
///
/// The kernel queues a report before it sets the error that the next call returns, so an error may be left whose report was taken
/// already. Where the receive buffer has no room for reports, there are any number of errors without them.
fn repeat(
    mut send: impl FnMut() -> io::Result<()>,
    mut take: impl FnMut() -> usize,
) -> Option<io::Result<()>> {
    let mut without_report = 0;
    for _ in 0..MAX_TRIES {
        match send() {
            Err(error) if is_report(&error) => {
                without_report = if take() > 0 { 0 } else { without_report + 1 };
                if without_report > 1 {
                    return None;
                }
            }
            sent => return Some(sent),
        }
    }
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

//! The reception thread of a listening socket: reads batches, classifies datagrams, queues them, counts drops.

use std::io;
use std::sync::Arc;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::classify::{Classifier, Rules};
use super::coalesce::Coalescer;
use super::limit::Excess;
use super::platform::{Receiver, Stop, prepare};
use super::types::Wake;
use crate::clock;
use crate::faults::{Retry, is_report};
use crate::health::{Component, Health};
use crate::inbox::queue::Queue;
use crate::net::reports::without_this_host;
use crate::net::socket::Listener;
use crate::service::threads;
use crate::service::watchdog::Heartbeat;

/// How long a stopping daemon reads what has already arrived.
const DRAIN_AT_STOP: Duration = Duration::from_millis(500);

/// How long one wait lasts while the queue is nearly full.
const BACKPRESSURE_DELAY: Duration = Duration::from_millis(1);

/// What a reception thread shares with the rest of the daemon.
pub(crate) struct Parts {
    pub(crate) queue: Arc<Queue>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) health: Arc<Health>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) heartbeat: Arc<Heartbeat>,
}

/// Starts the thread that receives on a listener.
pub(crate) fn start(number: usize, listener: Arc<Listener>, parts: Parts) -> io::Result<JoinHandle<()>> {
    prepare(&listener)?;
    threads::spawn(&format!("receive-{number}"), move || Reception::new(number, listener, parts).run())
}

struct Reception {
    number: usize,
    listener: Arc<Listener>,
    parts: Parts,
    receiver: Receiver,
    coalescer: Coalescer,
    /// Whether the queue was more than three quarters full after the last batch.
    queue_nearly_full: bool,
    /// Kernel drops without a gap in the log yet: when they were first seen, and how many.
    pending: Option<(i64, u64)>,
    /// The failures of reading, and of waiting for datagrams.
    reading: Retry,
    waiting: Retry,
    /// The datagrams that were announced and could not be read.
    missing: Retry,
    /// Whether datagrams were read since the last wait.
    has_read: bool,
}

impl Reception {
    fn new(number: usize, listener: Arc<Listener>, parts: Parts) -> Self {
        Self {
            number,
            receiver: Receiver::new(Arc::clone(&listener), Arc::clone(&parts.stop)),
            coalescer: Coalescer::new(listener.granted_bytes),
            listener,
            parts,
            queue_nearly_full: false,
            pending: None,
            reading: Retry::default(),
            waiting: Retry::default(),
            missing: Retry::default(),
            has_read: false,
        }
    }

    fn run(&mut self) {
        // An inherited socket may have dropped datagrams while no daemon ran: they get their gap even if no more arrive.
        if let Err(error) = self.batch() {
            self.reading_failed(&error);
        }
        loop {
            let wake = self.wait();
            if wake == Wake::Stop {
                break;
            }
            self.parts.heartbeat.record();
            self.has_read = wake == Wake::Errors && self.take_reports();
            match self.read_stream() {
                Ok(Wake::Stop) => break,
                Ok(_) if self.has_read => self.read_something(),
                Ok(_) if matches!(wake, Wake::Datagrams | Wake::Errors) => self.read_nothing(),
                Ok(_) => {}
                Err(error) => self.reading_failed(&error),
            }
        }
        self.finish();
    }

    /// Waits for datagrams. While reading fails, it does not wait: only a call shows that reading works again.
    fn wait(&mut self) -> Wake {
        self.parts.heartbeat.record();
        if self.reading.is_failing() {
            return if self.parts.stop.is_stopped() { Wake::Stop } else { Wake::Timeout };
        }
        // Gaps for what was over a limit must not wait for the next datagram.
        let waits = [self.parts.heartbeat.max_wait(), self.parts.rules.limits.report_in()];
        let woken = self.receiver.wait(waits.into_iter().flatten().min());
        self.waited(woken)
    }

    /// Lets datagrams accumulate.
    fn delay(&mut self, time: Duration) -> Wake {
        let woken = self.receiver.delay(time);
        self.waited(woken)
    }

    /// Returns why a wait ended. If it failed, reading is tried after a pause.
    fn waited(&mut self, woken: io::Result<Wake>) -> Wake {
        let component = Component::ReceiveWait(self.number);
        match woken {
            Ok(wake) => {
                if self.waiting.succeeded() {
                    self.parts.health.succeeded(component);
                }
                wake
            }
            Err(error) => {
                if let Some(pause) = self.waiting.failed(&error) {
                    let problem = format!("cannot wait for datagrams on {}: {error}", self.listener.local);
                    self.parts.health.report(component, problem);
                    self.pause(pause);
                }
                if self.parts.stop.is_stopped() { Wake::Stop } else { Wake::Timeout }
            }
        }
    }

    /// Reads until no more datagrams wait. Under load it delays the next read, so that one call returns many.
    fn read_stream(&mut self) -> io::Result<Wake> {
        loop {
            self.parts.heartbeat.record();
            if self.apply_backpressure() == Wake::Stop {
                return Ok(Wake::Stop);
            }
            if self.batch()? {
                if self.parts.stop.is_stopped() {
                    return Ok(Wake::Stop);
                }
                continue;
            }
            let Some(delay) = self.coalescer.delay(Instant::now()) else { return Ok(Wake::Datagrams) };
            if self.delay(delay) == Wake::Stop {
                return Ok(Wake::Stop);
            }
        }
    }

    /// Leaves datagrams in the kernel's buffer while the queue is nearly full. What fits into neither is then dropped by
    /// the kernel, which costs nothing; reading datagrams only to drop them took processor time from the writer.
    fn apply_backpressure(&mut self) -> Wake {
        while self.queue_nearly_full {
            if self.delay(BACKPRESSURE_DELAY) == Wake::Stop {
                return Wake::Stop;
            }
            self.queue_nearly_full = self.parts.queue.is_filling();
            // They take room in the receive buffer.
            if self.listener.reports.is_on() {
                self.take_reports();
            }
            self.parts.heartbeat.record();
        }
        Wake::Datagrams
    }

    /// Reads what has already arrived when the daemon stops.
    fn finish(&mut self) {
        let until = Instant::now() + DRAIN_AT_STOP;
        while Instant::now() < until {
            match self.batch() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.reading_failed(&error),
            }
        }
        self.take_reports();
        self.account_drops(true);
        self.report_excess(true);
    }

    /// Queues what the network reports about sent messages; returns whether it has reported something or may have disturbed a call.
    fn take_reports(&self) -> bool {
        let (bounces, has_reports) = self.listener.take_reports();
        self.parts.queue.bounced(without_this_host(bounces, &self.parts.rules.addresses));
        has_reports || self.listener.reports.may_disturb()
    }

    /// Moves one batch into the queue; returns whether more may be waiting.
    fn batch(&mut self) -> io::Result<bool> {
        let (queue, pending) = (&self.parts.queue, &mut self.pending);
        let (coalescer, nearly_full) = (&mut self.coalescer, &mut self.queue_nearly_full);
        let has_read = &mut self.has_read;
        let (rules, port) = (&self.parts.rules, self.listener.local.port());
        let read = self.receiver.batch(|datagrams| {
            let mut classifier = Classifier::new(rules, port);
            queue.intake(|intake| {
                for datagram in datagrams {
                    *has_read = true;
                    coalescer.add(datagram.payload.len());
                    // Datagrams that were in the buffer when drops were seen had arrived before them.
                    if let Some((_, lost)) = pending.take_if(|(seen_ns, _)| datagram.at_ns > *seen_ns) {
                        intake.kernel_gap(datagram.at_ns, lost);
                    }
                    classifier.classify(&datagram, intake);
                }
                *nearly_full = intake.is_filling();
            });
        });
        let more = match read {
            // It concerns a message that was sent, and ends with this call.
            Err(error) if is_report(&error) && self.take_reports() => return Ok(true),
            read => read?,
        };
        self.account_drops(!more);
        self.report_excess(false);
        if self.reading.succeeded() {
            self.parts.health.succeeded(Component::Receive(self.number));
        }
        Ok(more)
    }

    /// Counts what the kernel dropped since the last call. Once the buffer is empty (`drained`), the gap goes into the log.
    fn account_drops(&mut self, drained: bool) {
        let drops = &self.listener.drops;
        if drops.uncounted() == 0 && self.pending.is_none() {
            return;
        }
        let (number, pending) = (self.number, &mut self.pending);
        self.parts.queue.intake(|intake| {
            // Under the queue's lock, so that each drop is in exactly one of the two counters at any time.
            let lost = drops.take_new();
            if lost > 0 {
                intake.kernel_drops(number, lost, drops.counted());
                pending.get_or_insert_with(|| (clock::now_ns(), 0)).1 += lost;
            }
            if let Some((seen_ns, lost)) = pending.take_if(|_| drained) {
                intake.kernel_gap(seen_ns, lost);
            }
        });
    }

    /// Adds gaps to the log for datagrams that were over a limit, if they are due or the last ones.
    fn report_excess(&self, is_last: bool) {
        let excess = self.parts.rules.limits.take_excess(is_last);
        if !excess.is_empty() {
            self.parts.queue.intake(|intake| {
                for Excess { source, datagrams } in excess {
                    intake.limited_gap(clock::now_ns(), datagrams, source);
                }
            });
        }
    }

    /// Reports an error and pauses, unless it concerns one datagram. No error ends reception.
    fn reading_failed(&mut self, error: &io::Error) {
        if let Some(pause) = self.reading.failed(error) {
            let problem = format!("cannot receive on {}: {error}", self.listener.local);
            self.parts.health.report(Component::Receive(self.number), problem);
            self.pause(pause);
        }
    }

    /// Notes that datagrams were read.
    fn read_something(&mut self) {
        if self.missing.succeeded() {
            self.parts.health.succeeded(Component::ReceiveNothing(self.number));
        }
    }

    /// Pauses if the kernel announces datagrams again and again and returns none.
    fn read_nothing(&mut self) {
        if let Some(pause) = self.missing.failed(&io::ErrorKind::WouldBlock.into()) {
            let problem =
                format!("datagrams wait on {} that the kernel does not return", self.listener.local);
            self.parts.health.report(Component::ReceiveNothing(self.number), problem);
            self.pause(pause);
        }
    }

    /// Pauses, but no longer than the watchdog allows.
    fn pause(&self, time: Duration) {
        sleep(self.parts.heartbeat.max_wait().map_or(time, |max_wait| max_wait.min(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    use tokio::sync::watch;
    use udpchat_config::Settings;

    use super::super::limit::Limits;
    use super::super::portable;
    #[cfg(target_os = "linux")]
    use super::super::recvmmsg;
    use crate::clock;
    use crate::inbox::queue::{Batch, Item};
    use crate::net::reports::SendReports;
    use crate::net::route::Route;

    /// Both platforms return every length, empty ones too, in order, with the sender's address.
    macro_rules! receives_whole_datagrams {
        ($name:ident, $platform:ident) => {
            #[test]
            fn $name() {
                let listener = Arc::new(Listener::open("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap());
                let stop = Arc::new($platform::Stop::new().unwrap());
                $platform::prepare(&listener).unwrap();
                let mut receiver = $platform::Receiver::new(Arc::clone(&listener), Arc::clone(&stop));
                let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
                for length in [0, 1, 1472, 65_507] {
                    peer.send_to(&vec![7; length], listener.local).unwrap();
                }
                let mut lengths = Vec::new();
                while lengths.len() < 4 {
                    assert_eq!(receiver.wait(None).unwrap(), Wake::Datagrams);
                    receiver
                        .batch(|datagrams| {
                            for datagram in datagrams {
                                assert_eq!(datagram.peer, peer.local_addr().unwrap());
                                assert!(datagram.at_ns.abs_diff(clock::now_ns()) < 60_000_000_000);
                                lengths.push(datagram.payload.len());
                            }
                        })
                        .unwrap();
                }
                assert_eq!(lengths, [0, 1, 1472, 65_507]);
                stop.stop();
                assert_eq!(receiver.wait(None).unwrap(), Wake::Stop);
            }
        };
    }

    #[cfg(target_os = "linux")]
    receives_whole_datagrams!(recvmmsg_receives_whole_datagrams, recvmmsg);
    receives_whole_datagrams!(portable_receives_whole_datagrams, portable);

    /// A reception on loopback that nothing runs.
    #[cfg(target_os = "linux")]
    fn reception() -> Reception {
        let listener = Arc::new(Listener::open("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap());
        prepare(&listener).unwrap();
        let settings = Arc::new(Settings::default_in("/tmp"));
        let limits = Arc::new(Limits::new(&settings, Arc::default()));
        let (_sender, settings) = watch::channel(settings);
        let rules = Rules {
            settings,
            denied: Arc::default(),
            limits,
            self_tests: Arc::default(),
            addresses: Arc::default(),
            ports: Arc::new([listener.local.port()]),
        };
        let parts = Parts {
            queue: Arc::default(),
            rules: Arc::new(rules),
            health: Arc::default(),
            stop: Arc::new(Stop::new().unwrap()),
            heartbeat: Heartbeat::unwatched(),
        };
        Reception::new(0, listener, parts)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_report_that_ends_a_read_is_no_failure() {
        let mut reception = reception();
        let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let route = Route { source: None, interface: 0 };
        // One that concerns a message, and one that matches nothing, as a forged one.
        for number in [Some(1), None] {
            // The error is set before the call returns, and nothing has waited for it.
            let sent = reception.listener.send(b"hello", dead, route, number, &mut SendReports::default());
            sent.unwrap();
            assert!(reception.batch().unwrap(), "the next call may read something");
            assert!(!reception.batch().unwrap());
        }
        assert_eq!(reception.listener.reports.ignored(), 1);
        let mut batch = Batch::default();
        assert!(reception.parts.queue.take(&mut batch, None));
        assert!(matches!(&batch.items[..], [Item::Bounce(bounce)] if bounce.number == 1));
    }
}

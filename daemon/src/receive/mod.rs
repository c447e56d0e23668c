//! Reception: one thread for each listening socket, which moves datagrams from the kernel into the queue.
//!
//! The thread knows bytes, addresses and times; it decodes nothing and waits for nobody but the kernel. How
//! datagrams are fetched is the platform's matter (`linux`, `portable`), behind one small interface: wait for
//! some, fetch a batch, rest while more gather (`pace` says when), tell how many the kernel has dropped.
//!
//! Which multicast groups the sockets take part in is the matter of `groups`, as the `interfaces` of the moment allow,
//! of whose changes `links` tells.

pub(crate) mod access;
mod coalesce;
pub(crate) mod denied;
pub(crate) mod self_test;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
pub(crate) use crate::net::linux::{
    Drops, Receiver, Stop, force_receive_buffer, join, leave, only_joined_groups, prepare, send,
};
#[cfg(not(target_os = "linux"))]
pub(crate) use crate::net::portable::{
    Drops, Receiver, Stop, force_receive_buffer, join, leave, only_joined_groups, prepare, send,
};

use crate::clock;
use crate::health::{Component, Health};
use crate::inbox::address::normal;
use crate::inbox::queue::{Intake, Queue};
use crate::net::interfaces::OwnAddresses;
use crate::net::socket::Listener;
use crate::service::threads;
use crate::service::watchdog::Heartbeat;
use access::Access;
use coalesce::Pace;
use denied::Refused;
use self_test::{Probes, Watch};

/// The longest datagram there can be, in bytes: IPv6 carries 65,535 less a header of 8.
pub(crate) const MAX_RECEIVED_BYTES: usize = 65_527;

/// How long a stopping daemon goes on fetching what has already arrived.
const DRAIN_AT_STOP: Duration = Duration::from_millis(500);

/// How long datagrams are left with the kernel at once, while the queue is filling.
const HOLD_BACK: Duration = Duration::from_millis(1);

/// How long reception pauses after an error that is not of a single datagram (out of memory, say).
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A datagram as the platform hands it over.
pub(crate) struct Datagram<'a> {
    /// The kernel's arrival time, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    pub(crate) peer: SocketAddr,
    /// The address it was sent to, where the platform tells; the port is the socket's.
    pub(crate) local_ip: Option<std::net::IpAddr>,
    pub(crate) payload: &'a [u8],
}

/// Why a wait or a rest of the [`Receiver`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Datagrams,
    Stop,
}

/// What a reception thread needs of the rest of the daemon.
pub(crate) struct Parts {
    pub(crate) queue: Arc<Queue>,
    pub(crate) access: Arc<Access>,
    pub(crate) refused: Arc<Refused>,
    pub(crate) probes: Arc<Probes>,
    pub(crate) own: Arc<OwnAddresses>,
    /// The ports that all our sockets are bound to.
    pub(crate) ports: Arc<[u16]>,
    pub(crate) health: Arc<Health>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) heartbeat: Arc<Heartbeat>,
}

/// How a datagram is to leave, as far as that is not left to the system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// The address that it comes from.
    pub(crate) source: Option<std::net::IpAddr>,
    /// The number of the interface that it leaves through; 0 is the one of the route.
    pub(crate) interface: u32,
}

/// Writes an address as a socket of this family wants it: through a dual-stack socket, IPv4 is IPv6.
pub(crate) fn as_family_of(local: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (local, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

/// Starts the thread that receives on a listener.
pub(crate) fn start(
    number: usize,
    listener: Arc<Listener>,
    parts: Parts,
) -> io::Result<thread::JoinHandle<()>> {
    prepare(&listener)?;
    threads::spawn(&format!("receive-{number}"), move || {
        let receiver = Receiver::new(Arc::clone(&listener), Arc::clone(&parts.stop));
        let pace = Pace::new(listener.granted_bytes);
        Reception { number, listener, parts, receiver, pace, filling: false, pending: None, faulty: false }
            .run();
    })
}

struct Reception {
    number: usize,
    listener: Arc<Listener>,
    parts: Parts,
    receiver: Receiver,
    pace: Pace,
    /// Whether the queue was more than three quarters full after the last batch.
    filling: bool,
    /// Drops that have no place in the log yet: when they were first seen, and how many.
    pending: Option<(i64, u64)>,
    /// Whether a fault is reported, and not over.
    faulty: bool,
}

impl Reception {
    fn run(&mut self) {
        // Also where no more comes, what a service manager's socket has dropped while there was no daemon gets its gap.
        if let Err(error) = self.batch() {
            self.fault(&error);
        }
        loop {
            self.parts.heartbeat.record();
            match self
                .receiver
                .wait(self.parts.heartbeat.max_wait())
                .and_then(|wake| if wake == Wake::Stop { Ok(wake) } else { self.stream() })
            {
                Ok(Wake::Datagrams) => {}
                Ok(Wake::Stop) => return self.finish(),
                Err(error) => self.fault(&error),
            }
        }
    }

    /// Fetches as long as datagrams come one behind the other, resting in between while they gather.
    fn stream(&mut self) -> io::Result<Wake> {
        loop {
            self.parts.heartbeat.record();
            if self.hold_back()? == Wake::Stop {
                return Ok(Wake::Stop);
            }
            if self.batch()? {
                if self.parts.stop.is_stopped() {
                    return Ok(Wake::Stop);
                }
                continue;
            }
            let Some(rest) = self.pace.rest(Instant::now()) else { return Ok(Wake::Datagrams) };
            if self.receiver.rest(rest)? == Wake::Stop {
                return Ok(Wake::Stop);
            }
        }
    }

    /// Leaves datagrams with the kernel while the queue is nearly full: both buffers hold what comes while the disk is
    /// slow, and what is too much is dropped by the kernel, for nothing, instead of being fetched to be dropped here,
    /// at the cost of the time that the writer needs.
    fn hold_back(&mut self) -> io::Result<Wake> {
        while self.filling {
            if self.receiver.rest(HOLD_BACK)? == Wake::Stop {
                return Ok(Wake::Stop);
            }
            self.filling = self.parts.queue.is_filling();
            self.parts.heartbeat.record();
        }
        Ok(Wake::Datagrams)
    }

    /// Fetches what has already arrived when the daemon is told to stop.
    fn finish(&mut self) {
        let until = Instant::now() + DRAIN_AT_STOP;
        while Instant::now() < until {
            match self.batch() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.fault(&error),
            }
        }
        self.account_drops(true);
    }

    /// Moves one batch into the queue; tells whether there may be more.
    fn batch(&mut self) -> io::Result<bool> {
        let (queue, pending) = (&self.parts.queue, &mut self.pending);
        let (pace, filling) = (&mut self.pace, &mut self.filling);
        let judge = Judge::new(&self.parts, self.listener.local.port());
        let more = self.receiver.batch(|datagrams| {
            let mut probes = judge.parts.probes.watch();
            queue.intake(|intake| {
                for datagram in datagrams {
                    pace.datagram(datagram.payload.len());
                    // What was in the buffer when drops were seen had arrived before them.
                    if let Some((_, lost)) = pending.take_if(|(seen_ns, _)| datagram.at_ns > *seen_ns) {
                        intake.kernel_gap(datagram.at_ns, lost);
                    }
                    judge.take(&datagram, intake, probes.as_mut());
                }
                *filling = intake.is_filling();
            });
        })?;
        self.account_drops(!more);
        if std::mem::take(&mut self.faulty) {
            self.parts.health.clear(Component::Receive(self.number));
        }
        Ok(more)
    }

    /// Counts what the kernel has dropped since the last time; once the buffer is empty, they have their place.
    fn account_drops(&mut self, drained: bool) {
        let drops = &self.listener.drops;
        if drops.new_ones() == 0 && self.pending.is_none() {
            return;
        }
        let (number, pending) = (self.number, &mut self.pending);
        self.parts.queue.intake(|intake| {
            // Under the lock of the books, so that each drop is in one of the two counters at every moment.
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

    /// No error ends reception. Those that concern one datagram or one peer never come here.
    fn fault(&mut self, error: &io::Error) {
        self.faulty = true;
        let problem = format!("receiving on {} fails: {error}", self.listener.local);
        self.parts.health.report(Component::Receive(self.number), problem);
        thread::sleep(PAUSE_AFTER_ERROR);
    }
}

/// Decides what becomes of the datagrams of one batch.
struct Judge<'a> {
    parts: &'a Parts,
    /// The port that they were sent to.
    port: u16,
    access: Arc<access::List>,
    own: Arc<crate::net::interfaces::Own>,
}

impl<'a> Judge<'a> {
    fn new(parts: &'a Parts, port: u16) -> Self {
        Self { parts, port, access: parts.access.now(), own: parts.own.now() }
    }

    /// Takes a datagram in, or counts why not.
    fn take(&self, datagram: &Datagram<'_>, intake: &mut Intake<'_>, probes: Option<&mut Watch<'_>>) {
        let Datagram { at_ns, payload, .. } = *datagram;
        let peer = normal(datagram.peer);
        let local = datagram.local_ip.map(|ip| normal(SocketAddr::new(ip, self.port)));
        let is_allowed = self.access.allows(peer.ip());
        if probes.is_some_and(|probes| probes.recognises(payload, peer, is_allowed)) {
            return;
        }
        if self.is_own(peer, local) {
            intake.own(payload.len());
        } else if is_allowed {
            intake.datagram(at_ns, peer, local, payload);
        } else {
            intake.denied(payload.len());
            self.parts.refused.note(peer.ip(), at_ns);
        }
    }

    /// Tells whether it is what we have sent to a group, or to everybody, which comes back to us too.
    fn is_own(&self, peer: SocketAddr, local: Option<SocketAddr>) -> bool {
        self.parts.ports.contains(&peer.port())
            && local.is_some_and(|local| self.own.is_for_many(local.ip()))
            && self.own.has(peer.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::net::linux;
    use crate::net::portable;
    use std::net::UdpSocket;

    /// What both platforms must do alike: every length, empty ones too, in order, with the sender's address.
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
    receives_whole_datagrams!(linux_receives_whole_datagrams, linux);
    receives_whole_datagrams!(portable_receives_whole_datagrams, portable);
}

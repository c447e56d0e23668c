//! Reception on systems other than Linux: one datagram a call, the time of fetching as its arrival time, no
//! destination, and no count of what the kernel dropped.

use std::io;
use std::net::SocketAddr;
#[cfg(not(target_os = "linux"))]
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::socket::Listener;
use crate::clock;
#[cfg(not(target_os = "linux"))]
use crate::inbox::inflight::SocketDrops;
use crate::receive::{Datagram, MAX_RECEIVED_BYTES, Wake};
#[cfg(not(target_os = "linux"))]
use crate::receive::{Way, as_family_of};

/// How long a wait lasts at most before it looks whether it is to stop.
const STOP_CHECK: Duration = Duration::from_millis(500);

/// Ends the wait of all receivers, from another thread.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: AtomicBool,
}

impl Stop {
    #[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail, and the callers are the same")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Tells whether the receivers are stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Lets a wait end now and then.
pub(crate) fn prepare(listener: &Listener) -> io::Result<()> {
    listener.socket.set_read_timeout(Some(STOP_CHECK))
}

/// Fetches one datagram at a time.
pub(crate) struct Receiver {
    listener: Arc<Listener>,
    stop: Arc<Stop>,
    buffer: Vec<u8>,
    fetched: Option<(usize, SocketAddr)>,
}

impl Receiver {
    pub(crate) fn new(listener: Arc<Listener>, stop: Arc<Stop>) -> Self {
        Self { listener, stop, buffer: vec![0; MAX_RECEIVED_BYTES], fetched: None }
    }

    /// Waits for a datagram and fetches it, or until everybody is stopped, or a while where there is a `patience`.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> io::Result<Wake> {
        loop {
            match self.listener.socket.recv_from(&mut self.buffer) {
                Ok(fetched) => {
                    self.fetched = Some(fetched);
                    return Ok(Wake::Datagrams);
                }
                Err(error) if is_timeout(&error) && self.stop.is_stopped() => {
                    return Ok(Wake::Stop);
                }
                Err(error) if is_timeout(&error) && patience.is_some() => return Ok(Wake::Datagrams),
                // On Windows the ICMP answer to an earlier send shows here; it concerns no other datagram.
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Does not rest: where datagrams are fetched one by one, none gather.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "on Linux it is otherwise")]
    pub(crate) fn rest(&self, _time: Duration) -> io::Result<Wake> {
        Ok(Wake::Datagrams)
    }

    /// Shows what [`Self::wait`] has fetched; there is never more.
    #[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail, and the callers are the same")]
    pub(crate) fn batch(
        &mut self,
        deliver: impl FnOnce(&mut dyn Iterator<Item = Datagram<'_>>),
    ) -> io::Result<bool> {
        let mut fetched = self.fetched.take().map(|(length, peer)| Datagram {
            at_ns: clock::now_ns(),
            peer,
            local_ip: None,
            payload: &self.buffer[..length],
        });
        deliver(&mut std::iter::from_fn(|| fetched.take()));
        Ok(false)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Does nothing: only Linux hands over what other programs have joined.
#[cfg(not(target_os = "linux"))]
pub(crate) fn only_joined_groups(_socket: &socket2::Socket, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Joins a multicast group: one of IPv6 on an interface, by its number, one of IPv4 where the system chooses.
#[cfg(not(target_os = "linux"))]
pub(crate) fn join(listener: &Listener, group: IpAddr, interface: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => listener.socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => listener.socket.join_multicast_v6(&group, interface),
    }
}

/// Leaves a multicast group.
#[cfg(not(target_os = "linux"))]
pub(crate) fn leave(listener: &Listener, group: IpAddr, interface: u32) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => listener.socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(group) => listener.socket.leave_multicast_v6(&group, interface),
    }
}

/// Sends a datagram; the system chooses the source address and the interface.
#[cfg(not(target_os = "linux"))]
pub(crate) fn send(listener: &Listener, payload: &[u8], to: SocketAddr, _way: Way) -> io::Result<()> {
    let to = as_family_of(listener.local, to);
    listener.socket.send_to(payload, to).map(|_| ())
}

/// Does nothing: these systems have no such privilege.
#[cfg(not(target_os = "linux"))]
pub(crate) fn force_receive_buffer(_socket: &socket2::Socket, _bytes: usize) {}

/// The count of drops, which these systems do not tell.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Drops;

#[cfg(not(target_os = "linux"))]
impl Drops {
    pub(crate) fn new(_socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn go_on(&self, _last: &[SocketDrops]) -> SocketDrops {
        SocketDrops::default()
    }

    pub(crate) fn counted(&self) -> u32 {
        0
    }

    pub(crate) fn take_new(&self) -> u64 {
        0
    }

    pub(crate) fn new_ones(&self) -> u64 {
        0
    }
}

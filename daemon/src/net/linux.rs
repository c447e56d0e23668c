//! Reception on Linux: `recvmmsg` with the kernel's arrival time and the destination of each datagram.
//!
//! Drops are read from the socket (`SO_MEMINFO`), not from a control message of each datagram (`SO_RXQ_OVFL`): it
//! is the same counter, but it does not lag, costs one call a batch, and nix keeps the length that a control
//! message once had, so that messages which come and go get truncated.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, GetSockOpt, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
    recvmmsg, sendmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{InterfaceIndexOrAddress, SockRef};

use super::socket::Listener;
use crate::clock;
use crate::inbox::inflight::SocketDrops;
use crate::receive::{Datagram, MAX_RECEIVED_BYTES, Wake, Way, as_family_of};

/// How many datagrams one system call fetches at most.
const BATCH_DATAGRAMS: usize = 64;

/// Ends the wait of all receivers, from another thread.
#[derive(Debug)]
pub(crate) struct Stop {
    stopped: AtomicBool,
    event: EventFd,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { stopped: AtomicBool::new(false), event })
    }

    /// Stops the receivers. Nobody ever reads the event, so it stays raised.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Err(error) = self.event.write(1) {
            tracing::error!("cannot stop reception: {error}");
        }
    }

    /// Tells whether the receivers are stopped; for those who have no time to wait.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Has the kernel tell of each datagram when it arrived and, where that is not plain, where it was sent to.
///
/// Each of the two costs 0.1 to 0.15 microseconds a datagram.
pub(crate) fn prepare(listener: &Listener) -> io::Result<()> {
    let socket = &listener.socket;
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    match listener.local {
        local if !local.ip().is_unspecified() => {}
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Fetches datagrams in batches.
pub(crate) struct Receiver {
    listener: Arc<Listener>,
    stop: Arc<Stop>,
    headers: MultiHeaders<SockaddrStorage>,
    /// A buffer for each datagram of a batch; only the pages that were ever written take memory.
    buffers: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new(listener: Arc<Listener>, stop: Arc<Stop>) -> Self {
        let buffers = vec![0; BATCH_DATAGRAMS * MAX_RECEIVED_BYTES];
        Self { listener, stop, headers: headers(), buffers }
    }

    /// Waits until there are datagrams, an error is pending, everybody is stopped, or the patience is at its end.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> io::Result<Wake> {
        let mut watched = [
            PollFd::new(self.listener.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.event.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut watched, patience.map(TimeSpec::from), None) {
            Ok(_) if watched[1].any().unwrap_or(true) => Ok(Wake::Stop),
            Ok(_) | Err(Errno::EINTR) => Ok(Wake::Datagrams),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets datagrams gather for a while, unless everybody is stopped.
    pub(crate) fn rest(&self, time: Duration) -> io::Result<Wake> {
        let mut watched = [PollFd::new(self.stop.event.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut watched, Some(time.into()), None) {
            Ok(0) | Err(Errno::EINTR) => Ok(Wake::Datagrams),
            Ok(_) => Ok(Wake::Stop),
            Err(error) => Err(error.into()),
        }
    }

    /// Fetches what is there, one batch at most, and shows it to `deliver`; tells whether there may be more.
    pub(crate) fn batch(
        &mut self,
        deliver: impl FnOnce(&mut dyn Iterator<Item = Datagram<'_>>),
    ) -> io::Result<bool> {
        let mut slices: Vec<_> = self
            .buffers
            .chunks_exact_mut(MAX_RECEIVED_BYTES)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let socket = self.listener.socket.as_raw_fd();
        let received = recvmmsg(socket, &mut self.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        let received = match received {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(false),
            // Errors that a peer or a router caused (ICMP) are told once and concern no other datagram.
            Err(Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        let bound_ip = Some(self.listener.local.ip()).filter(|ip| !ip.is_unspecified());
        let (mut count, mut truncated) = (0, false);
        deliver(&mut received.filter_map(|message| {
            count += 1;
            truncated |= message.flags.contains(MsgFlags::MSG_CTRUNC);
            datagram(message, bound_ip)
        }));
        if truncated {
            self.headers = headers();
        }
        Ok(count == BATCH_DATAGRAMS)
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    // The larger of the two kinds of packet information; a socket gets one of them.
    MultiHeaders::preallocate(BATCH_DATAGRAMS, Some(cmsg_space!(TimeSpec, libc::in6_pktinfo)))
}

/// Reads one fetched datagram; none if it has no usable sender, which the kernel does not do.
fn datagram<'a>(message: RecvMsg<'_, 'a, SockaddrStorage>, bound_ip: Option<IpAddr>) -> Option<Datagram<'a>> {
    let peer = message.address.as_ref().and_then(socket_address)?;
    let (mut at_ns, mut local_ip) = (None, bound_ip);
    if let Ok(controls) = message.cmsgs() {
        for control in controls {
            match control {
                ControlMessageOwned::ScmTimestampns(time) => at_ns = Some(nanoseconds(time)),
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    local_ip = Some(IpAddr::from(u32::from_be(info.ipi_addr.s_addr).to_be_bytes()));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    local_ip = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => {}
            }
        }
    }
    let payload = message.iovs().next().unwrap_or_default();
    Some(Datagram { at_ns: at_ns.unwrap_or_else(clock::now_ns), peer, local_ip, payload })
}

fn nanoseconds(time: TimeSpec) -> i64 {
    time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec())
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(std::net::SocketAddrV4::from(*v4).into());
    }
    address.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into())
}

/// Sends a datagram without waiting.
pub(crate) fn send(listener: &Listener, payload: &[u8], to: SocketAddr, way: Way) -> io::Result<()> {
    let (v4_info, v6_info);
    let control = match (listener.local, way) {
        (_, Way { source: None, interface: 0 }) => None,
        (SocketAddr::V4(_), _) => {
            v4_info = v4_packet_info(way);
            Some(ControlMessage::Ipv4PacketInfo(&v4_info))
        }
        (SocketAddr::V6(_), _) => {
            v6_info = v6_packet_info(to, way);
            Some(ControlMessage::Ipv6PacketInfo(&v6_info))
        }
    };
    let to = as_family_of(listener.local, to);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let socket = listener.socket.as_raw_fd();
    let storage = SockaddrStorage::from(to);
    sendmsg(socket, &[IoSlice::new(payload)], control.as_slice(), flags, Some(&storage))?;
    Ok(())
}

fn v4_packet_info(way: Way) -> libc::in_pktinfo {
    let octets = match way.source {
        Some(IpAddr::V4(ip)) => ip.octets(),
        _ => [0; 4],
    };
    let address = libc::in_addr { s_addr: u32::from_ne_bytes(octets) };
    // Numbers of interfaces are positive and of 31 bits.
    libc::in_pktinfo { ipi_ifindex: way.interface.cast_signed(), ipi_spec_dst: address, ipi_addr: address }
}

fn v6_packet_info(to: SocketAddr, way: Way) -> libc::in6_pktinfo {
    let octets = match (way.source, to.ip().to_canonical()) {
        (Some(IpAddr::V4(v4)), _) => v4.to_ipv6_mapped().octets(),
        (Some(IpAddr::V6(v6)), _) => v6.octets(),
        // "Any" too must be of the family that is spoken.
        (None, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(),
        (None, IpAddr::V6(_)) => [0; 16],
    };
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: octets }, ipi6_ifindex: way.interface }
}

/// Has a socket take no part in groups that only other programs have joined, which is Linux's default. To be called
/// before it is bound.
pub(crate) fn only_joined_groups(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_multicast_all_v6(false)?;
    }
    // Also of a socket for both families.
    socket.set_multicast_all_v4(false)
}

/// Joins a multicast group on an interface, by its number. May wait for whoever is changing interfaces.
pub(crate) fn join(listener: &Listener, group: IpAddr, interface: u32) -> io::Result<()> {
    let socket = SockRef::from(&listener.socket);
    match group {
        // Through a socket for both families too: the kernel takes the options of IPv4 there as well.
        IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, interface),
    }
}

/// Leaves a multicast group on an interface, also where that interface is gone.
pub(crate) fn leave(listener: &Listener, group: IpAddr, interface: u32) -> io::Result<()> {
    let socket = SockRef::from(&listener.socket);
    match group {
        IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(interface)),
        IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface),
    }
}

/// Asks for a receive buffer beyond what `net.core.rmem_max` allows; only privileged users get it.
pub(crate) fn force_receive_buffer(socket: &socket2::Socket, bytes: usize) {
    // Whether it was granted is read back from the socket.
    let _granted = setsockopt(socket, sockopt::RcvBufForce, &bytes);
}

/// `SO_MEMINFO` of a socket: nine counters (linux/sock_diag.h).
#[derive(Clone, Copy)]
struct MemInfo;

impl MemInfo {
    /// How many datagrams found no room.
    const DROPS: usize = 8;
}

nix::getsockopt_impl!(MemInfo, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9], sockopt::GetStruct<[u32; 9]>);

/// The kernel's count of datagrams that a socket had no room for: 32 bits wide, and it wraps.
///
/// A socket that a service manager holds is known again by a mark that the last daemon has put on it: a random number in
/// `SO_LINGER`, which means nothing to UDP (the kernel's `udp_lib_close` passes over it) and stays with the socket through all
/// processes. Its cookie (`SO_COOKIE`) would not do, since it is used again after a reboot.
#[derive(Debug)]
pub(crate) struct Drops {
    socket: UdpSocket,
    seen: Mutex<u32>,
}

/// The largest mark, in the seconds of `SO_LINGER`: what a kernel of 32 bits can count in its shortest ticks.
const MAX_MARK: u64 = 2_000_000;

impl Drops {
    /// Counts from the socket's beginning on.
    pub(crate) fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self { socket: socket.try_clone()?, seen: Mutex::new(0) })
    }

    /// Goes on from where the last daemon has counted to, by its ledger.
    ///
    /// A socket without a mark is new, or nobody has received on it yet, so all its drops are still to be counted. Of one
    /// whose mark is not in the ledger, nobody knows which were counted: it begins anew.
    pub(crate) fn go_on(&self, last: &[SocketDrops]) -> SocketDrops {
        let mark = self.mark();
        let known = last.iter().find(|known| mark == Some(known.mark) && known.mark > 0);
        let drops = match (mark, known) {
            (None, _) => 0,
            (Some(_), Some(known)) => known.drops,
            (Some(_), None) => self.read().unwrap_or(0),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = drops;
        SocketDrops { mark: known.map_or_else(|| self.put_mark(), |known| known.mark), drops }
    }

    /// Returns up to where they are counted, by the kernel's counter.
    pub(crate) fn counted(&self) -> u32 {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> Option<u32> {
        let mark = SockRef::from(&self.socket).linger().ok().flatten()?;
        Some(u32::try_from(mark.as_secs()).unwrap_or(0))
    }

    /// Puts a new mark on the socket, and returns it; 0 if it does not hold.
    fn put_mark(&self) -> u32 {
        // Its keys are random; no secret depends on it.
        let random = RandomState::new().hash_one(std::process::id());
        let mark = random % MAX_MARK + 1;
        let put = SockRef::from(&self.socket).set_linger(Some(Duration::from_secs(mark)));
        self.mark().filter(|there| put.is_ok() && u64::from(*there) == mark).unwrap_or(0)
    }

    /// Returns how many there are since the last time this was asked.
    pub(crate) fn take_new(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.read().unwrap_or(*seen);
        let new = now.wrapping_sub(*seen);
        *seen = now;
        u64::from(new)
    }

    /// Returns how many [`Self::take_new`] would return, without taking them.
    pub(crate) fn new_ones(&self) -> u64 {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        u64::from(self.read().unwrap_or(*seen).wrapping_sub(*seen))
    }

    fn read(&self) -> Option<u32> {
        MemInfo.get(&self.socket).ok().map(|counters| counters[MemInfo::DROPS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_counted_exactly() {
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..500 {
            peer.send_to(&[0; 1000], listener.local).unwrap();
        }
        assert!(listener.drops.new_ones() > 0);
        let dropped = listener.drops.take_new();
        listener.socket.set_nonblocking(true).unwrap();
        let mut received = 0;
        while listener.socket.recv_from(&mut [0; 2000]).is_ok() {
            received += 1;
        }
        assert_eq!(dropped + received, 500);
        assert_eq!(listener.drops.take_new(), 0);
    }

    #[test]
    fn a_socket_that_outlives_a_daemon_is_counted_on_where_that_one_stopped() {
        let listener = Listener::open("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flood = || (0..100).for_each(|_| assert!(peer.send_to(&[0; 1000], listener.local).is_ok()));
        let daemon = || Drops::new(&listener.socket).unwrap();

        flood();
        let first = daemon();
        let begun = first.go_on(&[]);
        assert!(begun.mark > 0 && begun.drops == 0, "{begun:?}");
        let before = first.take_new();
        assert!(before > 0, "dropped before any daemon has run");
        let noted = SocketDrops { drops: first.counted(), ..begun };

        flood();
        let second = daemon();
        let other = SocketDrops { mark: noted.mark + 1, drops: 0 };
        assert_eq!(second.go_on(&[other, noted]), noted);
        assert_eq!(second.new_ones(), 100, "the buffer is full");

        // Nobody knows how many of them another ledger has.
        let third = daemon();
        let anew = third.go_on(&[other]);
        assert_eq!((u64::from(anew.drops), third.new_ones()), (before + 100, 0));
        assert!(![noted.mark, 0].contains(&anew.mark), "the first ledger's mark would count them again");
    }

    #[test]
    fn a_reply_leaves_from_the_address_that_was_spoken_to() {
        let wildcard = ["0.0.0.0:0", "[::]:0"];
        for local in wildcard {
            let listener = Listener::open(local.parse().unwrap(), 1 << 16).unwrap();
            let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
            let source: IpAddr = "127.0.0.77".parse().unwrap();
            let way = Way { source: Some(source), interface: 0 };
            send(&listener, b"hi", peer.local_addr().unwrap(), way).unwrap();
            let (_, from) = peer.recv_from(&mut [0; 10]).unwrap();
            assert_eq!(from, SocketAddr::new(source, listener.local.port()));
        }
    }
}

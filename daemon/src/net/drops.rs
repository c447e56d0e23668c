//! Counts the datagrams that the kernel dropped because a socket's receive buffer was full.

use std::io;
use std::net::UdpSocket;

use parking_lot::Mutex;

use super::platform;

/// Counts the datagrams that the kernel dropped for one socket.
///
/// The kernel's counter is 32 bits wide and wraps. It starts with the socket, and a socket that a service manager holds
/// outlives the daemon, so the first datagrams that it counts may be in the log of an earlier daemon already.
#[derive(Debug)]
pub(crate) struct KernelDrops {
    socket: UdpSocket,
    counted: Mutex<u32>,
}

impl KernelDrops {
    /// Counts from the socket's creation on.
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self { socket: socket.try_clone()?, counted: Mutex::new(0) })
    }

    /// Returns the socket's `SO_COOKIE`, which is unique until the next boot; none on other platforms.
    pub(crate) fn cookie(&self) -> Option<u64> {
        platform::socket_cookie(&self.socket)
    }

    /// Takes `counted` of the kernel's counter as counted before; none takes all that it has now.
    pub(crate) fn resume(&self, counted: Option<u32>) {
        *self.counted.lock() = counted.or_else(|| self.read()).unwrap_or(0);
    }

    /// Returns the value of the kernel's counter up to which drops are counted.
    pub(crate) fn counted(&self) -> u32 {
        *self.counted.lock()
    }

    /// Returns how many datagrams were dropped since the last call, and counts them.
    pub(crate) fn take_new(&self) -> u64 {
        let mut counted = self.counted.lock();
        let now = self.read().unwrap_or(*counted);
        let new = now.wrapping_sub(*counted);
        *counted = now;
        u64::from(new)
    }

    /// Returns what [`Self::take_new`] would return, without counting it.
    pub(crate) fn uncounted(&self) -> u64 {
        let counted = self.counted.lock();
        u64::from(self.read().unwrap_or(*counted).wrapping_sub(*counted))
    }

    fn read(&self) -> Option<u32> {
        platform::dropped(&self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::Listener;
    use super::*;

    fn open() -> Listener {
        Listener::open("127.0.0.1:0".parse().unwrap(), 4096).unwrap()
    }

    /// Drops some of 500 datagrams.
    fn overfill(listener: &Listener) {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..500 {
            peer.send_to(&[0; 1000], listener.local).unwrap();
        }
    }

    #[test]
    fn drops_are_counted_exactly() {
        let listener = open();
        overfill(&listener);
        assert!(listener.drops.uncounted() > 0);
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
    fn counting_resumes_where_an_earlier_daemon_stopped() {
        let listener = open();
        overfill(&listener);
        let first = KernelDrops::new(&listener.socket).unwrap();
        first.resume(Some(0));
        let dropped = u32::try_from(first.take_new()).unwrap();
        let second = KernelDrops::new(&listener.socket).unwrap();
        assert_eq!(second.cookie(), first.cookie());
        second.resume(Some(first.counted() - 1));
        assert_eq!(second.take_new(), 1);
        second.resume(None);
        assert_eq!((second.counted(), second.uncounted()), (dropped, 0));
    }

    #[test]
    fn each_socket_has_a_cookie_of_its_own() {
        let (one, other) = (open(), open());
        assert!(one.drops.cookie().is_some());
        assert_ne!(one.drops.cookie(), other.drops.cookie());
    }
}

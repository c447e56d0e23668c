//! Reading datagrams on systems other than Linux: one datagram a call, the time of reading as its arrival time, and no
//! destination.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::types::{Datagram, MAX_RECEIVED_BYTES, Wake};
use crate::clock;
use crate::net::socket::Listener;

/// The longest wait before a check whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(500);

/// Ends the waits of all reception threads, from another thread.
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

    /// Returns whether the threads are to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Limits the length of a read, so that a thread notices when it is to stop.
pub(super) fn prepare(listener: &Listener) -> io::Result<()> {
    listener.socket.set_read_timeout(Some(STOP_CHECK))
}

/// Reads one datagram at a time.
pub(super) struct Receiver {
    listener: Arc<Listener>,
    stop: Arc<Stop>,
    buffer: Vec<u8>,
    fetched: Option<(usize, SocketAddr)>,
}

impl Receiver {
    pub(super) fn new(listener: Arc<Listener>, stop: Arc<Stop>) -> Self {
        Self { listener, stop, buffer: vec![0; MAX_RECEIVED_BYTES], fetched: None }
    }

    /// Waits for a datagram and reads it; ends early when reception stops, or after a while where there is a `max_wait`.
    pub(super) fn wait(&mut self, max_wait: Option<Duration>) -> io::Result<Wake> {
        loop {
            match self.listener.socket.recv_from(&mut self.buffer) {
                Ok(fetched) => {
                    self.fetched = Some(fetched);
                    return Ok(Wake::Datagrams);
                }
                Err(error) if is_timeout(&error) && self.stop.is_stopped() => {
                    return Ok(Wake::Stop);
                }
                Err(error) if is_timeout(&error) && max_wait.is_some() => return Ok(Wake::Timeout),
                // Windows reports the ICMP error of an earlier send here (WSAECONNRESET); it concerns no other datagram.
                Err(error) if is_timeout(&error) || error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Does not wait: reading one datagram a call gains nothing from a delay.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "on Linux it can fail, and the callers are the same"
    )]
    pub(super) fn delay(&self, _time: Duration) -> io::Result<Wake> {
        Ok(Wake::Timeout)
    }

    /// Passes what [`Self::wait`] has read to `deliver`; there is never more.
    #[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail, and the callers are the same")]
    pub(super) fn batch(
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

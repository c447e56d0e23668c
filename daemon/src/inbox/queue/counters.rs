//! The counters of received, stored, dropped and sent datagrams since the start of the daemon.

/// The counters. They balance at every moment: `received = stored + dropped + queued`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) received: Received,
    pub(crate) stored: u64,
    pub(crate) dropped: Dropped,
    pub(crate) kernel_drops: u64,
    pub(crate) sent: Sent,
    /// Losses of the previous daemon that this one reports.
    pub(crate) lost_before: u64,
}

/// How much was received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Received {
    pub(crate) datagrams: u64,
    /// Bytes of payload.
    pub(crate) bytes: u64,
}

/// Datagrams that were received and not stored, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// The sender is not allowed.
    pub(crate) denied: u64,
    /// The sender was over its limit.
    pub(crate) limited: u64,
    /// The queue was full.
    pub(crate) queue_full: u64,
    /// Messages of this daemon to a group or a broadcast address, which came back.
    pub(crate) own: u64,
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Datagrams that the kernel took.
    pub(crate) datagrams: u64,
    /// Datagrams that the kernel refused.
    pub(crate) failed: u64,
    /// Datagrams that were reported as not delivered.
    pub(crate) bounced: u64,
}

impl Counters {
    /// Returns how many received datagrams are queued or being stored.
    pub(crate) fn queued(&self) -> u64 {
        self.received.datagrams - self.stored - self.dropped.total()
    }

    pub(super) fn count_received(&mut self, length: usize) {
        self.received.datagrams += 1;
        self.received.bytes += length as u64;
    }
}

impl Dropped {
    fn total(self) -> u64 {
        self.denied + self.limited + self.queue_full + self.own
    }
}

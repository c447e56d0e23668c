//! The counters of a daemon, and whether they balance.
//!
//! Identity A: sent = kernel_drops + received. Identity B: received = stored + dropped + queued.

use serde_json::Value;

/// The counters of one status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) stored: u64,
    pub(crate) queued: u64,
    pub(crate) dropped: u64,
    pub(crate) kernel_drops: u64,
}

impl Counters {
    pub(crate) fn of(status: &Value) -> Self {
        let number = |pointer| status.pointer(pointer).and_then(Value::as_u64).unwrap();
        Self {
            received: number("/received/datagrams"),
            stored: number("/stored"),
            queued: number("/queued"),
            dropped: status["dropped"].as_object().unwrap().values().filter_map(Value::as_u64).sum(),
            kernel_drops: number("/kernel_drops"),
        }
    }

    /// Returns how many datagrams have reached the sockets.
    pub(crate) fn arrived(self) -> u64 {
        self.received + self.kernel_drops
    }

    /// Returns how many of them were lost.
    pub(crate) fn lost(self) -> u64 {
        self.kernel_drops + self.dropped
    }

    /// Returns whether all that was sent is accounted for, and nothing waits.
    pub(crate) fn is_settled(self, sent: u64) -> bool {
        self.arrived() >= sent && self.queued == 0
    }

    /// Returns what is wrong with identity B.
    pub(crate) fn check(self) -> Result<(), String> {
        let is_balanced = self.received == self.stored + self.dropped + self.queued;
        if is_balanced { Ok(()) } else { Err(format!("identity B: {self:?}")) }
    }

    /// Returns what is wrong with both identities once everything has settled, so that nothing waits.
    pub(crate) fn check_settled(self, sent: u64) -> Result<(), String> {
        self.check()?;
        let is_balanced = self.arrived() == sent && self.queued == 0;
        if is_balanced { Ok(()) } else { Err(format!("identity A with {sent} sent: {self:?}")) }
    }
}

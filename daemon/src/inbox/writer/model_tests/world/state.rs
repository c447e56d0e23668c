//! An inbox, and what must be in it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::sync::oneshot;

use super::super::daemon::{Daemon, Kept};
use super::super::machine::Machine;
use super::super::operations::PEERS;
use super::super::reference::{Pending, Reference};
use crate::inbox::kept::HeldFull;

/// What one daemon must have counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) stored: u64,
    pub(super) denied: u64,
    pub(super) own: u64,
    pub(super) queue_full: u64,
    pub(super) kernel_drops: u64,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) lost_before: u64,
    pub(super) removed: u64,
}

/// An inbox, and what must be in it.
pub(in super::super) struct World {
    pub(super) machine: Machine,
    pub(super) daemon: Daemon,
    pub(super) reference: Reference,
    /// What is queued.
    pub(super) pending: Vec<Pending>,
    /// Who waits for something that is queued.
    pub(super) waiting: Vec<oneshot::Receiver<u64>>,
    /// Who waits for the numbers of held messages.
    pub(super) holding: VecDeque<oneshot::Receiver<Result<Vec<u64>, HeldFull>>>,
    pub(super) counts: Counts,
    pub(super) kept: Kept,
    /// Kernel drops that have no gap in the log yet.
    pub(super) unplaced: u64,
    pub(super) drops: u32,
    /// How many were lost and could not be reported.
    pub(super) silent: u64,
    /// The content of the journal's file at each moment so far.
    pub(super) journals: Vec<Vec<u8>>,
    /// Whether the clock was set since the last transaction.
    pub(super) was_set: bool,
    /// The number of the next message.
    pub(super) number: usize,
}

impl World {
    pub(in super::super) fn new() -> Self {
        let machine = Machine::new();
        let kept = (None, None);
        let (daemon, lost) = Daemon::start(tempfile::tempdir().unwrap(), kept);
        assert_eq!(lost, 0);
        Self {
            machine,
            daemon,
            reference: Reference::default(),
            pending: Vec::new(),
            waiting: Vec::new(),
            holding: VecDeque::new(),
            counts: Counts::default(),
            kept,
            unplaced: 0,
            drops: 0,
            silent: 0,
            journals: Vec::new(),
            was_set: false,
            number: 0,
        }
    }
}

/// Returns the address of a peer.
pub(super) fn address(peer: usize) -> SocketAddr {
    PEERS[peer].parse().unwrap()
}

//! The method `status`: what the daemon is doing.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

call! {
    /// Asks for the daemon's state.
    StatusParams, "status" for None => Status, {}
}

/// The daemon's state. The counters run from the start of the daemon and always balance:
/// `received.datagrams = stored + dropped + queued`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// When this was so, by the daemon's clock.
    #[serde(default)]
    pub at: Timestamp,
    /// The daemon's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub started: Timestamp,
    /// `ok` or `degraded`.
    pub state: State,
    /// What is wrong, for people.
    pub problems: Vec<String>,
    /// The addresses that are listened on, with their real ports.
    pub listen: Vec<SocketAddr>,
    /// The multicast groups of the configuration, and where they are joined.
    #[serde(default)]
    pub groups: Vec<GroupStatus>,
    /// The control socket.
    pub socket: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where metrics are served over HTTP, with the real port; absent where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The receive buffer of the kernel.
    pub receive_buffer: ReceiveBuffer,
    /// What the kernel handed over.
    pub received: Traffic,
    /// How many received datagrams are durable.
    pub stored: u64,
    /// How many received datagrams are on their way to the inbox.
    pub queued: u64,
    /// The queue that they wait in.
    #[serde(default)]
    pub queue: QueueStatus,
    /// How many datagrams the kernel dropped, since nobody fetched them in time.
    pub kernel_drops: u64,
    /// How many received datagrams were dropped, by reason.
    pub dropped: Dropped,
    /// How many datagrams the last daemon had received, or counted as lost, and not brought into the log when it ended. The
    /// log tells them in gaps, and they are in none of the other counters.
    #[serde(default)]
    pub lost_before: u64,
    /// Who may send, and who was refused.
    #[serde(default)]
    pub access: AccessStatus,
    /// What was sent.
    pub sent: SentCounts,
    /// How many lines of the daemon's log were lost, because nobody read its standard error.
    #[serde(default)]
    pub log_lines_lost: u64,
    /// The inbox.
    pub inbox: InboxStatus,
    /// Its index.
    #[serde(default)]
    pub index: IndexStatus,
}

/// Whether all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All is well.
    Ok,
    /// Something is wrong; `problems` says what.
    Degraded,
}

/// The receive buffer of each listening socket, in bytes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ReceiveBuffer {
    /// What the configuration asks for.
    pub asked: u64,
    /// What the kernel granted: the least of all listening sockets.
    pub granted: u64,
}

/// A multicast group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct GroupStatus {
    /// The group, with its interface behind `%` where the configuration names one.
    pub group: String,
    /// The names of the interfaces on which it is joined now.
    pub interfaces: Vec<String>,
}

/// How much was received.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Traffic {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

/// The queue before the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct QueueStatus {
    /// What waits in it, in bytes, what the writer holds already not included.
    pub bytes: u64,
    /// What it may hold, in bytes: beyond, datagrams are dropped.
    pub max_bytes: u64,
}

/// Datagrams that were received and not stored, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Dropped {
    /// The sender is not allowed (`access` in the configuration). Leaves no gap in the log.
    pub denied: u64,
    /// The inbox could not take them up fast enough.
    pub queue_full: u64,
    /// Our own messages to a group or a broadcast address, which came back. Leaves no gap: they are in the log as sent.
    #[serde(default)]
    pub own: u64,
}

impl Dropped {
    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        self.denied + self.queue_full + self.own
    }
}

/// Who may send, and who was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct AccessStatus {
    /// The networks that may send; empty means everyone.
    pub allow: Vec<String>,
    /// The networks that may not.
    pub deny: Vec<String>,
    /// The addresses that were refused last, 8 at most, the newest first.
    pub refused: Vec<Refusal>,
}

/// An address that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refusal {
    /// The address; it can be forged.
    pub address: IpAddr,
    /// When its last datagram came.
    pub at: Timestamp,
    /// How many came, since it is remembered.
    pub datagrams: u64,
}

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct SentCounts {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Datagrams that it refused.
    pub failed: u64,
}

/// The inbox in figures.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct InboxStatus {
    /// How many entries it holds.
    pub entries: u64,
    /// The oldest entry's id; 0 where there is none.
    pub oldest_id: u64,
    /// The newest entry's id; where there is none, the one before that of the entry to come, 0 in a new inbox.
    pub newest_id: u64,
    /// The size of its files, in bytes.
    pub bytes: u64,
    /// How much of that is the write-ahead log, in bytes: what has gone to the disk and not yet into the database
    /// proper, and room for more of it.
    #[serde(default)]
    pub wal_bytes: u64,
    /// What it may take on the disk, its index included, in bytes: beyond, the oldest entries go.
    #[serde(default)]
    pub max_bytes: u64,
    /// How many entries have gone since the start of the daemon, because of the limits of size or age.
    #[serde(default)]
    pub removed: u64,
    /// How many received messages the default consumer has not read.
    pub unread: u64,
    /// What is free for the daemon on the disk that it is on, in bytes; absent where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
}

/// The index of the inbox, by which filters skip what they do not look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct IndexStatus {
    /// The newest entry that is in it; 0 where none is.
    pub newest_id: u64,
    /// How many entries are still to be taken up. The newest ones, fewer than 1,024, never are: they are looked at
    /// one by one.
    pub behind: u64,
    /// The size of its files, in bytes.
    pub bytes: u64,
}

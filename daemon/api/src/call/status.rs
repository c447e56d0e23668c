//! The method `status`, and which of its numbers are metrics.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::metrics::metric::{Figure, Sample, with_metrics};

call! {
    /// Returns the state and the counters of the daemon.
    StatusParams, "status" for None => Status, {}
}

with_metrics! {
    /// The state and the counters of the daemon.
    ///
    /// The counters start at 0 with the daemon and always satisfy `received.datagrams = stored + dropped + queued`.
    #[derive(Clone, Debug, Deserialize, Serialize)]
    pub struct Status {
        /// The time of these values, by the clock of the daemon.
        #[serde(default, with = "crate::time")]
        pub at: Timestamp,
        /// The version of the daemon.
        pub version: String,
        /// The process id of the daemon.
        pub pid: u32,
        /// The time at which the daemon started.
        #[serde(with = "crate::time")]
        pub started: Timestamp,
        /// `ok`, or `degraded` if there are problems.
        pub state: State,
        /// The current problems, as text for people.
        pub problems: Vec<String>,
        /// The keys of the configuration that have changed since the start, and that only a restart applies.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub needs_restart: Vec<String>,
        /// The listening addresses, with their actual ports.
        pub listen: Vec<SocketAddr>,
        /// The multicast groups of the configuration, and the interfaces on which they are joined.
        #[serde(default)]
        pub groups: Vec<GroupStatus>,
        /// The path of the control socket.
        pub socket: PathBuf,
        /// The data directory.
        pub data_dir: PathBuf,
        /// The address at which metrics are served over HTTP, with the actual port; absent if they are not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub metrics: Option<SocketAddr>,
        /// The receive buffer of the kernel.
        pub receive_buffer: ReceiveBuffer => metrics,
        /// The datagrams that the kernel delivered.
        pub received: Traffic => metrics,
        /// Received datagrams that are durable in the inbox.
        pub stored: u64 => counter "stored_datagrams",
        /// Received datagrams that are not yet stored.
        pub queued: u64 => gauge "queued_datagrams",
        /// The queue before the inbox.
        #[serde(default)]
        pub queue: QueueStatus => metrics,
        /// Datagrams that the kernel dropped because its receive buffer was full.
        pub kernel_drops: u64 => counter "kernel_drops",
        /// Received datagrams that were not stored, by reason.
        pub dropped: Dropped => counter "dropped_datagrams",
        /// Datagrams that the previous daemon had received or counted as lost, but not stored when it ended; the log has
        /// gaps for them, and no other counter includes them.
        #[serde(default)]
        pub lost_before: u64 => gauge "lost_before_datagrams",
        /// The access list and the limits, and the addresses that they concern.
        #[serde(default)]
        pub access: AccessStatus,
        /// The datagrams that the daemon sent.
        pub sent: SentCounts => metrics,
        /// The reports of the network that messages were not delivered.
        #[serde(default)]
        pub icmp: IcmpStatus => metrics,
        /// The messages that are held until their peers send one.
        #[serde(default)]
        pub held: HeldStatus => metrics,
        /// The configured peers with `silent_after`, by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub watched_peers: Vec<WatchedPeer>,
        /// Lines of the daemon's log that were dropped because its standard error was not read in time.
        #[serde(default)]
        pub log_lines_lost: u64 => counter "log_lines_lost",
        /// The inbox.
        pub inbox: InboxStatus => metrics,
        /// The index of the inbox.
        #[serde(default)]
        pub index: IndexStatus => metrics,
    }
}

/// Whether the daemon has problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is no problem.
    Ok,
    /// There is at least one problem, listed in `problems`.
    Degraded,
}

with_metrics! {
    /// The receive buffer of each listening socket, in bytes.
    #[derive(Clone, Copy, Debug, Deserialize, Serialize)]
    pub struct ReceiveBuffer {
        /// The size of the receive buffer that the configuration requests.
        pub asked: u64 => gauge "receive_buffer_asked_bytes",
        /// The size of the receive buffer that the kernel granted, the smallest of all listening sockets.
        pub granted: u64 => gauge "receive_buffer_granted_bytes",
    }
}

/// A multicast group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct GroupStatus {
    /// The group, followed by `%` and its interface if the configuration names one.
    pub group: String,
    /// The names of the interfaces on which it is joined now.
    pub interfaces: Vec<String>,
}

with_metrics! {
    /// The datagrams that the kernel delivered.
    #[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
    pub struct Traffic {
        /// Datagrams that the kernel delivered: stored, dropped and queued ones.
        pub datagrams: u64 => counter "received_datagrams",
        /// The payload of the datagrams that the kernel delivered.
        pub bytes: u64 => counter "received_bytes",
    }
}

with_metrics! {
    /// The queue before the inbox.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
    pub struct QueueStatus {
        /// The size of the datagrams in the queue, without the batch that the writer holds.
        pub bytes: u64 => gauge "queue_bytes",
        /// The capacity of the queue; datagrams beyond it are dropped.
        pub max_bytes: u64 => gauge "queue_max_bytes",
    }
}

/// Datagrams that were received and not stored, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Dropped {
    /// The access list (`access` in the configuration) denies the source. Leaves no gap in the log.
    pub denied: u64,
    /// The sender was over its limit (`access.limit`, `access.bytes`, or those of a peer).
    #[serde(default)]
    pub limited: u64,
    /// The queue was full, because the inbox could not store fast enough.
    pub queue_full: u64,
    /// Our own messages to a group or a broadcast address, which the kernel delivered back. Leaves no gap: they are in the
    /// log as sent.
    #[serde(default)]
    pub own: u64,
}

impl Dropped {
    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        self.denied + self.limited + self.queue_full + self.own
    }
}

impl Figure for Dropped {
    fn samples(&self) -> Vec<Sample> {
        let reasons = [
            ("denied", self.denied),
            ("limited", self.limited),
            ("queue_full", self.queue_full),
            ("own", self.own),
        ];
        reasons.map(|(reason, count)| Sample::labelled("reason", reason, count)).into()
    }
}

/// The access list and the limits, and the addresses whose datagrams they dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct AccessStatus {
    /// The networks that may send; an empty list allows all.
    pub allow: Vec<String>,
    /// The networks that may not send.
    pub deny: Vec<String>,
    /// The addresses that were denied last, 8 at most, newest first.
    pub refused: Vec<Refusal>,
    /// The limit on datagrams of one address, such as `500/s`; empty without a limit.
    #[serde(default)]
    pub limit: String,
    /// The limit on bytes of one address, such as `1MiB/s`; empty without a limit.
    #[serde(default)]
    pub bytes: String,
    /// Whether a configured peer has a limit of its own.
    #[serde(default)]
    pub peers_have_limits: bool,
    /// The addresses that were over their limit last, 8 at most, newest first.
    #[serde(default)]
    pub limited: Vec<Refusal>,
}

/// An address whose datagrams were dropped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refusal {
    /// The address, which can be forged. Of an address over its limit, as `peer` of a gap.
    pub address: String,
    /// The name of the configured peer that the address belongs to, if it is the only one there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The time of its last datagram; of an address over its limit, of the last gap for it.
    #[serde(with = "crate::time")]
    pub at: Timestamp,
    /// The number of its datagrams since it entered this list.
    pub datagrams: u64,
}

with_metrics! {
    /// The datagrams that the daemon sent.
    #[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
    pub struct SentCounts {
        /// Datagrams that the kernel accepted for sending.
        pub datagrams: u64 => counter "sent_datagrams",
        /// Datagrams that the kernel refused to send.
        pub failed: u64 => counter "send_failures",
        /// Datagrams that were reported as not delivered.
        #[serde(default)]
        pub bounced: u64 => counter "bounced_datagrams",
    }
}

with_metrics! {
    /// The reports of the network that messages were not delivered (ICMP errors).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
    pub struct IcmpStatus {
        /// Whether the daemon asks the kernel for them now: it does while sent messages are recent.
        pub watching: bool,
        /// Reports that match no message.
        pub ignored: u64 => counter "icmp_ignored",
    }
}

with_metrics! {
    /// The messages that are held until their peers send one.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
    pub struct HeldStatus {
        /// The number of messages.
        pub messages: u64 => gauge "held_messages",
        /// The size of their payloads.
        pub bytes: u64 => gauge "held_bytes",
    }
}

/// A configured peer with `silent_after`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WatchedPeer {
    /// Its name.
    pub name: String,
    /// The time of its newest message; absent if none is known.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<Timestamp>,
    /// The time since which it is silent.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
}

with_metrics! {
    /// The inbox.
    #[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
    pub struct InboxStatus {
        /// Entries in the inbox.
        pub entries: u64 => gauge "inbox_entries",
        /// The id of the oldest entry; 0 if the inbox is empty.
        pub oldest_id: u64 => gauge "inbox_oldest_id",
        /// The id of the newest entry, which retention may have removed; 0 in a new inbox.
        pub newest_id: u64 => gauge "inbox_newest_id",
        /// The size of the inbox files.
        pub bytes: u64 => gauge "inbox_bytes",
        /// The size of the write-ahead log, included in the size of the inbox files; its space is reused, not freed.
        #[serde(default)]
        pub wal_bytes: u64 => gauge "inbox_wal_bytes",
        /// The maximum size of the inbox and its index; beyond it, the oldest entries are removed.
        #[serde(default)]
        pub max_bytes: u64 => gauge "inbox_max_bytes",
        /// Entries that were removed because of the limits on size and age.
        #[serde(default)]
        pub removed: u64 => counter "inbox_removed_entries",
        /// Of these, the received messages that no consumer had read.
        #[serde(default)]
        pub removed_unread: u64 => counter "inbox_removed_unread_entries",
        /// Received messages that the consumer `default` has not read.
        pub unread: u64 => gauge "inbox_unread_messages",
        /// The disk space that the daemon can still use for the inbox; absent if the system does not report it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub disk_free_bytes: Option<u64> => gauge "disk_free_bytes",
    }
}

with_metrics! {
    /// The index of the inbox, with which filters skip blocks of entries.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
    pub struct IndexStatus {
        /// The id of the newest entry in the index; 0 if the index is empty.
        pub newest_id: u64 => gauge "index_newest_id",
        /// Entries that are still to be indexed; the newest, fewer than 1,024, are never indexed but scanned one by one.
        pub behind: u64 => gauge "index_behind_entries",
        /// The size of the index files.
        pub bytes: u64 => gauge "index_bytes",
    }
}

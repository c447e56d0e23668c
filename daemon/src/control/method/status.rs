//! The method `status`: the state and the counters of the daemon.

use std::sync::Arc;

use udpchat_api::call::{
    AccessStatus, Dropped, GroupStatus, HeldStatus, IcmpStatus, InboxStatus, IndexStatus, QueueStatus,
    ReceiveBuffer, Refusal, SentCounts, State, Status, StatusParams, Traffic, WatchedPeer,
};
use udpchat_api::{ErrorObject, Timestamp};
use udpchat_config::{Network, Peer, Settings};

use crate::clock::from_ns;
use crate::control::context::Context;
use crate::inbox::InboxError;
use crate::inbox::queue::QUEUE_MAX_BYTES;
use crate::inbox::reader::{Bounds, Reader};
use crate::index::whole_ids;
use crate::net::multicast::JoinedGroup;
use crate::net::reports::Reports;
use crate::peers::Configured;
use crate::receive::dropped_sources::DroppedSource;
use crate::state::Daemon;

/// How many of the peers with `silent_after` the answer has. Each takes at most 400 bytes of a line: a name has 64 characters.
const MAX_WATCHED_PEERS: usize = 1_000;

/// How much memory each of them takes, in bytes: a line of JSON, its type, and its name in both.
const BYTES_OF_A_WATCHED_PEER: usize = 800;

/// How much memory a network of the access list takes, in bytes: its text, of 43 characters at most, and this in JSON.
const BYTES_OF_A_NETWORK: usize = 200;

pub(super) async fn call(context: &mut Context, _: StatusParams) -> Result<Status, ErrorObject> {
    // Up to 8 KiB are free, so the status of short lists is there also while other clients use all memory.
    let bytes = bytes_of_lists(&context.daemon().configuration.current());
    context.charge(bytes).await?;
    Ok(status(context.daemon(), context.own_consumer()).await)
}

/// Returns the state and the counters of the daemon, and how many messages a consumer has not read.
pub(crate) async fn status(daemon: &Arc<Daemon>, consumer: String) -> Status {
    let inbox = daemon.read(move |reader| read_inbox(reader, &consumer)).await;
    // Before the problems: a group that this finds joined has none.
    let groups = daemon.groups.joined().iter().map(group_status).collect();
    let mut problems = daemon.health.problems();
    let (inbox, index) = inbox.unwrap_or_else(|error| {
        // It is among them already, unless another reader has succeeded since, or this one has panicked.
        let problem = error.to_string();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
        Default::default()
    });
    let committed = daemon.commits.now();
    let inbox = InboxStatus {
        max_bytes: daemon.configuration.current().inbox.max_size.bytes(),
        removed: committed.removed,
        removed_unread: committed.removed_unread,
        ..inbox
    };
    let settings = daemon.configuration.boot();
    let (held, held_bytes) = daemon.kept.totals();
    let new_drops = || daemon.listeners.iter().map(|listener| listener.drops.uncounted()).sum();
    let counters = daemon.queue.counters_with(new_drops);
    Status {
        at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: daemon.started,
        state: if problems.is_empty() { State::Ok } else { State::Degraded },
        problems,
        needs_restart: daemon.configuration.needs_restart().into_iter().map(str::to_owned).collect(),
        listen: daemon.listeners.iter().map(|listener| listener.local).collect(),
        groups,
        socket: daemon.socket.clone(),
        data_dir: settings.data_dir.value.clone(),
        metrics: daemon.metrics,
        receive_buffer: ReceiveBuffer {
            asked: settings.receive_buffer.bytes(),
            granted: daemon.listeners.iter().map(|listener| listener.granted_bytes).min().unwrap_or(0),
        },
        received: Traffic { datagrams: counters.received.datagrams, bytes: counters.received.bytes },
        stored: counters.stored,
        queued: counters.queued(),
        queue: QueueStatus { bytes: daemon.queue.size_bytes(), max_bytes: QUEUE_MAX_BYTES as u64 },
        kernel_drops: counters.kernel_drops,
        dropped: Dropped {
            denied: counters.dropped.denied,
            limited: counters.dropped.limited,
            queue_full: counters.dropped.queue_full,
            own: counters.dropped.own,
        },
        lost_before: counters.lost_before,
        access: access(daemon),
        sent: SentCounts {
            datagrams: counters.sent.datagrams,
            failed: counters.sent.failed,
            bounced: counters.sent.bounced,
        },
        icmp: icmp(daemon),
        held: HeldStatus { messages: held as u64, bytes: held_bytes as u64 },
        watched_peers: watched_peers(daemon),
        log_lines_lost: daemon.logging.lost_lines(),
        inbox,
        index,
    }
}

/// Returns how much memory the lists of an answer take whose length the configuration decides, in bytes.
fn bytes_of_lists(settings: &Settings) -> usize {
    let networks = settings.access.allow.len() + settings.access.deny.len();
    BYTES_OF_A_WATCHED_PEER * watched_names(settings).count() + BYTES_OF_A_NETWORK * networks
}

fn icmp(daemon: &Daemon) -> IcmpStatus {
    let reports = || daemon.listeners.iter().map(|listener| &listener.reports);
    IcmpStatus { watching: reports().any(Reports::is_on), ignored: reports().map(Reports::ignored).sum() }
}

fn read_inbox(reader: &Reader, consumer: &str) -> Result<(InboxStatus, IndexStatus), InboxError> {
    let (bounds, unread) = reader.summary(reader.read_mark(consumer)?.unwrap_or_default())?;
    let missing = reader.damage().missing(bounds.oldest..=bounds.newest);
    let entries = bounds.entries().saturating_sub(missing);
    let inbox = InboxStatus {
        entries,
        oldest_id: if entries == 0 { 0 } else { bounds.oldest },
        newest_id: bounds.newest,
        bytes: reader.size_bytes(),
        wal_bytes: reader.wal_bytes(),
        disk_free_bytes: reader.disk().map(|disk| disk.free_bytes),
        unread,
        ..InboxStatus::default()
    };
    Ok((inbox, index(reader, bounds)))
}

fn access(daemon: &Daemon) -> AccessStatus {
    let (settings, configured) = (daemon.configuration.current(), daemon.peers.configured());
    AccessStatus {
        allow: shown(&settings.access.allow),
        deny: shown(&settings.access.deny),
        refused: refusals(&configured, &daemon.denied.list()),
        limit: settings.access.limit.to_string(),
        bytes: settings.access.bytes.to_string(),
        peers_have_limits: settings.peers.values().any(Peer::has_limit),
        limited: refusals(&configured, &daemon.limits.over()),
    }
}

fn shown(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

/// Returns the first peers whose silence is noticed, by name.
fn watched_peers(daemon: &Daemon) -> Vec<WatchedPeer> {
    let (settings, seen) = (daemon.configuration.current(), daemon.kept.watched());
    let peer = |name: &str| {
        let seen = seen.get(name).copied().unwrap_or_default();
        WatchedPeer {
            name: name.to_owned(),
            last_heard: seen.last_ns.map(from_ns),
            silent_since: seen.silent_since_ns.map(from_ns),
        }
    };
    watched_names(&settings).map(peer).collect()
}

fn watched_names(settings: &Settings) -> impl Iterator<Item = &str> {
    settings.watched_peers().map(|(name, ..)| name.as_str()).take(MAX_WATCHED_PEERS)
}

fn refusals<S: ToString>(configured: &Configured, dropped: &[DroppedSource<S>]) -> Vec<Refusal> {
    let refusal = |dropped: &DroppedSource<S>| {
        let address = dropped.source.to_string();
        Refusal {
            name: configured.of_source(&address).map(|named| named.name.to_owned()),
            address,
            at: from_ns(dropped.at_ns),
            datagrams: dropped.datagrams,
        }
    };
    dropped.iter().map(refusal).collect()
}

/// Returns the progress of the index. Entries of an incomplete block do not count as missing: they are not indexed.
fn index(reader: &Reader, bounds: Bounds) -> IndexStatus {
    let index = reader.index();
    let newest_id = index.newest_id();
    let whole = whole_ids(bounds.newest);
    let behind = whole.saturating_sub(newest_id.max(bounds.oldest.saturating_sub(1)));
    IndexStatus { newest_id, behind, bytes: index.size_bytes() }
}

fn group_status(joined: &JoinedGroup) -> GroupStatus {
    GroupStatus {
        group: joined.group.to_string(),
        interfaces: joined.interfaces.iter().map(|(name, _)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use udpchat_config::Setting;

    use super::*;

    #[test]
    fn the_memory_for_the_access_list_is_charged() {
        let network: Network = "2001:db8:1111:2222:3333:4444:5555:6660/124".parse().unwrap();
        let mut settings = Settings::default_in("/");
        settings.access.allow = Setting::default_of(vec![network; 100]);
        settings.access.deny = Setting::default_of(vec![network; 50]);
        let lists = [shown(&settings.access.allow), shown(&settings.access.deny)].concat();
        let texts: usize = lists.iter().map(|text| size_of::<String>() + text.capacity()).sum();
        let json = serde_json::to_string(&lists).unwrap().len();
        assert!(bytes_of_lists(&settings) >= texts + json, "{texts} {json}");
    }
}

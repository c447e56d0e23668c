//! Reads the inbox, and compares everything with what must be.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use udpchat_config::PeerAddress;

use super::super::operations::{CONSUMERS, PEERS, Page, Place};
use super::state::{World, address};
use crate::inbox::entry::{Body, Stored};
use crate::inbox::reader::{Bounds, PEERS_WINDOW_IDS, Range};
use crate::index::Order;
use crate::index::predicate::Predicate;

impl World {
    pub(super) fn read(&mut self, page: &Page) {
        let id = |at: Option<Place>| at.map(|at| at.index(self.reference.newest_id as usize + 2) as u64);
        let time = |at: Option<Place>| {
            let entries = &self.reference.entries;
            at.filter(|_| !entries.is_empty()).map(|at| entries[at.index(entries.len())].stored.at_ns)
        };
        let peer = page.peer.map(address);
        let predicate = match peer {
            Some(peer) => Predicate::of_peer(&peer.to_string().parse::<PeerAddress>().unwrap()),
            None => Predicate::Anything,
        };
        let (received, sent, gaps) = page.kinds;
        let range = Range {
            after: id(page.after).unwrap_or(0),
            before: id(page.before),
            since_ns: time(page.since),
            until_ns: time(page.until),
            received,
            sent,
            gaps,
            notices: gaps,
            removed: false,
            predicate: Arc::new(predicate),
            order: if page.falling { Order::Desc } else { Order::Asc },
        };
        let is_its = |entry: &Stored| match (&entry.body, peer) {
            (_, None) => true,
            (Body::Received { peer: of, .. } | Body::Sent { peer: of, .. }, Some(peer)) => *of == peer,
            (Body::Gap(_) | Body::Notice(_), Some(_)) => false,
        };
        let is_in = |entry: &&Stored| {
            let kind = match entry.body {
                Body::Received { .. } => received,
                Body::Sent { .. } => sent,
                Body::Gap(_) | Body::Notice(_) => gaps,
            };
            kind && is_its(entry)
                && entry.id > range.after
                && range.before.is_none_or(|before| entry.id < before)
                && range.since_ns.is_none_or(|since| entry.at_ns >= since)
                && range.until_ns.is_none_or(|until| entry.at_ns < until)
        };
        let all = self.reference.entries.iter().map(|entry| &entry.stored);
        let mut expected: Vec<_> = all.filter(is_in).collect();
        if page.falling {
            expected.reverse();
        }
        let found = self.daemon.pages(range.clone(), page.limit, page.patient, is_its);
        assert_same(&found, &expected);
    }

    /// Compares the daemon with what must be: the newest entries, and everything else.
    pub(super) fn compare(&self, newest: u64) {
        let (reference, reader) = (&self.reference, &self.daemon.reader);
        let bounds = Bounds { oldest: reference.oldest_id(), newest: reference.newest_id };
        assert_eq!(reader.bounds().unwrap(), bounds);
        let after = reference.newest_id.saturating_sub(newest);
        let all = Range { after, received: true, sent: true, gaps: true, ..Range::default() };
        let found = self.daemon.pages(all, usize::MAX, true, |_| true);
        let entries = reference.entries.iter().map(|entry| &entry.stored);
        let expected: Vec<_> = entries.filter(|entry| entry.id > after).collect();
        assert_same(&found, &expected);
        for consumer in CONSUMERS {
            let mark = reference.marks.get(consumer).copied().unwrap_or(0);
            assert_eq!(reader.read_mark(consumer).unwrap().unwrap_or_default(), mark, "{consumer}");
            assert_eq!(reader.summary(mark).unwrap(), (bounds, reference.unread(mark)), "{consumer}");
        }
        for peer in (0..PEERS.len()).map(address) {
            let known = self.daemon.writer.parts.learned.of(peer);
            assert_eq!(known, reference.learned.get(&peer).copied(), "{peer}");
        }
        let held = self.daemon.writer.parts.kept.held_after(0, usize::MAX);
        let held: Vec<_> = held.iter().map(|row| (row.id, &row.payload)).collect();
        assert_eq!(held, reference.held.iter().map(|(id, payload)| (*id, payload)).collect::<Vec<_>>());
        self.compare_heard();
        self.compare_counts();
        let problems = self.daemon.writer.parts.health.problems();
        assert!(problems.iter().all(|problem| problem.contains("clock")), "{problems:?}");
    }

    fn compare_heard(&self) {
        let mark = self.reference.marks.get("").copied().unwrap_or(0);
        let heard = self.daemon.reader.heard(mark, PEERS_WINDOW_IDS).unwrap();
        let found: HashMap<_, _> = heard
            .into_iter()
            .map(|(peer, heard)| (peer, (heard.last_id, heard.last_at_ns, heard.messages, heard.unread)))
            .collect();
        let mut expected: HashMap<SocketAddr, (u64, i64, u64, u64)> = HashMap::new();
        for entry in self.reference.entries.iter().filter(|entry| entry.is_received()) {
            let its = expected.entry(entry.peer().unwrap()).or_default();
            let Stored { id, at_ns, .. } = entry.stored;
            *its = (id, at_ns, its.2 + 1, its.3 + u64::from(id > mark));
        }
        assert_eq!(found, expected);
    }

    fn compare_counts(&self) {
        let (found, counts) = (self.daemon.queue.counters(), &self.counts);
        let queued = self.pending.iter().filter(|item| item.is_message()).count() as u64;
        assert_eq!(
            (found.received.datagrams, found.stored, found.queued()),
            (counts.received, counts.stored, queued)
        );
        assert_eq!(
            (found.dropped.denied, found.dropped.own, found.dropped.queue_full),
            (counts.denied, counts.own, counts.queue_full)
        );
        assert_eq!((found.sent.datagrams, found.sent.failed), (counts.sent, counts.failed));
        assert_eq!((found.kernel_drops, found.lost_before), (counts.kernel_drops, counts.lost_before));
        let commits = self.daemon.commits.now();
        assert_eq!(
            (commits.newest_id, commits.stored, commits.removed),
            (self.reference.newest_id, counts.stored, counts.removed)
        );
    }
}

fn assert_same(found: &[Stored], expected: &[&Stored]) {
    let ids =
        |entries: &[u64]| format!("{} from {:?} to {:?}", entries.len(), entries.first(), entries.last());
    let found_ids: Vec<_> = found.iter().map(|entry| entry.id).collect();
    let expected_ids: Vec<_> = expected.iter().map(|entry| entry.id).collect();
    assert!(found_ids == expected_ids, "{} instead of {}", ids(&found_ids), ids(&expected_ids));
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, *expected);
    }
}

//! Applies each operation to the daemon and to the reference, and compares them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range as IndexRange;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::oneshot;
use udpchat_config::{Encoding, PeerAddress};

use super::daemon::{Daemon, Kept};
use super::image::Image;
use super::machine::{Machine, Moment, SECOND};
use super::operations::{CONSUMERS, Content, End, How, Operation, Outcome, PEERS, Page, Place};
use super::reference::{Entry, Pending, Reference};
use crate::inbox::entry::{Body, ChosenBy, GapReason, SentDetail, SentEncoding, Stored};
use crate::inbox::queue::{Batch, Item, MarkChange, MarkItem, NotSent, RecodeItem, SentItem};
use crate::inbox::reader::{Bounds, PEERS_WINDOW_IDS, Range};
use crate::inbox::writer::maintenance::checkpoint;
use crate::inbox::writer::{MAX_BYTES_PER_COMMIT, next_commit};
use crate::index::Order;
use crate::index::predicate::Predicate;

const PAGE_BYTES: u64 = 16_384;

/// How many of the newest entries are compared after each operation.
const NEWEST: u64 = 50;

/// The items of a transaction, and their bytes.
type Part = (IndexRange<usize>, IndexRange<usize>);

/// What one daemon must have counted.
#[derive(Debug, Default)]
struct Counts {
    received: u64,
    stored: u64,
    denied: u64,
    own: u64,
    queue_full: u64,
    kernel_drops: u64,
    sent: u64,
    failed: u64,
    lost_before: u64,
    removed: u64,
}

/// An inbox, and what must be in it.
pub(super) struct World {
    machine: Machine,
    daemon: Daemon,
    reference: Reference,
    /// What is queued.
    pending: Vec<Pending>,
    /// Who waits for something that is queued.
    waiting: Vec<oneshot::Receiver<u64>>,
    counts: Counts,
    kept: Kept,
    /// Kernel drops that have no gap in the log yet.
    unplaced: u64,
    drops: u32,
    /// How many were lost and could not be reported.
    silent: u64,
    /// The content of the journal's file at each moment so far.
    journals: Vec<Vec<u8>>,
    /// Whether the clock was set since the last transaction.
    was_set: bool,
    /// The number of the next message.
    number: usize,
}

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Receive { peer, content, count } => self.receive(*peer, *content, *count),
            Operation::Flood => self.flood(),
            Operation::Unwanted { denied, own } => {
                self.daemon.queue.intake(|intake| {
                    (0..*denied).for_each(|_| intake.denied(1));
                    (0..*own).for_each(|_| intake.looped_back(1));
                });
                self.counts.received += denied + own;
                self.counts.denied += denied;
                self.counts.own += own;
            }
            Operation::KernelDrops(lost) => {
                self.drops = self.drops.wrapping_add(*lost as u32);
                self.daemon.queue.intake(|intake| intake.kernel_drops(0, *lost, self.drops));
                self.counts.kernel_drops += lost;
                self.unplaced += lost;
            }
            Operation::AddGap => self.add_gap(),
            Operation::Send { peer, content, outcome } => self.send(*peer, *content, *outcome),
            Operation::Mark { consumer, at } => self.mark(CONSUMERS[*consumer], *at),
            Operation::Recode { peer, most, encoding, remember } => {
                self.recode(*peer, *most, *encoding, *remember);
            }
            Operation::Limits { max_mib, max_age_hours } => {
                self.kept = (*max_mib, *max_age_hours);
                self.daemon.set_limits(self.kept);
            }
            Operation::Pass(ns) => {
                self.store();
                self.machine.pass(*ns);
            }
            Operation::Step(ns) => {
                // The writer takes what has arrived at once: it sees each step.
                if self.was_set {
                    self.store();
                }
                self.machine.step(*ns);
                self.was_set = true;
            }
            Operation::Store => self.store(),
            Operation::Idle => self.idle(),
            Operation::Index => self.daemon.index(),
            Operation::Read(page) => self.read(page),
            Operation::End(end) => self.end(end),
        }
        self.journals.push(std::fs::read(self.daemon.folder.path().join("books")).unwrap());
        self.compare(NEWEST);
    }

    /// Ends the case: after a kill and a stop everything is there, and in time everything goes.
    pub(super) fn finish(&mut self) {
        let end = |how| End { how, down_ns: 0, step_ns: 0, reboot: false };
        self.end(&end(How::Kill));
        self.end(&end(How::Stop));
        self.compare(u64::MAX);
        let Some(hours) = self.kept.1 else { return };
        self.receive(0, Content::Empty, 1);
        self.store();
        self.machine.pass(i64::from(hours) * super::machine::HOUR + 2 * SECOND);
        self.receive(0, Content::Empty, 1);
        self.store();
        self.idle();
        let oldest = self.reference.oldest_id();
        assert_eq!(oldest, self.reference.newest_id, "what is too old goes");
    }

    fn content(&mut self, content: Content) -> Vec<u8> {
        self.number += 1;
        let mut bytes = format!("{} ", self.number).into_bytes();
        match content {
            Content::Empty => bytes.clear(),
            Content::Text(length) => bytes.resize(bytes.len() + length, b'a'),
            Content::Binary => bytes.extend(0..=255),
            Content::Chinese(encoding) => {
                let text = "今天天气很好，我们一起去公园散步，然后回家吃饭。";
                if encoding == Encoding::UTF_8 {
                    bytes.extend_from_slice(text.as_bytes());
                } else {
                    bytes.extend_from_slice(&encoding_rs::GB18030.encode(text).0);
                }
            }
        }
        bytes
    }

    fn receive(&mut self, peer: usize, content: Content, count: usize) {
        let payloads: Vec<_> = (0..count).map(|_| self.content(content)).collect();
        self.take_in(peer, payloads);
    }

    fn take_in(&mut self, peer: usize, payloads: Vec<Vec<u8>>) {
        let (peer, at_ns) = (address(peer), self.machine.wall_ns());
        let local = (self.number.is_multiple_of(2)).then(|| address(0));
        self.daemon.queue.intake(|intake| {
            payloads.iter().for_each(|payload| intake.datagram(at_ns, peer, local, payload));
        });
        self.counts.received += payloads.len() as u64;
        let received = self.machine.now();
        self.pending.extend(payloads.into_iter().map(|payload| Pending::Entry {
            at_ns: Some(at_ns),
            body: Body::Received { peer, local, payload },
            received,
        }));
    }

    fn flood(&mut self) {
        let dropped = |daemon: &Daemon| daemon.queue.counters().dropped.queue_full;
        let before = dropped(&self.daemon);
        while dropped(&self.daemon) == before {
            self.take_in(1, vec![vec![7; 60_000]]);
        }
        // The last one had no place.
        self.pending.pop();
        self.counts.queue_full += 1;
        let gap = Pending::gap(Some(self.machine.wall_ns()), self.machine.now(), 1, GapReason::QueueFull);
        self.pending.push(gap);
        self.store();
    }

    fn add_gap(&mut self) {
        let lost = std::mem::take(&mut self.unplaced);
        if lost > 0 {
            let at_ns = self.machine.wall_ns();
            self.daemon.queue.intake(|intake| intake.kernel_gap(at_ns, lost));
            let gap = Pending::gap(Some(at_ns), self.machine.now(), lost, GapReason::ReceiveBufferFull);
            self.pending.push(gap);
        }
    }

    fn send(&mut self, peer: usize, content: Content, outcome: Outcome) {
        let (peer, at_ns, payload) = (address(peer), self.machine.wall_ns(), self.content(content));
        let encoding = SentEncoding { name: "gbk".to_owned(), by: ChosenBy::Given };
        let mut detail = SentDetail { encoding: Some(encoding), error: None, by: Some("ann".to_owned()) };
        let (stored, waiting) = oneshot::channel();
        let item = SentItem {
            at_ns,
            peer,
            local: None,
            payload: payload.clone(),
            detail: detail.clone(),
            stored: Some(stored),
        };
        let sent = self.daemon.queue.send(Box::new(item), true, |_| match outcome {
            Outcome::Sent => Ok(()),
            Outcome::Refused => Err(Errno::EMSGSIZE.into()),
            Outcome::NotNow => Err(Errno::EAGAIN.into()),
        });
        match outcome {
            Outcome::Sent => {
                assert!(sent.unwrap().is_none());
                self.counts.sent += 1;
            }
            Outcome::Refused => {
                detail.error = sent.unwrap().as_ref().map(crate::error::reason);
                assert!(detail.error.is_some());
                self.counts.failed += 1;
            }
            Outcome::NotNow => {
                assert!(matches!(sent, Err(NotSent::NotNow(..))));
                return;
            }
        }
        self.waiting.push(waiting);
        self.pending.push(Pending::Entry {
            at_ns: Some(at_ns),
            body: Body::Sent { peer, local: None, payload, detail },
            received: self.machine.now(),
        });
    }

    fn mark(&mut self, consumer: &str, at: Place) {
        let read_id = at.index(self.reference.newest_id as usize + 1) as u64;
        let (stored, waiting) = oneshot::channel();
        let item = MarkItem {
            consumer: consumer.to_owned(),
            change: MarkChange::Raise(read_id),
            stored: Some(stored),
        };
        self.daemon.queue.mark(Box::new(item)).unwrap();
        self.waiting.push(waiting);
        self.pending.push(Pending::Mark { consumer: consumer.to_owned(), read_id });
    }

    fn recode(&mut self, peer: usize, most: usize, encoding: Option<Encoding>, remember: bool) {
        let peer = address(peer);
        let its = self.reference.entries.iter().rev().filter(|entry| entry.peer() == Some(peer));
        let ids: Vec<_> = its.take(most).map(|entry| entry.stored.id).collect();
        let peers = if remember { vec![peer] } else { Vec::new() };
        let (stored, waiting) = oneshot::channel();
        let item = RecodeItem { ids: ids.clone(), encoding, peers: peers.clone(), stored: Some(stored) };
        self.daemon.queue.recode(Box::new(item)).unwrap();
        self.waiting.push(waiting);
        self.pending.push(Pending::Recode { ids, encoding, peers });
    }

    /// Takes what is queued; returns also how it is divided into transactions.
    fn take(&mut self) -> (Batch, Vec<Part>) {
        let mut batch = Batch::default();
        self.daemon.queue.take(&mut batch, Some(Duration::ZERO));
        let (mut commits, mut first, mut offset) = (Vec::new(), 0, 0);
        while first < batch.items.len() {
            let part = self.daemon.writer.limits().max_bytes / 64;
            let most = usize::try_from(part).unwrap().min(MAX_BYTES_PER_COMMIT);
            assert_eq!(most, self.daemon.writer.max_commit_bytes());
            let (items, bytes) = next_commit(&batch, first, offset, most);
            (first, offset) = (items.end, bytes.end);
            commits.push((items, bytes));
        }
        (batch, commits)
    }

    fn store(&mut self) {
        let (mut batch, commits) = self.take();
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
            self.maintain();
        }
        assert!(self.pending.is_empty() && self.waiting.is_empty());
    }

    /// Stores a transaction and checks the answers.
    fn store_part(&mut self, batch: &mut Batch, items: IndexRange<usize>, bytes: IndexRange<usize>) {
        let pending = self.pending_of(&batch.items[items.clone()]);
        assert!(self.daemon.writer.store(&mut batch.items[items], &batch.bytes[bytes]));
        self.counts.stored += pending.iter().filter(|item| item.is_message()).count() as u64;
        let expected = self.reference.store(pending);
        let waiting = self.waiting.drain(..expected.len());
        let answers: Vec<_> = waiting.map(|mut waiting| waiting.try_recv().unwrap()).collect();
        assert_eq!(answers, expected);
        self.was_set = false;
        self.read_times();
    }

    /// Removes the items of a transaction from what is queued.
    fn pending_of(&mut self, items: &[Item]) -> Vec<Pending> {
        let count = |item: &Item| match item {
            Item::Received { messages, .. } => *messages,
            _ => 1,
        };
        let count: usize = items.iter().map(count).sum();
        self.pending.drain(..count).collect()
    }

    /// Reads the times that are known only from the log.
    fn read_times(&mut self) {
        for id in std::mem::take(&mut self.reference.untimed) {
            let at_ns = self.daemon.reader.entry(id).unwrap().unwrap().at_ns;
            self.reference.entry_mut(id).unwrap().stored.at_ns = at_ns;
        }
    }

    fn idle(&mut self) {
        for _ in 0..10_000 {
            self.maintain();
            let writer = &self.daemon.writer;
            if writer.maintenance.max_wait(&writer.limits()) != Some(Duration::ZERO) {
                break;
            }
        }
        let writer = &mut self.daemon.writer;
        writer.maintenance.tidy_up(writer.connection.as_ref().unwrap());
    }

    /// Lets the writer do a step of maintenance, which may remove only what retention allows.
    fn maintain(&mut self) {
        let writer = &mut self.daemon.writer;
        writer.maintenance.check_ages();
        // A step of the clock is recorded before the pages are counted.
        let connection = writer.connection.as_mut().unwrap();
        writer.clock.update(connection, writer.used.newest.id, false);
        let by_size = self.count_too_much();
        let before = self.daemon.commits.now().removed;
        self.daemon.writer.maintain();
        let removed = (self.daemon.commits.now().removed - before) as usize;
        assert!(removed >= by_size, "{removed} of {by_size} removed");
        let now = self.machine.now();
        let hours = self.kept.1.map(|hours| i64::from(hours) * super::machine::HOUR);
        for entry in self.reference.entries.drain(..removed).skip(by_size) {
            let max_age = hours.expect("entries are removed by age");
            assert_old(&entry, now, max_age);
        }
        self.counts.removed += removed as u64;
    }

    /// Returns how many entries are to be removed because of the size, by the pages in use.
    fn count_too_much(&self) -> usize {
        let writer = &self.daemon.writer;
        let connection = writer.connection.as_ref().unwrap();
        let pragma = |name: &str| -> u64 {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
        };
        let used = pragma("page_count") - pragma("freelist_count");
        let max_bytes = u64::from(self.kept.0.unwrap_or(4_096)) * 1024 * 1024;
        let log = (max_bytes / 64).clamp(256 * 1024, 16 * 1024 * 1024);
        let beside = 2 * log + self.daemon.reader.index().size_bytes().min(max_bytes / 2);
        let allowed = max_bytes.saturating_sub(beside) / PAGE_BYTES;
        let spare = (allowed / 64).clamp(16, 512);
        self.reference.count_excess((used + spare).saturating_sub(allowed) * PAGE_BYTES)
    }

    fn read(&mut self, page: &Page) {
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
            removed: false,
            predicate: Arc::new(predicate),
            order: if page.falling { Order::Desc } else { Order::Asc },
        };
        let is_its = |entry: &Stored| match (&entry.body, peer) {
            (_, None) => true,
            (Body::Received { peer: of, .. } | Body::Sent { peer: of, .. }, Some(peer)) => *of == peer,
            (Body::Gap(_), Some(_)) => false,
        };
        let is_in = |entry: &&Stored| {
            let kind = match entry.body {
                Body::Received { .. } => received,
                Body::Sent { .. } => sent,
                Body::Gap(_) => gaps,
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
    fn compare(&self, newest: u64) {
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

    /// Ends the daemon and starts the next one, which must have everything that was acknowledged and report what was lost.
    fn end(&mut self, end: &End) {
        let mut before_removal = None;
        let image = match &end.how {
            How::Stop => {
                self.add_gap();
                self.store();
                let writer = &mut self.daemon.writer;
                let connection = writer.connection.as_ref().unwrap();
                writer.clock.note(connection);
                checkpoint(connection);
                None
            }
            How::Kill => Some(self.image()),
            How::KillAfterCommit(commit) => Some(self.end_in_commit(*commit, |_, after| (after, true))),
            How::KillInCommit(commit, at) => {
                Some(self.end_in_commit(*commit, |before, after| before.in_transaction(&after, *at)))
            }
            How::PowerCut(commit, kept, journal) => {
                let mut image =
                    self.end_in_commit(*commit, |before, after| before.without_unsynced(&after, *kept));
                if !self.journals.is_empty() {
                    image.set_journal(&self.journals[journal.index(self.journals.len())]);
                }
                Some(image)
            }
            How::KillInMaintenance(at) => {
                before_removal = Some(self.reference.clone());
                let before = self.image();
                self.maintain();
                let after = self.image();
                Some(if before.continues_in(&after) {
                    before.in_transaction(&after, *at).0
                } else if at.index(2) == 0 {
                    before
                } else {
                    after
                })
            }
        };
        let is_power_cut = matches!(end.how, How::PowerCut(..));
        let lost = self.lost();
        self.machine.pass(end.down_ns);
        if end.reboot || is_power_cut {
            self.machine.restart(end.step_ns);
        } else {
            self.machine.step(end.step_ns);
        }
        let reported = self.start_next(image);
        let sum: u64 = lost.iter().map(|(_, lost)| lost).sum();
        if let Some(before) = before_removal
            && self.daemon.reader.bounds().unwrap().oldest == before.oldest_id()
        {
            self.reference = before;
        }
        if is_power_cut {
            // Losses that were not reported earlier may be reported now, and nothing twice.
            assert!(reported <= sum + self.silent, "{reported} of {sum}");
            self.silent = sum + self.silent - reported;
            self.store_reported(reported);
        } else {
            assert_eq!(reported, sum);
            let gaps = lost.into_iter().filter(|(_, lost)| *lost > 0);
            self.pending =
                gaps.map(|(reason, lost)| Pending::gap(None, Moment::default(), lost, reason)).collect();
        }
        self.was_set = true;
        self.compare(u64::MAX);
    }

    fn image(&self) -> Image {
        Image::of(self.daemon.folder.path())
    }

    /// Ends the daemon in one of the transactions of what is queued, of which an earlier part is published. `crash` makes the
    /// image from those before and after the transaction, and returns whether the transaction is complete.
    fn end_in_commit(&mut self, commit: Place, crash: impl FnOnce(Image, Image) -> (Image, bool)) -> Image {
        let (mut batch, mut commits) = self.take();
        if commits.is_empty() {
            return self.image();
        }
        commits.truncate(commit.index(commits.len()) + 1);
        let (items, bytes) = commits.pop().unwrap();
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
        }
        let before = self.image();
        let outcome = self.daemon.writer.commit(&batch.items[items.clone()], &batch.bytes[bytes]);
        assert!(outcome.is_ok());
        let (image, is_complete) = crash(before, self.image());
        if is_complete {
            let pending = self.pending_of(&batch.items[items]);
            self.reference.store(pending);
        }
        image
    }

    /// Returns how many datagrams are lost if the daemon ends now, by reason.
    fn lost(&self) -> Vec<(GapReason, u64)> {
        let of = |reason: GapReason| {
            let datagrams = self.pending.iter().map(Pending::datagrams);
            let pending: u64 = datagrams.filter(|(_, of)| *of == reason).map(|(lost, _)| lost).sum();
            let unplaced = if reason == GapReason::ReceiveBufferFull { self.unplaced } else { 0 };
            (reason, pending + unplaced)
        };
        GapReason::ALL.into_iter().map(of).collect()
    }

    /// Starts the next daemon, in the same directory or with an image of it; returns how much it reports as lost.
    fn start_next(&mut self, image: Option<Image>) -> u64 {
        self.waiting.clear();
        self.pending.clear();
        self.unplaced = 0;
        let folder = tempfile::tempdir().unwrap();
        // The old connections are still open when the image is made, so that nothing more is written.
        let image = image.unwrap_or_else(|| self.image());
        image.write(folder.path());
        let reported;
        (self.daemon, reported) = Daemon::start(folder, self.kept);
        assert_eq!(self.daemon.reader.damage().awaited(), None, "no disk has lost what was synced");
        self.counts = Counts { lost_before: reported, ..Counts::default() };
        self.read_times();
        reported
    }

    /// Stores the gaps that a daemon reports after a power cut, whose reasons are those of an earlier moment.
    fn store_reported(&mut self, reported: u64) {
        let (mut batch, commits) = self.take();
        for item in &batch.items {
            let Item::Gap { at_ns, lost, reason } = item else { panic!("{item:?}") };
            self.pending.push(Pending::gap(Some(*at_ns), Moment::default(), *lost, *reason));
        }
        assert_eq!(self.pending.iter().map(|item| item.datagrams().0).sum::<u64>(), reported);
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
        }
    }
}

fn address(peer: usize) -> SocketAddr {
    PEERS[peer].parse().unwrap()
}

/// Checks that an entry was kept for long enough: the time that the machine was off counts up to a tenth.
fn assert_old(entry: &Rc<Entry>, now: Moment, max_age_ns: i64) {
    let restarts = now.restarts - entry.received.restarts;
    let tolerance = restarts * max_age_ns / 10 + (restarts + 1) * SECOND;
    let kept_ns = now.run_ns - entry.received.run_ns;
    let id = entry.stored.id;
    assert!(kept_ns >= max_age_ns - tolerance, "#{id} was kept for {} s only", kept_ns / SECOND);
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

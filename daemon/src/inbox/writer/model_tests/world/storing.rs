//! Transactions, maintenance and retention.

use std::ops::Range as IndexRange;
use std::rc::Rc;
use std::time::Duration;

use super::super::machine::{HOUR, Moment, SECOND};
use super::super::reference::{Entry, Pending};
use super::state::World;
use crate::inbox::queries::bounds;
use crate::inbox::queue::{Batch, Item};
use crate::inbox::writer::{MAX_BYTES_PER_COMMIT, next_commit};

const PAGE_BYTES: u64 = 16_384;

/// The items of a transaction, and their bytes.
type Part = (IndexRange<usize>, IndexRange<usize>);

impl World {
    /// Takes what is queued; returns also how it is divided into transactions.
    pub(super) fn take(&mut self) -> (Batch, Vec<Part>) {
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

    pub(super) fn store(&mut self) {
        let (mut batch, commits) = self.take();
        for (items, bytes) in commits {
            self.store_part(&mut batch, items, bytes);
            self.maintain();
        }
        assert!(self.pending.is_empty() && self.waiting.is_empty() && self.holding.is_empty());
    }

    /// Stores a transaction and checks the answers.
    pub(super) fn store_part(
        &mut self,
        batch: &mut Batch,
        items: IndexRange<usize>,
        bytes: IndexRange<usize>,
    ) {
        let pending = self.pending_of(&batch.items[items.clone()]);
        assert!(self.daemon.writer.store(&mut batch.items[items], &batch.bytes[bytes]));
        self.counts.stored += pending.iter().filter(|item| item.is_message()).count() as u64;
        let (is_held, highest) = (matches!(pending[..], [Pending::Hold { .. }]), self.reference.highest_held);
        let expected = self.reference.store(pending);
        if is_held {
            let numbers = self.holding.pop_front().unwrap().try_recv().unwrap();
            assert_eq!(numbers, Ok((highest + 1..=self.reference.highest_held).collect()));
        }
        let waiting = self.waiting.drain(..expected.len());
        let answers: Vec<_> = waiting.map(|mut waiting| waiting.try_recv().unwrap()).collect();
        assert_eq!(answers, expected);
        self.was_set = false;
        self.read_times();
    }

    /// Removes the items of a transaction from what is queued.
    pub(super) fn pending_of(&mut self, items: &[Item]) -> Vec<Pending> {
        let count = |item: &Item| match item {
            Item::Received { messages, .. } => *messages,
            _ => 1,
        };
        let count: usize = items.iter().map(count).sum();
        self.pending.drain(..count).collect()
    }

    /// Reads the times that are known only from the log.
    pub(super) fn read_times(&mut self) {
        for id in std::mem::take(&mut self.reference.untimed) {
            let at_ns = self.daemon.reader.entry(id).unwrap().unwrap().at_ns;
            self.reference.entry_mut(id).unwrap().stored.at_ns = at_ns;
        }
    }

    pub(super) fn idle(&mut self) {
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
    pub(super) fn maintain(&mut self) {
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
        let hours = self.kept.1.map(|hours| i64::from(hours) * HOUR);
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
        let oldest = bounds(connection).unwrap().oldest;
        let beside = (2 * log + self.daemon.reader.index().bytes_from(oldest)).min(max_bytes / 2);
        let allowed = max_bytes.saturating_sub(beside) / PAGE_BYTES;
        let spare = (allowed / 64).clamp(16, 512).min(allowed / 4);
        self.reference.count_excess((used + spare).saturating_sub(allowed) * PAGE_BYTES)
    }
}

/// Checks that an entry was kept for long enough: the time that the machine was off counts up to a tenth.
fn assert_old(entry: &Rc<Entry>, now: Moment, max_age_ns: i64) {
    let restarts = now.restarts - entry.received.restarts;
    let tolerance = restarts * max_age_ns / 10 + (restarts + 1) * SECOND;
    let kept_ns = now.run_ns - entry.received.run_ns;
    let id = entry.stored.id;
    assert!(kept_ns >= max_age_ns - tolerance, "#{id} was kept for {} s only", kept_ns / SECOND);
}

//! The bounded queue between reception and the writer, and the counters.
//!
//! It holds bytes, not messages: a datagram is copied once, behind the others, and the writer takes the whole [`Batch`].
//! One lock guards batch and counters together, so every reading of the counters balances:
//! `received = stored + dropped + queued`. Reception never waits here for a disk: what does not fit is dropped, counted,
//! and leaves a gap in the log.
//!
//! Sending happens under the same lock, so that an answer can only be queued behind the message it answers.
//!
//! Nothing here may touch the database. Reception, sending and control fill the queue; only the writer empties it.

mod batch;
mod counters;
mod item;
pub(crate) mod packed;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

pub(crate) use self::batch::Batch;
#[cfg(test)]
pub(super) use self::batch::{RUN_BYTES, RUN_MESSAGES};
pub(crate) use self::counters::Counters;
pub(crate) use self::item::{
    CancelItem, FAILING_WAIT, HoldItem, Item, MAX_RETRY_WAIT, MarkChange, MarkItem, RECORD_WAIT, RecodeItem,
    RecoveredItem, SentItem,
};
use super::entry::GapReason;
use super::inflight::{EntryCounts, InflightJournal};
use crate::error::reason;
use crate::faults::{is_momentary, is_permanent};
use crate::index::Anchor;
use crate::net::reports::Bounce;

/// How much may wait for the writer, in bytes, including the entries' own size. The writer holds as much again while it
/// stores a batch.
pub(crate) const QUEUE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// How long the writer coalesces a stream of entries into one batch, as a network card coalesces interrupts.
const GATHER: Duration = Duration::from_millis(5);

/// A batch of at least this many entries is taken as a sign of a stream.
const STREAM_ENTRIES: usize = 8;

/// Coalescing ends early at this many entries, or this many bytes of payload.
const READY_ENTRIES: usize = 4_096;
const READY_BYTES: usize = 1024 * 1024;

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    counters: Counters,
    /// Records the pending datagrams for the next daemon.
    journal: InflightJournal,
    /// Losses behind the end of the batch that have no gap there yet, since it was full.
    lost: Vec<Lost>,
    /// The running number of the message that was passed to the kernel last.
    last_number: u64,
    writer: Waits,
    woken: bool,
    closed: bool,
}

/// What the writer waits for. Notifying it costs more than checking this, so it is notified only when it waits for what
/// has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    #[default]
    Not,
    ForAny,
    /// It coalesces entries.
    ForMany,
}

/// Datagrams lost for one reason, and when the first was; at most one of each reason waits for its gap.
#[derive(Clone, Copy, Debug)]
struct Lost {
    at_ns: i64,
    count: u64,
    reason: GapReason,
}

/// The queue. Receivers and senders fill it, the writer empties it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

/// The queue was closed, or has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Why a message was neither sent nor recorded.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The queue was closed, or has no room.
    Full,
    /// It may succeed in a moment; the item is returned.
    NotNow(Box<SentItem>),
}

impl Queue {
    /// Takes over the journal, and queues gaps for what the previous daemon lost, before all else. Returns how many
    /// datagrams that are.
    pub(crate) fn carry_over(&self, mut journal: InflightJournal) -> u64 {
        let (at_ns, losses) = journal.carry_over();
        let mut state = self.lock();
        state.journal = journal;
        for (reason, lost) in losses.losses() {
            state.counters.lost_before += lost;
            state.lose(at_ns, lost, reason);
        }
        state.flush_gaps();
        state.journal.save();
        state.counters.lost_before
    }

    /// Adds received datagrams through `fill`, which runs under the queue's lock and must not wait.
    pub(crate) fn intake<T>(&self, fill: impl FnOnce(&mut Intake<'_>) -> T) -> T {
        let mut state = self.lock();
        let out = fill(&mut Intake { state: &mut state });
        state.journal.save();
        self.notify(&mut state);
        out
    }

    /// Sends a datagram with `send`, which gets its running number, and queues its record, in one step. `send` must not wait.
    ///
    /// If the kernel refuses, the record holds the reason, and the error is returned as well; unless the message may wait
    /// for an error that may pass, in which case nothing is recorded. Nor is anything of a held message, unless the error is
    /// [permanent](is_permanent).
    pub(crate) fn send(
        &self,
        mut item: Box<SentItem>,
        may_wait: bool,
        send: impl FnOnce(&mut SentItem, u64) -> io::Result<()>,
    ) -> Result<Option<io::Error>, NotSent> {
        let mut state = self.lock();
        if !state.has_room() {
            return Err(NotSent::Full);
        }
        state.last_number += 1;
        let error = match send(&mut item, state.last_number) {
            Ok(()) => None,
            Err(error) if may_wait && is_momentary(&error) => return Err(NotSent::NotNow(item)),
            // It stays held.
            Err(error) if item.held.is_some() && !is_permanent(&error) => return Err(NotSent::NotNow(item)),
            Err(error) => Some(error),
        };
        let counts = &mut state.counters.sent;
        match &error {
            None => counts.datagrams += 1,
            Some(_) => counts.failed += 1,
        }
        item.detail.error = error.as_ref().map(reason);
        state.flush_gaps();
        state.batch.push(Item::Sent(item));
        self.notify(&mut state);
        Ok(error)
    }

    /// Queues reports of messages that were not delivered. While the queue is full they are left out: of these messages nothing
    /// is known.
    pub(crate) fn bounced(&self, bounces: impl IntoIterator<Item = Bounce>) {
        let mut bounces = bounces.into_iter().peekable();
        if bounces.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        for bounce in bounces {
            if !state.has_room() {
                break;
            }
            state.flush_gaps();
            state.batch.push(Item::Bounce(Box::new(bounce)));
        }
        self.notify(&mut state);
    }

    /// Queues a read mark.
    pub(crate) fn mark(&self, item: Box<MarkItem>) -> Result<(), Full> {
        self.push(Item::Mark(item))
    }

    /// Queues a new encoding for stored messages.
    pub(crate) fn recode(&self, item: Box<RecodeItem>) -> Result<(), Full> {
        self.push(Item::Recode(item))
    }

    /// Queues a message to hold.
    pub(crate) fn hold(&self, item: Box<HoldItem>) -> Result<(), Full> {
        self.push(Item::Hold(item))
    }

    /// Queues the removal of a held message.
    pub(crate) fn cancel(&self, item: Box<CancelItem>) -> Result<(), Full> {
        self.push(Item::Cancel(item))
    }

    /// Queues entries of a damaged inbox.
    ///
    /// # Errors
    /// Returns the item if the queue was closed or has no room.
    pub(crate) fn recover(&self, item: Box<RecoveredItem>) -> Result<(), Box<RecoveredItem>> {
        let mut state = self.lock();
        if !state.has_room() {
            return Err(item);
        }
        state.batch.push(Item::Recovered(item));
        self.notify(&mut state);
        Ok(())
    }

    fn push(&self, item: Item) -> Result<(), Full> {
        let mut state = self.lock();
        if !state.has_room() {
            return Err(Full);
        }
        state.batch.push(item);
        self.notify(&mut state);
        Ok(())
    }

    /// Clears `batch`, waits for entries and swaps them into it; false once the queue is closed and empty.
    ///
    /// It waits no longer than `max_wait`, and not at all after a [`Self::wake`]; then the batch stays empty. In a stream
    /// it lets entries gather for [`GATHER`], so that one transaction serves many (group commit), unless a client waits
    /// for one of them.
    pub(crate) fn take(&self, batch: &mut Batch, max_wait: Option<Duration>) -> bool {
        let streaming = batch.entries >= STREAM_ENTRIES;
        batch.clear();
        let began = Instant::now();
        let mut state = self.wait_for_entries(max_wait);
        state.woken = false;
        if streaming && began.elapsed() < GATHER {
            state.writer = Waits::ForMany;
            self.filled.wait_while_for(&mut state, |state| !state.is_ready(), GATHER);
        }
        state.writer = Waits::Not;
        state.flush_gaps();
        std::mem::swap(&mut state.batch, batch);
        !(batch.items.is_empty() && state.closed)
    }

    fn wait_for_entries(&self, max_wait: Option<Duration>) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.writer = Waits::ForAny;
        let nothing_to_do = |state: &mut State| state.is_empty() && !state.closed && !state.woken;
        match max_wait {
            None => self.filled.wait_while(&mut state, nothing_to_do),
            Some(max_wait) => {
                self.filled.wait_while_for(&mut state, nothing_to_do, max_wait);
            }
        }
        state
    }

    /// Wakes the writer for work other than storing.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.filled.notify_all();
    }

    /// Counts messages that are durably recorded as not delivered.
    pub(crate) fn count_bounced(&self, messages: u64) {
        self.lock().counters.sent.bounced += messages;
    }

    /// Counts the items of a durable transaction; `newest` is the last entry that it has appended, if any.
    pub(crate) fn count_stored(&self, stored: &EntryCounts, newest: Option<Anchor>) {
        let mut state = self.lock();
        state.counters.stored += stored.messages;
        state.journal.mark_durable(stored, newest);
        state.journal.save();
    }

    /// Notes the newest entry of a log that was opened again: it may be another log.
    pub(crate) fn log_reopened(&self, newest: Anchor) {
        let mut state = self.lock();
        state.journal.log_reopened(newest);
        state.journal.save();
    }

    /// Writes the journal again after a failure. Opens its file if that has failed before.
    pub(crate) fn retry_journal(&self) {
        let closed = self.lock().journal.retry();
        if let Some((data_dir, health)) = closed {
            // Opening may wait for the disk, so the lock is not held.
            let opened = InflightJournal::open(&data_dir, &health);
            self.lock().journal.take_file(opened);
        }
    }

    /// Opens the file of the journal again, because the data directory was made again.
    pub(crate) fn reopen_journal(&self) {
        self.lock().journal.close_file();
        self.retry_journal();
    }

    /// Returns whether the queue is more than three quarters full.
    pub(crate) fn is_filling(&self) -> bool {
        self.lock().is_filling()
    }

    /// Returns the counters, which balance.
    pub(crate) fn counters(&self) -> Counters {
        self.counters_with(|| 0)
    }

    /// Returns how much waits in the queue, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.lock().batch.size_bytes() as u64
    }

    /// Returns the counters, plus the kernel's newest drops from `new_drops`: those that no [`Intake::kernel_drops`] has
    /// counted yet.
    pub(crate) fn counters_with(&self, new_drops: impl FnOnce() -> u64) -> Counters {
        let state = self.lock();
        Counters { kernel_drops: state.counters.kernel_drops + new_drops(), ..state.counters }
    }

    /// Refuses new items from now on; queued ones can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Waits for a time, or until the queue is closed, and returns whether it is closed.
    pub(crate) fn closed_within(&self, wait: Duration) -> bool {
        let mut state = self.lock();
        self.filled.wait_while_for(&mut state, |state| !state.closed, wait);
        state.closed
    }

    /// Wakes the writer if it waits for what has happened.
    fn notify(&self, state: &mut State) {
        let is_awaited = match state.writer {
            Waits::Not => false,
            Waits::ForAny => !state.is_empty(),
            Waits::ForMany => state.is_ready(),
        };
        if is_awaited {
            // The items stay until the writer takes them, so one notification is enough.
            state.writer = Waits::Not;
            self.filled.notify_all();
        }
    }

    /// A panic under this lock leaves counters and batch complete: no change can fail halfway.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn has_room(&self) -> bool {
        !self.closed && self.batch.size_bytes() <= QUEUE_MAX_BYTES
    }

    fn is_filling(&self) -> bool {
        self.batch.size_bytes() > QUEUE_MAX_BYTES / 4 * 3
    }

    fn is_empty(&self) -> bool {
        self.batch.items.is_empty() && self.lost.is_empty()
    }

    /// Returns whether the batch is to be taken without waiting for more.
    fn is_ready(&self) -> bool {
        let batch = &self.batch;
        self.closed || batch.awaited || batch.entries >= READY_ENTRIES || batch.bytes.len() >= READY_BYTES
    }

    /// Notes a loss at this place of the log.
    fn lose(&mut self, at_ns: i64, count: u64, reason: GapReason) {
        match self.lost.iter_mut().find(|lost| lost.reason == reason) {
            Some(lost) => lost.count += count,
            None => self.lost.push(Lost { at_ns, count, reason }),
        }
    }

    /// Queues gaps for the noted losses.
    fn flush_gaps(&mut self) {
        for Lost { at_ns, count, reason } in self.lost.drain(..) {
            self.batch.push(Item::Gap { at_ns, lost: count, reason, peer: None });
        }
    }
}

/// Access to the queue for one batch of received datagrams.
pub(crate) struct Intake<'a> {
    state: &'a mut State,
}

impl Intake<'_> {
    /// Queues a datagram, or counts it as dropped where there is no room.
    pub(crate) fn datagram(
        &mut self,
        at_ns: i64,
        peer: SocketAddr,
        local: Option<SocketAddr>,
        payload: &[u8],
    ) {
        let state = &mut *self.state;
        state.counters.count_received(payload.len());
        if state.batch.size_bytes() + payload.len() > QUEUE_MAX_BYTES {
            state.counters.dropped.queue_full += 1;
            state.journal.add_lost(1, GapReason::QueueFull);
            state.lose(at_ns, 1, GapReason::QueueFull);
            return;
        }
        state.journal.add_message();
        state.flush_gaps();
        state.batch.receive(at_ns, peer, local, payload);
    }

    /// Returns whether the queue is more than three quarters full.
    pub(crate) fn is_filling(&self) -> bool {
        self.state.is_filling()
    }

    /// Counts a datagram whose sender is not allowed; nothing of it is kept.
    pub(crate) fn denied(&mut self, length: usize) {
        self.state.counters.count_received(length);
        self.state.counters.dropped.denied += 1;
    }

    /// Counts a datagram whose sender is over its limit. Its gap is added later ([`Self::limited_gap`]).
    pub(crate) fn limited(&mut self, length: usize) {
        self.state.counters.count_received(length);
        self.state.counters.dropped.limited += 1;
    }

    /// Adds a gap for datagrams of a source that was over its limit, or of several.
    pub(crate) fn limited_gap(&mut self, at_ns: i64, lost: u64, peer: Option<String>) {
        if self.state.has_room() {
            self.state.flush_gaps();
            self.state.batch.push(Item::Gap { at_ns, lost, reason: GapReason::Limited, peer });
        } else {
            // While the batch is full, they become one: nothing grows.
            self.state.lose(at_ns, lost, GapReason::Limited);
        }
    }

    /// Counts a datagram that this daemon sent to a group or a broadcast address and that came back; the log has it as
    /// sent.
    pub(crate) fn looped_back(&mut self, length: usize) {
        self.state.counters.count_received(length);
        self.state.counters.dropped.own += 1;
    }

    /// Counts datagrams that the kernel dropped at a socket, whose drop counter is now `counter`. Their gap is added
    /// later ([`Self::kernel_gap`]).
    pub(crate) fn kernel_drops(&mut self, socket: usize, lost: u64, counter: u32) {
        let state = &mut *self.state;
        state.counters.kernel_drops += lost;
        state.journal.add_lost(lost, GapReason::ReceiveBufferFull);
        state.journal.count_drops(socket, counter);
    }

    /// Adds a gap for datagrams that the kernel dropped.
    pub(crate) fn kernel_gap(&mut self, at_ns: i64, lost: u64) {
        self.state.lose(at_ns, lost, GapReason::ReceiveBufferFull);
        // While the batch is full, the gaps of one reason become one: nothing grows.
        if self.state.has_room() {
            self.state.flush_gaps();
        }
    }
}

#[cfg(test)]
mod tests;

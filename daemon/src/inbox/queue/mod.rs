//! The bounded queue before the writer, and the books that it keeps.
//!
//! Bytes, not messages: a datagram is copied once, behind the others, and the writer takes the whole heap of
//! what has gathered. One lock guards heap and books together, so every reading of the books balances:
//! `received = stored + dropped + queued`. Nobody waits here for a disk: what does not fit is dropped, counted,
//! and leaves a gap in the log.
//!
//! Sending happens under the same lock. An answer can then only be queued behind the message it answers.

mod item;
pub(crate) mod packed;

use std::io;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use udpchat_api::call::{Dropped, SentCounts, Traffic};

pub(crate) use self::item::{Item, MarkItem, RecodeItem, SentItem};
use super::GapReason;
use super::inflight::{Dues, Ledger};
use crate::index::Anchor;

/// How much may wait for the writer, in bytes, entries' own size included. The writer holds as much again while
/// it stores what it took.
pub(crate) const QUEUE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// How long the writer lets a stream of entries gather.
const GATHER: Duration = Duration::from_millis(5);

/// From so many entries at once on, it is a stream.
const STREAM_ENTRIES: usize = 8;

/// Gathering ends before its time when so many entries, or so many bytes of payload, are there.
const READY_ENTRIES: usize = 4_096;
const READY_BYTES: usize = 1024 * 1024;

/// A run of received messages is taken as a whole: it ends at so many messages, or so many bytes.
pub(super) const RUN_MESSAGES: usize = 1_024;
pub(super) const RUN_BYTES: usize = 256 * 1024;

/// The memory an idle queue keeps, in bytes; what a flood needed beyond goes back.
const KEPT_BYTES: usize = 256 * 1024;

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// How many entries that is.
    pub(crate) entries: usize,
    /// The payloads of sent messages, which are not in `bytes`.
    sent_bytes: usize,
    /// Whether somebody waits for an entry of this heap.
    awaited: bool,
}

impl Heap {
    /// Adds an item that is one entry, or none at all.
    fn push(&mut self, item: Item) {
        self.awaited |= matches!(item, Item::Sent(_) | Item::Mark(_) | Item::Recode(_));
        self.entries += item.entries();
        self.items.push(item);
    }

    /// Adds a received message, to a run that is not yet long enough for a transaction of its own.
    fn receive(&mut self, at_ns: i64, peer: SocketAddr, local: Option<SocketAddr>, payload: &[u8]) {
        let before = self.bytes.len();
        packed::push(&mut self.bytes, at_ns, peer, local, payload);
        let length = self.bytes.len() - before;
        self.entries += 1;
        match self.items.last_mut() {
            Some(Item::Received { messages, bytes }) if *messages < RUN_MESSAGES && *bytes < RUN_BYTES => {
                *messages += 1;
                *bytes += length;
            }
            _ => self.items.push(Item::Received { messages: 1, bytes: length }),
        }
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len() + self.sent_bytes + self.items.len() * size_of::<Item>()
    }

    /// Empties it for the next round and gives back what only a flood needed.
    fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        (self.entries, self.sent_bytes, self.awaited) = (0, 0, false);
        self.bytes.shrink_to(KEPT_BYTES);
        self.items.shrink_to(KEPT_BYTES / size_of::<Item>());
    }
}

/// The counters since the start of the daemon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Books {
    pub(crate) received: Traffic,
    pub(crate) stored: u64,
    pub(crate) dropped: Dropped,
    pub(crate) kernel_drops: u64,
    pub(crate) sent: SentCounts,
    /// What the last daemon has left to be told as lost.
    pub(crate) lost_before: u64,
}

impl Books {
    /// Returns how many received datagrams are on their way.
    pub(crate) fn queued(&self) -> u64 {
        self.received.datagrams - self.stored - self.dropped.total()
    }
}

#[derive(Debug, Default)]
struct State {
    heap: Heap,
    books: Books,
    /// What of it the next daemon is to know, whenever this one ends.
    ledger: Ledger,
    /// Datagrams lost at the end of the heap, which have no entry there yet, since it was full.
    lost: Vec<Lost>,
    writer: Waits,
    nudged: bool,
    closed: bool,
}

/// What the writer waits for. To wake nobody is a system call too, so it is woken only by what it waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    #[default]
    Not,
    ForAny,
    /// It lets entries gather.
    ForMany,
}

/// Datagrams lost for one reason, and when the first was; at most one of each reason waits for its entry.
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
    /// The kernel has no room for it now; here it is back.
    NotNow(Box<SentItem>),
}

impl Queue {
    /// Begins with what the last daemon has left: what was lost with it is queued before all else. Returns how many
    /// datagrams that are.
    pub(crate) fn carry_over(&self, mut ledger: Ledger) -> u64 {
        let (at_ns, losses) = ledger.carry_over();
        let mut state = self.lock();
        state.ledger = ledger;
        for (reason, lost) in losses.losses() {
            state.books.lost_before += lost;
            state.lose(at_ns, lost, reason);
        }
        state.flush_gaps();
        state.ledger.note();
        state.books.lost_before
    }

    /// Takes in a batch of datagrams; the closure tells each. It runs under the queue's lock, and must not wait.
    pub(crate) fn intake<T>(&self, fill: impl FnOnce(&mut Intake<'_>) -> T) -> T {
        let mut state = self.lock();
        let out = fill(&mut Intake { state: &mut state });
        state.ledger.note();
        self.wake(&mut state);
        out
    }

    /// Sends a datagram with `send` and queues the record of it, in one step. `send` must not wait.
    ///
    /// Where the kernel refuses for good, the record says why, and the error is returned beside.
    pub(crate) fn send(
        &self,
        mut item: Box<SentItem>,
        send: impl FnOnce(&mut SentItem) -> io::Result<()>,
    ) -> Result<Option<io::Error>, NotSent> {
        let mut state = self.lock();
        if !state.has_room() {
            return Err(NotSent::Full);
        }
        let error = match send(&mut item) {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(NotSent::NotNow(item)),
            Err(error) => Some(error),
        };
        let counts = &mut state.books.sent;
        match &error {
            None => counts.datagrams += 1,
            Some(_) => counts.failed += 1,
        }
        item.detail.error = error.as_ref().map(reason);
        state.flush_gaps();
        state.heap.sent_bytes += item.payload.len();
        state.heap.push(Item::Sent(item));
        self.wake(&mut state);
        Ok(error)
    }

    /// Queues a read mark.
    pub(crate) fn mark(&self, item: Box<MarkItem>) -> Result<(), Full> {
        self.push(Item::Mark(item))
    }

    /// Queues what messages are to be read in.
    pub(crate) fn recode(&self, item: Box<RecodeItem>) -> Result<(), Full> {
        self.push(Item::Recode(item))
    }

    fn push(&self, item: Item) -> Result<(), Full> {
        let mut state = self.lock();
        if !state.has_room() {
            return Err(Full);
        }
        state.heap.push(item);
        self.wake(&mut state);
        Ok(())
    }

    /// Waits for entries and swaps them into `heap`, which is emptied; false once the queue is closed and empty.
    ///
    /// It waits no longer than `patience`, and not at all after a [`Self::nudge`]; then the heap is left empty.
    /// Where they come in a stream, it lets them gather for [`GATHER`], so that one transaction serves many; not so
    /// if somebody waits for one of them.
    pub(crate) fn take(&self, heap: &mut Heap, patience: Option<Duration>) -> bool {
        let streaming = heap.entries >= STREAM_ENTRIES;
        heap.clear();
        let began = Instant::now();
        let mut state = self.wait_for_entries(patience);
        state.nudged = false;
        if streaming && began.elapsed() < GATHER {
            state.writer = Waits::ForMany;
            (state, _) = self
                .filled
                .wait_timeout_while(state, GATHER, |state| !state.is_ready())
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Waits::Not;
        state.flush_gaps();
        std::mem::swap(&mut state.heap, heap);
        !(heap.items.is_empty() && state.closed)
    }

    fn wait_for_entries(&self, patience: Option<Duration>) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.writer = Waits::ForAny;
        let in_vain = |state: &mut State| state.is_empty() && !state.closed && !state.nudged;
        let Some(patience) = patience else {
            return self.filled.wait_while(state, in_vain).unwrap_or_else(PoisonError::into_inner);
        };
        let waited = self.filled.wait_timeout_while(state, patience, in_vain);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes the writer, which has something else to do than to store.
    pub(crate) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_all();
    }

    /// Counts what a transaction has made durable; `newest` is the last entry that it has appended, if any.
    pub(crate) fn count_stored(&self, stored: &Dues, newest: Option<Anchor>) {
        let mut state = self.lock();
        state.books.stored += stored.messages;
        state.ledger.pay(stored, newest);
        state.ledger.note();
    }

    /// Notes where the log ends that was opened anew: it may be another one.
    pub(crate) fn notice_end(&self, newest: Anchor) {
        let mut state = self.lock();
        state.ledger.notice_end(newest);
        state.ledger.note();
    }

    /// Tells whether it is more than three quarters full.
    pub(crate) fn is_filling(&self) -> bool {
        self.lock().is_filling()
    }

    /// Returns the counters, which balance.
    #[cfg(test)]
    pub(crate) fn books(&self) -> Books {
        self.books_and(|| 0)
    }

    /// Returns how much waits in it, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.lock().heap.size_bytes() as u64
    }

    /// Returns the counters, with the kernel's newest drops added, which `new_drops` tells: those that no
    /// [`Intake::kernel_drops`] has counted yet.
    pub(crate) fn books_and(&self, new_drops: impl FnOnce() -> u64) -> Books {
        let state = self.lock();
        Books { kernel_drops: state.books.kernel_drops + new_drops(), ..state.books }
    }

    /// Refuses what comes from now on; what is in it can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Waits for a while, or until the queue is closed, and tells whether it is.
    pub(crate) fn closed_within(&self, wait: Duration) -> bool {
        let (state, _) = self
            .filled
            .wait_timeout_while(self.lock(), wait, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    fn wake(&self, state: &mut State) {
        let is_awaited = match state.writer {
            Waits::Not => false,
            Waits::ForAny => !state.is_empty(),
            Waits::ForMany => state.is_ready(),
        };
        if is_awaited {
            // What it waits for stays there until it takes it.
            state.writer = Waits::Not;
            self.filled.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counters and heap whole: each change is complete before anything can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why the kernel refused, as a fragment: `network is unreachable`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    };
    text.to_lowercase()
}

impl State {
    fn has_room(&self) -> bool {
        !self.closed && self.heap.size_bytes() <= QUEUE_MAX_BYTES
    }

    fn is_filling(&self) -> bool {
        self.heap.size_bytes() > QUEUE_MAX_BYTES / 4 * 3
    }

    fn is_empty(&self) -> bool {
        self.heap.items.is_empty() && self.lost.is_empty()
    }

    /// Tells whether what has gathered is to be taken now.
    fn is_ready(&self) -> bool {
        let heap = &self.heap;
        self.closed || heap.awaited || heap.entries >= READY_ENTRIES || heap.bytes.len() >= READY_BYTES
    }

    /// Notes a loss at this place of the log.
    fn lose(&mut self, at_ns: i64, count: u64, reason: GapReason) {
        match self.lost.iter_mut().find(|lost| lost.reason == reason) {
            Some(lost) => lost.count += count,
            None => self.lost.push(Lost { at_ns, count, reason }),
        }
    }

    /// Gives the losses their entries.
    fn flush_gaps(&mut self) {
        for Lost { at_ns, count, reason } in self.lost.drain(..) {
            self.heap.push(Item::Gap { at_ns, lost: count, reason });
        }
    }
}

/// The receiving end of the queue, for the length of a batch.
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
        let length = payload.len();
        let state = &mut *self.state;
        state.books.received.datagrams += 1;
        state.books.received.bytes += length as u64;
        if state.heap.size_bytes() + length > QUEUE_MAX_BYTES {
            state.books.dropped.queue_full += 1;
            state.ledger.owe_gap(1, GapReason::QueueFull);
            state.lose(at_ns, 1, GapReason::QueueFull);
            return;
        }
        state.ledger.owe_message();
        state.flush_gaps();
        state.heap.receive(at_ns, peer, local, payload);
    }

    /// Tells whether the queue is more than three quarters full.
    pub(crate) fn is_filling(&self) -> bool {
        self.state.is_filling()
    }

    /// Counts a datagram whose sender is not allowed; nothing of it is kept.
    pub(crate) fn denied(&mut self, length: usize) {
        let books = &mut self.state.books;
        books.received.datagrams += 1;
        books.received.bytes += length as u64;
        books.dropped.denied += 1;
    }

    /// Counts a datagram of our own, to a group or a broadcast address, that came back; it is on record as sent.
    pub(crate) fn own(&mut self, length: usize) {
        let books = &mut self.state.books;
        books.received.datagrams += 1;
        books.received.bytes += length as u64;
        books.dropped.own += 1;
    }

    /// Counts datagrams that the kernel dropped at a socket, whose own counter is then at `counter`. They are still to be
    /// given a place in the log ([`Self::kernel_gap`]).
    pub(crate) fn kernel_drops(&mut self, socket: usize, lost: u64, counter: u32) {
        let state = &mut *self.state;
        state.books.kernel_drops += lost;
        state.ledger.owe_gap(lost, GapReason::ReceiveBufferFull);
        state.ledger.count_drops(socket, counter);
    }

    /// Marks the place of the log where datagrams are missing that the kernel dropped.
    pub(crate) fn kernel_gap(&mut self, at_ns: i64, lost: u64) {
        self.state.lose(at_ns, lost, GapReason::ReceiveBufferFull);
        // While the heap is full, the gaps of one reason become one: nothing grows.
        if self.state.has_room() {
            self.state.flush_gaps();
        }
    }
}

#[cfg(test)]
mod tests;

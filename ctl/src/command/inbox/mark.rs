//! The read mark of a consumer: moves over the entries that the reader of the output has taken.
//!
//! A terminal and a file have taken what is written to them. A pipe holds what is written until its reader takes it, so each
//! entry waits there alone while the reader keeps up: `| head -1` takes one, and the others stay unread. A reader that is
//! slower gets entries ahead; what it has taken of them is known by the number of bytes that the pipe still holds.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use udpchat_api::Client;
use udpchat_api::call::AckParams;

use crate::error::{CtlError, Result};
use crate::output::Output;

/// The most entries that are taken before the mark moves.
const ACK_ENTRIES: u64 = 256;

/// How long the mark may lag behind what is taken.
pub(super) const ACK_QUIET: Duration = Duration::from_millis(100);

/// How long a reader may take for an entry before it gets the next ones. Programs that only look at the pipe later must
/// not wait for ever for a second entry.
const PATIENCE: Duration = Duration::from_millis(400);

/// How much such a reader gets ahead, in bytes: less than a pipe holds, so that writing does not block.
const MAX_AHEAD_BYTES: u64 = 32 * 1024;

/// How often the pipe is looked at: at once for readers that keep up, then at growing intervals.
const YIELDS: u32 = 50;
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(10));

/// The read mark of a consumer.
#[derive(Debug)]
pub(super) struct Mark {
    consumer: String,
    /// The printed entries that were not taken yet: the number of printed bytes at the end of each, and its id.
    waiting: VecDeque<(u64, u64)>,
    /// The newest id that was taken.
    taken: u64,
    /// How many entries were taken since the mark last moved.
    pending: u64,
    /// Whether the reader does not keep up.
    is_behind: bool,
}

impl Mark {
    pub(super) fn new(consumer: String) -> Self {
        Self { consumer, waiting: VecDeque::new(), taken: 0, pending: 0, is_behind: false }
    }

    /// Records a printed entry. Moves the mark when it is due, and waits for a reader that keeps up.
    pub(super) async fn printed(&mut self, id: u64, output: &mut Output, client: &mut Client) -> Result<()> {
        self.waiting.push_back((output.printed_bytes(), id));
        if output.is_piped() {
            output.flush()?;
            let is_enough = |mark: &mut Self, output: &Output, waited| {
                mark.is_behind |= waited >= PATIENCE;
                mark.is_behind && output.untaken_bytes() < MAX_AHEAD_BYTES
            };
            return self.wait(output, client, is_enough).await;
        }
        self.look(output);
        if self.pending >= ACK_ENTRIES { self.ack(client).await } else { Ok(()) }
    }

    /// Waits until the reader has taken everything, then moves the mark up to `end`, the cursor behind what was printed.
    pub(super) async fn finish(&mut self, end: u64, output: &mut Output, client: &mut Client) -> Result<()> {
        output.release()?;
        self.wait(output, client, |_, _, _| false).await?;
        self.taken = self.taken.max(end);
        self.ack(client).await
    }

    /// Returns whether printed entries are not marked as read yet.
    pub(super) fn lags(&self) -> bool {
        self.pending > 0 || !self.waiting.is_empty()
    }

    /// Moves the mark over what was taken by now, also by a reader that has closed its pipe since.
    pub(super) async fn keep_up(&mut self, output: &Output, client: &mut Client) -> Result<()> {
        self.look(output);
        if self.pending > 0 { self.ack(client).await } else { Ok(()) }
    }

    /// Waits until everything was taken, or `is_enough` after so long a wait.
    async fn wait(
        &mut self,
        output: &Output,
        client: &mut Client,
        mut is_enough: impl FnMut(&mut Self, &Output, Duration) -> bool,
    ) -> Result<()> {
        let (began, mut moved, mut looks) = (Instant::now(), Instant::now(), 0);
        loop {
            self.look(output);
            let is_due = self.pending > 0 && (self.pending >= ACK_ENTRIES || moved.elapsed() >= ACK_QUIET);
            if is_due {
                self.ack(client).await?;
                moved = Instant::now();
            }
            if self.waiting.is_empty() {
                self.is_behind = false;
                return Ok(());
            }
            if output.is_abandoned() {
                return Err(CtlError::ReaderGone);
            }
            if is_enough(self, output, began.elapsed()) {
                return Ok(());
            }
            pause(looks);
            looks += 1;
        }
    }

    /// Looks which entries were taken.
    fn look(&mut self, output: &Output) {
        if self.waiting.is_empty() {
            return;
        }
        // A pipe may also hold what other programs have written: then less counts as taken, never more.
        let bytes = output.printed_bytes().saturating_sub(output.untaken_bytes());
        while let Some((_, id)) = self.waiting.front().copied().filter(|(end, _)| *end <= bytes) {
            self.waiting.pop_front();
            self.taken = id;
            self.pending += 1;
        }
    }

    async fn ack(&mut self, client: &mut Client) -> Result<()> {
        let params = AckParams { consumer: Some(self.consumer.clone()), id: self.taken };
        client.call(&params).await?;
        self.pending = 0;
        Ok(())
    }
}

/// Lets the reader run.
fn pause(looks: u32) {
    match looks.checked_sub(YIELDS) {
        None => thread::yield_now(),
        Some(pauses) => thread::sleep((PAUSES.0 * 2_u32.pow(pauses.min(10))).min(PAUSES.1)),
    }
}

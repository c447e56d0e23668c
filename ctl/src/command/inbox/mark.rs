//! The read mark of a consumer: moves over the entries that the reader of the output has taken.
//!
//! A terminal and a file have taken what is written to them. A pipe holds what is written until its reader takes it, so each
//! entry waits there alone while the reader keeps up: `| head -1` takes one, and the others stay unread. A reader that is
//! slower gets entries ahead; what it has taken of them is known by the number of bytes that the pipe still holds. So does the
//! reader of a follower, while entries arrive faster than one at a time can be taken. A pager gets none ahead: it reads when
//! it shows more.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use udpchat_api::call::AckParams;
use udpchat_api::{Client, ClientError, ErrorKind};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};
use crate::output::{Output, counted};

/// The most entries that are taken before the mark moves.
const ACK_ENTRIES: u64 = 256;

/// How long the mark may lag behind what is taken.
pub(super) const ACK_QUIET: Duration = Duration::from_millis(100);

/// How long a reader may take for an entry before it gets the next ones. Programs that only look at the pipe later must
/// not wait for ever for a second entry.
const PATIENCE: Duration = Duration::from_millis(400);

/// How much such a reader gets ahead, in bytes: less than a pipe holds, so that writing does not block.
const MAX_AHEAD_BYTES: u64 = 32 * 1024;

/// A follower's reader gets one more entry ahead for each so many that came without a pause. With one at a time, 20,000 a
/// second are too many: `cargo bench --bench latency` then has a median of 0.3 to 1.5 s, and of 6 ms with this.
const ENTRIES_PER_AHEAD: usize = 16;

/// How long a reader takes nothing until the user learns what this program waits for.
const SILENCE: Duration = Duration::from_secs(5);

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
    /// How many entries of a follower came without a pause.
    in_a_row: usize,
    /// Whether the reader does not keep up.
    is_behind: bool,
    /// Whether the user knows what this program waits for.
    is_explained: bool,
    /// Whether the daemon could not store it: then all is printed before it is tried again.
    is_unstorable: bool,
}

/// Returns whether the daemon cannot store anything now, for example because the disk is full.
pub(super) fn is_unstorable(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused(error) if error.data.kind == ErrorKind::InboxUnavailable)
}

/// The note about a reader that takes nothing, in JSON.
#[derive(Serialize)]
struct Waiting<'a> {
    message: &'a str,
    kind: &'static str,
    consumer: &'a str,
    /// How many entries it has not taken.
    entries: usize,
}

impl Mark {
    pub(super) fn new(consumer: String) -> Self {
        let waiting = VecDeque::new();
        Self {
            consumer,
            waiting,
            taken: 0,
            pending: 0,
            in_a_row: 0,
            is_behind: false,
            is_explained: false,
            is_unstorable: false,
        }
    }

    /// Records a printed entry. Moves the mark when it is due, and waits for a reader that keeps up.
    pub(super) async fn printed(&mut self, id: u64, output: &mut Output, client: &mut Client) -> Result<()> {
        self.waiting.push_back((output.printed_bytes(), id));
        if output.is_held() {
            // The entry that does not fit starts the pager, which must not get the whole buffer then.
            output.flush()?;
        }
        if output.is_piped() {
            let ahead = self.in_a_row / ENTRIES_PER_AHEAD;
            if self.waiting.len() <= ahead && output.untaken_bytes() < MAX_AHEAD_BYTES {
                return Ok(());
            }
            output.flush()?;
            let is_enough = |mark: &mut Self, output: &Output, waited| {
                mark.is_behind |= waited >= PATIENCE && !output.is_paged();
                mark.is_behind && output.untaken_bytes() < MAX_AHEAD_BYTES
            };
            return self.wait(output, client, is_enough).await;
        }
        self.look(output);
        if self.pending >= ACK_ENTRIES { self.ack(client).await } else { Ok(()) }
    }

    /// Records whether the next entry of a follower was there at once.
    pub(super) fn comes_without_pause(&mut self, at_once: bool) {
        self.in_a_row = if at_once { self.in_a_row + 1 } else { 0 };
    }

    /// Waits until the reader has taken everything, then moves the mark up to `end`, the cursor behind what was printed.
    pub(super) async fn finish(&mut self, end: u64, output: &mut Output, client: &mut Client) -> Result<()> {
        output.release()?;
        self.wait(output, client, |_, _, _| false).await?;
        self.taken = self.taken.max(end);
        self.store(client).await
    }

    /// Starts again for another inbox, which does not have the entries that were printed.
    pub(super) fn restart(&mut self) {
        self.waiting.clear();
        (self.taken, self.pending, self.is_unstorable) = (0, 0, false);
    }

    /// Returns whether printed entries are not marked as read yet.
    pub(super) fn lags(&self) -> bool {
        self.pending > 0 || self.is_unstorable || !self.waiting.is_empty()
    }

    /// Moves the mark over what was taken by now, also by a reader that has closed its pipe since.
    pub(super) async fn keep_up(&mut self, output: &Output, client: &mut Client) -> Result<()> {
        self.look(output);
        if self.pending > 0 || self.is_unstorable { self.store(client).await } else { Ok(()) }
    }

    /// Waits until everything was taken, or `is_enough` after so long a wait.
    async fn wait(
        &mut self,
        output: &mut Output,
        client: &mut Client,
        mut is_enough: impl FnMut(&mut Self, &Output, Duration) -> bool,
    ) -> Result<()> {
        let (began, mut moved, mut looks) = (Instant::now(), Instant::now(), 0);
        let mut last_taken = began;
        loop {
            let waiting = self.waiting.len();
            self.look(output);
            if self.waiting.len() < waiting {
                last_taken = Instant::now();
            }
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
            if last_taken.elapsed() >= SILENCE {
                self.explain(output);
            }
            pause(looks);
            looks += 1;
        }
    }

    /// Says once what this program waits for: its reader may wait for its end. A person sees that a pager waits, and a program
    /// that has the terminal must not be disturbed.
    fn explain(&mut self, output: &mut Output) {
        if self.is_explained || output.is_paged() || output.is_screen_taken() {
            return;
        }
        self.is_explained = true;
        let (consumer, entries) = (&self.consumer, self.waiting.len());
        let message = &tr!(
            "waiting until the program that reads this output has taken {entries}, which count as read only then; if \
             it waits for the end of this command, use --peek and `udpchatctl ack`; Ctrl+C leaves them unread",
            entries = counted(entries as u64, "entry")
        );
        output.note_with(message, &Waiting { message, kind: "waiting_for_reader", consumer, entries });
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

    /// Moves the mark over what was taken. If the daemon cannot store it now, that is left to [`Self::store`].
    async fn ack(&mut self, client: &mut Client) -> Result<()> {
        if !self.is_unstorable {
            match self.request(client).await {
                Err(error) if is_unstorable(&error) => self.is_unstorable = true,
                moved => moved?,
            }
        }
        self.pending = 0;
        Ok(())
    }

    /// Moves the mark over what was taken.
    ///
    /// # Errors
    /// Also if the daemon cannot store it now.
    async fn store(&mut self, client: &mut Client) -> Result<()> {
        let moved = self.request(client).await;
        if !matches!(&moved, Err(error) if error.is_unanswered()) {
            (self.pending, self.is_unstorable) = (0, false);
        }
        moved.map_err(|error| match error {
            error if is_unstorable(&error) => {
                CtlError::from(error).amended(|reason| tr!("{reason}; what was printed stays unread", reason))
            }
            error => error.into(),
        })
    }

    async fn request(&self, client: &mut Client) -> Result<(), ClientError> {
        let params = AckParams { consumer: Some(self.consumer.clone()), id: self.taken };
        client.call(&params).await.map(drop)
    }
}

/// Lets the reader run.
fn pause(looks: u32) {
    match looks.checked_sub(YIELDS) {
        None => thread::yield_now(),
        Some(pauses) => thread::sleep((PAUSES.0 * 2_u32.pow(pauses.min(10))).min(PAUSES.1)),
    }
}

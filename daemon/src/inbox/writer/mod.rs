//! The writer: the only thread that writes the log. It takes batches from the queue and commits each in as few
//! transactions as it can.
//!
//! Group commit: while one transaction is written to the disk, the next batch gathers. Nothing is counted as stored,
//! published to clients or acknowledged before its transaction is committed with `synchronous=FULL`. When the disk refuses,
//! the writer keeps its batch and tries again; the queue fills, and what does not fit is counted.
//!
//! What belongs here: everything that changes `inbox.db` while the daemon runs. Only start-up may depend on [`Writer`]; the
//! others go through the queue.

mod append;
mod attempt_error;
mod clock;
#[cfg(test)]
mod crash_tests;
mod delivery;
mod due;
mod full_disk;
mod kept;
mod maintenance;
mod marks;
#[cfg(test)]
mod model_tests;
mod notices;
mod open;
pub(crate) mod recode;
pub(crate) mod recovered;
mod replacements;
pub(crate) mod retention;
mod transaction;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;
use tracing::debug;
use udpchat_config::{Settings, size_limit_hint};

use self::attempt_error::AttemptError;
use self::clock::tracker::Tracker;
use self::delivery::Delivery;
use self::maintenance::{Maintenance, checkpoint};
use self::notices::Notices;
use self::recovered::{Added, awaited};
use self::replacements::Replacements;
use self::retention::Limits;
use self::transaction::{MAX_BYTES_PER_COMMIT, Outcome, append, next_commit};
use super::InboxError;
use super::address::unpack;
use super::bounced_peers::BouncedPeers;
use super::commit_watch::{CommitPublisher, Committed};
use super::file::{self, Used};
use super::kept::{Kept, KeptView};
use super::learned_encodings::LearnedEncodings;
use super::queue::{Batch, Item, MAX_RETRY_WAIT, Queue};
use super::reader::Reader;
use super::recovery::plan;
use crate::error::explain;
use crate::health::{Component, Health};
use crate::index::Anchor;
use crate::net::interface_names::InterfaceNames;
use crate::service::data_dir::DataDir;
use crate::service::watchdog::Heartbeat;

/// In a small inbox a transaction takes this part of its size at most, as a divisor, so that the write-ahead log stays in
/// proportion.
const COMMIT_PART: u64 = 64;

/// How long the writer waits after a failed transaction; doubled up to [`MAX_RETRY_WAIT`].
const FIRST_RETRY_WAIT: Duration = Duration::from_millis(100);

/// A transaction that takes longer while the queue fills counts as a time in which the inbox could not be written.
const MAX_COMMIT_TIME: Duration = Duration::from_secs(1);

/// How many transactions may fail once the daemon is stopping, before the remaining entries are given up.
const MAX_FAILURES_WHILE_STOPPING: u32 = 3;

/// The parts of the daemon that the writer uses.
pub(crate) struct Parts {
    pub(crate) data_dir: Arc<DataDir>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) learned: Arc<LearnedEncodings>,
    pub(crate) bounced_peers: Arc<BouncedPeers>,
    pub(crate) health: Arc<Health>,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    pub(crate) kept: Arc<KeptView>,
    pub(crate) interfaces: Arc<InterfaceNames>,
}

/// The writer, with its file.
pub(crate) struct Writer {
    parts: Parts,
    /// None while the file cannot be opened, or was removed.
    connection: Option<Connection>,
    /// Device and inode of the file that was opened last.
    identity: Option<(u64, u64)>,
    /// The device of its directory.
    disk: Option<u64>,
    /// Device and inode of the file whose gaps and plan readers know.
    loaded: Option<(u64, u64)>,
    /// Whether another file has taken the place of the inbox, and is not yet in use.
    takes_over: bool,
    /// Whether these have changed since, so that readers must get them again.
    must_load: bool,
    /// The newest id that was used; until the file is open, as far as the in-flight journal knows it.
    used: Used,
    stored: u64,
    /// The newest id of the last file that took the place of another one.
    taken_over: u64,
    removed: u64,
    /// How many of the removed entries were received messages that no consumer had read.
    removed_unread: u64,
    maintenance: Maintenance,
    clock: Tracker,
    publisher: CommitPublisher,
    /// Whether the last transaction has failed: after a disk error, SQLite's state in memory is not to be trusted.
    has_failed: bool,
    /// Whether the disk could not read or write since the last transaction. Then readers find damage that is none.
    disk_fails: bool,
    /// Whether the disk was full in the last transaction, or in the last step of retention.
    disk_is_full: bool,
    /// Device and inode of a file that may have a transaction which did not count, behind the newest id that was used.
    uncounted: Option<(u64, u64)>,
    /// Whether a failed transaction may have left frames behind the end of the write-ahead log. Behind later transactions they
    /// would look like lost ones.
    may_have_remains: bool,
    /// Whether entries were given up: then the daemon is stopping, and the remaining ones are given up at once.
    given_up: bool,
    replaced: Replacements,
    notices: Notices,
    kept: Kept,
    delivery: Delivery,
}

impl Writer {
    /// Stores what comes through the queue until it is closed and empty; returns how many entries were given up.
    pub(crate) fn run(mut self) -> usize {
        let queue = Arc::clone(&self.parts.queue);
        let mut batch = Batch::default();
        let (mut given_up, mut taken) = (0, Duration::ZERO);
        while queue.take(&mut batch, self.max_wait()) {
            // Everything that was received before is in this batch.
            taken = self.kept.now();
            let (mut first, mut offset) = (0, 0);
            while first < batch.items.len() {
                let (items, bytes) = next_commit(&batch, first, offset, self.max_commit_bytes());
                (first, offset) = (items.end, bytes.end);
                let items = &mut batch.items[items];
                if !self.store(items, &batch.bytes[bytes]) {
                    given_up += items.iter().map(Item::entries).sum::<usize>();
                }
                self.maintain();
                self.parts.heartbeat.record();
            }
            self.parts.heartbeat.record();
            if batch.items.is_empty() {
                self.idle();
            }
            self.note_due(taken);
        }
        if self.notices.max_wait().is_some() {
            self.notices.end_second();
            // Nothing is received since: a peer that was not silent then must not become so.
            self.note_due(taken);
        }
        if let Some(connection) = &self.connection {
            self.clock.note(connection);
            checkpoint(connection);
        }
        given_up
    }

    fn limits(&self) -> Limits {
        Limits::of(&self.parts.settings.borrow())
    }

    fn max_commit_bytes(&self) -> usize {
        let part = self.limits().max_bytes / COMMIT_PART;
        usize::try_from(part).unwrap_or(usize::MAX).min(MAX_BYTES_PER_COMMIT)
    }

    /// Returns how long the writer may wait for entries: until maintenance or the clock needs a step, and no longer than the
    /// watchdog allows.
    fn max_wait(&self) -> Option<Duration> {
        let step = match self.connection {
            Some(_) => {
                let maintenance = self.maintenance.max_wait(&self.limits());
                let kept = self.kept.max_wait(self.notices.max_wait());
                maintenance.into_iter().chain(self.clock.max_wait()).chain(kept).min()
            }
            None => Some(MAX_RETRY_WAIT),
        };
        let is_irreparable = self.parts.reader.damage().is_irreparable();
        let replacement = is_irreparable.then(|| self.replaced.wait(Instant::now()).max(FIRST_RETRY_WAIT));
        step.into_iter().chain(replacement).chain(self.parts.heartbeat.max_wait()).min()
    }

    /// Does what is to be done while nothing arrives.
    fn idle(&mut self) {
        if self.connection.is_none() {
            match self.reopen() {
                Ok(()) => self.parts.health.succeeded(Component::InboxWrite),
                Err(error) => self.report(&error),
            }
        }
        self.maintain();
        if let Some(connection) = &self.connection {
            self.maintenance.tidy_up(connection);
        }
    }

    fn maintain(&mut self) {
        let limits = self.limits();
        let Some(connection) = &mut self.connection else { return };
        let clock = self.clock.update(connection, self.used.newest.id, limits.max_age.is_some());
        let step = self.maintenance.step(connection, limits, clock);
        self.may_have_remains |= self.maintenance.has_failed() | self.clock.take_failure();
        if self.maintenance.lacks_room() {
            self.note_full_disk(true);
        } else if !self.has_failed && !self.maintenance.has_failed() {
            self.note_full_disk(false);
        }
        let damage = self.parts.reader.damage();
        if self.maintenance.met_damage() {
            damage.marker().give_up();
        }
        // While the disk fails, nothing shows that the file is damaged.
        if damage.is_irreparable() && !self.disk_fails && self.may_replace() {
            self.replace_damaged_or_report();
        }
        if step.removed > 0 {
            self.removed += step.removed;
            self.removed_unread += step.removed_unread;
            self.update_awaited();
            self.publish();
        }
    }

    /// Commits a part of the batch and publishes it; false if it was given up because the daemon stops.
    fn store(&mut self, items: &mut [Item], bytes: &[u8]) -> bool {
        let (mut failures, mut wait, began) = (0, FIRST_RETRY_WAIT, self.kept.now());
        while !self.given_up {
            // Also where the disk refuses: a restarted daemon could do no more, and would lose what waits in memory.
            self.parts.heartbeat.record();
            let is_damage = match self.attempt(items, bytes) {
                Ok(outcome) => {
                    (self.has_failed, self.uncounted) = (false, None);
                    self.note_full_disk(false);
                    if std::mem::take(&mut self.disk_fails) {
                        self.forget_damage();
                    }
                    self.parts.health.succeeded(Component::InboxWrite);
                    let took = self.kept.now().saturating_sub(began);
                    // The queue does not empty meanwhile. Where it has room, everything that was received is in it.
                    if failures > 0 || took > MAX_COMMIT_TIME && self.parts.queue.is_filling() {
                        self.kept.pause(took);
                    }
                    self.publish_commit(items, outcome);
                    self.remove_remains();
                    return true;
                }
                Err(error) => {
                    (self.has_failed, self.may_have_remains) = (true, true);
                    self.disk_fails |= error.is_io();
                    self.note_full_disk(error.is_disk_full());
                    self.report(&error);
                    error.is_damage()
                }
            };
            if matches!(items, [Item::Recovered(_)]) {
                // The plan still has it, unless the commit has succeeded after all; what arrives must not wait for it.
                self.must_load = true;
                return false;
            }
            if matches!(items, [Item::Due(_)]) {
                // What is received meanwhile may change it, and comes first.
                return false;
            }
            failures += 1;
            self.given_up = self.parts.queue.closed_within(wait) && failures >= MAX_FAILURES_WHILE_STOPPING;
            wait = (wait * 2).min(MAX_RETRY_WAIT);
            // What was read wrong may be right when it is read again.
            if is_damage && failures > 1 && self.may_replace() {
                self.replace_damaged_or_report();
            }
        }
        false
    }

    /// Empties the write-ahead log after a failure.
    fn remove_remains(&mut self) {
        if self.may_have_remains
            && let Some(connection) = &self.connection
        {
            self.may_have_remains = !checkpoint(connection);
        }
    }

    /// Commits a part of the batch; opens the file first if it is not open, or again if the attempt before failed.
    fn attempt(&mut self, items: &[Item], bytes: &[u8]) -> Result<Outcome, AttemptError> {
        if self.connection.is_none() || self.has_failed {
            self.reopen()?;
        }
        self.make_room()?;
        if let Some(outcome) = self.commit_in_place(items, bytes)? {
            return Ok(outcome);
        }
        self.reopen()?;
        Ok(self.commit_in_place(items, bytes)?.ok_or(InboxError::Removed)?)
    }

    /// Commits a part of the batch into the file that has the inbox's name; none if that is no longer the open file. SQLite would
    /// continue to write into a removed one.
    fn commit_in_place(&mut self, items: &[Item], bytes: &[u8]) -> Result<Option<Outcome>, InboxError> {
        self.uncounted = self.identity;
        let outcome = self.commit(items, bytes)?;
        if self.is_in_place() {
            return Ok(Some(outcome));
        }
        let problem = format!(
            "the inbox was removed or replaced while it was in use: its entries up to #{} are lost, unless its file was only \
             moved away",
            self.used.newest.id
        );
        self.parts.health.note(Component::InboxReplaced, problem);
        Ok(None)
    }

    /// Returns whether the open file is still the one of the inbox's name. If that cannot be found out, nothing shows that it
    /// was removed.
    fn is_in_place(&self) -> bool {
        file::identity(&self.parts.data_dir).map_or(true, |found| found == self.identity)
    }

    fn commit(&mut self, items: &[Item], bytes: &[u8]) -> Result<Outcome, InboxError> {
        let mut outcome =
            Outcome { newest_id: self.used.newest.id, notices: self.notices.clone(), ..Outcome::default() };
        let fallback = self.parts.settings.borrow().text.fallback.for_reading();
        let max_inbox_bytes = self.limits().max_bytes;
        let connection = self.connection.as_mut().ok_or(InboxError::NotOpen)?;
        // After the batch was taken: its entries have times of the clock as it was until now.
        let history = self.clock.next(connection, self.used.newest.id)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(history) = &history {
            Tracker::write(&transaction, history)?;
        }
        let kept = kept::Context { kept: &self.kept, max_inbox_bytes };
        append(&transaction, items, bytes, &mut outcome, (&kept, &self.delivery), |updates, id, record| {
            if !record.payload.is_ascii()
                && let Some(peer) = unpack(record.peer)
            {
                let proof = |remembered| udpchat_text::evidence(record.payload, remembered, fallback);
                updates.learn(&self.parts.learned, peer, id, proof);
            }
        })?;
        outcome.updates.write(&self.parts.learned, &transaction)?;
        transaction.commit()?;
        if let Some(history) = history {
            self.clock.adopt(history);
        }
        Ok(outcome)
    }

    /// Publishes the committed entries, then answers the clients that wait for them.
    fn publish_commit(&mut self, items: &mut [Item], outcome: Outcome) {
        let newest = outcome.newest_at_ns.map(|at_ns| Anchor { id: outcome.newest_id, at_ns });
        self.used.newest = newest.unwrap_or(self.used.newest);
        self.stored += outcome.stored.messages;
        self.notices = outcome.notices;
        self.delivery.adopt(outcome.delivery);
        self.parts.learned.apply(outcome.updates);
        if let Some(added) = outcome.added {
            self.publish_recovered(added);
        }
        self.parts.queue.count_stored(&outcome.stored, newest);
        if outcome.bounced > 0 {
            self.parts.queue.count_bounced(outcome.bounced);
        }
        // First, so that a client that reads a notice finds in `status` what it says.
        let announcement = self.apply_kept(outcome.kept);
        self.publish();
        announcement.announce(items);
        let waiting = items.iter_mut().filter_map(|item| match item {
            Item::Sent(sent) => Some(&mut sent.stored),
            Item::Mark(mark) => Some(&mut mark.stored),
            Item::Recode(recode) => Some(&mut recode.stored),
            Item::Recovered(recovered) => Some(&mut recovered.stored),
            Item::Cancel(cancel) => Some(&mut cancel.stored),
            Item::Received { .. } | Item::Bounce(_) | Item::Gap { .. } | Item::Hold(_) | Item::Due(_) => None,
        });
        for (waiting, answer) in waiting.zip(outcome.answers) {
            if let Some(waiting) = waiting.take() {
                // The client may have disconnected.
                let _gone = waiting.send(answer);
            }
        }
    }

    /// Lets readers see recovered entries.
    fn publish_recovered(&self, added: Added) {
        let damage = self.parts.reader.damage();
        for (first, last) in added.gaps {
            damage.record(first, last);
        }
        self.update_awaited();
        if added.has_peers
            && let Some(connection) = &self.connection
            && let Err(error) = self.parts.learned.load(connection)
        {
            debug!("{}", explain("the encodings of peers cannot be read", &error));
        }
    }

    /// Lets readers know what a recovery has still to bring. After an error the ids stay awaited; the next chunk, or the next
    /// start, finds them in the plan again.
    fn update_awaited(&self) {
        let damage = self.parts.reader.damage();
        if damage.awaited().is_some()
            && let Some(connection) = &self.connection
            && let Ok(segments) = plan::read(connection, &self.parts.data_dir)
        {
            damage.set_awaited(awaited(&segments));
        }
    }

    fn publish(&self) {
        self.publish_up_to(self.used.newest.id);
    }

    fn publish_up_to(&self, newest_id: u64) {
        self.parts.reader.publish(newest_id);
        self.publisher.publish(Committed {
            newest_id,
            stored: self.stored,
            taken_over: self.taken_over,
            removed: self.removed,
            removed_unread: self.removed_unread,
        });
    }

    fn report(&self, error: &dyn Error) {
        let mut problem = explain("the inbox cannot be written, new messages wait in memory", error);
        // SQLite reports it as any other error of a write.
        if let Some(limit) = size_limit_hint() {
            problem += &format!("; {limit}");
        }
        self.parts.health.report(Component::InboxWrite, problem);
    }
}

#[cfg(test)]
mod tests;

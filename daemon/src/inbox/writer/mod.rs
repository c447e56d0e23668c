//! The one writer: takes what has gathered in the queue, and makes it durable in as few transactions as it can.
//!
//! Group commit: while one transaction is on its way to the disk, the next gathers. Nothing is counted as stored,
//! shown to a client or acknowledged before its transaction is committed with `synchronous=FULL`. When the disk
//! refuses, the writer keeps what it has and tries again; the queue fills, and what does not fit is counted.

pub(crate) mod append;
#[cfg(test)]
mod ends;
mod maintenance;
pub(crate) mod recode;
pub(crate) mod retention;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::watch;
use tracing::debug;
use udpchat_config::Settings;

use super::GapDetail;
use super::address::unpack;
use super::commit_watch;
use super::commit_watch::{Follower, Progress, Publisher};
use super::file;
use super::file::{Known, OpenError};
use super::inflight;
use super::inflight::{Dues, Ledger};
use super::learned_encodings::{Lessons, Speech};
use super::queue::packed::{Record, Records};
use super::queue::{Heap, Item, MarkItem, Queue};
use super::reader::{Reader, read_mark};
use super::writer::append::Appender;
use super::writer::retention::Limits;
use crate::encoding;
use crate::error;
use crate::health::{Component, Health};
use crate::index::Anchor;
use crate::service::watchdog::Heartbeat;
use maintenance::Upkeep;

/// How many entries one transaction takes at most.
const MAX_ENTRIES_PER_COMMIT: usize = 16_384;

/// How many bytes of messages one transaction takes at most, a run more or less; and in a small inbox this part of it,
/// as a divisor, so that the write-ahead log stays in proportion.
const MAX_BYTES_PER_COMMIT: usize = 4 * 1024 * 1024;
const COMMIT_PART: u64 = 64;

/// How long the writer waits after a failed transaction; doubled up to the maximum.
const FIRST_RETRY_WAIT: Duration = Duration::from_millis(100);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(2);

/// How many transactions may fail once the daemon is stopping, before what is left is given up.
const MAX_FAILURES_WHILE_STOPPING: u32 = 3;

/// How often it is looked whether the file still has its name.
const REPLACEMENT_CHECK: Duration = Duration::from_secs(1);

/// What the writer needs of the rest of the daemon.
pub(crate) struct Parts {
    pub(crate) data_dir: PathBuf,
    pub(crate) queue: Arc<Queue>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) speech: Arc<Speech>,
    pub(crate) health: Arc<Health>,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) heartbeat: Arc<Heartbeat>,
    /// Called now and then while opening the inbox takes long.
    pub(crate) still_working: Box<dyn Fn() + Send>,
}

/// The writer, with its file open.
pub(crate) struct Writer {
    parts: Parts,
    connection: Connection,
    /// Device and inode of the open file, and when they were last compared with those of its name.
    identity: Option<(u64, u64)>,
    compared: Instant,
    newest_id: u64,
    stored: u64,
    removed: u64,
    upkeep: Upkeep,
    progress: Publisher,
    /// Whether entries were given up: then the daemon is stopping, and what is left is given up at once.
    given_up: bool,
}

/// What a transaction did, to be told once it is committed.
#[derive(Default)]
struct Outcome {
    stored: Dues,
    newest_id: u64,
    /// The time of that entry, if it is a new one.
    newest_at_ns: Option<i64>,
    lessons: Lessons,
    /// The ids of sent messages, the marks and the numbers of recoded messages, in the order of their items.
    answers: Vec<u64>,
}

impl Writer {
    /// Opens the inbox, compares it with what the last daemon has left in the ledger, and tells how far it is durable.
    ///
    /// The ledger, which may have to be made, is opened only once the inbox was not refused.
    pub(crate) fn open(
        parts: Parts,
        open_ledger: impl FnOnce() -> Ledger,
    ) -> Result<(Self, Follower, Ledger), OpenError> {
        let opened = file::open_behind(&parts.data_dir, Known::default(), &parts.still_working)?;
        let (progress, followers) = commit_watch::channel();
        let mut writer = Self {
            parts,
            connection: opened.connection,
            identity: None,
            compared: Instant::now(),
            newest_id: 0,
            stored: 0,
            removed: 0,
            upkeep: Upkeep::new(),
            progress,
            given_up: false,
        };
        writer.settle(opened.set_aside)?;
        let mut ledger = open_ledger();
        ledger.compare(&writer.connection).map_err(|source| writer.unusable(source))?;
        writer.publish();
        Ok((writer, followers, ledger))
    }

    /// Stores what comes through the queue until that is closed and empty; returns how many entries were given up.
    pub(crate) fn run(mut self) -> usize {
        let queue = Arc::clone(&self.parts.queue);
        let mut heap = Heap::default();
        let mut given_up = 0;
        while queue.take(&mut heap, self.patience()) {
            let (mut first, mut offset) = (0, 0);
            while first < heap.items.len() {
                let (items, bytes) = next_commit(&heap, first, offset, self.max_commit_bytes());
                (first, offset) = (items.end, bytes.end);
                let items = &mut heap.items[items];
                if !self.store(items, &heap.bytes[bytes]) {
                    given_up += items.iter().map(Item::entries).sum::<usize>();
                }
                self.keep_up();
                self.parts.heartbeat.record();
            }
            self.parts.heartbeat.record();
            if heap.items.is_empty() {
                self.keep_up();
                self.tidy_up();
            }
        }
        self.put_together();
        given_up
    }

    fn limits(&self) -> Limits {
        Limits::of(&self.parts.settings.borrow())
    }

    fn max_commit_bytes(&self) -> usize {
        let part = self.limits().max_bytes / COMMIT_PART;
        usize::try_from(part).unwrap_or(usize::MAX).min(MAX_BYTES_PER_COMMIT)
    }

    /// Makes a part of the heap durable and tells everybody; false if it was given up, because the daemon stops.
    fn store(&mut self, items: &mut [Item], bytes: &[u8]) -> bool {
        let (mut failures, mut wait) = (0, FIRST_RETRY_WAIT);
        self.notice_replacement();
        while !self.given_up {
            // Also where the disk refuses: a new daemon could do no more, and would not have what waits in memory.
            self.parts.heartbeat.record();
            match self.commit(items, bytes) {
                Ok(outcome) => {
                    self.parts.health.clear(Component::InboxWrite);
                    self.tell(items, outcome);
                    return true;
                }
                Err(error) => self.report(&error),
            }
            failures += 1;
            self.given_up = self.parts.queue.closed_within(wait) && failures >= MAX_FAILURES_WHILE_STOPPING;
            wait = (wait * 2).min(MAX_RETRY_WAIT);
            // After an error of the disk, what SQLite holds in memory is not to be trusted. If it does not open
            // either, the next transaction fails too and is reported.
            if let Err(error) = self.reopen() {
                debug!("{}", explain("the inbox cannot be opened", &error));
            }
        }
        false
    }

    /// Notices that the file was removed or replaced: SQLite would go on writing into one that nobody can open again.
    fn notice_replacement(&mut self) {
        if self.compared.elapsed() < REPLACEMENT_CHECK {
            return;
        }
        self.compared = Instant::now();
        if self.identity == file::identity(&self.parts.data_dir) {
            return;
        }
        let problem =
            "the inbox's file was removed or replaced while it was in use; what it held is gone from here";
        self.parts.health.report(Component::InboxReplaced, problem.to_owned());
        if let Err(error) = self.reopen() {
            debug!("{}", explain("the inbox cannot be opened", &error));
        }
    }

    fn commit(&mut self, items: &[Item], bytes: &[u8]) -> rusqlite::Result<Outcome> {
        let mut outcome = Outcome { newest_id: self.newest_id, ..Outcome::default() };
        let fallback = *self.parts.settings.borrow().text.fallback;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        append(&transaction, items, bytes, &mut outcome, |lessons, id, record| {
            if let Some(encoding) = encoding::strong_evidence(record.payload, fallback)
                && let Some(peer) = unpack(record.peer)
            {
                lessons.note(&self.parts.speech, peer, encoding, id);
            }
        })?;
        outcome.lessons.write(&self.parts.speech, &transaction)?;
        transaction.commit()?;
        Ok(outcome)
    }

    /// Lets the committed entries be seen, then answers those who wait for them.
    fn tell(&mut self, items: &mut [Item], outcome: Outcome) {
        self.newest_id = outcome.newest_id;
        self.stored += outcome.stored.messages;
        self.parts.speech.adopt(outcome.lessons);
        let newest = outcome.newest_at_ns.map(|at_ns| Anchor { id: outcome.newest_id, at_ns });
        self.parts.queue.count_stored(&outcome.stored, newest);
        self.publish();
        let waiting = items.iter_mut().filter_map(|item| match item {
            Item::Sent(sent) => Some(&mut sent.stored),
            Item::Mark(mark) => Some(&mut mark.stored),
            Item::Recode(recode) => Some(&mut recode.stored),
            Item::Received { .. } | Item::Gap { .. } => None,
        });
        for (waiting, answer) in waiting.zip(outcome.answers) {
            if let Some(waiting) = waiting.take() {
                // Whoever asked may have gone away.
                let _gone = waiting.send(answer);
            }
        }
    }

    fn publish(&self) {
        self.parts.reader.publish(self.newest_id);
        self.progress.publish(Progress {
            newest_id: self.newest_id,
            stored: self.stored,
            removed: self.removed,
        });
    }

    fn report(&self, error: &rusqlite::Error) {
        let problem = explain("the inbox cannot be written, new messages wait in memory", error);
        self.parts.health.report(Component::InboxWrite, problem);
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        let known = Known { newest_id: self.newest_id, identity: self.identity };
        let opened = file::open_behind(&self.parts.data_dir, known, &self.parts.still_working)?;
        self.connection = opened.connection;
        self.upkeep.begin_anew();
        self.parts.reader.reopen();
        self.settle(opened.set_aside)
    }

    /// Finds out where the log ends. In a file begun anew while running, ids go on from where they were.
    fn settle(&mut self, set_aside: Option<PathBuf>) -> Result<(), OpenError> {
        let newest = inflight::newest(&self.connection).map_err(|source| self.unusable(source))?;
        self.parts.speech.load(&self.connection).map_err(|source| self.unusable(source))?;
        self.parts.queue.notice_end(newest);
        self.newest_id = self.newest_id.max(newest.id);
        self.identity = file::identity(&self.parts.data_dir);
        if let Some(path) = set_aside {
            let problem =
                format!("the inbox was damaged; it is set aside as {}, a new one was begun", path.display());
            self.parts.health.report(Component::InboxQuarantine, problem);
        }
        Ok(())
    }

    fn unusable(&self, source: rusqlite::Error) -> OpenError {
        OpenError::Database { path: self.parts.data_dir.join(file::FILE_NAME), source }
    }
}

/// Says what failed, with the causes behind it.
fn explain(what: &str, error: &dyn std::error::Error) -> String {
    format!("{what}: {}", error::chain(error).join(": "))
}

/// Cuts the next transaction off the heap: the items from `first` on, and their bytes from `offset` on.
fn next_commit(heap: &Heap, first: usize, offset: usize, max_bytes: usize) -> (Range<usize>, Range<usize>) {
    let (mut items, mut bytes, mut entries) = (first..first, offset..offset, 0);
    for item in &heap.items[first..] {
        if entries >= MAX_ENTRIES_PER_COMMIT || bytes.len() >= max_bytes {
            break;
        }
        items.end += 1;
        entries += item.entries();
        if let Item::Received { bytes: length, .. } = item {
            bytes.end += length;
        }
        // It changes pages anywhere in the file, so one is enough for a transaction.
        if matches!(item, Item::Recode(_)) {
            break;
        }
    }
    (items, bytes)
}

/// Appends the items in their order, and lets `learn` look at each received message.
fn append(
    transaction: &Transaction<'_>,
    items: &[Item],
    mut bytes: &[u8],
    outcome: &mut Outcome,
    mut learn: impl FnMut(&mut Lessons, u64, &Record<'_>),
) -> rusqlite::Result<()> {
    let mut log = Appender::new(transaction, outcome.newest_id)?;
    for item in items {
        match item {
            Item::Received { messages, bytes: length } => {
                let (records, rest) = bytes.split_at(*length);
                bytes = rest;
                for record in Records::new(records) {
                    learn(&mut outcome.lessons, log.received(record)?, &record);
                    outcome.newest_at_ns = Some(record.at_ns);
                }
                outcome.stored.messages += *messages as u64;
            }
            Item::Sent(sent) => {
                outcome.answers.push(log.sent(sent)?);
                outcome.newest_at_ns = Some(sent.at_ns);
            }
            Item::Gap { at_ns, lost, reason } => {
                log.gap(*at_ns, &GapDetail { lost: *lost, reason: reason.name().to_owned() })?;
                outcome.stored.lose(*lost, *reason);
                outcome.newest_at_ns = Some(*at_ns);
            }
            Item::Mark(mark) => outcome.answers.push(set_mark(transaction, mark)?),
            Item::Recode(recode) => {
                outcome.answers.push(recode::write(transaction, recode)?);
                for peer in &recode.peers {
                    outcome.lessons.give(*peer, recode.encoding, outcome.newest_id);
                }
            }
        }
    }
    outcome.newest_id = log.finish()?;
    Ok(())
}

/// Moves a consumer's read mark, never back; returns where it stands.
fn set_mark(transaction: &Transaction<'_>, mark: &MarkItem) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached(
            "INSERT INTO consumer (name, read_id) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET read_id = max(read_id, ?2)",
        )?
        .execute(params![mark.consumer, mark.read_id])?;
    read_mark(transaction, &mark.consumer)
}

#[cfg(test)]
mod tests;

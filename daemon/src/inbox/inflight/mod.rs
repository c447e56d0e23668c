//! The ledger: what the log is still owed, noted where the end of the process does not reach it.
//!
//! A message that was received, and a datagram that is known to be lost, is owed to the log until a transaction that holds
//! it, or a gap for it, is durable. Until then it is in memory only, and a process can be killed at any moment. So the
//! ledger's [`page`] tells after each batch and each transaction how much is owed, and behind which entry; it lies in a
//! file, in the kernel's cache, which outlives the process. The next daemon compares it with what the log has got
//! behind that entry, and what is missing becomes gaps.
//!
//! The comparison can miss losses, and never invents any. Each transaction is durable before the page says so, hence the log
//! holds at least what the page says it holds. After a power cut the page may be older than the log: what was
//! committed since then is counted as if it had been owed before, so the difference is what is missing, or less. A page that
//! is torn, or of another log, is not believed.

mod page;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

pub(super) use self::page::SocketDrops;
use self::page::{PAGE_BYTES, Page};
use super::queue::reason as cause;
use super::reader::{COUNT_NOT_RECEIVED, bounds, has};
use super::{GapDetail, GapReason, Kind};
use crate::clock;
use crate::health::{Component, Health};
use crate::index::Anchor;
use crate::net::drops::KernelDrops;
use crate::net::platform;
use crate::service::lock::open_own;

/// The file's name in the data directory.
const FILE_NAME: &str = "books";

/// Messages and losses that the log holds, or will have to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dues {
    pub(super) messages: u64,
    /// Datagrams in gaps, by the number of the reason.
    lost: [u64; Self::REASONS],
}

impl Dues {
    /// How many reasons there are.
    const REASONS: usize = GapReason::ALL.len();

    /// Adds datagrams that are lost.
    pub(super) fn lose(&mut self, lost: u64, reason: GapReason) {
        let sum = &mut self.lost[reason as usize];
        *sum = sum.saturating_add(lost);
    }

    /// Lists what is lost, by reason.
    pub(super) fn losses(&self) -> impl Iterator<Item = (GapReason, u64)> {
        GapReason::ALL.into_iter().zip(self.lost).filter(|(_, lost)| *lost > 0)
    }

    /// Returns how many datagrams that are.
    fn total(&self) -> u64 {
        self.lost.iter().fold(self.messages, |total, lost| total.saturating_add(*lost))
    }

    /// Returns what is left of it without another, of each kind 0 at least.
    fn without(mut self, other: &Self) -> Self {
        self.messages = self.messages.saturating_sub(other.messages);
        for (lost, other) in self.lost.iter_mut().zip(other.lost) {
            *lost = lost.saturating_sub(other);
        }
        self
    }

    /// Leaves so many datagrams of it at most.
    fn at_most(mut self, most: u64) -> Self {
        let mut left = most;
        for part in self.lost.iter_mut().chain([&mut self.messages]) {
            *part = left.min(*part);
            left -= *part;
        }
        self
    }
}

/// The ledger. By default it has no file, and is forgotten with the process.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    page: Page,
    changed: bool,
    file: Option<PageFile>,
    /// What the last daemon has left.
    last: Page,
    /// What of that the log has not got.
    missing: Dues,
}

impl Ledger {
    /// Opens the ledger of a data directory, and makes its file where there is none, so that room on the disk is needed
    /// only now. Without a file the daemon does all else, and its health says what it does not.
    pub(crate) fn open(data_dir: &Path, health: &Arc<Health>) -> Self {
        let mut ledger = Self::default();
        ledger.page.boot_id = platform::boot_id().unwrap_or(0);
        match PageFile::open(&data_dir.join(FILE_NAME), Arc::clone(health)) {
            Ok((file, last)) => {
                ledger.file = Some(file);
                ledger.last = last.unwrap_or_default();
            }
            Err(error) => report(health, &error),
        }
        ledger
    }

    /// Finds out what the last daemon owed and the log has not got. From here on the log is what it is now.
    pub(super) fn compare(&mut self, log: &Connection) -> rusqlite::Result<()> {
        if let Some(held) = held_behind(log, self.last.newest)? {
            let owed = &self.last.owed;
            // Kind by kind, so that the gaps tell the right reasons. But what was owed as a message may since have come as a
            // gap, so the sums decide how much it is.
            self.missing = owed.without(&held).at_most(owed.total().saturating_sub(held.total()));
        }
        self.page.newest = newest(log)?;
        Ok(())
    }

    /// Continues to count a listening socket's drops where the last daemon stopped. Must be called for each socket, in the
    /// order of their numbers, after [`Self::compare`].
    pub(crate) fn resume(&mut self, drops: &KernelDrops) {
        let cookie = drops.cookie().unwrap_or(0);
        drops.resume(self.counted_before(cookie));
        self.add_socket(SocketDrops { cookie, drops: drops.counted() });
    }

    /// Adds a listening socket, with the drops that are counted.
    pub(super) fn add_socket(&mut self, socket: SocketDrops) {
        self.page.sockets.push(socket);
        self.changed = true;
    }

    /// Returns up to where the drops of a socket are in this log; none if that is not known.
    ///
    /// A socket is found again by its cookie, which the kernel may use again after a reboot, so the boot identifier must
    /// be the same. A socket that the last daemon did not have is new to this log, and so are all its drops.
    pub(super) fn counted_before(&self, cookie: u64) -> Option<u32> {
        let known = self.last.sockets.iter().find(|socket| socket.cookie == cookie && cookie != 0);
        if self.last.boot_id != 0 && self.last.boot_id != self.page.boot_id {
            return Some(0);
        }
        match known {
            Some(known) => Some(known.drops),
            None if self.last.boot_id != 0 || self.page.newest.id == 0 => Some(0),
            // A page is missing, or is of a version without cookies: the log may have some of the drops already.
            None => None,
        }
    }

    /// Owes the log what the last daemon has left; returns that as losses, and when that daemon was last seen, in nanoseconds
    /// since 1970.
    pub(super) fn carry_over(&mut self) -> (i64, Dues) {
        let mut losses = std::mem::take(&mut self.missing);
        let messages = std::mem::take(&mut losses.messages);
        losses.lose(messages, GapReason::DaemonEnded);
        self.page.owed = losses;
        self.changed = true;
        (self.last.at_ns, losses)
    }

    /// Owes a message.
    pub(super) fn owe_message(&mut self) {
        self.page.owed.messages += 1;
        self.changed = true;
    }

    /// Owes a gap for datagrams that are lost.
    pub(super) fn owe_gap(&mut self, lost: u64, reason: GapReason) {
        self.page.owed.lose(lost, reason);
        self.changed = true;
    }

    /// Notes up to where a socket's drops are owed.
    pub(super) fn count_drops(&mut self, socket: usize, drops: u32) {
        if let Some(known) = self.page.sockets.get_mut(socket) {
            known.drops = drops;
            self.changed = true;
        }
    }

    /// Notes what a transaction has made durable, and the newest entry, if it has brought one.
    pub(super) fn pay(&mut self, paid: &Dues, newest: Option<Anchor>) {
        self.page.owed = self.page.owed.without(paid);
        self.page.newest = newest.unwrap_or(self.page.newest);
        self.changed = true;
    }

    /// Notes where the log ends, if that is not where this one did: then it is another one.
    pub(super) fn notice_end(&mut self, newest: Anchor) {
        if newest.id <= self.page.newest.id && newest != self.page.newest {
            self.page.newest = newest;
            self.changed = true;
        }
    }

    /// Writes the page down, if it has changed.
    pub(super) fn note(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Some(file) = &mut self.file
        {
            self.page.at_ns = clock::now_ns();
            file.write(&self.page);
        }
    }
}

/// Returns the newest entry of a log; of an empty one its beginning.
pub(super) fn newest(log: &Connection) -> rusqlite::Result<Anchor> {
    let newest = "SELECT id, at_ns FROM entry ORDER BY id DESC LIMIT 1";
    match log.query_row(newest, [], anchor).optional()? {
        Some(newest) => Ok(newest),
        None => beginning(log).map(Option::unwrap_or_default),
    }
}

/// Returns what stands for the entry before the first one of a log.
fn beginning(log: &Connection) -> rusqlite::Result<Option<Anchor>> {
    log.query_row("SELECT first_id - 1, begun_ns FROM log", [], anchor).optional()
}

fn anchor(row: &Row<'_>) -> rusqlite::Result<Anchor> {
    Ok(Anchor { id: row.get(0)?, at_ns: row.get(1)? })
}

/// Counts what a log holds behind an entry; none if it has not got that entry, or no longer all that was behind it.
fn held_behind(log: &Connection, anchor: Anchor) -> rusqlite::Result<Option<Dues>> {
    let bounds = bounds(log)?;
    // Only the oldest entries are ever removed: where the entry is, all behind it are.
    let is_known = has(log, anchor)? || (beginning(log)? == Some(anchor) && bounds.oldest == anchor.id + 1);
    if !is_known {
        return Ok(None);
    }
    let others: u64 = log.query_row(COUNT_NOT_RECEIVED, [anchor.id, bounds.newest], |row| row.get(0))?;
    let mut held = Dues { messages: bounds.newest - anchor.id - others, ..Dues::default() };
    // As SQLite wants it for the partial index: with that one's own condition.
    let gaps = format!(
        "SELECT detail FROM entry INDEXED BY entry_not_received WHERE id > ?1 AND kind <> 0 AND kind = {}",
        Kind::Gap as i64
    );
    let mut gaps = log.prepare(&gaps)?;
    let mut rows = gaps.query([anchor.id])?;
    while let Some(row) = rows.next()? {
        let Ok(gap) = serde_json::from_str::<GapDetail>(row.get_ref(0)?.as_str()?) else { return Ok(None) };
        // What a later version calls otherwise was not owed by this one's names either.
        if let Some(reason) = GapReason::ALL.into_iter().find(|reason| reason.name() == gap.reason) {
            held.lose(gap.lost, reason);
        }
    }
    Ok(Some(held))
}

/// The file that holds the page.
#[derive(Debug)]
struct PageFile {
    file: File,
    health: Arc<Health>,
    faulty: bool,
}

impl PageFile {
    /// Opens the file, or makes it, and reads what is in it, as far as that is a page.
    fn open(path: &Path, health: Arc<Health>) -> std::io::Result<(Self, Option<Page>)> {
        let file = open_own(path)?;
        let mut bytes = [0; PAGE_BYTES];
        if file.metadata()?.len() < PAGE_BYTES as u64 {
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
        }
        file.read_exact_at(&mut bytes, 0)?;
        Ok((Self { file, health, faulty: false }, Page::decode(&bytes)))
    }

    /// Writes a page, into the kernel's cache: a write over what is there waits for no disk, some microseconds.
    fn write(&mut self, page: &Page) {
        let (bytes, length) = page.encode();
        match self.file.write_all_at(&bytes[..length], 0) {
            Ok(()) if !self.faulty => {}
            Ok(()) => {
                self.faulty = false;
                self.health.clear(Component::InflightJournal);
            }
            Err(error) => {
                self.faulty = true;
                report(&self.health, &error);
            }
        }
    }
}

fn report(health: &Health, error: &std::io::Error) {
    let problem = format!(
        "the file `{FILE_NAME}` in the data directory cannot be used ({}): what a daemon that is killed has in hand would \
         be lost uncounted",
        cause(error)
    );
    health.report(Component::InflightJournal, problem);
}

#[cfg(test)]
mod tests;

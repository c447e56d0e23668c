//! The in-flight journal in memory and in its file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::counts::EntryCounts;
use super::page::{PAGE_BYTES, Page, SocketDrops};
use crate::clock;
use crate::error::reason;
use crate::health::{Component, Health};
use crate::inbox::InboxError;
use crate::inbox::entry::{GapDetail, GapReason, Kind};
use crate::inbox::queries::{COUNT_NOT_RECEIVED, beginning, bounds, has, newest};
use crate::index::Anchor;
use crate::net::drops::KernelDrops;
use crate::net::platform;
use crate::service::lock::open_own;

/// The file's name in the data directory. It is part of the file format, and older than the name of the journal.
const FILE_NAME: &str = "books";

/// The journal. By default it has no file, and ends with the process.
#[derive(Debug, Default)]
pub(crate) struct InflightJournal {
    page: Page,
    changed: bool,
    file: Option<PageFile>,
    /// The page that the previous daemon left.
    last: Page,
    /// What was pending on that page and is not in the log.
    missing: EntryCounts,
}

impl InflightJournal {
    /// Opens the journal of a data directory, and creates its file where there is none, so that it needs space on the disk
    /// only now. If the file cannot be used, the daemon runs without it, and its health reports that.
    pub(crate) fn open(data_dir: &Path, health: &Arc<Health>) -> Self {
        let mut journal = Self::default();
        journal.page.boot_id = platform::boot_id().unwrap_or(0);
        match PageFile::open(&data_dir.join(FILE_NAME), Arc::clone(health)) {
            Ok((file, last)) => {
                journal.file = Some(file);
                journal.last = last.unwrap_or_default();
            }
            Err(error) => report(health, &error),
        }
        journal
    }

    /// Finds out which pending datagrams of the previous daemon the log does not hold. From here on the journal follows
    /// the log as it is now.
    pub(in crate::inbox) fn compare(&mut self, log: &Connection) -> Result<(), InboxError> {
        if let Some(held) = held_behind(log, self.last.newest)? {
            let pending = &self.last.pending;
            // Kind by kind, so that the gaps have the right reasons. But a pending message may have been stored as a gap
            // since then, so the sums limit the result.
            self.missing = pending.without(&held).at_most(pending.total().saturating_sub(held.total()));
        }
        self.page.newest = newest(log)?;
        Ok(())
    }

    /// Continues to count a listening socket's drops where the previous daemon stopped. Must be called for each socket, in the
    /// order of their numbers, after [`Self::compare`].
    pub(crate) fn resume(&mut self, drops: &KernelDrops) {
        let cookie = drops.cookie().unwrap_or(0);
        drops.resume(self.counted_before(cookie));
        self.add_socket(SocketDrops { cookie, drops: drops.counted() });
    }

    /// Adds a listening socket, with the drops that are counted.
    pub(in crate::inbox) fn add_socket(&mut self, socket: SocketDrops) {
        self.page.sockets.push(socket);
        self.changed = true;
    }

    /// Returns up to where the drops of a socket are in this log; none if that is not known.
    ///
    /// A socket is found again by its cookie, which the kernel may use again after a reboot, so the boot identifier must
    /// be the same. A socket that the previous daemon did not have is new to this log, and so are all its drops.
    pub(in crate::inbox) fn counted_before(&self, cookie: u64) -> Option<u32> {
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

    /// Returns the losses of the previous daemon, which become pending, and when that daemon last wrote its page, in
    /// nanoseconds since 1970.
    pub(in crate::inbox) fn carry_over(&mut self) -> (i64, EntryCounts) {
        let mut losses = std::mem::take(&mut self.missing);
        let messages = std::mem::take(&mut losses.messages);
        losses.lose(messages, GapReason::DaemonEnded);
        self.page.pending = losses;
        self.changed = true;
        (self.last.at_ns, losses)
    }

    /// Adds a pending message.
    pub(in crate::inbox) fn add_message(&mut self) {
        self.page.pending.messages += 1;
        self.changed = true;
    }

    /// Adds lost datagrams, whose gap is pending.
    pub(in crate::inbox) fn add_lost(&mut self, lost: u64, reason: GapReason) {
        self.page.pending.lose(lost, reason);
        self.changed = true;
    }

    /// Notes up to which value a socket's drop counter is counted.
    pub(in crate::inbox) fn count_drops(&mut self, socket: usize, drops: u32) {
        if let Some(known) = self.page.sockets.get_mut(socket) {
            known.drops = drops;
            self.changed = true;
        }
    }

    /// Removes the counts of a durable transaction, and notes the newest entry, if the transaction has added one.
    pub(in crate::inbox) fn mark_durable(&mut self, stored: &EntryCounts, newest: Option<Anchor>) {
        self.page.pending = self.page.pending.without(stored);
        self.page.newest = newest.unwrap_or(self.page.newest);
        self.changed = true;
    }

    /// Notes the newest entry of a log that was opened again, if it shows that this is another log.
    pub(in crate::inbox) fn log_reopened(&mut self, newest: Anchor) {
        if newest.id <= self.page.newest.id && newest != self.page.newest {
            self.page.newest = newest;
            self.changed = true;
        }
    }

    /// Writes the page to the file if it has changed.
    pub(in crate::inbox) fn save(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Some(file) = &mut self.file
        {
            self.page.at_ns = clock::now_ns();
            file.write(&self.page);
        }
    }
}

/// Counts what a log holds behind an entry; none if it does not have that entry, or no longer all that was behind it.
fn held_behind(log: &Connection, anchor: Anchor) -> Result<Option<EntryCounts>, InboxError> {
    let bounds = bounds(log)?;
    // Only the oldest entries are ever removed: where the entry is, all behind it are.
    let is_known = has(log, anchor)? || (beginning(log)? == Some(anchor) && bounds.oldest == anchor.id + 1);
    if !is_known {
        return Ok(None);
    }
    let others: u64 = log.query_row(COUNT_NOT_RECEIVED, [anchor.id, bounds.newest], |row| row.get(0))?;
    let mut held = EntryCounts { messages: bounds.newest - anchor.id - others, ..EntryCounts::default() };
    // SQLite uses the partial index only where its own condition is in the query.
    let gaps = format!(
        "SELECT detail FROM entry INDEXED BY entry_not_received WHERE id > ?1 AND kind <> 0 AND kind = {}",
        Kind::Gap as i64
    );
    let mut gaps = log.prepare(&gaps)?;
    let mut rows = gaps.query([anchor.id])?;
    while let Some(row) = rows.next()? {
        let detail = row.get_ref(0)?.as_str()?;
        let Ok(gap) = serde_json::from_str::<GapDetail>(detail) else { return Ok(None) };
        // A reason of a later version was not pending under a name of this version either.
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
    /// Opens the file, or creates it, and reads the page; none if it holds no valid one.
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

    /// Writes a page into the kernel's page cache. Overwriting existing bytes waits for no disk and takes some microseconds.
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
        "the file `{FILE_NAME}` in the data directory cannot be used ({}): if the daemon is killed, messages that it has \
         received and not yet stored are lost uncounted",
        reason(error)
    );
    health.report(Component::InflightJournal, problem);
}

#[cfg(test)]
mod tests;

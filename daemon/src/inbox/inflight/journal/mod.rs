//! The in-flight journal in memory and in its file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
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
        let path = data_dir.join(FILE_NAME);
        let (open, last) = match open_page(&path) {
            Ok((file, last)) => (Some(file), last),
            Err(error) => {
                report(health, &error);
                (None, read_page(&path))
            }
        };
        journal.file = Some(PageFile { path, open, health: Arc::clone(health), is_failing: false });
        journal.last = last.unwrap_or_default();
        journal
    }

    /// Takes the file of another journal, which was opened while this one was in use.
    pub(in crate::inbox) fn take_file(&mut self, other: Self) {
        self.file = other.file;
        if let Some(file) = &mut self.file {
            file.is_failing = true;
        }
        self.changed = true;
        self.save();
    }

    /// Writes the page again after a failure; returns whether the file must be opened first.
    pub(in crate::inbox) fn retry(&mut self) -> Option<(PathBuf, Arc<Health>)> {
        let file = self.file.as_ref()?;
        if file.open.is_none() {
            return Some((file.path.parent()?.to_owned(), Arc::clone(&file.health)));
        }
        self.changed = true;
        self.save();
        None
    }

    /// Closes the file, because its directory was removed.
    pub(in crate::inbox) fn close_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.open = None;
        }
    }

    /// Keeps what the previous daemon wrote of the newest entry, for a log that is not open yet: until then the ids behind its end
    /// are not used again, also if this daemon ends before.
    pub(in crate::inbox) fn keep_newest(&mut self) {
        self.page.newest = self.last.newest;
        if self.last.boot_id != self.page.boot_id {
            // Of another boot: there may have been newer ones.
            self.page.boot_id = 0;
        }
    }

    /// Finds out which pending datagrams of the previous daemon the log does not hold. From here on the journal follows the log as
    /// it is now, unless that has lost its end: then it holds none of them.
    pub(in crate::inbox) fn compare(
        &mut self,
        log: &Connection,
        has_lost_end: bool,
    ) -> Result<(), InboxError> {
        if has_lost_end {
            self.missing = self.last.pending;
            return Ok(());
        }
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
        let boot_id = platform::boot_id().unwrap_or(0);
        let is_other = newest.id <= self.page.newest.id && newest != self.page.newest;
        if is_other || boot_id != self.page.boot_id {
            (self.page.newest, self.page.boot_id) = (newest, boot_id);
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
    // Only the oldest entries are ever removed: where the entry is, all behind it are. Recovered ones are older than the beginning.
    let is_known = has(log, anchor)? || (beginning(log)? == Some(anchor) && bounds.oldest <= anchor.id + 1);
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
        if let Some(reason) = GapReason::JOURNALED.into_iter().find(|reason| reason.name() == gap.reason) {
            held.lose(gap.lost, reason);
        }
    }
    Ok(Some(held))
}

/// The newest entry that the previous daemon of a data directory had committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastDurable {
    pub(crate) newest: Anchor,
    /// Whether the system has not been started again since then: then nothing newer was committed and published.
    pub(crate) is_of_this_boot: bool,
}

/// Reads the page of a data directory's journal for the newest entry that was durable; its id is 0 if there was none. None if
/// there is no valid page.
pub(crate) fn last_durable(data_dir: &Path) -> Option<LastDurable> {
    let page = read_page(&data_dir.join(FILE_NAME))?;
    let is_of_this_boot = page.boot_id != 0 && platform::boot_id() == Some(page.boot_id);
    Some(LastDurable { newest: page.newest, is_of_this_boot })
}

/// Opens the file, or creates it, and reads the page; none if it holds no valid one.
fn open_page(path: &Path) -> io::Result<(File, Option<Page>)> {
    let file = open_own(path)?;
    let mut bytes = [0; PAGE_BYTES];
    if file.metadata()?.len() < PAGE_BYTES as u64 {
        // Of no boot, and valid: also after a power cut the next daemon knows that nothing was durable before.
        file.write_all_at(&Page::default().encode().0, 0)?;
        file.sync_all()?;
    }
    file.read_exact_at(&mut bytes, 0)?;
    Ok((file, Page::decode(&bytes)))
}

/// Reads the page of a file without opening it for writing; none if it holds no valid one.
fn read_page(path: &Path) -> Option<Page> {
    let mut bytes = [0; PAGE_BYTES];
    File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 0)).ok()?;
    Page::decode(&bytes)
}

/// The file that holds the page.
#[derive(Debug)]
struct PageFile {
    path: PathBuf,
    /// None if it could not be opened.
    open: Option<File>,
    health: Arc<Health>,
    is_failing: bool,
}

impl PageFile {
    /// Writes a page into the kernel's page cache. Overwriting existing bytes waits for no disk and takes some microseconds.
    fn write(&mut self, page: &Page) {
        let Some(file) = &self.open else { return };
        let (bytes, length) = page.encode();
        // Not `write_all_at`, which repeats an interrupted call for ever, under the queue's lock.
        let written = match file.write_at(&bytes[..length], 0) {
            Ok(written) if written == length => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) if !self.is_failing => {}
            Ok(()) => {
                self.is_failing = false;
                self.health.succeeded(Component::InflightJournal);
            }
            Err(error) => {
                self.is_failing = true;
                report(&self.health, &error);
            }
        }
    }
}

fn report(health: &Health, error: &io::Error) {
    let problem = format!(
        "the file `{FILE_NAME}` in the data directory cannot be used ({}): if the daemon is killed, messages that it has \
         received and not yet stored are lost uncounted",
        reason(error)
    );
    health.report(Component::InflightJournal, problem);
}

#[cfg(test)]
mod tests;

//! Opens the file of the inbox: at the start, again after a failure, and a new one where it is damaged or was removed.
//!
//! Each way ends in [`Writer::use_file`], which decides how the log continues: behind the newest id that is known to have been
//! used, with a gap where the file ends before it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::statvfs::{FsFlags, statvfs};
use rusqlite::{Connection, MAIN_DB, TransactionBehavior};
use tracing::debug;

use super::clock::tracker::Tracker;
use super::delivery::Delivery;
use super::maintenance::Maintenance;
use super::notices::Notices;
use super::recovered::{self, awaited};
use super::replacements::Replacements;
use super::{Parts, Writer};
use crate::error::explain;
use crate::health::Component;
use crate::inbox::InboxError;
use crate::inbox::commit_watch::{self, CommitWatch};
use crate::inbox::file::{self, Known, OpenError, Opened, Used};
use crate::inbox::inflight::InflightJournal;
use crate::inbox::kept::Kept;
use crate::inbox::queries::newest;
use crate::inbox::recovery::plan::{self, Segment};
use crate::inbox::recovery::skipped;
use crate::index::Anchor;
use crate::service::systemd::still_starting;

impl Writer {
    /// Opens the inbox, compares it with the in-flight journal of the previous daemon, and publishes how far it is durable.
    ///
    /// The journal, whose file may have to be created, is opened only once the inbox was accepted.
    pub(crate) fn open(
        mut parts: Parts,
        open_journal: impl FnOnce() -> InflightJournal,
    ) -> Result<(Self, CommitWatch, InflightJournal), OpenError> {
        let (publisher, commits) = commit_watch::channel();
        let (index, health) = (parts.reader.index(), &parts.health);
        let kept = (Arc::clone(&parts.kept), Arc::clone(&parts.interfaces));
        let kept = Kept::new(kept.0, kept.1, &parts.settings.borrow_and_update());
        let mut writer = Self {
            kept,
            used: Used::by_journal(&parts.data_dir),
            maintenance: Maintenance::new(parts.data_dir.to_path_buf(), index.clone(), health.clone()),
            clock: Tracker::new(health.clone()),
            delivery: Delivery::new(Arc::clone(&parts.bounced_peers)),
            parts,
            connection: None,
            identity: None,
            disk: None,
            loaded: None,
            takes_over: false,
            must_load: false,
            stored: 0,
            taken_over: 0,
            removed: 0,
            removed_unread: 0,
            publisher,
            has_failed: false,
            disk_fails: false,
            disk_is_full: false,
            uncounted: None,
            may_have_remains: false,
            given_up: false,
            replaced: Replacements::default(),
            notices: Notices::default(),
        };
        let journal = match writer.reopen() {
            Ok(()) => {
                let mut journal = open_journal();
                writer.compare(&mut journal)?;
                writer.publish();
                journal
            }
            Err(error) if writer.may_wait_after(&error) => {
                writer.report(&error);
                let mut journal = open_journal();
                journal.keep_newest();
                writer.show_what_can_be_read(&mut journal);
                journal
            }
            Err(error) => return Err(error),
        };
        Ok((writer, commits, journal))
    }

    /// Returns whether a daemon that starts may run without the inbox until it can be written: where the disk is read-only, and
    /// where the file is in use and the disk refuses to write it.
    fn may_wait_after(&self, error: &OpenError) -> bool {
        error.is_of_the_system() && (self.identity.is_some() || is_read_only(&self.parts.data_dir))
    }

    /// Shows what can be read of an inbox that cannot be written, and counts what the previous daemon has lost.
    fn show_what_can_be_read(&self, journal: &mut InflightJournal) {
        let mut show = || -> Result<(), InboxError> {
            let log = file::open_reader(&self.parts.data_dir)?;
            let newest_id = newest(&log)?.id;
            self.load_damage(&log, false)?;
            self.publish_up_to(newest_id);
            journal.compare(&log, self.used.missing_behind(newest_id).is_some())
        };
        if let Err(error) = show() {
            debug!("{}", explain("the inbox that cannot be written cannot be read completely", &error));
        }
    }

    fn compare(&mut self, journal: &mut InflightJournal) -> Result<(), OpenError> {
        let Some(connection) = &self.connection else { return Ok(()) };
        match journal.compare(connection, false) {
            Err(error) if error.is_damage() && self.may_replace() => {
                self.replace_damaged()?;
                self.compare(journal)
            }
            compared => compared.map_err(|source| self.unusable(source)),
        }
    }

    /// Opens the file, also again; one that turns out to be damaged is replaced.
    pub(super) fn reopen(&mut self) -> Result<(), OpenError> {
        match self.open_again(false) {
            Err(error) if error.is_damage() && self.may_replace() => self.replace_damaged(),
            opened => opened,
        }
    }

    /// Opens the file again, or starts a new one where it is known to be damaged.
    fn open_again(&mut self, is_damaged: bool) -> Result<(), OpenError> {
        // All connections of a process to one file share SQLite's index of the write-ahead log. Those to a damaged file, and those
        // of readers that opened it on a read-only disk, are closed first. Otherwise the old connection stays until there is a new
        // one: closing the last one removes the log, and on a full disk no reader could open it then.
        if is_damaged {
            self.connection = None;
        }
        if self.connection.is_none() && !matches!(file::identity(&self.parts.data_dir), Ok(None)) {
            self.parts.reader.reopen();
        }
        let unusable_dir = |reason: String| OpenError::Io {
            path: self.parts.data_dir.to_path_buf(),
            source: io::Error::other(reason),
        };
        if self.is_disk_away() && !self.parts.queue.is_filling() {
            return Err(unusable_dir(
                "another disk is there than before, without an inbox; mount the one before again, or restart the daemon to \
                 begin a new inbox"
                    .to_owned(),
            ));
        }
        self.parts.data_dir.restore().map_err(|source| unusable_dir(source.to_string()))?;
        let known = Known { used: self.used, identity: self.identity, is_damaged };
        let opened = file::open_behind(&self.parts.data_dir, known, &still_starting)?;
        self.use_file(opened)?;
        self.maintenance.reconnected();
        self.publish();
        Ok(())
    }

    /// Returns whether the disk of the open file is no longer mounted. What is stored in its place would be hidden when it is mounted
    /// again, so it waits in memory as long as there is room.
    fn is_disk_away(&self) -> bool {
        let is_another = self.disk.is_some() && file::disk_of(&self.parts.data_dir) != self.disk;
        is_another && matches!(file::identity(&self.parts.data_dir), Ok(None))
    }

    /// Returns whether a damaged file may be replaced now.
    pub(super) fn may_replace(&self) -> bool {
        self.replaced.wait(Instant::now()).is_zero()
    }

    /// Quarantines the damaged file, and starts a new one.
    fn replace_damaged(&mut self) -> Result<(), OpenError> {
        self.replaced.note(Instant::now());
        self.open_again(true)
    }

    pub(super) fn replace_damaged_or_report(&mut self) {
        if let Err(error) = self.replace_damaged() {
            let problem = explain("the inbox is damaged, and no new one can be created", &error);
            self.parts.health.report(Component::InboxWrite, problem);
        }
    }

    /// Continues with a file: adds a gap where it ends before the newest id that was used, and loads what it does not have, the
    /// history of the clock and the learned encodings.
    fn use_file(&mut self, opened: Opened) -> Result<(), OpenError> {
        let Opened { mut connection, quarantined, is_restored, may_have_remains } = opened;
        self.may_have_remains |= may_have_remains;
        let path = self.parts.data_dir.join(file::FILE_NAME);
        let database =
            |source: rusqlite::Error| OpenError::Database { path: path.clone(), source: source.into() };
        // SQLite opens a file that it cannot write for reading.
        if connection.is_readonly(MAIN_DB).map_err(database)? {
            return Err(self.unusable(InboxError::ReadOnly));
        }
        let identity = file::identity(&self.parts.data_dir)
            .map_err(|source| OpenError::Io { path: path.clone(), source })?;
        if self.identity.is_none() && is_restored {
            // Whoever restores a copy has decided to lose what came after it.
            self.used = Used::default();
        }
        if self.identity != identity {
            (self.identity, self.disk) = (identity, file::disk_of(&self.parts.data_dir));
            // The file of the journal may have been removed with that of the inbox.
            self.parts.queue.reopen_journal();
        }
        if let Some(path) = quarantined {
            let problem = format!(
                "the inbox was damaged; it was moved to {}, and a new one was created; what can be read of it is being \
                 recovered",
                path.display()
            );
            self.parts.health.note(Component::InboxQuarantine, problem);
        }
        if self.uncounted.is_some() && self.uncounted == identity {
            self.remove_uncounted(&mut connection).map_err(database)?;
        }
        self.add_lost_tail(&mut connection)?;
        let plan = plan::read(&connection, &self.parts.data_dir).map_err(database)?;
        let skipped = skipped::before_first(&connection, &plan).map_err(database)?;
        if let Err(error) = skipped::add(&connection, skipped.as_slice()) {
            debug!("{}", explain("the skipped ids are noted at the next start", &error));
        }
        let newest = newest(&connection).map_err(database)?;
        // Until all that follows has succeeded: what fails is tried again.
        self.takes_over |= self.loaded.is_some() && self.loaded != identity;
        let is_another = self.takes_over;
        // Reading all gaps takes a while in a log with many, and on a failing disk the file is opened again each second.
        if self.must_load || self.loaded != identity || self.used.newest.id != newest.id {
            self.load_damage(&connection, is_another).map_err(database)?;
            (self.loaded, self.must_load) = (identity, false);
        }
        self.parts.learned.load(&connection).map_err(database)?;
        self.clock.load(&mut connection).map_err(database)?;
        self.kept.opened(&mut connection, is_another).map_err(database)?;
        self.parts.queue.log_reopened(newest);
        // What a recovery has still to bring has its ids already.
        let last = recovered::last_id(&connection).map_err(database)?;
        let newest = if last > newest.id { Anchor { id: last, ..newest } } else { newest };
        if std::mem::take(&mut self.takes_over) {
            self.taken_over = newest.id;
        }
        self.used = Used { newest, is_certain: true };
        self.connection = Some(connection);
        Ok(())
    }

    /// Forgets the damage that readers have found: while the disk failed, SQLite took what could not be read for damaged. Damage that is
    /// still there is found again.
    pub(super) fn forget_damage(&mut self) {
        let Some(connection) = &self.connection else { return };
        if let Err(error) = self.load_damage(connection, true) {
            debug!("{}", explain("the damage of the inbox cannot be looked up", &error));
            self.must_load = true;
        }
    }

    /// Lets readers know what a log does not have. What they have found until now is over if `supersedes`: if this is another file, a
    /// problem of its own says what became of the one before.
    fn load_damage(&self, log: &Connection, supersedes: bool) -> rusqlite::Result<()> {
        // From here on no reader gets a connection that was open before.
        self.parts.reader.reopen();
        let plan = plan::read(log, &self.parts.data_dir)?;
        if !plan.is_empty() {
            // Entries will appear where the index has none.
            self.parts.reader.index().discard();
        }
        let supersede = || {
            if supersedes {
                self.parts.health.supersede(Component::InboxDamage);
            }
        };
        self.parts.reader.damage().reset(recorded_gaps(log, &plan)?, awaited(&plan), supersede);
        Ok(())
    }

    /// Removes the entries of a transaction that does not count: a commit that failed may have succeeded after all, and a file that was
    /// moved away may be back. They come again, if the daemon does not stop before, and may get other ids.
    fn remove_uncounted(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let newest_id = self.used.newest.id;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if transaction.execute("DELETE FROM entry WHERE id > ?1", [newest_id])? > 0 {
            self.delivery.remove_answers_after(&transaction, newest_id)?;
        }
        transaction.commit()
    }

    /// Adds a gap where the log ends before the newest id that was used: ids that were shown are not used again.
    fn add_lost_tail(&mut self, connection: &mut Connection) -> Result<(), OpenError> {
        let added =
            recovered::add_lost_tail(connection, self.used).map_err(|source| self.unusable(source))?;
        if let Some(tail) = added {
            // Readers do not know the gap yet.
            self.must_load = true;
            let problem = format!(
                "the inbox has lost its newest entries, #{first} to #{last}: they were committed and are missing; it has a \
                 gap for them",
                first = tail.first,
                last = self.used.newest.id
            );
            self.parts.health.note(Component::InboxTail, problem);
        }
        Ok(())
    }

    fn unusable(&self, source: InboxError) -> OpenError {
        OpenError::Database { path: self.parts.data_dir.join(file::FILE_NAME), source }
    }
}

/// Returns the ids that the gaps of a damaged log stand for, without their own, and those that were skipped.
fn recorded_gaps(connection: &Connection, plan: &[Segment]) -> rusqlite::Result<Vec<(u64, u64)>> {
    let gaps = "SELECT id FROM entry INDEXED BY entry_not_received WHERE kind <> 0 AND kind = 2 ORDER BY id";
    let ids: Vec<u64> =
        connection.prepare(gaps)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut recorded = Vec::new();
    for id in ids {
        let detail = "SELECT json_extract(detail, '$.first_id') FROM entry WHERE id = ?1";
        // A gap that cannot be read is found as damage later.
        let first = connection.prepare_cached(detail)?.query_row([id], |row| row.get::<_, Option<u64>>(0));
        recorded.extend(first.ok().flatten().filter(|first| *first < id).map(|first| (first, id - 1)));
    }
    // Those that a recovery comes past are recorded then.
    let awaited = awaited(plan);
    let skipped = skipped::read(connection)?.into_iter().chain(skipped::before_first(connection, plan)?);
    recorded.extend(skipped.flat_map(|skipped| skipped::without(skipped, awaited.as_slice())));
    Ok(recorded)
}

/// Returns whether a directory is on a disk that is mounted read-only.
fn is_read_only(data_dir: &Path) -> bool {
    statvfs(data_dir).is_ok_and(|disk| disk.flags().contains(FsFlags::ST_RDONLY))
}

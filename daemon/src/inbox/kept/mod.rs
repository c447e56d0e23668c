//! What is kept besides the log: messages that are held until their peers send one, and the peers that are silent.
//!
//! Only the writer changes it, after the transaction with the same change is committed; the tables `held` and `silent` have the
//! same rows. Sessions read the [`KeptView`]. A received message costs one look-up of its source here, and nothing but a check
//! where nothing is held and no peer has `silent_after`.
//!
//! What belongs here: the state and its rules. What does not: when the writer applies them, and how messages are sent.

mod hosts;
mod row;
mod silence;
pub(crate) mod table;
mod types;
mod view;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use udpchat_config::Settings;

use self::hosts::Hosts;
pub(crate) use self::row::{HeldRow, To};
use self::silence::Silence;
pub(crate) use self::types::{
    Changes, Due, FallsSilent, HeldFull, HoldAnswer, MAX_HELD, MAX_HELD_BYTES, MAX_HELD_FOR_ONE, NewHeld,
    PART_OF_USER, SilentRow, Word,
};
pub(crate) use self::view::{KeptView, Release, Seen};
use self::waiting::Waiting;
use super::address::unpack;
use super::queue::packed::Record;
use crate::clock;
use crate::net::interface_names::InterfaceNames;

/// How much of the maximum size of the inbox held messages take at most, as a divisor: retention cannot remove them.
const INBOX_PART: u64 = 4;

/// How much a held message takes in the file besides its payload, in bytes.
const ROW_BYTES: u64 = 256;

/// How many held messages are on their way to a destination at most, however many messages of its peer release some.
const MAX_RELEASED: usize = 16;

/// How long after a failed transaction the next attempt is made to note what is due.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The state, and what is derived of it.
#[derive(Debug)]
pub(crate) struct Kept {
    view: Arc<KeptView>,
    interfaces: Arc<InterfaceNames>,
    hosts: Hosts,
    silence: Silence,
    waiting: Waiting,
    /// How long the inbox could not be written: this time counts for nobody.
    paused: Duration,
    /// No attempt to note what is due is made before.
    retry_at: Option<Duration>,
    is_loaded: bool,
}

impl Kept {
    pub(crate) fn new(view: Arc<KeptView>, interfaces: Arc<InterfaceNames>, settings: &Settings) -> Self {
        let mut kept = Self {
            view,
            interfaces,
            hosts: Hosts::default(),
            silence: Silence::default(),
            waiting: Waiting::default(),
            paused: Duration::ZERO,
            retry_at: None,
            is_loaded: false,
        };
        kept.configure(settings);
        kept
    }

    /// Returns the time that counts for silence. It stands still while the machine is suspended, and while the inbox cannot be
    /// written.
    pub(crate) fn now(&self) -> Duration {
        clock::monotonic().saturating_sub(self.paused)
    }

    /// Leaves out a time in which the inbox could not be written. What was received then may have been dropped.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.paused += time;
    }

    /// Takes new settings.
    pub(crate) fn configure(&mut self, settings: &Settings) {
        self.hosts.configure(settings);
        self.view.each_held(|row| self.hosts.add(row));
        let names = self.silence.configure(settings, self.now(), clock::now_ns());
        self.view.watch_only(&names);
    }

    /// Takes over a file. The first one is read; later the file gets the rows that are kept here, because it may have a transaction
    /// that did not count. If it `is_another`, such as a restored copy, its held messages are taken over, except those whose numbers
    /// were used here: these may have been sent since.
    pub(crate) fn opened(&mut self, connection: &mut Connection, is_another: bool) -> rusqlite::Result<()> {
        if self.is_loaded {
            if is_another {
                let (rows, used) = (table::read(connection)?, self.waiting.highest());
                let room = MAX_HELD.saturating_sub(self.view.totals().0);
                rows.held.into_iter().filter(|row| row.id > used).take(room).for_each(|row| self.add(row));
                self.waiting.raise_highest(rows.highest);
            }
            let silent = self.silence.rows();
            return table::restore(connection, &self.view.all_held(), &silent, self.waiting.highest());
        }
        let rows = table::read(connection)?;
        for row in rows.held {
            self.add(row);
        }
        self.waiting.raise_highest(rows.highest);
        for (name, row) in rows.silent {
            self.silence.load(&name, row);
            self.view.set_silent(&name, Some(row.since_ns), row.message_ns());
        }
        self.is_loaded = true;
        Ok(())
    }

    /// Notes a received message if somebody waits for one of its source.
    #[inline]
    pub(crate) fn note(&self, changes: &mut Changes, id: u64, record: &Record<'_>) {
        if !self.hosts.is_empty() {
            self.note_word(changes, id, record);
        }
    }

    fn note_word(&self, changes: &mut Changes, id: u64, record: &Record<'_>) {
        let Some(peer) = unpack(record.peer).filter(|peer| self.hosts.has(peer.ip())) else { return };
        let Changes { sources, words, .. } = changes;
        let at = *sources.entry(peer).or_insert_with(|| {
            words.push(Word { peer, local: None, first_id: id, last_id: id, last_ns: record.at_ns });
            words.len() - 1
        });
        let word = &mut words[at];
        (word.last_id, word.last_ns, word.local) = (id, record.at_ns, unpack(record.local));
    }

    /// Returns the configured peer that a source belongs to.
    fn owner(&self, peer: SocketAddr) -> Option<Arc<str>> {
        // A system call only for the number of an interface that is not known.
        self.interfaces.learn_scope(peer);
        self.hosts.owner(peer, &self.interfaces)
    }

    /// Returns the silent peers that have sent something, each with the first message and how long nothing came, in seconds.
    pub(crate) fn heard_again(&self, words: &[Word]) -> Vec<(FallsSilent, Word)> {
        let mut heard: Vec<(FallsSilent, Word)> = Vec::new();
        for word in words {
            if let Some(name) = self.owner(word.peer)
                && !heard.iter().any(|(other, _)| other.name == name)
                && let Some(peer) = self.silence.heard_again(&name, word.last_ns, self.now())
            {
                heard.push((peer, *word));
            }
        }
        heard
    }

    /// Checks the limits on held messages.
    pub(crate) fn has_room(&self, new: &NewHeld, max_inbox_bytes: u64) -> Result<(), HeldFull> {
        let (more, more_bytes) = (new.payloads.len(), new.payloads.iter().map(Vec::len).sum::<usize>());
        let with = |(messages, bytes): (usize, usize)| (messages + more, bytes + more_bytes);
        let all = with(self.view.totals());
        let of_user = with(self.waiting.of_user(new.detail.by.as_deref()));
        let inbox_bytes = |(messages, bytes)| bytes as u64 + messages as u64 * ROW_BYTES;
        let max_inbox_bytes = max_inbox_bytes / INBOX_PART;
        if all.0 > MAX_HELD {
            return Err(HeldFull::Messages);
        }
        if all.1 > MAX_HELD_BYTES {
            return Err(HeldFull::Bytes);
        }
        if self.waiting.count(&new.to) + more > MAX_HELD_FOR_ONE {
            return Err(HeldFull::ForOne);
        }
        if inbox_bytes(all) > max_inbox_bytes {
            return Err(HeldFull::OfInbox);
        }
        let is_over = of_user.0 > MAX_HELD / PART_OF_USER
            || of_user.1 > MAX_HELD_BYTES / PART_OF_USER
            || inbox_bytes(of_user) > max_inbox_bytes / PART_OF_USER as u64;
        if is_over { Err(HeldFull::OfUser) } else { Ok(()) }
    }

    /// Returns whether a message is held and is not being sent.
    pub(crate) fn can_cancel(&self, id: u64) -> bool {
        self.view.get(id).is_some() && !self.waiting.is_claimed(id)
    }

    /// Applies the changes of a committed transaction, and releases the messages that wait for what it has.
    pub(crate) fn apply(&mut self, changes: Changes) {
        for name in &changes.heard {
            self.silence.set_silent(name, None);
            self.view.set_silent(name, None, None);
        }
        for row in changes.held {
            self.add(row);
        }
        for id in changes.removed {
            if let Some(row) = self.view.remove(id) {
                self.hosts.remove(&row);
                self.waiting.remove(&row);
            }
        }
        for (name, row) in changes.silent {
            self.silence.set_silent(&name, Some(row));
            self.view.set_silent(&name, Some(row.since_ns), row.message_ns());
        }
        if changes.forgot {
            self.silence.forgot();
        }
        for word in changes.words {
            self.heard(&word);
        }
    }

    fn heard(&mut self, word: &Word) {
        let owner = self.owner(word.peer);
        if let Some(name) = &owner
            && self.silence.heard(name, (word.last_id, word.last_ns), self.now())
        {
            self.view.set_heard(name, word.last_ns);
        }
        if self.waiting.is_empty() {
            return;
        }
        let interface = self.interfaces.of_scope(word.peer);
        let names = (owner.as_deref(), interface.as_deref());
        let (view, waiting) = (&self.view, &mut self.waiting);
        view.release(|returned| {
            // What was given back goes before what waits behind it.
            waiting.give_back(returned.into_iter().filter_map(|id| view.get(id)));
            let ids = waiting.first_of(word.peer, names, MAX_RELEASED, clock::boottime_ns());
            let rows: Vec<_> = ids.into_iter().filter_map(|id| view.get(id)).collect();
            rows.iter().for_each(|row| waiting.claim(row));
            (!rows.is_empty()).then_some(Release { peer: word.peer, local: word.local, rows })
        });
    }

    fn add(&mut self, row: HeldRow) {
        self.hosts.add(&row);
        self.waiting.add(&row);
        self.view.insert(row);
    }

    /// Lets messages wait again that could not be sent.
    pub(crate) fn take_returned(&mut self) {
        if self.waiting.has_claims() {
            let returned = self.view.take_returned();
            self.waiting.give_back(returned.into_iter().filter_map(|id| self.view.get(id)));
        }
    }

    /// Returns how long nothing is due here, nor the writer's own notice, which is due after `notice`; none if nothing ever will be.
    pub(crate) fn max_wait(&self, notice: Option<Duration>) -> Option<Duration> {
        let now = self.now();
        let silence = self.silence.next_step().map(|step| step.saturating_sub(now));
        let expiry = self.waiting.next_expiry_ns().map(|at_ns| {
            Duration::from_nanos(u64::try_from(at_ns.saturating_sub(clock::boottime_ns())).unwrap_or(0))
        });
        let wait = silence.into_iter().chain(expiry).chain(notice).min()?;
        Some(wait.max(self.retry_at.map_or(Duration::ZERO, |at| at.saturating_sub(now))))
    }

    /// Returns what is due: silence by the time `taken`, before which everything that was received is stored. It is empty if only
    /// the writer's own notice is due.
    pub(crate) fn due(&mut self, taken: Duration, is_notice_due: bool) -> Option<Due> {
        if self.retry_at.is_some_and(|at| at > self.now()) {
            return None;
        }
        self.retry_at = None;
        let silent = self.silence.due(taken);
        let expired = self.waiting.expired(clock::boottime_ns());
        let expired: Vec<_> = expired.into_iter().filter_map(|id| self.view.get(id)).collect();
        let forgotten = self.silence.forgotten();
        let is_due = !(silent.is_empty() && expired.is_empty() && forgotten.is_empty());
        (is_due || is_notice_due).then_some(Due { silent, expired, forgotten })
    }

    /// Tries again a while later to note what is due.
    pub(crate) fn retry(&mut self, due: &Due) {
        let at = self.now() + RETRY_WAIT;
        self.retry_at = Some(at);
        self.silence.retry(&due.silent, at);
    }

    /// Returns whether an address is that of a peer, as [`udpchat_config::owner`] does.
    pub(crate) fn is_of(&self, name: &str, peer: SocketAddr) -> bool {
        self.owner(peer).as_deref() == Some(name)
    }
}

#[cfg(test)]
pub(in crate::inbox) mod tests;

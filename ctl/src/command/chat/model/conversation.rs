//! The open conversation: a window of the log that moves with what is looked at, and that never grows beyond its limits.
//!
//! At both ends it knows whether the log goes on there, and the cursor to go on from. What arrives is put behind it as
//! long as its newer end is the end of the log.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::tz::TimeZone;
use udpchat_api::Entry;
use udpchat_api::call::InboxAnswer;

use super::item::{Item, Place, What};
use super::peer::Key;
use super::scroll::Scroll;

/// How many items the window has at most.
pub(in crate::command::chat) const MAX_ITEMS: usize = 2_000;
/// How much text the window has at most, in bytes; one message always fits.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// An end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum Side {
    Older,
    Newer,
}

/// The window of the log that a conversation shows.
#[derive(Debug)]
pub(in crate::command::chat) struct Conversation {
    pub(in crate::command::chat) key: Key,
    /// Counts the openings: what was asked for an earlier one is not for this one.
    pub(super) epoch: u64,
    pub(in crate::command::chat) items: VecDeque<Item>,
    bytes: usize,
    /// Whether the log has older entries, and the cursor to them.
    older: Option<u64>,
    /// Whether newer entries of the log are missing here, and the cursor to them.
    newer: Option<u64>,
    /// The newest entry of the log that would be here.
    newest_id: u64,
    /// What was asked for and has not come yet.
    pub(super) asked: Option<Side>,
    /// Whether the log could not be read, and is to be asked again only when something happens.
    pub(super) stuck: bool,
    /// Whether the newest page has come.
    pub(in crate::command::chat) loaded: bool,
    pub(super) scroll: Scroll,
    /// The rows by which it is to be scrolled on, to a side, when the next page has come.
    pub(super) owed: Option<(Side, usize)>,
}

impl Conversation {
    /// Begins with the entries up to `newest_id`, which are to be asked for; later ones come by themselves.
    pub(super) fn open(key: Key, epoch: u64, newest_id: u64) -> Self {
        let has_history = key.has_history();
        Self {
            key,
            epoch,
            items: VecDeque::new(),
            bytes: 0,
            older: has_history.then_some(newest_id + 1),
            newer: None,
            newest_id,
            asked: None,
            stuck: false,
            loaded: !has_history,
            scroll: Scroll::Follow,
            owed: None,
        }
    }

    /// Begins with the oldest entries, which are to be asked for.
    pub(super) fn open_at_oldest(key: Key, epoch: u64) -> Self {
        let scroll = Scroll::Held { place: Place::default(), hidden: 0 };
        Self { older: None, newer: Some(0), loaded: true, scroll, ..Self::open(key, epoch, 0) }
    }

    /// Tells whether the window reaches the end of the log.
    pub(in crate::command::chat) fn is_live(&self) -> bool {
        self.newer.is_none()
    }

    /// Tells whether the window reaches the beginning of the log.
    pub(in crate::command::chat) fn is_whole(&self) -> bool {
        self.older.is_none()
    }

    /// Returns the cursor to go on from at an end.
    pub(super) fn cursor(&self, side: Side) -> Option<u64> {
        match side {
            Side::Older => self.older,
            Side::Newer => self.newer,
        }
    }

    /// Puts an entry that has just arrived behind the others. False if it is not shown.
    pub(super) fn arrived(&mut self, entry: &Entry, zone: &TimeZone) -> bool {
        if self.newer.is_some() || entry.id() <= self.newest_id || !self.is_of(entry) {
            return false;
        }
        self.newest_id = entry.id();
        self.push_newer(Item::of(entry, zone));
        self.trim();
        true
    }

    /// Takes up a page that was asked for at an end; `live_id` is the newest entry that has arrived.
    pub(super) fn page(&mut self, side: Side, answer: &InboxAnswer, live_id: u64, zone: &TimeZone) {
        let InboxAnswer { entries, next, more, .. } = answer;
        let wanted = entries.iter().filter(|entry| self.is_of(entry)).map(|entry| Item::of(entry, zone));
        let items: Vec<Item> = wanted.collect();
        match side {
            Side::Older => {
                items.into_iter().for_each(|item| self.push_older(item));
                self.older = more.then_some(*next);
                self.loaded |= !self.items.is_empty() || !more;
            }
            Side::Newer => {
                items.into_iter().for_each(|item| self.push_newer(item));
                self.newest_id = self.newest_id.max(*next);
                // What arrived while the page was read is not in it.
                self.newer = (*more || *next < live_id).then_some(*next);
            }
        }
        self.trim();
    }

    /// Tells whether an entry belongs here. What is asked for by a name may be of another peer at the same address.
    fn is_of(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Gap(_) => self.key.has_history(),
            Entry::Message(message) => Key::of(message) == self.key,
        }
    }

    fn push_newer(&mut self, item: Item) {
        if !self.items.back_mut().is_some_and(|last| last.absorb(&item)) {
            self.bytes += item.bytes();
            self.items.push_back(item);
        }
    }

    fn push_older(&mut self, item: Item) {
        if !self.items.front_mut().is_some_and(|first| first.absorb(&item)) {
            self.bytes += item.bytes();
            self.items.push_front(item);
        }
    }

    /// Lets go of what is farthest from the screen, as far as there is too much.
    fn trim(&mut self) {
        while self.items.len() > MAX_ITEMS {
            let bottom = self.bottom_index().unwrap_or(0);
            if bottom >= self.items.len() / 2 { self.drop_oldest() } else { self.drop_newest() }
        }
        while self.bytes > MAX_BYTES && self.items.len() > 1 {
            let bottom = self.bottom_index().unwrap_or(0);
            let (above, below) = (self.bytes_in(0..bottom), self.bytes_in(bottom + 1..self.items.len()));
            if above >= below { self.drop_oldest() } else { self.drop_newest() }
        }
    }

    fn bytes_in(&self, span: Range<usize>) -> usize {
        self.items.range(span).map(Item::bytes).sum()
    }

    /// Tells whether so much lies above or below an item that no more is wanted, lest the other side should go.
    pub(super) fn has_plenty(&self, side: Side, index: usize) -> bool {
        let span = match side {
            Side::Older => 0..index,
            Side::Newer => index..self.items.len(),
        };
        self.bytes_in(span) > MAX_BYTES / 3
    }

    fn drop_oldest(&mut self) {
        let Some(gone) = self.items.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(gone.bytes());
        if gone.what != What::Unsent {
            self.older = Some(gone.last_id + 1);
        }
    }

    fn drop_newest(&mut self) {
        let Some(gone) = self.items.pop_back() else { return };
        self.bytes = self.bytes.saturating_sub(gone.bytes());
        if gone.what != What::Unsent {
            let cursor = gone.place.id - 1;
            self.newer = Some(cursor);
            self.newest_id = cursor;
        }
    }

    /// Puts the messages that have not got out where they belong, in place of those from before.
    pub(super) fn set_unsent(&mut self, unsent: impl IntoIterator<Item = Item>) {
        let bytes = &mut self.bytes;
        self.items.retain(|item| {
            let stays = item.what != What::Unsent;
            if !stays {
                *bytes = bytes.saturating_sub(item.bytes());
            }
            stays
        });
        for item in unsent {
            let at = self.items.partition_point(|other| other.place < item.place);
            let too_old = at == 0 && self.older.is_some();
            let too_new = at == self.items.len() && self.newer.is_some();
            if !(too_old || too_new) {
                self.bytes += item.bytes();
                self.items.insert(at, item);
            }
        }
    }

    /// Returns the index of the item at a place, or of the next one before it.
    pub(super) fn index_of(&self, place: Place) -> Option<usize> {
        self.items.partition_point(|item| item.place <= place).checked_sub(1)
    }
}

//! The open conversation: a window of the log that moves with the screen and has a limited size.
//!
//! At each end it holds a cursor if the log continues there. New entries are appended while the newer end is the end of
//! the log.

use std::collections::VecDeque;
use std::ops::Range;

use jiff::tz::TimeZone;
use udpchat_api::call::InboxAnswer;
use udpchat_api::{Direction, Entry};

use super::delivery::{Mark, Reports, SentState};
use super::item::{Item, ItemKind, SortKey};
use super::peer::PeerKey;

/// The most items in the window.
pub(in crate::command::chat) const MAX_ITEMS: usize = 2_000;
/// The most text in the window, in bytes; one message always fits.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The kind of a notice that a message was not delivered.
const BOUNCED: &str = "bounced";

/// An end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum WindowEnd {
    Older,
    Newer,
}

/// The position of the bottom of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// At the newest item, also when new ones arrive.
    Follow,
    /// Where the first row of the oldest item is at the top.
    Top,
    /// At an item, of which `hidden` rows are below the screen.
    Held { sort_key: SortKey, hidden: usize },
}

/// The window of the log that a conversation shows.
#[derive(Debug)]
pub(in crate::command::chat) struct Conversation {
    pub(in crate::command::chat) key: PeerKey,
    /// The number of this opening: pages for an earlier one are ignored.
    pub(super) epoch: u64,
    pub(in crate::command::chat) items: VecDeque<Item>,
    bytes: usize,
    /// The cursor to older entries, if the log has any.
    older: Option<u64>,
    /// The cursor to newer entries, if the log has entries that are not in the window.
    newer: Option<u64>,
    /// The id up to which the window covers the log.
    newest_id: u64,
    /// What is reported about sent messages.
    reports: Reports,
    /// The end for which a page was requested.
    pub(super) requested: Option<WindowEnd>,
    /// The cursor below which the items are to be read again, and whether that was requested.
    reread_before: Option<u64>,
    is_rereading: bool,
    /// Whether reading a page failed. It is requested again after a key or a new connection.
    pub(super) read_failed: bool,
    /// Whether the first page was received, or none is needed.
    pub(in crate::command::chat) loaded: bool,
    pub(super) scroll: Scroll,
    /// The rows to scroll when the next page is received, and the direction.
    pub(super) pending_scroll: Option<(WindowEnd, usize)>,
}

impl Conversation {
    /// Opens at the newest entries. Those up to `newest_id` are to be requested; later ones arrive.
    pub(super) fn open(key: PeerKey, epoch: u64, newest_id: u64) -> Self {
        let has_history = key.has_history();
        Self {
            key,
            epoch,
            items: VecDeque::new(),
            bytes: 0,
            older: has_history.then_some(newest_id + 1),
            newer: None,
            newest_id,
            reports: Reports::default(),
            requested: None,
            reread_before: None,
            is_rereading: false,
            read_failed: false,
            loaded: !has_history,
            scroll: Scroll::Follow,
            pending_scroll: None,
        }
    }

    /// Opens at the oldest entries, which are to be requested.
    pub(super) fn open_at_oldest(key: PeerKey, epoch: u64) -> Self {
        Self { older: None, newer: Some(0), loaded: true, scroll: Scroll::Top, ..Self::open(key, epoch, 0) }
    }

    /// Returns whether the window reaches the end of the log.
    pub(in crate::command::chat) fn holds_newest(&self) -> bool {
        self.newer.is_none()
    }

    /// Returns whether new messages appear on the screen.
    pub(in crate::command::chat) fn is_following(&self) -> bool {
        self.scroll == Scroll::Follow && self.holds_newest()
    }

    /// Returns the index of the item at the bottom of the screen.
    pub(super) fn bottom_index(&self) -> Option<usize> {
        match self.scroll {
            Scroll::Follow => self.items.len().checked_sub(1),
            Scroll::Top => (!self.items.is_empty()).then_some(0),
            Scroll::Held { sort_key, .. } => {
                self.index_of(sort_key).or((!self.items.is_empty()).then_some(0))
            }
        }
    }

    /// Returns the index of the item with this key, otherwise of the last one before it.
    fn index_of(&self, sort_key: SortKey) -> Option<usize> {
        self.items.partition_point(|item| item.sort_key <= sort_key).checked_sub(1)
    }

    /// Returns whether the window reaches the beginning of the log.
    pub(in crate::command::chat) fn holds_oldest(&self) -> bool {
        self.older.is_none()
    }

    /// Returns the cursor at an end, if the log continues there.
    pub(super) fn cursor(&self, end: WindowEnd) -> Option<u64> {
        match end {
            WindowEnd::Older => self.older,
            WindowEnd::Newer => self.newer,
        }
    }

    /// Takes what an entry says about earlier messages: that one was not delivered, or that a peer has spoken. Returns whether the
    /// screen may change.
    pub(super) fn learn(&mut self, entry: &Entry) -> bool {
        let states = match entry {
            Entry::Notice(notice) if notice.notice == BOUNCED => {
                self.reports.bounce(notice).into_iter().collect()
            }
            Entry::Message(message) if message.direction == Direction::In && self.key.covers(message) => {
                self.reports.word(message)
            }
            _ => Vec::new(),
        };
        states.into_iter().map(|(id, state)| self.set_sent(id, state)).fold(false, |one, other| one | other)
    }

    /// Returns whether notices were left out before this one, so that more messages of the window may have bounced.
    pub(super) fn misses_bounces(&self, entry: &Entry) -> bool {
        let Entry::Notice(notice) = entry else { return false };
        let may_bounce = |item: &Item| {
            item.sent.as_ref().is_some_and(|sent| matches!(sent.mark, Mark::Sent | Mark::Answered))
        };
        notice.notice == BOUNCED && notice.more.is_some() && self.items.iter().any(may_bounce)
    }

    /// Sets the state of a sent message, if the window has it. Returns whether it is a new one.
    fn set_sent(&mut self, id: u64, state: SentState) -> bool {
        let Ok(at) = self.items.binary_search_by_key(&SortKey { id, ticket: 0 }, |item| item.sort_key) else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(self.items[at].bytes());
        let is_new = self.items[at].learn(Some(state));
        self.bytes += self.items[at].bytes();
        is_new
    }

    /// Creates the item of an entry, with what is known of it.
    fn item(&mut self, entry: &Entry, zone: &TimeZone) -> Item {
        let mut item = Item::from_entry(entry, zone);
        if let Entry::Message(message) = entry {
            item.sent = self.reports.state_of(message);
        }
        item
    }

    /// Returns the newest message to the peer if it bounced. None while the window does not hold the newest, or while a message after
    /// it is in flight, held, or was not sent.
    pub(in crate::command::chat) fn newest_bounce(&self) -> Option<&Item> {
        let mut items = self.items.iter().rev().filter(|_| self.holds_newest());
        let newest = items.find(|item| matches!(item.kind, ItemKind::Sent | ItemKind::Unsent))?;
        newest.sent.as_ref().is_some_and(|sent| sent.mark == Mark::Bounced).then_some(newest)
    }

    /// Appends an entry that has arrived. Returns whether it is shown.
    pub(super) fn add_entry(&mut self, entry: &Entry, zone: &TimeZone) -> bool {
        if self.newer.is_some() || entry.id() <= self.newest_id || !self.concerns(entry) {
            return false;
        }
        self.newest_id = entry.id();
        let item = self.item(entry, zone);
        self.push_newer(item);
        self.trim();
        true
    }

    /// Adds a page at an end; `arrived_id` is the newest entry that has arrived.
    pub(super) fn add_page(
        &mut self,
        end: WindowEnd,
        answer: &InboxAnswer,
        arrived_id: u64,
        zone: &TimeZone,
    ) {
        let InboxAnswer { entries, next, more, .. } = answer;
        let mut items = Vec::new();
        for entry in entries {
            if self.concerns(entry) {
                items.push(self.item(entry, zone));
            }
        }
        match end {
            WindowEnd::Older => {
                items.into_iter().for_each(|item| self.push_older(item));
                self.older = more.then_some(*next);
                self.loaded |= !self.items.is_empty() || !more;
            }
            WindowEnd::Newer => {
                items.into_iter().for_each(|item| self.push_newer(item));
                self.newest_id = self.newest_id.max(*next);
                // Entries that arrived while the page was read are not in it.
                self.newer = (*more || *next < arrived_id).then_some(*next);
            }
        }
        self.trim();
    }

    /// Has all items read again, the newest first: they may be decoded in another encoding now.
    pub(super) fn reread(&mut self) {
        let newest = self.items.back().map(|item| item.last_id + 1);
        self.reread_before = newest.filter(|_| self.key.has_history());
    }

    /// Returns the cursor of the next page to read again, and notes that it was requested.
    pub(super) fn next_reread(&mut self) -> Option<u64> {
        let before = self.reread_before.filter(|_| !self.is_rereading)?;
        self.is_rereading = true;
        Some(before)
    }

    /// Replaces the texts of items by those of a page that was requested with the cursor `before`; no answer ends it.
    pub(super) fn add_reread(&mut self, before: Option<u64>, answer: Option<&InboxAnswer>, zone: &TimeZone) {
        self.is_rereading = false;
        let Some(InboxAnswer { entries, next, more, .. }) = answer else {
            self.reread_before = None;
            return;
        };
        for entry in entries.iter().filter(|entry| matches!(entry, Entry::Message(_))) {
            let now = Item::from_entry(entry, zone);
            // An entry that is not in the window, or not of this peer, has no item.
            if let Ok(at) = self.items.binary_search_by_key(&now.sort_key, |item| item.sort_key) {
                self.bytes = self.bytes.saturating_sub(self.items[at].bytes());
                self.items[at].read_again(now);
                self.bytes += self.items[at].bytes();
            }
        }
        // If it was begun again meanwhile, the cursor stays at its new beginning.
        if self.reread_before == before {
            let is_over = self.items.front().is_none_or(|first| first.sort_key.id >= *next);
            self.reread_before = (*more && !is_over).then_some(*next);
        }
        self.trim();
    }

    /// Returns whether an entry belongs to this peer. A page by name may contain another peer at the same address.
    fn concerns(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Gap(gap) => self.key.covers_gap(gap),
            // It is shown as the mark of its message.
            Entry::Notice(notice) if notice.notice == BOUNCED => false,
            Entry::Notice(notice) => self.key.covers_notice(notice),
            Entry::Message(message) => self.key.covers(message),
        }
    }

    fn push_newer(&mut self, item: Item) {
        if !self.items.back_mut().is_some_and(|last| last.merge(&item)) {
            self.bytes += item.bytes();
            self.items.push_back(item);
        }
    }

    fn push_older(&mut self, item: Item) {
        if !self.items.front_mut().is_some_and(|first| first.merge(&item)) {
            self.bytes += item.bytes();
            self.items.push_front(item);
        }
    }

    /// Drops items that are far from the screen until the window has its maximum size.
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

    /// Returns whether there is so much text beyond an item that another page would drop text at the other end.
    pub(super) fn has_plenty(&self, end: WindowEnd, index: usize) -> bool {
        let span = match end {
            WindowEnd::Older => 0..index,
            WindowEnd::Newer => index..self.items.len(),
        };
        self.bytes_in(span) > MAX_BYTES / 3
    }

    fn drop_oldest(&mut self) {
        let Some(gone) = self.items.pop_front() else { return };
        self.bytes = self.bytes.saturating_sub(gone.bytes());
        if gone.kind != ItemKind::Unsent {
            self.older = Some(gone.last_id + 1);
        }
    }

    fn drop_newest(&mut self) {
        let Some(gone) = self.items.pop_back() else { return };
        self.bytes = self.bytes.saturating_sub(gone.bytes());
        if gone.kind != ItemKind::Unsent {
            let cursor = gone.sort_key.id - 1;
            self.newer = Some(cursor);
            self.newest_id = cursor;
        }
    }

    /// Replaces the unsent messages.
    pub(super) fn set_unsent(&mut self, unsent: impl IntoIterator<Item = Item>) {
        let bytes = &mut self.bytes;
        self.items.retain(|item| {
            let stays = item.kind != ItemKind::Unsent;
            if !stays {
                *bytes = bytes.saturating_sub(item.bytes());
            }
            stays
        });
        for item in unsent {
            let at = self.items.partition_point(|other| other.sort_key < item.sort_key);
            let too_old = at == 0 && self.older.is_some();
            let too_new = at == self.items.len() && self.newer.is_some();
            if !(too_old || too_new) {
                self.bytes += item.bytes();
                self.items.insert(at, item);
            }
        }
    }
}

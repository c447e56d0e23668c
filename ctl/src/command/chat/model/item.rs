//! An item of a conversation: a message, a gap, or a message that is not in the log. Its text is safe to show.

use std::ops::Range;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use udpchat_api::{Direction, Entry, Gap, Message, Notice, Timestamp};
use udpchat_locale::{tr, translated};

use super::delivery::SentState;
use crate::command::send::Payload;
use crate::output::{loss, notice_text, source};
use crate::terminal::wrap;

/// An item of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Item {
    pub(in crate::command::chat) sort_key: SortKey,
    /// The last id that the item covers: adjacent gaps are shown as one.
    pub(super) last_id: u64,
    /// The local time.
    pub(in crate::command::chat) at: DateTime,
    pub(in crate::command::chat) kind: ItemKind,
    /// The text of the message, or the description of the gap.
    pub(in crate::command::chat) text: String,
    /// The bytes of the message; empty where they are not known.
    pub(in crate::command::chat) raw: Vec<u8>,
    /// Why the message was not sent, or may not have been.
    pub(in crate::command::chat) note: Option<String>,
    /// What is known of a sent message.
    pub(in crate::command::chat) sent: Option<SentState>,
    /// The wrapped lines while the item is on the screen.
    lines: Option<Lines>,
}

/// Orders the items: by entry id, then by the ticket of an unsent message after that entry. An entry has ticket 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::command::chat) struct SortKey {
    pub(in crate::command::chat) id: u64,
    pub(in crate::command::chat) ticket: u64,
}

/// The kind of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum ItemKind {
    Received,
    /// Sent, or refused by the kernel.
    Sent,
    /// Lost messages: their number, and the reason and whose they were as in the protocol.
    Gap {
        lost: u64,
        reason: String,
        peer: Option<String>,
    },
    /// What became known.
    Notice,
    /// In flight, or failed; not an entry of the log.
    Unsent,
}

/// The text of an item, wrapped at a width.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lines {
    columns: usize,
    /// Whether `text` holds the lines of the bytes instead of those of the text.
    is_hex: bool,
    text: Vec<Range<usize>>,
    note: Vec<Range<usize>>,
}

/// A line of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemLine {
    /// A line of the text.
    Text(Range<usize>),
    /// A line of the bytes.
    Bytes(Range<usize>),
    /// A line of the note.
    Note(Range<usize>),
}

impl Item {
    /// Creates the item of an entry.
    pub(super) fn from_entry(entry: &Entry, zone: &TimeZone) -> Self {
        match entry {
            Entry::Message(message) => Self::from_message(message, zone),
            Entry::Gap(gap) => Self::from_gap(gap, zone),
            Entry::Notice(notice) => Self::from_notice(notice, zone),
        }
    }

    fn from_message(message: &Message, zone: &TimeZone) -> Self {
        let kind = match message.direction {
            Direction::In => ItemKind::Received,
            Direction::Out => ItemKind::Sent,
        };
        let text =
            if message.bytes == 0 { tr!("(empty)").to_owned() } else { wrap::display_text(&message.text) };
        let note = message.error.as_deref().map(|error| not_sent(&translated(error)));
        let raw = message.raw.0.clone();
        let sent = SentState::of(message);
        Self {
            note,
            raw,
            sent,
            ..Self::new(SortKey { id: message.id, ticket: 0 }, message.at, zone, kind, text)
        }
    }

    fn from_gap(gap: &Gap, zone: &TimeZone) -> Self {
        let peer = source(gap);
        let text = wrap::display_line(&loss(gap.lost, &gap.reason, peer.as_deref())).into_owned();
        let kind = ItemKind::Gap { lost: gap.lost, reason: gap.reason.clone(), peer };
        Self::new(SortKey { id: gap.id, ticket: 0 }, gap.at, zone, kind, text)
    }

    fn from_notice(notice: &Notice, zone: &TimeZone) -> Self {
        let text = wrap::display_line(&notice_text(notice)).into_owned();
        Self::new(SortKey { id: notice.id, ticket: 0 }, notice.at, zone, ItemKind::Notice, text)
    }

    /// Creates the item of an unsent message with the text that was typed; `note` says what became of it. The bytes of a text
    /// are known once the daemon has encoded it.
    pub(super) fn unsent(
        sort_key: SortKey,
        at: Timestamp,
        zone: &TimeZone,
        (text, payload): (&str, &Payload),
        note: Option<String>,
    ) -> Self {
        let raw = match payload {
            Payload::Text(_) => Vec::new(),
            Payload::Bytes(bytes) => bytes.clone(),
        };
        Self { note, raw, ..Self::new(sort_key, at, zone, ItemKind::Unsent, wrap::display_text(text)) }
    }

    fn new(sort_key: SortKey, at: Timestamp, zone: &TimeZone, kind: ItemKind, text: String) -> Self {
        let at = zone.to_datetime(at);
        let raw = Vec::new();
        Self { sort_key, last_id: sort_key.id, at, kind, text, raw, note: None, sent: None, lines: None }
    }

    pub(super) fn day(&self) -> Date {
        self.at.date()
    }

    /// Returns the memory in bytes, counting what depends on received data.
    pub(super) fn bytes(&self) -> usize {
        let optional = [self.note.as_ref(), self.sent.as_ref().and_then(|sent| sent.reason.as_ref())];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        size_of::<Self>() + self.text.len() + self.raw.len() + optional
    }

    /// Merges an adjacent gap with the same reason and source into this one. Returns whether it was merged.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let ItemKind::Gap { lost, reason, peer } = &mut self.kind else { return false };
        let ItemKind::Gap { lost: more, reason: other_reason, peer: other_peer } = &other.kind else {
            return false;
        };
        if (&*reason, &*peer) != (other_reason, other_peer) {
            return false;
        }
        *lost = lost.saturating_add(*more);
        self.text = wrap::display_line(&loss(*lost, reason, peer.as_deref())).into_owned();
        self.lines = None;
        self.last_id = self.last_id.max(other.last_id);
        if other.sort_key < self.sort_key {
            (self.sort_key, self.at) = (other.sort_key, other.at);
        }
        true
    }

    /// Returns the lines of the item at a width: its bytes if `is_hex` and they are known, otherwise its wrapped text.
    pub(super) fn lines(&mut self, columns: usize, is_hex: bool) -> impl Iterator<Item = ItemLine> + use<'_> {
        let is_hex = is_hex && !self.raw.is_empty();
        if self.lines.as_ref().is_none_or(|lines| (lines.columns, lines.is_hex) != (columns, is_hex)) {
            let note = self.note.as_deref().map(|note| wrap::wrap(note, columns)).unwrap_or_default();
            let text = if is_hex { self.hex_lines(columns) } else { wrap::wrap(&self.text, columns) };
            self.lines = Some(Lines { columns, is_hex, text, note });
        }
        let (text, note) = self.lines.as_ref().map_or((&[][..], &[][..]), |lines| (&lines.text, &lines.note));
        let line = if is_hex { ItemLine::Bytes } else { ItemLine::Text };
        text.iter().cloned().map(line).chain(note.iter().cloned().map(ItemLine::Note))
    }

    fn hex_lines(&self, columns: usize) -> Vec<Range<usize>> {
        let (bytes, length) = (row_bytes(columns), self.raw.len());
        (0..length).step_by(bytes).map(|start| start..(start + bytes).min(length)).collect()
    }

    /// Takes the text and the state of the same entry as it is read now. If a later state has arrived meanwhile, that stays.
    pub(super) fn read_again(&mut self, now: Self) {
        self.learn(now.sent);
        if self.text != now.text {
            (self.text, self.lines) = (now.text, None);
        }
    }

    /// Takes a state unless a later one is known. Returns whether it is new.
    pub(super) fn learn(&mut self, state: Option<SentState>) -> bool {
        let mark = |state: &Option<SentState>| state.as_ref().map(|state| state.mark);
        let is_new = mark(&state) > mark(&self.sent);
        if is_new {
            self.sent = state;
        }
        is_new
    }

    /// Frees the wrapped lines after the item has left the screen.
    pub(super) fn drop_lines(&mut self) {
        self.lines = None;
    }
}

/// Returns how many bytes a line of a hex dump shows at a width: `0000  c4 e3  |..|`.
pub(in crate::command::chat) fn row_bytes(columns: usize) -> usize {
    let fits = |bytes: &usize| *bytes * 4 + 10 <= columns;
    [16, 8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

/// Returns the note of a message that was not sent.
pub(super) fn not_sent(reason: &str) -> String {
    tr!("[not sent: {reason}]", reason = wrap::display_line(reason))
}

/// Returns the note of a message that may have been sent.
pub(super) fn perhaps_sent(reason: &str) -> String {
    tr!("[it may have been sent: {reason}]", reason = wrap::display_line(reason))
}

/// Returns the note of a message that the daemon no longer holds.
pub(super) fn not_held() -> String {
    tr!("[no longer held: it was sent, cancelled or has expired]").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_gaps_of_one_source_become_one() {
        let gap = |id, peer: Option<&str>| {
            let (at, reason) = (Timestamp::UNIX_EPOCH, "limited".to_owned());
            let peer = peer.map(str::to_owned);
            Item::from_gap(&Gap { id, at, lost: 5, reason, first_id: None, peer, name: None }, &TimeZone::UTC)
        };
        let mut item = gap(1, Some("10.0.0.5"));
        assert!(!item.merge(&gap(2, Some("10.0.0.6"))) && !item.merge(&gap(2, None)));
        assert!(item.merge(&gap(2, Some("10.0.0.5"))));
        assert_eq!(item.text, "10 datagrams of 10.0.0.5 left out here: over the limit");
    }
}

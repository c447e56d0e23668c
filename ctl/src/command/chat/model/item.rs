//! One thing in a conversation: a message, a gap, or a message that has not got out. Its text is safe to show.

use std::ops::Range;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use udpchat_api::{Direction, Entry, Gap, Message, Timestamp};

use crate::command::chat::wrap;
use crate::output::loss;

/// A thing in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Item {
    pub(in crate::command::chat) place: Place,
    /// The last id that it stands for: gaps next to each other are shown as one.
    pub(super) last_id: u64,
    /// The local time.
    pub(in crate::command::chat) at: DateTime,
    pub(in crate::command::chat) what: What,
    /// What was said, or what is to be said about it.
    pub(in crate::command::chat) text: String,
    /// Why it was not sent.
    pub(in crate::command::chat) note: Option<String>,
    /// Its lines, as long as it is on the screen.
    lines: Option<Lines>,
}

/// Where an item stands: behind the entry `id`, and there in the order of `ticket`, which is 0 for the entry itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::command::chat) struct Place {
    pub(in crate::command::chat) id: u64,
    pub(in crate::command::chat) ticket: u64,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum What {
    /// Received.
    In,
    /// Sent, or refused by the kernel.
    Out,
    /// Messages are missing here: how many, and why in the protocol's word.
    Gap { lost: u64, reason: String },
    /// On its way, or given up; no entry of the log.
    Unsent,
}

/// An item cut into lines of a width.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lines {
    columns: usize,
    text: Vec<Range<usize>>,
    note: Vec<Range<usize>>,
}

/// A line of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A part of the text.
    Text(Range<usize>),
    /// A part of the note.
    Note(Range<usize>),
}

impl Item {
    /// Makes an item of an entry.
    pub(super) fn of(entry: &Entry, zone: &TimeZone) -> Self {
        match entry {
            Entry::Message(message) => Self::of_message(message, zone),
            Entry::Gap(gap) => Self::of_gap(gap, zone),
        }
    }

    fn of_message(message: &Message, zone: &TimeZone) -> Self {
        let what = match message.direction {
            Direction::In => What::In,
            Direction::Out => What::Out,
        };
        let text = if message.bytes == 0 { "(empty)".to_owned() } else { wrap::shown(&message.text) };
        let note = message.error.as_deref().map(not_sent);
        Self { note, ..Self::new(Place { id: message.id, ticket: 0 }, message.at, zone, what, text) }
    }

    fn of_gap(gap: &Gap, zone: &TimeZone) -> Self {
        let what = What::Gap { lost: gap.lost, reason: gap.reason.clone() };
        let text = wrap::shown_in_line(&loss(gap.lost, &gap.reason)).into_owned();
        Self::new(Place { id: gap.id, ticket: 0 }, gap.at, zone, what, text)
    }

    /// Makes an item of a message that is no entry, at its place, with what is to be said about it.
    pub(super) fn unsent(
        place: Place,
        at: Timestamp,
        zone: &TimeZone,
        text: &str,
        why: Option<&str>,
    ) -> Self {
        let note = why.map(not_sent);
        Self { note, ..Self::new(place, at, zone, What::Unsent, wrap::shown(text)) }
    }

    fn new(place: Place, at: Timestamp, zone: &TimeZone, what: What, text: String) -> Self {
        let at = zone.to_datetime(at);
        Self { place, last_id: place.id, at, what, text, note: None, lines: None }
    }

    pub(super) fn day(&self) -> Date {
        self.at.date()
    }

    /// Returns what it takes in memory, in bytes, as far as others decide about that.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.note.as_ref().map_or(0, String::len)
    }

    /// Takes up a gap that stands next to this one, if both have the same reason. False if they stay two.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        let (What::Gap { lost, reason }, What::Gap { lost: more, reason: other_reason }) =
            (&mut self.what, &other.what)
        else {
            return false;
        };
        if reason != other_reason {
            return false;
        }
        *lost = lost.saturating_add(*more);
        self.text = wrap::shown_in_line(&loss(*lost, reason)).into_owned();
        self.lines = None;
        self.last_id = self.last_id.max(other.last_id);
        if other.place < self.place {
            (self.place, self.at) = (other.place, other.at);
        }
        true
    }

    /// Returns its lines of so many columns.
    pub(super) fn lines(&mut self, columns: usize) -> impl DoubleEndedIterator<Item = Line> + use<'_> {
        if self.lines.as_ref().is_none_or(|lines| lines.columns != columns) {
            let note = self.note.as_deref().map(|note| wrap::wrap(note, columns)).unwrap_or_default();
            self.lines = Some(Lines { columns, text: wrap::wrap(&self.text, columns), note });
        }
        let (text, note) = self.lines.as_ref().map_or((&[][..], &[][..]), |lines| (&lines.text, &lines.note));
        text.iter().cloned().map(Line::Text).chain(note.iter().cloned().map(Line::Note))
    }

    /// Forgets its lines: it has left the screen.
    pub(super) fn forget_lines(&mut self) {
        self.lines = None;
    }
}

fn not_sent(why: &str) -> String {
    format!("[not sent: {}]", wrap::shown_in_line(why))
}

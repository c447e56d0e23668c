//! Scrolling and layout of a conversation. Rows are laid out from the bottom up, and only those on the screen.

use std::ops::Range;

use jiff::civil::Date;

use super::conversation::{Conversation, Scroll, WindowEnd};
use super::item::ItemLine;

/// The distance in items from an end of the window at which the next page is requested.
const AHEAD_ITEMS: usize = 150;

/// A row of the conversation on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum ConversationRow {
    /// The start of a day.
    Day(Date),
    /// A line of the text of an item.
    Text { index: usize, span: Range<usize>, is_first: bool },
    /// A line of the bytes of an item.
    Bytes { index: usize, span: Range<usize> },
    /// A line of the note of an item.
    Note { index: usize, span: Range<usize> },
}

/// The part of the screen that shows a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command::chat) struct Pane {
    /// The columns of the text, without the margin.
    pub(in crate::command::chat) columns: usize,
    pub(in crate::command::chat) rows: usize,
    /// Whether messages are shown as bytes.
    pub(in crate::command::chat) is_hex: bool,
}

impl Conversation {
    /// Returns the index of the item at the bottom of the screen, and how many of its rows are below the screen.
    fn bottom(&mut self, pane: Pane) -> Option<(usize, usize)> {
        let index = self.bottom_index()?;
        match self.scroll {
            Scroll::Top => Some((index, self.item_rows(index, pane).len().saturating_sub(1))),
            Scroll::Held { sort_key, hidden } if self.items[index].sort_key == sort_key => {
                Some((index, hidden))
            }
            _ => Some((index, 0)),
        }
    }

    /// Lays out one item.
    fn item_rows(&mut self, index: usize, pane: Pane) -> Vec<ConversationRow> {
        let day = self.items[index].day();
        let begins_day = index.checked_sub(1).is_none_or(|before| self.items[before].day() != day);
        let mut rows = Vec::new();
        if begins_day {
            rows.push(ConversationRow::Day(day));
        }
        rows.extend(self.items[index].lines(pane.columns, pane.is_hex).map(|line| match line {
            ItemLine::Text(span) => ConversationRow::Text { index, is_first: span.start == 0, span },
            ItemLine::Bytes(span) => ConversationRow::Bytes { index, span },
            ItemLine::Note(span) => ConversationRow::Note { index, span },
        }));
        rows
    }

    /// Returns the rows on the screen, from the top down.
    pub(super) fn lay_out(&mut self, pane: Pane) -> Vec<ConversationRow> {
        let Some((bottom, hidden)) = self.bottom(pane) else { return Vec::new() };
        let mut screen = self.item_rows(bottom, pane);
        // After the screen became wider, the item may have fewer rows than were hidden.
        let hidden = hidden.min(screen.len().saturating_sub(1));
        let below = screen.split_off(screen.len() - hidden);
        let mut top = bottom;
        while screen.len() < pane.rows && top > 0 {
            top -= 1;
            let mut rows = self.item_rows(top, pane);
            rows.append(&mut screen);
            screen = rows;
        }
        let rows = screen.len();
        let bottom = self.fill_below(&mut screen, below, bottom, pane);
        if let Some((WindowEnd::Older, pending_scroll)) = &mut self.pending_scroll {
            // The screen was moved down only because the next page has not come.
            *pending_scroll += screen.len() - rows;
        }
        screen.drain(..screen.len().saturating_sub(pane.rows));
        for (index, item) in self.items.iter_mut().enumerate() {
            if index < top || index > bottom {
                item.drop_lines();
            }
        }
        screen
    }

    /// Fills the rest of the screen with the rows below the bottom, and moves the bottom there. Returns its index.
    fn fill_below(
        &mut self,
        screen: &mut Vec<ConversationRow>,
        mut below: Vec<ConversationRow>,
        bottom: usize,
        pane: Pane,
    ) -> usize {
        let mut index = bottom;
        if self.scroll == Scroll::Follow {
            return index;
        }
        loop {
            let room = pane.rows.saturating_sub(screen.len());
            let hidden = below.len().saturating_sub(room);
            screen.extend(below.drain(..below.len() - hidden));
            if hidden > 0 || index + 1 == self.items.len() {
                self.set_bottom(index, hidden);
                return index;
            }
            if screen.len() >= pane.rows {
                self.set_bottom(index, 0);
                return index;
            }
            index += 1;
            below = self.item_rows(index, pane);
        }
    }

    /// Sets the bottom of the screen to an item; at the end of the log, the screen follows.
    fn set_bottom(&mut self, index: usize, hidden: usize) {
        let is_end = index + 1 == self.items.len() && hidden == 0 && self.holds_newest();
        self.scroll = match self.items.get(index) {
            Some(item) if !is_end => Scroll::Held { sort_key: item.sort_key, hidden },
            _ => Scroll::Follow,
        };
    }

    /// Scrolls by a number of rows towards an end. At the end of the window, the rest waits for the next page, so that
    /// keys that are faster than pages are not lost.
    pub(super) fn scroll_by(&mut self, end: WindowEnd, rows: usize, pane: Pane) {
        let waiting =
            self.pending_scroll.take().filter(|(other, _)| *other == end).map_or(0, |(_, rows)| rows);
        let left = match end {
            WindowEnd::Older => self.scroll_up(rows + waiting, pane),
            WindowEnd::Newer => self.scroll_down(rows + waiting, pane),
        };
        if left > 0 && self.cursor(end).is_some() {
            self.pending_scroll = Some((end, left));
        }
    }

    /// Moves the bottom of the screen up, to the oldest item at most. Returns the number of remaining rows.
    /// [`Self::lay_out`] moves it down again if the screen is not full.
    fn scroll_up(&mut self, rows: usize, pane: Pane) -> usize {
        let Some((mut index, hidden)) = self.bottom(pane) else { return rows };
        let mut hidden = hidden + rows;
        let mut left = 0;
        loop {
            let height = self.item_rows(index, pane).len();
            if hidden < height {
                break;
            }
            if index == 0 {
                left = hidden + 1 - height;
                hidden = height - 1;
                break;
            }
            hidden -= height;
            index -= 1;
        }
        self.scroll = Scroll::Held { sort_key: self.items[index].sort_key, hidden };
        left
    }

    /// Moves the bottom of the screen down, to the end of the window at most. Returns the number of remaining rows.
    fn scroll_down(&mut self, rows: usize, pane: Pane) -> usize {
        let Some((mut index, mut hidden)) = self.bottom(pane) else { return rows };
        let mut left = rows;
        while left > hidden {
            left -= hidden;
            if index + 1 == self.items.len() {
                self.set_bottom(index, 0);
                return left;
            }
            left -= 1;
            index += 1;
            hidden = self.item_rows(index, pane).len().saturating_sub(1);
        }
        self.set_bottom(index, hidden - left);
        0
    }

    /// Moves the screen to the oldest item of the window.
    pub(super) fn scroll_to_top(&mut self) {
        (self.scroll, self.pending_scroll) = (Scroll::Top, None);
    }

    /// Returns the end of the window for which a page should be requested now.
    pub(super) fn missing_end(&self, screen_rows: usize) -> Option<WindowEnd> {
        if self.requested.is_some() || self.read_failed {
            return None;
        }
        let bottom = self.bottom_index().unwrap_or(0);
        let ahead = AHEAD_ITEMS.max(screen_rows);
        let needs = |end: WindowEnd, items: usize| {
            self.cursor(end).is_some() && items <= ahead && !self.has_plenty(end, bottom)
        };
        if needs(WindowEnd::Newer, self.items.len().saturating_sub(bottom)) {
            return Some(WindowEnd::Newer);
        }
        needs(WindowEnd::Older, bottom.saturating_sub(screen_rows)).then_some(WindowEnd::Older)
    }
}

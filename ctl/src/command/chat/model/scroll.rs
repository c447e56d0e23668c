//! Which rows of a conversation are on the screen, from the bottom up: only those are ever laid out.

use std::ops::Range;

use jiff::civil::Date;

use super::conversation::{Conversation, Side};
use super::item::{Line, Place};

/// So many items before an end of the window, the next page is asked for.
const AHEAD_ITEMS: usize = 150;

/// Where the bottom of the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// At the newest item, whatever arrives.
    Follow,
    /// At an item, of which so many rows lie below the screen.
    Held { place: Place, hidden: usize },
}

/// A row of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command::chat) enum Row {
    /// A day begins.
    Day(Date),
    /// A line of the text of the item with this index.
    Text { index: usize, span: Range<usize>, is_first: bool },
    /// A line of what is said about the item.
    Note { index: usize, span: Range<usize> },
}

/// The part of the screen that shows a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command::chat) struct Pane {
    /// The columns that text has, without what stands before it.
    pub(in crate::command::chat) columns: usize,
    pub(in crate::command::chat) rows: usize,
}

impl Conversation {
    /// Tells whether the newest item is on the screen, whatever arrives.
    pub(in crate::command::chat) fn is_following(&self) -> bool {
        self.scroll == Scroll::Follow && self.is_live()
    }

    /// Returns the index of the item at the bottom of the screen.
    pub(super) fn bottom_index(&self) -> Option<usize> {
        match self.scroll {
            Scroll::Follow => self.items.len().checked_sub(1),
            Scroll::Held { place, .. } => self.index_of(place).or((!self.items.is_empty()).then_some(0)),
        }
    }

    /// Returns the bottom as an index and how many rows of that item lie below it.
    fn bottom(&self) -> Option<(usize, usize)> {
        let index = self.bottom_index()?;
        match self.scroll {
            Scroll::Held { place, hidden } if self.items[index].place == place => Some((index, hidden)),
            _ => Some((index, 0)),
        }
    }

    /// Lays out one item.
    fn rows_of(&mut self, index: usize, pane: Pane) -> Vec<Row> {
        let day = self.items[index].day();
        let begins_day = index.checked_sub(1).is_none_or(|before| self.items[before].day() != day);
        let mut rows = Vec::new();
        if begins_day {
            rows.push(Row::Day(day));
        }
        rows.extend(self.items[index].lines(pane.columns).map(|line| match line {
            Line::Text(span) => Row::Text { index, is_first: span.start == 0, span },
            Line::Note(span) => Row::Note { index, span },
        }));
        rows
    }

    /// Lays out what is on the screen, from the top down.
    pub(super) fn fit(&mut self, pane: Pane) -> Vec<Row> {
        let Some((bottom, hidden)) = self.bottom() else { return Vec::new() };
        let mut screen = self.rows_of(bottom, pane);
        // A whole item may lie below where the screen became wider.
        let hidden = hidden.min(screen.len().saturating_sub(1));
        let below = screen.split_off(screen.len() - hidden);
        let mut top = bottom;
        while screen.len() < pane.rows && top > 0 {
            top -= 1;
            let mut rows = self.rows_of(top, pane);
            rows.append(&mut screen);
            screen = rows;
        }
        let rows = screen.len();
        let bottom = self.fill_below(&mut screen, below, bottom, pane);
        if let Some((Side::Older, owed)) = &mut self.owed {
            // What the screen was moved down only because the next page has not come.
            *owed += screen.len() - rows;
        }
        screen.drain(..screen.len().saturating_sub(pane.rows));
        for (index, item) in self.items.iter_mut().enumerate() {
            if index < top || index > bottom {
                item.forget_lines();
            }
        }
        screen
    }

    /// Fills a screen that has room left with what lies below, and moves the bottom there. Returns its index.
    fn fill_below(&mut self, screen: &mut Vec<Row>, mut below: Vec<Row>, bottom: usize, pane: Pane) -> usize {
        let mut index = bottom;
        if self.scroll == Scroll::Follow {
            return index;
        }
        loop {
            let room = pane.rows.saturating_sub(screen.len());
            let hidden = below.len().saturating_sub(room);
            screen.extend(below.drain(..below.len() - hidden));
            if hidden > 0 || index + 1 == self.items.len() {
                self.settle(index, hidden);
                return index;
            }
            if screen.len() >= pane.rows {
                self.settle(index, 0);
                return index;
            }
            index += 1;
            below = self.rows_of(index, pane);
        }
    }

    /// Puts the bottom of the screen at an item; at the end of the log, the screen follows.
    fn settle(&mut self, index: usize, hidden: usize) {
        let is_end = index + 1 == self.items.len() && hidden == 0 && self.is_live();
        self.scroll = match self.items.get(index) {
            Some(item) if !is_end => Scroll::Held { place: item.place, hidden },
            _ => Scroll::Follow,
        };
    }

    /// Moves the screen by so many rows to a side. Where the window ends before the log does, the rest waits for the next
    /// page: keys that come faster than pages are not lost.
    pub(super) fn scroll_by(&mut self, side: Side, rows: usize, pane: Pane) {
        let waiting = self.owed.take().filter(|(other, _)| *other == side).map_or(0, |(_, rows)| rows);
        let left = match side {
            Side::Older => self.scroll_up(rows + waiting, pane),
            Side::Newer => self.scroll_down(rows + waiting, pane),
        };
        if left > 0 && self.cursor(side).is_some() {
            self.owed = Some((side, left));
        }
    }

    /// Moves the screen up, the bottom to the oldest item at most. Returns how many rows are left; how far up it can
    /// really be, [`Self::fit`] decides.
    fn scroll_up(&mut self, rows: usize, pane: Pane) -> usize {
        let Some((mut index, hidden)) = self.bottom() else { return rows };
        let mut hidden = hidden + rows;
        let mut left = 0;
        loop {
            let height = self.rows_of(index, pane).len();
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
        self.scroll = Scroll::Held { place: self.items[index].place, hidden };
        left
    }

    /// Moves the screen down, to the end of the window at most. Returns how many rows are left.
    fn scroll_down(&mut self, rows: usize, pane: Pane) -> usize {
        let Some((mut index, mut hidden)) = self.bottom() else { return rows };
        let mut left = rows;
        while left > hidden {
            left -= hidden;
            if index + 1 == self.items.len() {
                self.settle(index, 0);
                return left;
            }
            left -= 1;
            index += 1;
            hidden = self.rows_of(index, pane).len().saturating_sub(1);
        }
        self.settle(index, hidden - left);
        0
    }

    /// Moves the screen to the oldest item of the window.
    pub(super) fn scroll_to_top(&mut self) {
        if let Some(first) = self.items.front() {
            (self.scroll, self.owed) = (Scroll::Held { place: first.place, hidden: 0 }, None);
        }
    }

    /// Returns the end of the window at which more is needed soon.
    pub(super) fn needs(&self, screen_rows: usize) -> Option<Side> {
        if self.asked.is_some() || self.stuck {
            return None;
        }
        let bottom = self.bottom_index().unwrap_or(0);
        let ahead = AHEAD_ITEMS.max(screen_rows);
        let needs = |side: Side, items: usize| {
            self.cursor(side).is_some() && items <= ahead && !self.has_plenty(side, bottom)
        };
        if needs(Side::Newer, self.items.len().saturating_sub(bottom)) {
            return Some(Side::Newer);
        }
        needs(Side::Older, bottom.saturating_sub(screen_rows)).then_some(Side::Older)
    }
}

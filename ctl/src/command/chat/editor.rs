//! The text that is being typed: a cursor that goes by what a reader takes for one character, and rows of a width.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::wrap;

/// The most that can be typed, in bytes of UTF-8: more than any datagram holds in any encoding that peers speak.
const MAX_BYTES: usize = 128 * 1024;

/// A text with a cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// Where the next character goes; always between two graphemes.
    cursor: usize,
}

/// Which way, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
}

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    pub(super) fn set(&mut self, text: &str) {
        *self = Self::default();
        self.insert(text);
    }

    /// Empties it and returns what was in it.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    /// Inserts text at the cursor: line ends become `\n`, other controls but tabs go away. False if not all of it fits.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let kept =
            text.chars().filter(|&character| matches!(character, '\n' | '\t') || !character.is_control());
        let mut room = MAX_BYTES.saturating_sub(self.text.len());
        let mut fits = true;
        let taken: String = kept
            .take_while(|character| {
                fits = character.len_utf8() <= room;
                room = room.saturating_sub(character.len_utf8());
                fits
            })
            .collect();
        self.text.insert_str(self.cursor, &taken);
        self.cursor = self.boundary_from(self.cursor + taken.len());
        fits
    }

    /// Moves the cursor.
    pub(super) fn go(&mut self, motion: Motion) {
        self.cursor = self.target(motion);
    }

    /// Removes what lies between the cursor and where it would go.
    pub(super) fn erase(&mut self, motion: Motion) {
        let target = self.target(motion);
        let span = self.cursor.min(target)..self.cursor.max(target);
        self.text.replace_range(span.clone(), "");
        // What was apart may now be one grapheme.
        self.cursor = self.boundary_from(span.start);
    }

    fn target(&self, motion: Motion) -> usize {
        let (before, behind) = self.text.split_at(self.cursor);
        match motion {
            Motion::Left => self.cursor - before.graphemes(true).next_back().map_or(0, str::len),
            Motion::Right => self.cursor + behind.graphemes(true).next().map_or(0, str::len),
            Motion::WordLeft => {
                let mut words = before.unicode_word_indices();
                words.next_back().map_or(0, |(at, _)| at)
            }
            Motion::WordRight => {
                let word = behind.unicode_word_indices().next();
                word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
            }
            Motion::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Motion::LineEnd => behind.find('\n').map_or(self.text.len(), |at| self.cursor + at),
        }
    }

    /// Returns the next place between two graphemes.
    fn boundary_from(&self, place: usize) -> usize {
        let start = self.text[..place].rfind('\n').map_or(0, |at| at + 1);
        let mut ends =
            self.text[start..].grapheme_indices(true).map(|(at, grapheme)| start + at + grapheme.len());
        if start == place { place } else { ends.find(|&end| end >= place).unwrap_or(self.text.len()) }
    }

    /// Moves the cursor a row up or down; false if there is none.
    pub(super) fn go_row(&mut self, down: bool, columns: usize) -> bool {
        let rows = self.rows(columns);
        let (row, column) = self.place(&rows);
        let target = if down { row + 1 } else { row.wrapping_sub(1) };
        let Some(span) = rows.get(target) else { return false };
        self.cursor = self.in_row(span, column, target + 1 < rows.len());
        true
    }

    /// Returns the place in a row that is nearest to a column.
    fn in_row(&self, span: &Range<usize>, column: usize, has_next: bool) -> usize {
        let mut used = 0;
        for (at, grapheme) in self.text[span.clone()].grapheme_indices(true) {
            used += Self::width(grapheme);
            let at_next = span.start + at + grapheme.len();
            // The end of a row that goes on is the beginning of the next.
            if used > column || (at_next == span.end && has_next && !self.text[at_next..].starts_with('\n')) {
                return span.start + at;
            }
        }
        span.end
    }

    /// Returns the rows as they are shown, and in which row and column the cursor stands.
    pub(super) fn shown(&self, columns: usize) -> (Vec<String>, (usize, usize)) {
        let rows = self.rows(columns);
        let place = self.place(&rows);
        let show = |span: &Range<usize>| -> String {
            self.text[span.clone()].graphemes(true).map(wrap::shown_in_line).collect()
        };
        (rows.iter().map(show).collect(), place)
    }

    /// Returns how many rows are shown.
    pub(super) fn row_count(&self, columns: usize) -> usize {
        self.rows(columns).len()
    }

    /// Cuts the text into rows, where a row has room for the cursor behind its last character.
    fn rows(&self, columns: usize) -> Vec<Range<usize>> {
        let columns = columns.max(2);
        let mut rows = Vec::new();
        let (mut from, mut used) = (0, 0);
        for (at, grapheme) in self.text.grapheme_indices(true) {
            if grapheme == "\n" {
                rows.push(from..at);
                (from, used) = (at + 1, 0);
                continue;
            }
            let width = Self::width(grapheme);
            if used + width > columns - 1 && at > from {
                rows.push(from..at);
                (from, used) = (at, 0);
            }
            used += width;
        }
        rows.push(from..self.text.len());
        rows
    }

    fn place(&self, rows: &[Range<usize>]) -> (usize, usize) {
        let row = rows.partition_point(|span| span.start <= self.cursor).saturating_sub(1);
        let start = rows.get(row).map_or(0, |span| span.start);
        (row, self.text[start..self.cursor].graphemes(true).map(Self::width).sum())
    }

    fn width(grapheme: &str) -> usize {
        wrap::width(&wrap::shown_in_line(grapheme))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Editor {
        let mut editor = Editor::default();
        assert!(editor.insert(text));
        editor
    }

    #[test]
    fn the_cursor_goes_by_what_a_reader_takes_for_a_character() {
        let mut editor = typed("ae\u{301}你👍🏽");
        for expected in ["ae\u{301}你", "ae\u{301}", "a", "", ""] {
            editor.erase(Motion::Left);
            assert_eq!(editor.text(), expected);
        }
        let mut marked = typed("e");
        marked.insert("\u{301}");
        marked.go(Motion::Left);
        assert_eq!(marked.cursor, 0);
    }

    #[test]
    fn words_and_lines_are_gone_over_at_once() {
        let mut editor = typed("one two\nthree four");
        editor.go(Motion::LineStart);
        editor.insert(">");
        assert_eq!(editor.text(), "one two\n>three four");
        editor.go(Motion::WordRight);
        editor.erase(Motion::LineEnd);
        editor.erase(Motion::WordLeft);
        assert_eq!(editor.text(), "one two\n>");
        editor.erase(Motion::LineStart);
        assert_eq!(editor.text(), "one two\n");
    }

    #[test]
    fn line_ends_stay_and_other_controls_go() {
        assert_eq!(typed("a\r\nb\rc\td\u{1b}[31m\u{7f}e").text(), "a\nb\nc\td[31me");
    }

    #[test]
    fn more_than_fits_is_told() {
        let mut editor = Editor::default();
        assert!(!editor.insert(&"你".repeat(MAX_BYTES)));
        assert!(editor.text().len() <= MAX_BYTES && editor.text().len() > MAX_BYTES - 3);
        assert!(!editor.insert("x你"));
    }

    #[test]
    fn rows_are_as_wide_as_they_may_be_and_the_cursor_is_in_them() {
        let editor = typed("你好世界");
        // One column is kept for the cursor.
        assert_eq!(editor.shown(5), (vec!["你好".to_owned(), "世界".to_owned()], (1, 4)));
        assert_eq!(typed("ab\n").shown(10), (vec!["ab".to_owned(), String::new()], (1, 0)));
        assert_eq!(typed("a\u{200d}").shown(20).0, ["a\\u{200d}"]);
    }

    #[test]
    fn rows_are_gone_over_up_and_down() {
        let mut editor = typed("one\n你好吗\nthree");
        assert!(editor.go_row(false, 20));
        editor.insert("|");
        assert_eq!(editor.text(), "one\n你好|吗\nthree");
        assert!(editor.go_row(false, 20) && !editor.go_row(false, 20));
        assert!(editor.go_row(true, 20) && editor.go_row(true, 20) && !editor.go_row(true, 20));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_typed_can_break_it(
            steps in proptest::collection::vec((0_usize..10, r"(\PC|\n|一|\u{301}|\u{200d}|👍){0,6}"), 0..40),
            columns in 0_usize..20,
        ) {
            let mut editor = Editor::default();
            for (step, text) in steps {
                match step {
                    0 => editor.go(Motion::Left),
                    1 => editor.go(Motion::WordLeft),
                    2 => editor.go(Motion::WordRight),
                    3 => editor.erase(Motion::Left),
                    4 => editor.erase(Motion::Right),
                    5 => { editor.go_row(false, columns); }
                    6 => { editor.go_row(true, columns); }
                    _ => { editor.insert(&text); }
                }
                let (rows, (row, column)) = editor.shown(columns);
                proptest::prop_assert!(row < rows.len());
                proptest::prop_assert!(column <= wrap::width(&rows[row]));
                proptest::prop_assert!(!rows.concat().contains(udpchat_api::safe::is_unsafe));
            }
        }
    }
}

//! The text input: a cursor that moves by graphemes (what a reader sees as one character), and wrapped rows.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::terminal::wrap;

/// The longest text in bytes of UTF-8: more than a datagram holds in any supported encoding.
const MAX_BYTES: usize = 128 * 1024;

/// A text with a cursor.
#[derive(Clone, Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// The byte offset of the cursor, always between two graphemes.
    cursor: usize,
}

/// The direction and distance of a cursor movement.
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

    /// Replaces the text and moves the cursor to its end.
    pub(super) fn set(&mut self, text: &str) {
        *self = Self::default();
        self.insert(text);
    }

    /// Removes and returns the text.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(self).text
    }

    /// Inserts text at the cursor, with line ends as `\n` and without other control characters except tabs. Returns
    /// whether all of it fits.
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
    pub(super) fn move_cursor(&mut self, motion: Motion) {
        self.cursor = self.target(motion);
    }

    /// Removes the text between the cursor and the target of a movement.
    pub(super) fn erase(&mut self, motion: Motion) {
        let target = self.target(motion);
        let span = self.cursor.min(target)..self.cursor.max(target);
        self.text.replace_range(span.clone(), "");
        // The characters around the cursor may form one grapheme now.
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

    /// Returns the first offset at or after `place` that is between two graphemes.
    fn boundary_from(&self, place: usize) -> usize {
        let start = self.text[..place].rfind('\n').map_or(0, |at| at + 1);
        let mut ends =
            self.text[start..].grapheme_indices(true).map(|(at, grapheme)| start + at + grapheme.len());
        if start == place { place } else { ends.find(|&end| end >= place).unwrap_or(self.text.len()) }
    }

    /// Moves the cursor up or down by a row. Returns whether there is such a row.
    pub(super) fn move_row(&mut self, down: bool, columns: usize) -> bool {
        let rows = self.rows(columns);
        let (row, column) = self.cursor_position(&rows);
        let target = if down { row + 1 } else { row.wrapping_sub(1) };
        let Some(span) = rows.get(target) else { return false };
        self.cursor = self.offset_in_row(span, column, target + 1 < rows.len());
        true
    }

    /// Returns the offset in a row that is nearest to a column.
    fn offset_in_row(&self, span: &Range<usize>, column: usize, has_next: bool) -> usize {
        let mut used = 0;
        for (at, grapheme) in self.graphemes(span.clone()) {
            used += self.width(at, grapheme);
            let at_next = at + grapheme.len();
            // The end of a wrapped row is the start of the next one.
            if used > column || (at_next == span.end && has_next && !self.text[at_next..].starts_with('\n')) {
                return at;
            }
        }
        span.end
    }

    /// Returns the rows in displayable form, and the row and column of the cursor.
    pub(super) fn display_rows(&self, columns: usize) -> (Vec<String>, (usize, usize)) {
        let rows = self.rows(columns);
        let place = self.cursor_position(&rows);
        let show = |span: &Range<usize>| -> String {
            self.graphemes(span.clone()).map(|(at, grapheme)| self.shown(at, grapheme)).collect()
        };
        (rows.iter().map(show).collect(), place)
    }

    /// Returns the number of rows.
    pub(super) fn row_count(&self, columns: usize) -> usize {
        self.rows(columns).len()
    }

    /// Wraps the text into rows that leave a column for the cursor after the last character.
    fn rows(&self, columns: usize) -> Vec<Range<usize>> {
        let columns = columns.max(2);
        let mut rows = Vec::new();
        let (mut from, mut used) = (0, 0);
        for (at, grapheme) in self.graphemes(0..self.text.len()) {
            if grapheme == "\n" {
                rows.push(from..at);
                (from, used) = (at + 1, 0);
                continue;
            }
            let width = self.width(at, grapheme);
            if used + width > columns - 1 && at > from {
                rows.push(from..at);
                (from, used) = (at, 0);
            }
            used += width;
        }
        rows.push(from..self.text.len());
        rows
    }

    fn cursor_position(&self, rows: &[Range<usize>]) -> (usize, usize) {
        let row = rows.partition_point(|span| span.start <= self.cursor).saturating_sub(1);
        let start = rows.get(row).map_or(0, |span| span.start);
        (row, self.graphemes(start..self.cursor).map(|(at, grapheme)| self.width(at, grapheme)).sum())
    }

    /// Returns the graphemes of a part of the text, each with its offset.
    fn graphemes(&self, part: Range<usize>) -> impl Iterator<Item = (usize, &str)> {
        let start = part.start;
        self.text[part].grapheme_indices(true).map(move |(at, grapheme)| (start + at, grapheme))
    }

    /// Returns a grapheme at an offset in displayable form.
    fn shown(&self, at: usize, grapheme: &str) -> Cow<'_, str> {
        wrap::display_part(&self.text, at..at + grapheme.len())
    }

    fn width(&self, at: usize, grapheme: &str) -> usize {
        wrap::width(&self.shown(at, grapheme))
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
    fn the_cursor_moves_by_graphemes() {
        let mut editor = typed("ae\u{301}你👍🏽");
        for expected in ["ae\u{301}你", "ae\u{301}", "a", "", ""] {
            editor.erase(Motion::Left);
            assert_eq!(editor.text(), expected);
        }
        let mut marked = typed("e");
        marked.insert("\u{301}");
        marked.move_cursor(Motion::Left);
        assert_eq!(marked.cursor, 0);
    }

    #[test]
    fn the_cursor_moves_by_words_and_lines() {
        let mut editor = typed("one two\nthree four");
        editor.move_cursor(Motion::LineStart);
        editor.insert(">");
        assert_eq!(editor.text(), "one two\n>three four");
        editor.move_cursor(Motion::WordRight);
        editor.erase(Motion::LineEnd);
        editor.erase(Motion::WordLeft);
        assert_eq!(editor.text(), "one two\n>");
        editor.erase(Motion::LineStart);
        assert_eq!(editor.text(), "one two\n");
    }

    #[test]
    fn line_ends_are_kept_and_other_controls_removed() {
        assert_eq!(typed("a\r\nb\rc\td\u{1b}[31m\u{7f}e").text(), "a\nb\nc\td[31me");
    }

    #[test]
    fn insert_reports_text_that_does_not_fit() {
        let mut editor = Editor::default();
        assert!(!editor.insert(&"你".repeat(MAX_BYTES)));
        assert!(editor.text().len() <= MAX_BYTES && editor.text().len() > MAX_BYTES - 3);
        assert!(!editor.insert("x你"));
    }

    #[test]
    fn rows_leave_a_column_for_the_cursor() {
        let editor = typed("你好世界");
        // Five columns: four for text and one for the cursor.
        assert_eq!(editor.display_rows(5), (vec!["你好".to_owned(), "世界".to_owned()], (1, 4)));
        assert_eq!(typed("ab\n").display_rows(10), (vec!["ab".to_owned(), String::new()], (1, 0)));
        assert_eq!(typed("a\u{200d}").display_rows(20).0, ["a\\u{200d}"]);
        // Joined characters are shown as they are, and those of an emoji take two columns.
        assert_eq!(typed("می\u{200c}خواهم").display_rows(20), (vec!["می\u{200c}خواهم".to_owned()], (0, 7)));
        assert_eq!(typed("👨\u{200d}👩").display_rows(20), (vec!["👨\u{200d}👩".to_owned()], (0, 2)));
    }

    #[test]
    fn the_cursor_moves_up_and_down_by_rows() {
        let mut editor = typed("one\n你好吗\nthree");
        assert!(editor.move_row(false, 20));
        editor.insert("|");
        assert_eq!(editor.text(), "one\n你好|吗\nthree");
        assert!(editor.move_row(false, 20) && !editor.move_row(false, 20));
        assert!(editor.move_row(true, 20) && editor.move_row(true, 20) && !editor.move_row(true, 20));
    }

    proptest::proptest! {
        #[test]
        fn any_input_keeps_the_cursor_inside_safe_rows(
            steps in proptest::collection::vec((0_usize..10, r"(\PC|\n|一|\u{301}|\u{200c}|\u{200d}|👍|ی){0,6}"), 0..40),
            columns in 0_usize..20,
        ) {
            let mut editor = Editor::default();
            for (step, text) in steps {
                match step {
                    0 => editor.move_cursor(Motion::Left),
                    1 => editor.move_cursor(Motion::WordLeft),
                    2 => editor.move_cursor(Motion::WordRight),
                    3 => editor.erase(Motion::Left),
                    4 => editor.erase(Motion::Right),
                    5 => { editor.move_row(false, columns); }
                    6 => { editor.move_row(true, columns); }
                    _ => { editor.insert(&text); }
                }
                let (rows, (row, column)) = editor.display_rows(columns);
                proptest::prop_assert!(row < rows.len());
                proptest::prop_assert!(column <= wrap::width(&rows[row]));
                proptest::prop_assert_eq!(udpchat_api::safe::find_unsafe(&rows.concat()), None);
            }
        }
    }
}

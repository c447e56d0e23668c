//! The window that lists all keys.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use udpchat_locale::tr;

use super::cells::{put, row, window};
use crate::command::chat::keys;
use crate::command::chat::theme::{Marks, Theme};
use crate::terminal::wrap;

/// The columns of the key names.
pub(super) const NAME_COLUMNS: usize = 24;
/// The columns of the window.
pub(super) const COLUMNS: u16 = 78;

/// Draws the help without its first `scrolled` lines, and returns the position of the cursor.
pub(super) fn draw(scrolled: usize, screen: Rect, theme: &Theme, buffer: &mut Buffer) -> Position {
    let columns = usize::from(screen.width.min(COLUMNS).saturating_sub(2));
    let lines = lines(columns, &theme.marks);
    let rows = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let title = match rows > screen.height {
        true => tr!("Keys (PageDown; Esc closes)"),
        false => tr!("Keys (Esc closes)"),
    };
    let area = window(title, screen, (COLUMNS, rows), theme, buffer);
    let first = scrolled.min(lines.len().saturating_sub(area.height.into()));
    for (number, (name, text)) in lines.iter().skip(first).take(area.height.into()).enumerate() {
        let area = row(area, number);
        put(buffer, area, 0, name, theme.strong);
        put(buffer, area, indent(columns), text, Style::new());
    }
    area.as_position()
}

/// Returns the lines of the help: key and description, on separate lines if the window is narrow.
fn lines(columns: usize, marks: &Marks) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let is_wide = columns >= usize::from(COLUMNS) - 2;
    let Marks { answered, sent, bounced, held } = marks;
    let marks = format!("{answered}  {sent}  {bounced}  {held}");
    let meaning = tr!("answered, nothing is known, bounced, held");
    for (name, text) in keys::help().into_iter().chain([(marks.as_str(), meaning)]) {
        let mut name = wrap::truncated(name, columns).into_owned();
        if !is_wide {
            lines.push((std::mem::take(&mut name), String::new()));
        }
        let room = columns.saturating_sub(indent(columns));
        for span in wrap::wrap(text, room) {
            lines.push((std::mem::take(&mut name), text[span].to_owned()));
        }
    }
    lines
}

/// Returns the column of the descriptions.
fn indent(columns: usize) -> usize {
    if columns >= usize::from(COLUMNS) - 2 { NAME_COLUMNS } else { 2 }
}

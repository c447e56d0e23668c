//! The input line, or its rows around the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::areas::PROMPT_COLUMNS;
use super::{put, row};
use crate::command::chat::model::Model;
use crate::command::chat::theme::Theme;

/// Draws the input, and returns where the cursor belongs.
pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) -> Position {
    let prompt = if area.width > PROMPT_COLUMNS + 1 { usize::from(PROMPT_COLUMNS) } else { 0 };
    let columns = usize::from(area.width).saturating_sub(prompt);
    let (rows, (cursor_row, cursor_column)) = model.input.shown(columns);
    let height = usize::from(area.height);
    let first = (cursor_row + 1).saturating_sub(height);
    for (number, text) in rows.iter().skip(first).take(height).enumerate() {
        let area = row(area, number);
        if prompt > 0 {
            let sign = if first + number == 0 { ">" } else { "│" };
            put(buffer, area, 0, sign, theme.to);
        }
        put(buffer, area, prompt, text, Style::new());
    }
    position(area, prompt + cursor_column, cursor_row.saturating_sub(first))
}

/// Returns a place of an area as one of the screen, inside of it.
pub(super) fn position(area: Rect, column: usize, row: usize) -> Position {
    let inside = |at: usize, size: u16| u16::try_from(at).unwrap_or(u16::MAX).min(size.saturating_sub(1));
    Position { x: area.x + inside(column, area.width), y: area.y + inside(row, area.height) }
}

//! The text input: its rows around the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::areas::PROMPT_COLUMNS;
use super::cells::{position, put, row};
use crate::command::chat::model::Model;
use crate::command::chat::theme::Theme;

/// Draws the input, and returns the position of the cursor.
pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) -> Position {
    let prompt = if area.width > PROMPT_COLUMNS + 1 { usize::from(PROMPT_COLUMNS) } else { 0 };
    let columns = usize::from(area.width).saturating_sub(prompt);
    let (rows, (cursor_row, cursor_column)) = model.input.display_rows(columns);
    let height = usize::from(area.height);
    let first = (cursor_row + 1).saturating_sub(height);
    for (number, text) in rows.iter().skip(first).take(height).enumerate() {
        let area = row(area, number);
        if prompt > 0 {
            let sign = match first + number {
                0 if model.is_hex => "#",
                0 => ">",
                _ => "│",
            };
            put(buffer, area, 0, sign, theme.sent);
        }
        put(buffer, area, prompt, text, Style::new());
    }
    position(area, prompt + cursor_column, cursor_row.saturating_sub(first))
}

//! Draws text and windows into the cells of the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget};

use crate::command::chat::theme::Theme;
use crate::terminal::wrap;

/// Writes safe text into the first row of an area at a column, cut at the end of the area. Returns the column after it.
pub(super) fn put(buffer: &mut Buffer, area: Rect, column: usize, text: &str, style: Style) -> usize {
    let width = usize::from(area.width);
    if area.height == 0 || column >= width {
        return column;
    }
    // `column` is smaller than the width of the area, a u16.
    let (x, y) = (area.x + column as u16, area.y);
    // Replaces the style of the previous content.
    let (end, _) = buffer.set_stringn(x, y, text, width - column, Style::reset().patch(style));
    usize::from(end - area.x)
}

/// Returns one row of an area; beyond the area it is empty.
pub(super) fn row(area: Rect, number: usize) -> Rect {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let below = area.height.saturating_sub(number);
    Rect { y: area.y + number.min(area.height), height: below.min(1), ..area }
}

/// Converts a column and row of an area to a position on the screen, inside the area.
pub(super) fn position(area: Rect, column: usize, row: usize) -> Position {
    let inside = |at: usize, size: u16| u16::try_from(at).unwrap_or(u16::MAX).min(size.saturating_sub(1));
    Position { x: area.x + inside(column, area.width), y: area.y + inside(row, area.height) }
}

/// Draws an empty window with a title in the middle of the screen, and returns its inner area. On a small screen it covers
/// everything.
pub(super) fn window(
    title: &str,
    screen: Rect,
    (columns, rows): (u16, u16),
    theme: &Theme,
    buffer: &mut Buffer,
) -> Rect {
    let (width, height) = (screen.width.min(columns), screen.height.min(rows));
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    // Half of a wide character to the left of the window would be covered.
    let margin = Rect { x: area.x.saturating_sub(1), width: (width + 1).min(screen.width), ..area };
    blank_wide_characters(margin, buffer);
    Clear.render(area, buffer);
    if width < 4 || height < 4 {
        return area;
    }
    let block =
        Block::bordered().title(format!(" {title} ")).border_style(theme.dim).title_style(theme.strong);
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

/// Blanks wide characters in the first column of an area, whose right half is going to be covered.
fn blank_wide_characters(area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        if let Some(cell) = buffer.cell_mut((area.x, y)).filter(|cell| wrap::width(cell.symbol()) > 1) {
            cell.set_symbol(" ");
        }
    }
}

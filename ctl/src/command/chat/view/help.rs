//! The keys, over the conversation; and the frame of everything that is drawn over it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget};

use super::{put, row};
use crate::command::chat::keys::HELP;
use crate::command::chat::theme::Theme;
use crate::command::chat::wrap;

/// The columns of the keys' names.
const NAME_COLUMNS: usize = 24;
const COLUMNS: u16 = 78;

/// Draws the help without its first lines, and returns where the cursor belongs.
pub(super) fn draw(away: usize, screen: Rect, theme: &Theme, buffer: &mut Buffer) -> Position {
    let columns = usize::from(screen.width.min(COLUMNS).saturating_sub(2));
    let lines = lines(columns);
    let rows = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = window("Keys; Esc closes", screen, (COLUMNS, rows), theme, buffer);
    let first = away.min(lines.len().saturating_sub(area.height.into()));
    for (number, (name, text)) in lines.iter().skip(first).take(area.height.into()).enumerate() {
        let area = row(area, number);
        put(buffer, area, 0, name, theme.strong);
        put(buffer, area, indent(columns), text, Style::new());
    }
    area.as_position()
}

/// Returns the lines of the help: the key and what it does, below each other where there is no room beside.
fn lines(columns: usize) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let is_wide = columns >= usize::from(COLUMNS) - 2;
    for (name, text) in HELP {
        let mut name = wrap::fitted(name, columns).into_owned();
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

/// Returns where it is said what a key does.
fn indent(columns: usize) -> usize {
    if columns >= usize::from(COLUMNS) - 2 { NAME_COLUMNS } else { 2 }
}

/// Draws an empty window with a title in the middle of the screen, and returns the room in it. Where the screen is small,
/// it covers it.
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
    // A wide character that lies half below the window would stand out of it.
    let margin = Rect { x: area.x.saturating_sub(1), width: (width + 1).min(screen.width), ..area };
    blank_halves(margin, buffer);
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

/// Blanks wide characters in the first column of an area, whose right half something else is going to cover.
fn blank_halves(area: Rect, buffer: &mut Buffer) {
    for y in area.top()..area.bottom() {
        if let Some(cell) = buffer.cell_mut((area.x, y)).filter(|cell| wrap::width(cell.symbol()) > 1) {
            cell.set_symbol(" ");
        }
    }
}

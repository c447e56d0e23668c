//! Draws the model. The result depends on nothing but the model, the theme and the size of the screen.

mod areas;
mod cells;
mod conversation;
mod help;
mod input;
mod peers;
mod picker;
mod status;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use udpchat_locale::tr;

pub(super) use self::areas::Areas;
use self::cells::put;
use super::model::{Model, Overlay};
use super::theme::Theme;
use crate::terminal::wrap;

/// Draws everything, and returns the position of the cursor.
pub(super) fn draw(model: &Model, areas: &Areas, theme: &Theme, buffer: &mut Buffer) -> Position {
    if let Some(area) = areas.peers {
        peers::draw(model, area, theme, buffer);
    }
    if let Some(area) = areas.header {
        draw_header(model, area, theme, buffer);
    }
    conversation::draw(model, areas.conversation, theme, buffer);
    if let Some(area) = areas.status {
        status::draw(model, area, theme, buffer);
    }
    let cursor = input::draw(model, areas.input, theme, buffer);
    if let Some(area) = areas.footer {
        draw_keys(area, theme, buffer);
    }
    match &model.overlay {
        None => cursor,
        Some(Overlay::Help(scrolled)) => help::draw(*scrolled, areas.whole, theme, buffer),
        Some(Overlay::Picker(picker)) => picker::draw(model, picker, areas.whole, theme, buffer),
    }
}

/// Draws the most important keys, as far as they fit. Some terminals take F1.
fn draw_keys(area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let keys = [
        tr!("Ctrl+G help"),
        tr!("Ctrl+Q quit"),
        tr!("F2 peers"),
        tr!("F3 encoding"),
        tr!("F4 hex"),
        tr!("F5 line end"),
    ];
    let mut column = 0;
    for key in keys {
        if column + wrap::width(key) > usize::from(area.width) {
            return;
        }
        column = put(buffer, area, column, key, theme.dim) + 2;
    }
}

/// Returns the index of the peer in the first row of the list.
pub(super) fn first_listed(model: &Model, list: Rect) -> usize {
    peers::first_row(model, list.height.into())
}

/// Draws name and address of the open peer, and the encoding for messages to it.
fn draw_header(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let Some(key) = model.open_key() else {
        put(buffer, area, 0, "udpchat", theme.strong);
        return;
    };
    let name = key.to_string();
    let name = wrap::display_line(&name);
    let address = model.open_row().map(|row| wrap::display_line(&row.address).into_owned());
    let encoding =
        model.encoding().map_or(String::new(), |(encoding, by)| tr!("{encoding} ({by})", encoding, by));
    let width = usize::from(area.width);
    let encoding_width = wrap::width(&encoding);
    // Without room for both, the name is shown.
    let has_room = encoding_width + 8 <= width;
    let left = if has_room { width - encoding_width - 1 } else { width };
    let end = put(buffer, area, 0, &wrap::truncated(&name, left), theme.strong);
    if let Some(address) = address.filter(|address| *address != name) {
        let room = left.saturating_sub(end + 2);
        if room >= wrap::width(&address) {
            put(buffer, area, end + 2, &address, Style::new());
        }
    }
    if has_room {
        put(buffer, area, width - encoding_width, &encoding, theme.dim);
    }
}

#[cfg(test)]
mod tests;

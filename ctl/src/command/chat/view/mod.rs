//! Draws the model. The result depends on nothing but the model, the theme and the size of the screen.

mod areas;
mod cells;
mod conversation;
mod help;
mod input;
mod peers;
mod picker;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

pub(super) use self::areas::Areas;
use self::cells::put;
use super::model::{ConnectionState, Model, Overlay};
use super::theme::Theme;
use super::wrap;

/// The bottom row.
const KEYS: &str = "F1 help  F2 peers  F3 encoding  Ctrl+Q quit";

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
        draw_status(model, area, theme, buffer);
    }
    let cursor = input::draw(model, areas.input, theme, buffer);
    if let Some(area) = areas.footer {
        put(buffer, area, 0, &wrap::truncated(KEYS, area.width.into()), theme.dim);
    }
    match &model.overlay {
        None => cursor,
        Some(Overlay::Help(scrolled)) => help::draw(*scrolled, areas.whole, theme, buffer),
        Some(Overlay::Picker(picker)) => picker::draw(model, picker, areas.whole, theme, buffer),
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
    let encoding = model.encoding().map_or(String::new(), |(encoding, by)| format!("{encoding} ({by})"));
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

/// Draws the line above the input: a failure, a message about the last key, or what is below the screen.
fn draw_status(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    put(buffer, area, 0, &"─".repeat(width), theme.dim);
    let (text, style) = match status(model) {
        Some((text, true)) => (text, theme.error),
        Some((text, false)) => (text, theme.alert),
        None => return,
    };
    let room = width.saturating_sub(4);
    let text = wrap::truncated(&text, room).into_owned();
    if !text.is_empty() {
        put(buffer, area, 1, &format!(" {text} "), style);
    }
}

/// Returns the text of the status line, and whether it reports a failure.
fn status(model: &Model) -> Option<(String, bool)> {
    if let ConnectionState::Offline(reason) = &model.connection {
        let reason = wrap::display_line(reason);
        return Some((format!("not connected, trying again: {reason}"), true));
    }
    if let Some(notice) = &model.notice {
        return Some((wrap::display_line(notice).into_owned(), true));
    }
    let open = model.conversation.as_ref().filter(|open| !open.is_following())?;
    let new = model.open_row().map_or(0, |row| row.unread);
    let text = match new {
        0 if open.holds_newest() => "history; Esc goes to the newest message".to_owned(),
        0 => "history; Esc goes to the newest message, far below".to_owned(),
        new => format!("{} new below; Esc goes there", crate::output::grouped(new)),
    };
    Some((text, false))
}

#[cfg(test)]
mod tests;

//! Draws the model: a pure function of it and of the size of the screen.

mod areas;
mod conversation;
mod help;
mod input;
mod peers;
mod picker;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

pub(super) use self::areas::Areas;
use super::model::{Line, Model, Overlay};
use super::theme::Theme;
use super::wrap;

/// What stands at the bottom.
const KEYS: &str = "F1 help  F2 peers  F3 encoding  Ctrl+Q quit";

/// Draws everything, and returns where the cursor of the terminal belongs.
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
        put(buffer, area, 0, &wrap::fitted(KEYS, area.width.into()), theme.dim);
    }
    match &model.overlay {
        None => cursor,
        Some(Overlay::Help(away)) => help::draw(*away, areas.whole, theme, buffer),
        Some(Overlay::Picker(picker)) => picker::draw(model, picker, areas.whole, theme, buffer),
    }
}

/// Returns which peer is in the first row of the list.
pub(super) fn first_listed(model: &Model, list: Rect) -> usize {
    peers::first_row(model, list.height.into())
}

/// Who is talked to, and what messages to them go out in.
fn draw_header(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let Some(key) = model.open_key() else {
        put(buffer, area, 0, "udpchat", theme.strong);
        return;
    };
    let name = key.to_string();
    let name = wrap::shown_in_line(&name);
    let address = model.open_row().map(|row| wrap::shown_in_line(&row.address).into_owned());
    let encoding = model.encoding().map_or(String::new(), |(encoding, by)| format!("{encoding} ({by})"));
    let width = usize::from(area.width);
    let encoding_width = wrap::width(&encoding);
    // The name comes first where there is no room for both.
    let has_room = encoding_width + 8 <= width;
    let left = if has_room { width - encoding_width - 1 } else { width };
    let end = put(buffer, area, 0, &wrap::fitted(&name, left), theme.strong);
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

/// The line above the input: what is wrong, what the last key came to, what is below the screen.
fn draw_status(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    put(buffer, area, 0, &"─".repeat(width), theme.dim);
    let (text, style) = match status(model) {
        Some((text, true)) => (text, theme.error),
        Some((text, false)) => (text, theme.alert),
        None => return,
    };
    let room = width.saturating_sub(4);
    let text = wrap::fitted(&text, room).into_owned();
    if !text.is_empty() {
        put(buffer, area, 1, &format!(" {text} "), style);
    }
}

/// Returns what the status line says, and whether that is something wrong.
fn status(model: &Model) -> Option<(String, bool)> {
    if let Line::Offline(why) = &model.line {
        let why = wrap::shown_in_line(why);
        return Some((format!("not connected, trying again: {why}"), true));
    }
    if let Some(notice) = &model.notice {
        return Some((wrap::shown_in_line(notice).into_owned(), true));
    }
    let open = model.conversation.as_ref().filter(|open| !open.is_following())?;
    let new = model.open_row().map_or(0, |row| row.unread);
    let text = match new {
        0 if open.is_live() => "history; Esc goes to the newest message".to_owned(),
        0 => "history; Esc goes to the newest message, far below".to_owned(),
        new => format!("{} new below; Esc goes there", crate::output::grouped(new)),
    };
    Some((text, false))
}

/// Writes safe text into the first row of an area from a column on, cut at its end. Returns the column behind it.
fn put(buffer: &mut Buffer, area: Rect, column: usize, text: &str, style: Style) -> usize {
    let width = usize::from(area.width);
    if area.height == 0 || column >= width {
        return column;
    }
    // A column of an area is one of the screen, whose size is a u16.
    let (x, y) = (area.x + column as u16, area.y);
    // Nothing of the style of what was there before.
    let (end, _) = buffer.set_stringn(x, y, text, width - column, Style::reset().patch(style));
    usize::from(end - area.x)
}

/// Returns one row of an area.
fn row(area: Rect, number: usize) -> Rect {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let below = area.height.saturating_sub(number);
    Rect { y: area.y + number.min(area.height), height: below.min(1), ..area }
}

#[cfg(test)]
mod tests;

//! The rows above the input: a failure, a message about the last key, or what is below the screen; on the right the modes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use udpchat_locale::tr;

use super::cells::{put, row};
use crate::command::chat::model::{ConnectionState, Model};
use crate::command::chat::theme::Theme;
use crate::output::grouped;
use crate::terminal::wrap;

/// The most rows. A longer text is cut.
const MAX_ROWS: usize = 4;
/// The columns of the rule that stay on either side of a text, with a blank.
const MARGIN: usize = 2;
/// The fewest columns of a text beside the modes.
const MIN_TEXT_COLUMNS: usize = 16;

/// Returns the number of rows that the status needs.
pub(super) fn row_count(model: &Model, width: u16) -> u16 {
    let rows = status(model).map_or(1, |(text, _)| wrap::wrap(&text, room(&modes(model), width)).len());
    // At most MAX_ROWS.
    rows.clamp(1, MAX_ROWS) as u16
}

/// Draws the status into rows that are all rules, so that no part of it looks like the input below.
pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let (text, style) = match status(model) {
        Some((text, true)) => (text, theme.error),
        Some((text, false)) => (text, theme.alert),
        None => (String::new(), Style::new()),
    };
    let modes = modes(model);
    let room = room(&modes, area.width);
    let rows = wrap::wrap(&text, room);
    let height = usize::from(area.height);
    for (number, span) in rows.iter().take(height).enumerate() {
        let (area, is_cut) = (row(area, number), number + 1 == height && rows.len() > height);
        let line = if is_cut { &text[span.start..] } else { &text[span.clone()] };
        let line = wrap::truncated(line, room);
        put(buffer, area, 0, &"─".repeat(width), theme.dim);
        if !line.is_empty() {
            put(buffer, area, MARGIN - 1, &format!(" {line} "), style);
        }
    }
    let columns = wrap::width(&modes);
    if columns > 0 && room + 2 * MARGIN + columns <= width {
        put(buffer, area, width - columns - 1, &modes, theme.strong);
    }
}

/// Returns the columns of a text beside the modes; where there is not enough room for both, the text has all of it.
fn room(modes: &str, width: u16) -> usize {
    let room = usize::from(width).saturating_sub(2 * MARGIN);
    room.checked_sub(wrap::width(modes)).filter(|beside| *beside >= MIN_TEXT_COLUMNS).unwrap_or(room).max(1)
}

/// Returns the modes that change what is sent and shown, each with its key; empty without any.
fn modes(model: &Model) -> String {
    let hex = model.is_hex.then(|| tr!("F4 hex").to_owned());
    let line_end = model.line_end().label().map(|label| format!("F5 {label}"));
    let holding = model.is_holding.then(|| tr!("F7 hold").to_owned());
    let modes: Vec<String> = [hex, line_end, holding].into_iter().flatten().collect();
    if modes.is_empty() { String::new() } else { format!(" {} ", modes.join("  ")) }
}

/// Returns the text of the status, and whether it reports a failure.
fn status(model: &Model) -> Option<(String, bool)> {
    if let ConnectionState::Offline(reason) = &model.connection {
        return Some((tr!("trying again: {reason}", reason = wrap::display_line(reason)), true));
    }
    if let Some(notice) = &model.notice {
        return Some((wrap::display_line(notice).into_owned(), true));
    }
    let open = model.conversation.as_ref()?;
    if open.is_following() {
        let bounce = open.newest_bounce().and_then(|item| item.sent.as_ref())?.reason.as_ref()?;
        return Some((tr!("bounced: {reason}; F6 again", reason = bounce), true));
    }
    let new = model.open_row().map_or(0, |row| row.unread);
    let text = match new {
        0 if open.holds_newest() => tr!("history; Esc goes to the newest message").to_owned(),
        0 => tr!("history; Esc goes to the newest message, far below").to_owned(),
        new => tr!("{count} new below; Esc goes there", count = grouped(new)),
    };
    Some((text, false))
}

//! The conversation: the rows that the model has laid out, the newest at the bottom.
//!
//! A message begins with its time and `<` or `>`, and its further lines with a bar, so that received text cannot imitate
//! another message.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use udpchat_locale::tr;

use super::areas::{margin, mark_columns, time_format};
use super::cells::{put, row};
use crate::command::chat::model::{ConnectionState, ConversationRow, Item, ItemKind, Mark, Model, row_bytes};
use crate::command::chat::theme::Theme;
use crate::output::hex_line;
use crate::terminal::wrap;

pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    if model.rows.is_empty() {
        draw_hint(model, area, theme, buffer);
        return;
    }
    let Some(open) = &model.conversation else { return };
    let empty = usize::from(area.height).saturating_sub(model.rows.len());
    for (number, laid_out) in model.rows.iter().enumerate() {
        let area = row(area, empty + number);
        match laid_out {
            ConversationRow::Day(day) => draw_day(&day.to_string(), area, theme, buffer),
            ConversationRow::Text { index, span, is_first } => {
                let item = &open.items[*index];
                draw_text(item, &item.text[span.clone()], *is_first, area, theme, buffer);
            }
            ConversationRow::Bytes { index, span } => {
                let item = &open.items[*index];
                let line = hex_line(&item.raw[span.clone()], row_bytes(model.pane.columns));
                let text = format!("{:04x}  {line}", span.start);
                draw_text(item, &text, span.start == 0, area, theme, buffer);
            }
            ConversationRow::Note { index, span } => {
                let note = open.items[*index].note.as_deref().unwrap_or_default();
                put(buffer, area, margin(area.width).into(), &note[span.clone()], theme.error);
            }
        }
    }
}

fn draw_day(day: &str, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let line = format!("── {day} {}", "─".repeat(width.saturating_sub(day.len() + 4)));
    put(buffer, area, 0, &wrap::truncated(&line, width), theme.dim);
}

fn draw_text(item: &Item, text: &str, is_first: bool, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let margin = usize::from(margin(area.width));
    let (sign, sign_style, style) = match item.kind {
        ItemKind::Received => ("<", theme.received, Style::new()),
        ItemKind::Sent => (">", theme.sent, Style::new()),
        ItemKind::Gap { .. } | ItemKind::Notice => ("!", theme.alert, theme.alert),
        ItemKind::Unsent if item.note.is_none() => (">", theme.sent, theme.dim),
        ItemKind::Unsent => (">", theme.error, Style::new()),
    };
    let sign_at = margin.saturating_sub(2);
    if is_first {
        if let Some(format) = time_format(area.width) {
            put(buffer, area, 0, &item.at.strftime(format).to_string(), theme.dim);
        }
        put(buffer, area, sign_at, sign, sign_style);
    } else {
        put(buffer, area, sign_at, "│", theme.dim);
    }
    put(buffer, area, margin, text, style);
    if is_first {
        draw_mark(item, area, theme, buffer);
    }
}

/// Draws what is known of a sent message behind it, if there is room.
fn draw_mark(item: &Item, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let columns = mark_columns(area.width);
    let Some(sent) = item.sent.as_ref().filter(|_| columns > 0) else { return };
    let (mark, style) = match sent.mark {
        Mark::Answered => (theme.marks.answered, theme.sent),
        Mark::Sent => (theme.marks.sent, theme.dim),
        Mark::Bounced => (theme.marks.bounced, theme.error),
        Mark::Held => (theme.marks.held, theme.alert),
    };
    put(buffer, area, usize::from(area.width - columns) + 1, mark, style);
}

/// Explains what to do while there are no messages.
fn draw_hint(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let hint = hint(model);
    let columns = usize::from(area.width);
    for (number, span) in wrap::wrap(&hint, columns).into_iter().enumerate() {
        put(buffer, row(area, number), 0, &hint[span], theme.dim);
    }
}

fn hint(model: &Model) -> String {
    match (&model.conversation, &model.connection) {
        (_, ConnectionState::Connecting) => String::new(),
        (Some(open), _) if !open.loaded => String::new(),
        (Some(open), _) => {
            let peer = wrap::display_text(&open.key.to_string());
            tr!("No messages yet. What you type is sent to {peer}.", peer)
        }
        (None, _) if !model.has_peers() => String::new(),
        (None, _) => {
            tr!(
                "No message has arrived yet. Press F2 to choose a peer by name or address. The first message that arrives \
                 opens its conversation."
            )
            .to_owned()
        }
    }
}

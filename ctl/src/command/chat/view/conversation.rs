//! The conversation: a row of the screen for each row that the model has laid out, the newest at the bottom.
//!
//! A message begins with its time and `<` or `>`, its further lines with a bar: no received text can pass itself off as
//! another message.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::areas::{has_times, margin};
use super::{put, row};
use crate::command::chat::model::{Item, Line, Model, Row, What};
use crate::command::chat::theme::Theme;
use crate::command::chat::wrap;

pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    if model.rows.is_empty() {
        draw_advice(model, area, theme, buffer);
        return;
    }
    let Some(open) = &model.conversation else { return };
    let empty = usize::from(area.height).saturating_sub(model.rows.len());
    for (number, laid_out) in model.rows.iter().enumerate() {
        let area = row(area, empty + number);
        match laid_out {
            Row::Day(day) => draw_day(&day.to_string(), area, theme, buffer),
            Row::Text { index, span, is_first } => {
                let item = &open.items[*index];
                draw_text(item, &item.text[span.clone()], *is_first, area, theme, buffer);
            }
            Row::Note { index, span } => {
                let note = open.items[*index].note.as_deref().unwrap_or_default();
                put(buffer, area, margin(area.width).into(), &note[span.clone()], theme.error);
            }
        }
    }
}

fn draw_day(day: &str, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let line = format!("── {day} {}", "─".repeat(width.saturating_sub(day.len() + 4)));
    put(buffer, area, 0, &wrap::fitted(&line, width), theme.dim);
}

fn draw_text(item: &Item, text: &str, is_first: bool, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let margin = usize::from(margin(area.width));
    let (sign, sign_style, style) = match item.what {
        What::In => ("<", theme.from, Style::new()),
        What::Out => (">", theme.to, Style::new()),
        What::Gap { .. } => ("!", theme.alert, theme.alert),
        What::Unsent if item.note.is_none() => (">", theme.to, theme.dim),
        What::Unsent => (">", theme.error, Style::new()),
    };
    let sign_at = margin.saturating_sub(2);
    if is_first {
        if has_times(area.width) {
            put(buffer, area, 0, &item.at.strftime("%H:%M").to_string(), theme.dim);
        }
        put(buffer, area, sign_at, sign, sign_style);
    } else {
        put(buffer, area, sign_at, "│", theme.dim);
    }
    put(buffer, area, margin, text, style);
}

/// Says what to do where there is nothing to show.
fn draw_advice(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let advice = advice(model);
    let columns = usize::from(area.width);
    for (number, span) in wrap::wrap(&advice, columns).into_iter().enumerate() {
        put(buffer, row(area, number), 0, &advice[span], theme.dim);
    }
}

fn advice(model: &Model) -> String {
    match (&model.conversation, &model.line) {
        (_, Line::Connecting) => String::new(),
        (Some(open), _) if !open.loaded => String::new(),
        (Some(open), _) => {
            let peer = wrap::shown(&open.key.to_string());
            format!("Nothing was said yet. What you write goes to {peer}.")
        }
        (None, _) if !model.has_peers() => String::new(),
        (None, _) => {
            "Nobody was heard yet. F2 chooses whom to write to, by name or address; the first message that \
                      arrives opens its conversation."
                .to_owned()
        }
    }
}

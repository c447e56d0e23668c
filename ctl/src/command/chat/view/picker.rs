//! The window with a list to choose from.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use udpchat_locale::tr;

use super::cells::{position, put, row, window};
use crate::command::chat::model::{Choice, Model, Picker, PickerKind};
use crate::command::chat::theme::Theme;
use crate::terminal::wrap;

const COLUMNS: u16 = 60;
const ROWS: u16 = 16;

/// Draws the list, and returns the position of the cursor, in the query.
pub(super) fn draw(
    model: &Model,
    picker: &Picker,
    screen: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) -> Position {
    let title = match picker.kind {
        PickerKind::Peers => tr!("Choose a peer"),
        PickerKind::Encodings => tr!("Choose an encoding"),
        PickerKind::Reading(_) => tr!("The messages of this peer"),
    };
    let area = window(title, screen, (COLUMNS, ROWS), theme, buffer);
    let columns = usize::from(area.width);
    let prompt = columns.min(2);
    let (queries, (_, column)) = picker.query.display_rows(usize::MAX);
    put(buffer, area, 0, ">", theme.sent);
    put(buffer, area, prompt, queries.first().map_or("", String::as_str), Style::new());
    let choices = model.choices(picker);
    let list = Rect { y: area.y + area.height.min(1), height: area.height.saturating_sub(1), ..area };
    if choices.is_empty() {
        let why = picker.no_match();
        for (number, span) in wrap::wrap(&why, columns.saturating_sub(2 * prompt)).into_iter().enumerate() {
            put(buffer, row(list, number), prompt, &why[span], theme.dim);
        }
    }
    let first = (picker.selected + 1).saturating_sub(list.height.into());
    for (number, choice) in choices.iter().enumerate().skip(first).take(list.height.into()) {
        draw_choice(choice, number == picker.selected, row(list, number - first), theme, buffer);
    }
    position(area, prompt + column, 0)
}

fn draw_choice(choice: &Choice, is_selected: bool, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let (style, detail_style) =
        if is_selected { (theme.selected, theme.selected) } else { (Style::new(), theme.dim) };
    buffer.set_style(area, style);
    let width = usize::from(area.width);
    let end = put(buffer, area, 2, &wrap::truncated(&choice.label, width.saturating_sub(2)), style);
    let detail = wrap::width(&choice.detail);
    if end + 2 + detail <= width {
        put(buffer, area, width - detail, &choice.detail, detail_style);
    }
}

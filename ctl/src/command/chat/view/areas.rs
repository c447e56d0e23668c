//! Divides the screen into parts, as many as there is room for.

use ratatui::layout::Rect;

use super::status;
use crate::command::chat::model::{Model, Pane};

/// The minimum width of the screen for the list of peers.
const PEERS_FROM_COLUMNS: u16 = 60;
/// The minimum width of the conversation for the times of messages, without and with seconds.
const TIMES_FROM_COLUMNS: u16 = 40;
const SECONDS_FROM_COLUMNS: u16 = 50;
/// The columns before a message: `14:03:05 < `, `14:03 < `, or `< ` without the time.
const SECONDS_MARGIN: u16 = 11;
const MINUTES_MARGIN: u16 = 8;
const NARROW_MARGIN: u16 = 2;
/// The columns before the input: `> `.
pub(super) const PROMPT_COLUMNS: u16 = 2;
/// The most rows of the input. On a small screen it takes at most a third.
const MAX_INPUT_ROWS: u16 = 8;

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command::chat) struct Areas {
    pub(in crate::command::chat) whole: Rect,
    pub(in crate::command::chat) peers: Option<Rect>,
    pub(super) header: Option<Rect>,
    pub(super) conversation: Rect,
    pub(super) status: Option<Rect>,
    pub(super) input: Rect,
    pub(super) footer: Option<Rect>,
}

impl Areas {
    /// Divides the screen, and lays out the model for it.
    pub(in crate::command::chat) fn lay_out(model: &mut Model, whole: Rect) -> Self {
        let input_columns = Self::input_columns(whole);
        let (_, main) = columns(whole);
        let areas =
            Self::of(whole, model.input.row_count(input_columns), status::row_count(model, main.width));
        model.lay_out(areas.pane(model.is_hex), input_columns);
        areas
    }

    /// Returns the columns of the input.
    fn input_columns(whole: Rect) -> usize {
        let (_, main) = columns(whole);
        usize::from(main.width.saturating_sub(PROMPT_COLUMNS)).max(1)
    }

    /// Divides a screen, with up to `input_rows` rows of input and `status_rows` rows of status.
    fn of(whole: Rect, input_rows: usize, status_rows: u16) -> Self {
        let (peers, main) = columns(whole);
        let height = main.height;
        let header_rows = u16::from(height >= 5);
        let status_rows = if height >= 4 { status_rows.clamp(1, height / 4) } else { 0 };
        let footer_rows = u16::from(height >= 10);
        let most_input = (height / 3).clamp(1, MAX_INPUT_ROWS);
        let input_rows = u16::try_from(input_rows).unwrap_or(u16::MAX).clamp(1, most_input).min(height);
        let fixed = header_rows + status_rows + footer_rows + input_rows;
        let mut y = main.y;
        let mut take = |rows: u16| {
            let area = Rect { y, height: rows, ..main };
            y += rows;
            area
        };
        let header = take(header_rows);
        let conversation = take(height.saturating_sub(fixed));
        let (status, input, footer) = (take(status_rows), take(input_rows), take(footer_rows));
        let some = |area: Rect| (area.height > 0).then_some(area);
        Self {
            whole,
            peers,
            header: some(header),
            conversation,
            status: some(status),
            input,
            footer: some(footer),
        }
    }

    /// Returns the size of the text of the conversation.
    fn pane(&self, is_hex: bool) -> Pane {
        let width = self.conversation.width;
        let columns = width.saturating_sub(margin(width) + mark_columns(width));
        Pane { columns: usize::from(columns).max(1), rows: self.conversation.height.into(), is_hex }
    }
}

/// Returns the columns before a message.
pub(super) fn margin(width: u16) -> u16 {
    match width {
        SECONDS_FROM_COLUMNS.. => SECONDS_MARGIN,
        TIMES_FROM_COLUMNS.. => MINUTES_MARGIN,
        _ => NARROW_MARGIN.min(width.saturating_sub(2)),
    }
}

/// Returns the columns behind a message for its mark. Some terminals show a mark in two columns.
pub(super) fn mark_columns(width: u16) -> u16 {
    const COLUMNS: u16 = 3;
    if width >= TIMES_FROM_COLUMNS { COLUMNS } else { 0 }
}

/// Returns the format of the times of messages, if there is room for them.
pub(super) fn time_format(width: u16) -> Option<&'static str> {
    match width {
        SECONDS_FROM_COLUMNS.. => Some("%H:%M:%S"),
        TIMES_FROM_COLUMNS.. => Some("%H:%M"),
        _ => None,
    }
}

/// Divides a screen into the list of peers, if there is room, and the rest.
fn columns(whole: Rect) -> (Option<Rect>, Rect) {
    if whole.width < PEERS_FROM_COLUMNS || whole.height < 4 {
        return (None, whole);
    }
    let width = (whole.width / 4).clamp(16, 32);
    let peers = Rect { width, ..whole };
    // One column for the line between, and a blank one.
    let taken = width + 2;
    (Some(peers), Rect { x: whole.x + taken, width: whole.width - taken, ..whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_a_screen_of_any_size() {
        for width in 0..130 {
            for height in 0..40 {
                for (input_rows, status_rows) in [(1, 1), (3, 3), (50, 2)] {
                    let whole = Rect { x: 0, y: 0, width, height };
                    let areas = Areas::of(whole, input_rows, status_rows);
                    let parts = [
                        areas.header,
                        Some(areas.conversation),
                        areas.status,
                        Some(areas.input),
                        areas.footer,
                    ];
                    let rows: u16 = parts.iter().flatten().map(|part| part.height).sum();
                    assert_eq!(rows, height, "{areas:?}");
                    assert!(
                        parts.iter().flatten().all(|part| whole.intersection(*part) == *part),
                        "{areas:?}"
                    );
                    assert!(height == 0 || areas.input.height > 0);
                    assert!(areas.pane(false).columns >= 1);
                }
            }
        }
    }
}

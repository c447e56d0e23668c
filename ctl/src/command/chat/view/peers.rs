//! The list of peers, with how many messages of each are unread.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use udpchat_locale::tr;

use super::cells::{put, row};
use crate::command::chat::model::{Model, PeerKey, PeerRow};
use crate::command::chat::theme::Theme;
use crate::terminal::wrap;

/// The largest unread count that is shown exactly.
const MAX_SHOWN_COUNT: u64 = 9_999;

pub(super) fn draw(model: &Model, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let line = Rect { x: area.right(), width: 1, ..area };
    for number in 0..usize::from(area.height) {
        put(buffer, row(line, number), 0, "│", theme.dim);
    }
    let first = first_row(model, area.height.into());
    let open = model.open_key();
    for (number, (key, peer)) in model.peers.iter().skip(first).take(area.height.into()).enumerate() {
        draw_peer(key, peer, open == Some(key), row(area, number), theme, buffer);
    }
}

/// Returns the index of the peer in the first row, chosen so that the open one is visible.
pub(in crate::command::chat) fn first_row(model: &Model, rows: usize) -> usize {
    let count = model.peers.iter().len();
    let open = model.open_key().and_then(|key| model.peers.position(key)).unwrap_or(0);
    let middle = open.saturating_sub(rows / 2);
    middle.min(count.saturating_sub(rows))
}

fn draw_peer(key: &PeerKey, peer: &PeerRow, is_open: bool, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let style = if is_open { theme.selected } else { Style::new() };
    buffer.set_style(area, style);
    let width = usize::from(area.width);
    let count = match peer.unread {
        0 => String::new(),
        unread if unread > MAX_SHOWN_COUNT => format!("{MAX_SHOWN_COUNT}+ "),
        unread => format!("{unread} "),
    };
    let name = key.to_string();
    let name = wrap::display_line(&name);
    let room = width.saturating_sub(count.len() + 1);
    if peer.is_silent {
        let room = room.saturating_sub(wrap::width(&tr!("{peer} silent", peer = "")));
        let text = tr!("{peer} silent", peer = wrap::shortened(&name, room));
        put(buffer, area, 0, &text, if is_open { theme.selected } else { theme.dim });
    } else {
        put(buffer, area, 0, &wrap::shortened(&name, room), style);
    }
    let count_style = if is_open { theme.selected } else { theme.alert };
    put(buffer, area, width.saturating_sub(count.len()), &count, count_style);
}

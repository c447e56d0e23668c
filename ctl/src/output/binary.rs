//! Renders, for a terminal, binary messages that are wider than it as the beginning of their dump.

use udpchat_api::Message;
use udpchat_locale::tr;

use super::entry::{columns, dump};
use super::format::{Times, grouped};
use super::style::Palette;

/// How many bytes are shown of a longer message: eight lines of the dump.
const MAX_SHOWN_BYTES: usize = 128;

/// Renders the beginning of the dump of a binary message, with a final line end, if its digits take more than a line of
/// `width` columns.
pub(super) fn as_beginning(message: &Message, width: u16, times: &Times, palette: Palette) -> Option<String> {
    if columns(message) <= usize::from(width) {
        return None;
    }
    let (shown, left) = message.raw.0.split_at(MAX_SHOWN_BYTES.min(message.raw.0.len()));
    let mut text = dump(message, shown, times, palette);
    if !left.is_empty() {
        let (bytes, id) = (grouped(left.len() as u64), message.id);
        let more = tr!("... {bytes} more bytes: `udpchatctl inbox {id} --hex` shows all", bytes, id);
        text += &format!("  | {more}\n");
    }
    Some(text)
}

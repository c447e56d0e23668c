//! Prints entries; on a terminal, binary messages that are wider than it as the beginning of their dump.

use udpchat_api::{Entry, Message, Raw};
use udpchat_locale::tr;

use super::entry::columns;
use super::format::grouped;
use super::printer::Output;
use crate::error::Result;

/// How many bytes are shown of a longer message: eight lines of the dump.
const MAX_SHOWN_BYTES: usize = 128;

/// The encoding of messages whose text is their bytes.
const HEX: &str = "hex";

/// Prints an entry with its text, or with all of its bytes if `hex` is set.
pub(crate) fn print_entry(output: &mut Output, entry: &Entry, hex: bool) -> Result<()> {
    match entry {
        Entry::Message(message) if !hex && is_too_wide(output, message) => {
            output.entry(&Entry::Message(beginning(message)), true)?;
            let left = message.raw.0.len().saturating_sub(MAX_SHOWN_BYTES);
            if left == 0 {
                return Ok(());
            }
            let (bytes, id) = (grouped(left as u64), message.id);
            output.text(&format!(
                "  | {}\n",
                tr!("... {bytes} more bytes: `udpchatctl inbox {id} --hex` shows all", bytes, id)
            ))
        }
        _ => output.entry(entry, hex),
    }
}

/// Returns whether a person sees a message as digits in more than a line.
fn is_too_wide(output: &Output, message: &Message) -> bool {
    message.encoding == HEX
        && output.is_for_a_person()
        && output.terminal_width().is_some_and(|width| columns(message) > usize::from(width))
}

/// Returns a message with the bytes that are shown.
fn beginning(message: &Message) -> Message {
    let bytes = message.raw.0.iter().copied().take(MAX_SHOWN_BYTES).collect();
    Message { raw: Raw(bytes), ..message.clone() }
}

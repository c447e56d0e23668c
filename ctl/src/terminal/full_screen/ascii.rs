//! Frames and bars for terminals that do not show UTF-8.

use ratatui::buffer::Buffer;

/// Replaces what the screens draw besides text by ASCII characters of the same width.
pub(super) fn simplify(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        let mut characters = cell.symbol().chars();
        if let (Some(character), None) = (characters.next(), characters.next())
            && let Some(simple) = simple(character)
        {
            cell.set_symbol(simple);
        }
    }
}

/// Returns the replacement of a character.
fn simple(character: char) -> Option<&'static str> {
    Some(match character {
        '─' | '━' | '╌' | '┄' => "-",
        '│' | '┃' | '╎' | '┆' => "|",
        '\u{2500}'..='\u{257f}' => "+",
        '▁'..='▃' => ".",
        '▄' | '▅' => ":",
        '▆'..='█' | '■' => "#",
        '…' => "~",
        '·' | '•' => ".",
        '←' => "<",
        '→' => ">",
        '↑' => "^",
        '↓' => "v",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_and_bars_are_replaced() {
        let mut buffer = Buffer::with_lines(["┌─┐ 你é", "│▁█■", "└─┘ a…"]);
        simplify(&mut buffer);
        assert_eq!(buffer, Buffer::with_lines(["+-+ 你é", "|.##", "+-+ a~"]));
    }
}

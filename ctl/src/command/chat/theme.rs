//! The colours: few, of the sixteen that every terminal has, on its own background, and none where they are not wanted.
//!
//! What is said is always in the terminal's own colour, which can be read on any background.

use ratatui::style::{Color, Modifier, Style};

/// The styles of everything that is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    /// Times, hints, lines between things.
    pub(super) dim: Style,
    /// What deserves a look: names, headings, counts.
    pub(super) strong: Style,
    /// The other side of a received message.
    pub(super) from: Style,
    /// The other side of a sent message.
    pub(super) to: Style,
    /// Gaps, unread messages.
    pub(super) alert: Style,
    /// What failed.
    pub(super) error: Style,
    /// What the cursor is on.
    pub(super) chosen: Style,
}

impl Theme {
    /// Makes the styles; without colour, attributes alone tell things apart.
    pub(super) fn new(has_colour: bool) -> Self {
        let coloured = |style: Style, color: Color| if has_colour { style.fg(color) } else { style };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Self {
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: bold,
            from: coloured(bold, Color::Cyan),
            to: coloured(bold, Color::Green),
            alert: coloured(bold, Color::Magenta),
            error: coloured(bold, Color::Red),
            chosen: Style::new().add_modifier(Modifier::REVERSED),
        }
    }
}

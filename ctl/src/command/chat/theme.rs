//! The styles of the screen: a few of the sixteen colours that every terminal has, or attributes only.
//!
//! Message text always has the terminal's default colours, which are readable on any background.

use ratatui::style::{Color, Modifier, Style};

/// The styles of everything that is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    /// Times, hints, separators.
    pub(super) dim: Style,
    /// Names and headings.
    pub(super) strong: Style,
    /// The mark of a received message.
    pub(super) received: Style,
    /// The mark of a sent message.
    pub(super) sent: Style,
    /// Gaps and unread counts.
    pub(super) alert: Style,
    /// Failures.
    pub(super) error: Style,
    /// The selected line.
    pub(super) selected: Style,
    /// The marks behind sent messages.
    pub(super) marks: Marks,
}

/// The marks behind sent messages, each one column wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) answered: &'static str,
    pub(super) sent: &'static str,
    pub(super) bounced: &'static str,
    pub(super) held: &'static str,
}

impl Marks {
    const UTF8: Self = Self { answered: "✓", sent: "·", bounced: "✗", held: "⏸" };
    const ASCII: Self = Self { answered: "+", sent: ".", bounced: "x", held: "=" };
}

impl Theme {
    /// Creates the styles, with attributes only unless `has_colour`; the marks are ASCII characters unless `is_utf8`.
    pub(super) fn new(has_colour: bool, is_utf8: bool) -> Self {
        let coloured = |style: Style, color: Color| if has_colour { style.fg(color) } else { style };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Self {
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: bold,
            received: coloured(bold, Color::Cyan),
            sent: coloured(bold, Color::Green),
            alert: coloured(bold, Color::Magenta),
            error: coloured(bold, Color::Red),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            marks: if is_utf8 { Marks::UTF8 } else { Marks::ASCII },
        }
    }
}

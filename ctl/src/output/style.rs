//! How output looks: JSON or text, colours, notes.

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;

/// Ids and times, which matter less than the text.
pub(crate) const DIM: Style = Style::new().dimmed();
/// The sender of a received message.
pub(super) const FROM: Style = AnsiColor::Cyan.on_default().bold();
/// The destination of a sent message.
pub(crate) const TO: Style = AnsiColor::Green.on_default().bold();
/// Gaps and problems.
pub(crate) const ALERT: Style = AnsiColor::Yellow.on_default();
/// Failures.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();

/// How output looks, as the global flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// JSON instead of text.
    pub(crate) json: bool,
    /// When to use colour.
    pub(crate) color: ColorChoice,
    /// No notes and no confirmations.
    pub(crate) quiet: bool,
    /// A pager for long output on a terminal.
    pub(crate) pager: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { json: false, color: ColorChoice::default(), quiet: false, pager: true }
    }
}

/// Applies colours, if they are on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    on: bool,
}

impl Palette {
    /// Creates a palette that is on or off.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// Returns whether colours are on.
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// Colours text, which must already be safe.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

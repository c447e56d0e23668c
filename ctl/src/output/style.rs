//! The colours: which they are, and whether they are on.

use anstyle::{AnsiColor, Style};

/// Ids and times, which matter less than what was said.
pub(crate) const DIM: Style = Style::new().dimmed();
/// The other side of a received message.
pub(super) const FROM: Style = AnsiColor::Cyan.on_default().bold();
/// The other side of a sent message.
pub(crate) const TO: Style = AnsiColor::Green.on_default().bold();
/// What deserves a look: gaps, problems.
pub(crate) const ALERT: Style = AnsiColor::Yellow.on_default();
/// What failed.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Paints text, or does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    on: bool,
}

impl Palette {
    /// Makes a palette that is on or off.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// Returns whether it paints.
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// Paints text that is safe already.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

//! Layout of the full screen: wraps facts at its width, and divides its height between plots and lists.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

/// The width of the column of labels.
pub(super) const LABEL_WIDTH: usize = 10;

/// The number of blanks between two facts.
const BETWEEN: usize = 3;

/// Returns the lines of a labelled row of facts, wrapped at the width.
pub(super) fn row(label: &str, facts: Vec<Span<'static>>, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let blank = " ".repeat(LABEL_WIDTH.saturating_sub(label.width()));
    let mut spans = vec![Span::styled(format!("{label}{blank}"), Style::new().add_modifier(Modifier::DIM))];
    let mut used = LABEL_WIDTH;
    for fact in facts {
        let (is_first, needed) = (spans.len() == 1, fact.width());
        if !is_first && used + BETWEEN + needed > width {
            lines.push(Line::from(std::mem::replace(&mut spans, vec![blanks(LABEL_WIDTH)])));
            used = LABEL_WIDTH;
        } else if !is_first {
            spans.push(blanks(BETWEEN));
            used += BETWEEN;
        }
        used += needed;
        spans.push(fact);
    }
    lines.push(Line::from(spans));
    lines
}

fn blanks(count: usize) -> Span<'static> {
    Span::raw(" ".repeat(count))
}

/// The heights of the parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heights {
    /// The number of empty lines between the parts.
    pub(super) between: u16,
    /// The bars of each plot, without its title; with 0 the plot is left out.
    pub(super) received: u16,
    pub(super) stored: u16,
    /// The list of senders, with its title.
    pub(super) talkers: u16,
    pub(super) footer: u16,
}

/// The most rows that the bars of a plot take.
const MAX_BARS: u16 = 6;

/// The fewest rows of a list with its title.
const MIN_LIST: u16 = 2;

impl Heights {
    /// Divides the height that remains beside the `fixed` lines, which are always shown.
    pub(super) fn divide(height: u16, fixed: u16) -> Self {
        let mut left = height.saturating_sub(fixed);
        let footer = u16::from(left > 2 * MIN_LIST);
        left -= footer;
        // Three empty lines: above and below the plots, and above the senders.
        let between = u16::from(left >= 16);
        left -= 3 * between;
        let bars = (left / 3).saturating_sub(1).min(MAX_BARS);
        match left {
            0..2 => Self { footer, ..Self::default() },
            2..8 => Self { between, received: 1, talkers: list(left - 2), footer, ..Self::default() },
            _ => Self { between, received: bars, stored: bars, talkers: list(left - 2 * (bars + 1)), footer },
        }
    }
}

/// A list without room for a row below its title is left out.
fn list(rows: u16) -> u16 {
    if rows < MIN_LIST { 0 } else { rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: usize) -> Vec<String> {
        let facts = ["queued 12", "index 3 behind", "disk 中文"].map(Span::raw).to_vec();
        row("waiting", facts, width).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn facts_wrap_beside_their_label() {
        assert_eq!(shown(80), ["waiting   queued 12   index 3 behind   disk 中文"]);
        assert_eq!(shown(47), ["waiting   queued 12   index 3 behind", "          disk 中文"]);
        assert_eq!(shown(5), ["waiting   queued 12", "          index 3 behind", "          disk 中文"]);
    }

    #[test]
    fn the_parts_fit_into_any_height() {
        for height in 0..200 {
            for fixed in 0..12 {
                let heights = Heights::divide(height, fixed);
                let Heights { between, received, stored, talkers, footer } = heights;
                let plot = |bars: u16| if bars == 0 { 0 } else { bars + 1 };
                let used = fixed + 3 * between + plot(received) + plot(stored) + talkers + footer;
                assert!(used <= height.max(fixed), "{height} {fixed} {heights:?}");
            }
        }
        assert_eq!(Heights::divide(4, 4), Heights::default());
        let full = Heights { between: 1, received: 3, stored: 3, talkers: 5, footer: 1 };
        assert_eq!(Heights::divide(24, 7), full);
    }
}

//! What the plot shows and how it looks, and the form of its numbers.

use jiff::tz::TimeZone;
use ratatui::style::{Color, Style};

use super::canvas::Marks;
use super::series::{Curve, Curves};
use crate::output::{Output, shown_number};

/// The colours of the curves.
const COLOURS: [Color; 6] =
    [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Red, Color::Blue];

/// The most columns of a number: one less than a label has.
pub(super) const NUMBER_COLUMNS: usize = 9;

/// The rows below the curves: the axis, and the times.
pub(super) const TIME_ROWS: u16 = 2;

/// How the plot looks.
pub(super) struct Theme {
    pub(super) has_colour: bool,
    pub(super) zone: TimeZone,
    pub(super) marks: Marks,
}

impl Theme {
    pub(super) fn new(output: &Output, marks: Marks) -> Self {
        Self { has_colour: output.has_colour(), zone: output.zone().clone(), marks }
    }

    pub(super) fn of_curve(&self, curve: usize) -> Style {
        if self.has_colour { Style::new().fg(COLOURS[curve % COLOURS.len()]) } else { Style::new() }
    }
}

/// What is drawn.
pub(super) struct Scene<'a> {
    pub(super) curves: &'a Curves,
    /// The time span, in microseconds since 1970.
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) motion: Motion,
    /// What is wrong, if something is.
    pub(super) problem: Option<&'a str>,
}

/// Whether the end of the time span moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    /// It is now.
    Live,
    /// The user holds it.
    Held,
    /// It is a time in the past.
    Past,
}

/// The least and the greatest value that is visible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Range {
    /// Returns the range of a curve; none without values.
    pub(super) fn of(curve: &Curve, scene: &Scene<'_>) -> Option<Self> {
        let values = curve.within(scene.from, scene.until).map(|(_, interval)| interval);
        values.map(|interval| Self { least: interval.least, greatest: interval.greatest }).reduce(Self::and)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), greatest: self.greatest.max(other.greatest) }
    }

    /// Returns a range that is not empty.
    pub(super) fn widened(self) -> Self {
        let Self { least, greatest } = self;
        if least < greatest {
            return self;
        }
        let margin = if least == 0.0 { 1.0 } else { least.abs() / 10.0 };
        let finite = |value: f64| value.clamp(f64::MIN, f64::MAX);
        Self { least: finite(least - margin), greatest: finite(greatest + margin) }
    }

    /// Returns the place of a value, from 0 at the least to 1 at the greatest. Halves do not overflow.
    pub(super) fn place(self, value: f64) -> f64 {
        let size = self.greatest / 2.0 - self.least / 2.0;
        ((value / 2.0 - self.least / 2.0) / size).clamp(0.0, 1.0)
    }
}

/// Shows a number in at most [`NUMBER_COLUMNS`].
pub(super) fn short(value: f64) -> String {
    let exact = shown_number(value);
    if exact.len() < NUMBER_COLUMNS {
        return exact;
    }
    let rounded = match value.abs() {
        1e-3..1e3 => format!("{value:.3}"),
        1e3..1e6 => format!("{value:.1}"),
        _ => format!("{value:.2e}"),
    };
    if rounded.len() <= NUMBER_COLUMNS { rounded } else { format!("{value:.1e}") }
}

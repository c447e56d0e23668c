//! Draws the plot: below its [`head`], the curves between their axes, and the times.

use std::borrow::Cow;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use udpchat_locale::tr;

use super::canvas::{Canvas, Marks};
use super::head::head;
use super::scene::{NUMBER_COLUMNS, Range, Scene, TIME_ROWS, Theme, short};
use super::series::Curve;
use crate::command::unknown_numbers::hex_digits;
use crate::output::counted;
use crate::terminal::wrap;

/// The columns of a label of the value axis, and between two labels of the time axis.
const LABEL_COLUMNS: u16 = 10;
const TIME_COLUMNS: u16 = 16;

/// The rows for a label of the value axis.
const LABEL_ROWS: u16 = 3;

/// How much a tick may be beside the range, in parts of a step.
const ROUNDING: f64 = 1e-9;

/// The digits behind the first one of a great tick, which leave out what is inexact.
const SIGNIFICANT: usize = 13;

/// The most digits behind the point of a tick that are rounded.
const MAX_DIGITS: f64 = 15.0;

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, theme: &Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let head = head(scene, theme, area);
    let head_rows = (head.len() as u16).min(area.height);
    for (row, line) in (0..head_rows).zip(&head) {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
    let plot = Rect {
        x: area.x + LABEL_COLUMNS.min(area.width),
        y: area.y + head_rows,
        width: area.width.saturating_sub(LABEL_COLUMNS),
        height: area.height.saturating_sub(head_rows + TIME_ROWS),
    };
    if plot.width < 4 || plot.height < 2 {
        return;
    }
    let visible = || scene.curves.list.iter().enumerate().filter(|(_, curve)| !curve.is_hidden);
    let range = visible().filter_map(|(_, curve)| Range::of(curve, scene)).reduce(Range::and);
    time_axis(buffer, plot, scene, theme);
    let Some(range) = range.map(Range::widened) else {
        value_axis(buffer, plot, None, theme);
        let text = match (scene.curves.list.is_empty(), scene.curves.others()) {
            (true, others) if !others.is_empty() => {
                Cow::Owned(tr!("no such number yet; messages have {names}", names = others.join(tr!(", "))))
            }
            (true, _) if scene.curves.has_hex() => Cow::Borrowed(hex_digits()),
            (true, _) if scene.curves.longest() > 0 => {
                let bytes = counted(scene.curves.longest() as u64, "byte");
                Cow::Owned(tr!("no such number yet; the longest message has {bytes}", bytes))
            }
            (true, _) => Cow::Borrowed(tr!("no numbers yet")),
            (false, _) if visible().next().is_none() => Cow::Borrowed(tr!("hidden; 1 to 6 show the curves")),
            (false, _) => Cow::Borrowed(tr!("nothing in this span")),
        };
        write_in(buffer, plot, &text);
        return;
    };
    value_axis(buffer, plot, Some(range), theme);
    let mut canvas = Canvas::new(theme.marks, usize::from(plot.width), usize::from(plot.height));
    for (number, curve) in visible() {
        draw_curve(&mut canvas, curve, number, scene, range);
    }
    for row in 0..plot.height {
        for (column, (character, curve)) in (0..plot.width).zip(canvas.row(usize::from(row))) {
            if let (Some(curve), Some(cell)) = (curve, buffer.cell_mut((plot.x + column, plot.y + row))) {
                cell.set_char(character).set_style(theme.of_curve(curve));
            }
        }
    }
}

/// Writes a text without a curve from the middle of the plot on, wrapped between words.
fn write_in(buffer: &mut Buffer, plot: Rect, text: &str) {
    let width = usize::from(plot.width - 2);
    let lines = wrap::wrap(text, width);
    let first = (plot.height / 2).min(plot.height.saturating_sub(lines.len() as u16));
    for (row, line) in (first..plot.height).zip(lines) {
        buffer.set_stringn(plot.x + 2, plot.y + row, &text[line], width, Style::new());
    }
}

/// Draws a curve: in each column of dots from the least to the greatest value, and lines between columns, except over a pause.
fn draw_curve(canvas: &mut Canvas, curve: &Curve, number: usize, scene: &Scene<'_>, range: Range) {
    let (width, height) = canvas.dots();
    let span = (scene.until - scene.from).max(1) as f64;
    let x_of = |at: i64| {
        (((at - scene.from) as f64 / span) * (width - 1) as f64).round().clamp(0.0, (width - 1) as f64)
            as usize
    };
    let y_of = |value: f64| ((1.0 - range.place(value)) * (height - 1) as f64).round() as usize;
    let longest = curve.longest_usual(scene.from, scene.until);
    let mut before: Option<(i64, (usize, usize))> = None;
    for (at, interval) in curve.within(scene.from, scene.until) {
        let here = (x_of(at), y_of(interval.first));
        // Neighbouring columns are joined, however long they are.
        let joined = before.filter(|(then, (x, _))| at - then <= longest || here.0 <= x + 1);
        canvas.line(joined.map_or(here, |(_, place)| place), here, number);
        let x = here.0;
        canvas.vertical(x, y_of(interval.least), y_of(interval.greatest), number);
        before = Some((at, (x, y_of(interval.last))));
    }
}

/// Draws the axis on the left, with round values.
fn value_axis(buffer: &mut Buffer, plot: Rect, range: Option<Range>, theme: &Theme) {
    let (line, tick) = if theme.marks == Marks::Braille { ("│", "┤") } else { ("|", "+") };
    for row in 0..plot.height {
        buffer.set_string(plot.x - 1, plot.y + row, line, Style::new());
    }
    let Some(range) = range else { return };
    for value in ticks(range, usize::from(plot.height / LABEL_ROWS).max(2)) {
        let row = ((1.0 - range.place(value)) * f64::from(plot.height - 1)).round() as u16;
        buffer.set_string(plot.x - 1, plot.y + row, tick, Style::new());
        let label = format!("{:>NUMBER_COLUMNS$}", short(value));
        buffer.set_stringn(plot.x - LABEL_COLUMNS, plot.y + row, label, NUMBER_COLUMNS, Style::new());
    }
}

/// Returns the values in a range that have labels: multiples of 1, 2 or 5 times a power of ten, about `most` of them; its ends if
/// there are no two such values.
fn ticks(range: Range, most: usize) -> Vec<f64> {
    let ends = vec![range.least, range.greatest];
    // Halves do not overflow.
    let least_step = (range.greatest / 2.0 - range.least / 2.0) / most as f64 * 2.0;
    let exponent = least_step.log10().floor();
    let unit = 10_f64.powf(exponent);
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit);
    let Some(step) = steps.into_iter().find(|step| *step >= least_step * (1.0 - ROUNDING)) else {
        return ends;
    };
    if !(step.is_normal() && (range.least / step).is_finite()) {
        return ends;
    }
    let first = (range.least / step - ROUNDING).ceil();
    let multiples = (0..=most + 1).map(|number| (first + number as f64) * step);
    let values = multiples.take_while(|value| *value <= range.greatest + step * ROUNDING);
    // A multiple of 0.1 may be 0.30000000000000004, and one of 5e35 is 2.5000000000000003e36.
    let digits = (-exponent).clamp(0.0, MAX_DIGITS) as usize;
    let round = |value: f64| match exponent > 0.0 {
        true => format!("{value:.SIGNIFICANT$e}").parse().unwrap_or(value),
        false => format!("{value:.digits$}").parse().unwrap_or(value),
    };
    let values: Vec<f64> =
        values.map(|value| if -exponent > MAX_DIGITS { value } else { round(value) }).collect();
    if values.len() < 2 { ends } else { values }
}

/// Draws the axis below, with times.
fn time_axis(buffer: &mut Buffer, plot: Rect, scene: &Scene<'_>, theme: &Theme) {
    let (corner, line, tick) =
        if theme.marks == Marks::Braille { ("┼", "─", "┬") } else { ("+", "-", "+") };
    let row = plot.y + plot.height;
    buffer.set_string(plot.x - 1, row, corner, Style::new());
    let span = scene.until - scene.from;
    // Below ten seconds, the fractions differ.
    let form = if span < 10_000_000 { "%H:%M:%S.%3f" } else { "%H:%M:%S" };
    for column in 0..plot.width {
        let is_labelled = column % TIME_COLUMNS == 0;
        buffer.set_string(plot.x + column, row, if is_labelled { tick } else { line }, Style::new());
        if is_labelled && column + form.len() as u16 <= plot.width {
            let at = scene.from + (i128::from(span) * i128::from(column) / i128::from(plot.width)) as i64;
            let time = Timestamp::from_microsecond(at).unwrap_or_default().to_zoned(theme.zone.clone());
            buffer.set_string(plot.x + column, row + 1, time.strftime(form).to_string(), Style::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::command::plot::feed::Sample;
    use crate::command::plot::scene::Motion;
    use crate::command::plot::series::Curves;

    const MINUTE: i64 = 60_000_000;

    fn curves(peers: &[&str], value: impl Fn(i64) -> f64) -> Curves {
        let mut curves = Curves::default();
        for second in 0..=60 {
            for peer in peers {
                let at = Timestamp::from_microsecond(second * 1_000_000).unwrap();
                let numbers = vec![("temp".to_owned(), value(second)), ("hum\u{1b}".to_owned(), 40.0)];
                curves.add(&Sample { at, peer: (*peer).to_owned(), numbers, ..Sample::default() }, 0);
            }
        }
        curves
    }

    fn drawn(curves: &Curves, marks: Marks, size: (u16, u16)) -> Vec<String> {
        drawn_with(curves, marks, size, None)
    }

    fn drawn_with(
        curves: &Curves,
        marks: Marks,
        (width, height): (u16, u16),
        problem: Option<&str>,
    ) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let theme = Theme { has_colour: true, zone: TimeZone::UTC, marks };
        let scene = Scene { curves, from: 0, until: MINUTE, motion: Motion::Live, problem };
        terminal.draw(|frame| draw(frame, &scene, &theme)).unwrap();
        let cells: Vec<_> =
            terminal.backend().buffer().content().iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(usize::from(width)).map(|row| row.concat().trim_end().to_owned()).collect()
    }

    #[test]
    fn curves_are_between_their_axes() {
        let screen = drawn(&curves(&["sensor7"], |second| second as f64), Marks::Ascii, (60, 14));
        let expected = [
            " sensor7  1m  1:temp 60 [0 60]  2:hum\\u{1b} 40 [40 40]",
            " space holds  + - zoom  1-6 hide  q quit",
            "       60+                                               ***",
        ];
        assert_eq!(screen[..3], expected, "{screen:#?}");
        assert!(screen[11].starts_with("        0+*"), "{screen:#?}");
        assert_eq!(screen[12], format!("         +{}", ["+---------------"; 4].concat().get(..50).unwrap()));
        assert_eq!(screen[13], "          00:00:00        00:00:19        00:00:38");
        assert!(screen[5].contains("+++++"), "{screen:#?}");
        let braille = drawn(&curves(&["sensor7"], |second| second as f64), Marks::Braille, (60, 14));
        assert!(braille[2].contains('┤') && braille.concat().contains('⡠'), "{braille:#?}");
    }

    #[test]
    fn the_labels_of_values_are_round() {
        let ticks = |least, greatest, most| ticks(Range { least, greatest }, most);
        assert_eq!(ticks(0.0, 60.0, 3), [0.0, 20.0, 40.0, 60.0]);
        assert_eq!(ticks(28.7, 42.59, 5), [30.0, 35.0, 40.0]);
        assert_eq!(ticks(4.9e35, 2.6e36, 5), [5e35, 1e36, 1.5e36, 2e36, 2.5e36]);
        assert_eq!(ticks(-0.11, 0.32, 5), [-0.1, 0.0, 0.1, 0.2, 0.3]);
        assert_eq!(ticks(1_013.2, 1_013.9, 4), [1_013.2, 1_013.4, 1_013.6, 1_013.8]);
        assert_eq!(ticks(f64::MIN, f64::MAX, 2).len(), 2);
        let screen =
            drawn(&curves(&["sensor7"], |second| 28.7 + second as f64 / 4.0), Marks::Ascii, (60, 20));
        assert!(screen.iter().any(|line| line.starts_with("       35+")), "{screen:#?}");
    }

    #[test]
    fn a_curve_has_a_break_where_its_board_slept() {
        let awake = |second: i64| !(20..40).contains(&second);
        let mut slept = Curves::default();
        for second in (0..=60).filter(|second| awake(*second)) {
            let at = Timestamp::from_microsecond(second * 1_000_000).unwrap();
            let numbers = vec![("temp".to_owned(), second as f64)];
            slept.add(&Sample { at, peer: "sensor7".to_owned(), numbers, ..Sample::default() }, 0);
        }
        // Each column is about a second.
        let columns = |curves: &Curves| {
            let screen = drawn(curves, Marks::Ascii, (71, 20));
            let rows = screen[1..18].iter().map(|row| row.get(10..).unwrap_or_default());
            let mut columns = vec![false; 61];
            rows.flat_map(str::char_indices)
                .filter(|(_, mark)| *mark == '*')
                .for_each(|(at, _)| columns[at] = true);
            columns
        };
        let drawn_columns = columns(&slept);
        assert!(drawn_columns[22..38].iter().all(|column| !column), "{drawn_columns:?}");
        assert!(drawn_columns[..19].iter().chain(&drawn_columns[42..60]).all(|column| *column));
        // Where nothing is usual, two values are joined.
        let mut two = Curves::default();
        for second in [5, 55] {
            let at = Timestamp::from_microsecond(second * 1_000_000).unwrap();
            let numbers = vec![("temp".to_owned(), second as f64)];
            two.add(&Sample { at, peer: "sensor7".to_owned(), numbers, ..Sample::default() }, 0);
        }
        assert!(columns(&two)[6..54].iter().all(|column| *column));
    }

    #[test]
    fn values_behind_the_span_are_not_shown() {
        let mut curves = curves(&["sensor7"], |second| second as f64);
        let at = Timestamp::from_microsecond(MINUTE + 10_000_000).unwrap();
        let numbers = vec![("temp".to_owned(), 99.0)];
        curves.add(&Sample { at, peer: "sensor7".to_owned(), numbers, ..Sample::default() }, 0);
        let screen = drawn(&curves, Marks::Ascii, (60, 14));
        assert!(screen[0].contains("1:temp 60 [0 60]"), "{screen:#?}");
    }

    #[test]
    fn extreme_values_and_empty_plots_are_drawn() {
        for value in [0.0, -0.0, f64::MAX, f64::MIN, 1e-320, -7.5] {
            let screen = drawn(
                &curves(&["a", "b"], |second| if second % 2 == 0 { value } else { -value }),
                Marks::Braille,
                (80, 24),
            );
            assert!(screen[0].contains("a temp"), "{value}: {screen:#?}");
        }
        for (others, bytes, expected) in [
            (vec!["temp".to_owned()], 6, "messages have temp"),
            (Vec::new(), 8, "no such number yet; the longest message has 8 bytes"),
        ] {
            let mut curves = Curves::new(vec!["tmp".to_owned()]);
            curves.add(&Sample { others, bytes, ..Sample::default() }, 0);
            let screen = drawn(&curves, Marks::Braille, (80, 24));
            assert!(screen.iter().any(|line| line.contains(expected)), "{screen:#?}");
        }
        let mut curves = Curves::new(vec!["tmp".to_owned()]);
        let others: Vec<_> = ["GPGGA.1", "GPGGA.10", "GPGGA.2", "hum", "temp"].map(str::to_owned).to_vec();
        curves.add(&Sample { others, ..Sample::default() }, 0);
        let screen = drawn(&curves, Marks::Braille, (40, 12)).concat();
        assert!(screen.contains("temp, hum") && screen.contains("GPGGA.2"), "wrapped: {screen}");
        let mut curves = Curves::default();
        curves.add(&Sample { is_hex: true, bytes: 8, ..Sample::default() }, 0);
        let screen = drawn(&curves, Marks::Braille, (60, 12)).concat();
        assert!(screen.contains("shown as hex digits") && screen.contains("@6:i16"), "{screen}");
        let screen = drawn(&Curves::default(), Marks::Braille, (80, 24));
        assert!(screen.iter().any(|line| line.contains("no numbers yet")), "{screen:#?}");
    }

    #[test]
    fn a_short_number_fits_and_is_almost_the_number() {
        let cases = [
            (-1.23e-300, "-1.2e-300"),
            (1.23e-300, "1.23e-300"),
            (f64::MIN, "-1.80e308"),
            (-999_999.99, "-1.0e6"),
            (-999.999_99, "-1000.000"),
            (1.0 / 3.0, "0.333"),
            (12_345.678, "12345.7"),
        ];
        for (value, expected) in cases {
            let shown = short(value);
            assert!(shown.len() <= NUMBER_COLUMNS, "{shown}");
            assert_eq!(shown, expected, "{value}");
        }
    }

    #[test]
    fn a_small_screen_has_short_legends_above_a_plot() {
        let mut curves = Curves::default();
        let long = "a_field_with_a_name_that_is_longer_than_forty_columns";
        let numbers = [("temp", 20.5), (long, 1234.5), ("a_second_long_name_of_a_field", 7.0), ("hum", 40.0)];
        let numbers = numbers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let sample = Sample { peer: "sensor7".to_owned(), numbers, ..Sample::default() };
        curves.add(&sample, 0);
        let screen = drawn(&curves, Marks::Ascii, (80, 24));
        assert_eq!(screen[0], " sensor7  1m  1:temp 20.5 [20.5 20.5]", "{screen:#?}");
        assert_eq!(screen[1], format!(" 2:{long} 1234.5 [1234.5 1234.5]"), "{screen:#?}");
        // Each value is shown behind as much of its name as fits.
        let screen = drawn(&curves, Marks::Ascii, (40, 24));
        assert_eq!(screen[1], " 2:a_field_with_… 1234.5 [1234.5 1234.5]", "{screen:#?}");
        let screen = drawn(&curves, Marks::Ascii, (40, 10));
        let expected = [
            " sensor7  1m  1:temp 20.5",
            " 2:a_field_with_a_name_tha… 1234.5",
            " 3:a_second_long_name_of_a… 7  4:hum 40",
            " space holds  + - zoom  1-6 hide  q quit",
        ];
        assert_eq!(screen[..4], expected, "{screen:#?}");
        assert!(screen[8].starts_with("         +"), "{screen:#?}");
        // A problem is shown completely.
        let screen = drawn_with(&curves, Marks::Ascii, (30, 10), Some("no daemon was found; trying again"));
        assert_eq!(screen[2..4], [" no daemon was found; trying", " again"], "{screen:#?}");
        assert!(screen[8].starts_with("         +"), "{screen:#?}");
    }

    #[test]
    fn a_note_names_what_is_left_out() {
        let curves = |fields: usize| {
            let names = (0..fields).map(|number| format!("f{number}"));
            let mut curves = Curves::new(names.clone().collect());
            for peer in ["a", "b"].into_iter().take(if fields > 6 { 1 } else { 2 }) {
                let numbers = names.clone().map(|name| (name, 1.0)).collect();
                curves.add(&Sample { peer: peer.to_owned(), numbers, ..Sample::default() }, 0);
            }
            drawn(&curves, Marks::Ascii, (120, 24)).join("\n")
        };
        let (of_one, of_two) = (curves(8), curves(4));
        assert!(of_one.contains("name fewer FIELDs") && !of_one.contains("--from"), "{of_one}");
        assert!(of_two.contains("select the peers with --from"), "{of_two}");
    }

    #[test]
    fn hidden_curves_are_no_empty_span() {
        let mut curves = curves(&["sensor7"], |second| second as f64);
        curves.list.iter_mut().for_each(|curve| curve.is_hidden = true);
        let screen = drawn(&curves, Marks::Ascii, (80, 24)).join("\n");
        assert!(screen.contains("hidden; 1 to 6 show the curves"), "{screen}");
        assert!(!screen.contains("nothing in this span"), "{screen}");
    }

    #[test]
    fn the_beginning_of_a_long_note_stays() {
        let curves = curves(&["sensor7"], |second| second as f64);
        let screen = drawn(&curves, Marks::Ascii, (30, 8));
        assert!(screen.iter().any(|line| line.contains("space holds")), "{screen:#?}");
    }

    #[test]
    fn any_size_of_the_screen_is_drawn() {
        let curves = curves(&["a", "b", "c"], |second| (second % 7) as f64);
        for width in 0..40 {
            for height in 0..12 {
                for marks in [Marks::Braille, Marks::Ascii] {
                    drawn(&curves, marks, (width.max(1), height.max(1)));
                }
            }
        }
    }
}

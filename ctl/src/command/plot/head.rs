//! The lines above the plot: the span, each curve with its last value and its range, and the keys or what is wrong.
//!
//! On a small screen, ranges, the ends of names and at last curves are left out, so that there is room for the plot.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use udpchat_locale::tr;

use super::scene::{Motion, Range, Scene, TIME_ROWS, Theme, short};
use super::series::Curve;
use crate::output::duration;
use crate::terminal::wrap;

/// The rows that the curves have on a screen that is too low for everything.
const MIN_PLOT_ROWS: u16 = 4;

/// How much is shown of a curve, from the most to the least.
#[derive(Clone, Copy)]
struct Form {
    with_range: bool,
    /// The most columns of a name.
    name_columns: usize,
}

const FORMS: [Form; 3] = [
    Form { with_range: true, name_columns: usize::MAX },
    Form { with_range: false, name_columns: 24 },
    Form { with_range: false, name_columns: 12 },
];

/// Returns the lines above the plot on a screen.
pub(super) fn head(scene: &Scene<'_>, theme: &Theme, screen: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(screen.width), usize::from(screen.height));
    let most = height.saturating_sub(usize::from(MIN_PLOT_ROWS + TIME_ROWS)).max(1);
    let notes = notes(scene, width);
    let mut lines = Vec::new();
    for form in FORMS {
        lines = with_notes(curves(scene, theme, form, width), &notes, width);
        if lines.len() <= most {
            return lines;
        }
    }
    // What is wrong and the span stay, of a long note its beginning.
    let kept = notes.len().min(most - 1);
    lines.truncate(lines.len() - (notes.len() - kept));
    let behind = lines.len() - kept;
    lines.drain(most - (lines.len() - behind)..behind);
    lines
}

/// Adds the keys, or what is wrong, behind the last curve if there is room, otherwise below.
fn with_notes(mut lines: Vec<Line<'static>>, notes: &[String], width: usize) -> Vec<Line<'static>> {
    let style = Style::new().add_modifier(Modifier::DIM);
    match (notes, lines.last_mut()) {
        ([note], Some(last)) if last.width() + wrap::width(note) + 3 <= width => {
            last.push_span("   ");
            last.push_span(Span::styled(note.clone(), style));
        }
        _ => lines.extend(
            notes.iter().map(|note| Line::from(vec![Span::raw(" "), Span::styled(note.clone(), style)])),
        ),
    }
    lines
}

/// Returns the lines of the span and of the curves.
fn curves(scene: &Scene<'_>, theme: &Theme, form: Form, width: usize) -> Vec<Line<'static>> {
    let span = duration(std::time::Duration::from_micros((scene.until - scene.from).unsigned_abs()));
    let peer = scene.curves.list.first().filter(|_| scene.curves.is_of_one_peer());
    let what = peer.map_or("plot", |curve| curve.peer.as_str());
    let what = wrap::truncated(what, width.saturating_sub(wrap::width(&span) + 3).max(1));
    let title = Span::styled(format!(" {what}  {span}"), Style::new().add_modifier(Modifier::BOLD));
    let mut lines = vec![Line::from(title)];
    for (number, curve) in scene.curves.list.iter().enumerate() {
        let text = legend(curve, number, scene, (form, peer.is_none()), width.saturating_sub(1));
        let text = Span::styled(text, theme.of_curve(number));
        match lines.last_mut() {
            Some(last) if last.width() + text.width() + 2 <= width => {
                last.push_span("  ");
                last.push_span(text);
            }
            _ => lines.push(Line::from(vec![Span::raw(" "), text])),
        }
    }
    lines
}

/// Returns the lines of the keys, or of what is wrong.
fn notes(scene: &Scene<'_>, width: usize) -> Vec<String> {
    let note = match scene.problem {
        Some(problem) => problem,
        None if scene.motion == Motion::Held => tr!("held; space continues"),
        None if scene.curves.has_more(scene.from) => match scene.curves.has_fields() {
            // Those of one peer are too many.
            true if scene.curves.has_many_fields() => tr!("only six curves fit; name fewer FIELDs"),
            true => tr!("only six curves fit; select the peers with --from"),
            false => tr!("only six curves fit; name the FIELDs to draw"),
        },
        None if scene.motion == Motion::Past => tr!("+ - zoom  1-6 hide  q quit"),
        None => tr!("space holds  + - zoom  1-6 hide  q quit"),
    };
    let note = wrap::display_line(note);
    let lines = wrap::wrap(&note, width.saturating_sub(1).max(1));
    lines.into_iter().map(|line| note[line].trim_end().to_owned()).collect()
}

/// Returns a curve with its last value and its range; of its name as much as fits before them.
fn legend(
    curve: &Curve,
    number: usize,
    scene: &Scene<'_>,
    (form, with_peer): (Form, bool),
    columns: usize,
) -> String {
    let key = number + 1;
    let name = if with_peer { format!("{} {}", curve.peer, curve.field) } else { curve.field.clone() };
    let values = match Range::of(curve, scene) {
        _ if curve.is_hidden => String::new(),
        Some(Range { least, greatest }) => {
            // While the plot is held, later values are not shown.
            let visible = curve.within(scene.from, scene.until).last();
            let last = visible.map_or(curve.last, |(_, interval)| interval.last);
            let [last, least, greatest] = [last, least, greatest].map(short);
            if form.with_range { format!(" {last} [{least} {greatest}]") } else { format!(" {last}") }
        }
        None => format!(" {}", short(curve.last)),
    };
    let others = if curve.is_hidden { "1:()".len() } else { "1:".len() + values.len() };
    let name = wrap::truncated(&name, columns.saturating_sub(others).clamp(1, form.name_columns));
    if curve.is_hidden { format!("{key}:({name})") } else { format!("{key}:{name}{values}") }
}

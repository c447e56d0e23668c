//! Draws the model: state and problems, two plots, losses and queues, top senders.

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline};
use udpchat_api::call::State;
use udpchat_api::safe::one_line;

use super::fit::{Heights, row};
use super::model::{Loss, Model};
use super::rates::Rates;
use super::talkers::{TopTalker, WINDOW};
use crate::output::{Output, clock_time, grouped, size, span};
use crate::terminal::wrap;

/// The most problems that are shown; of the others the number is shown.
const MAX_PROBLEMS: usize = 3;

/// The minimum width for bars beside the senders.
const WIDTH_FOR_BARS: usize = 56;
const BAR_WIDTH: usize = 10;

/// The styles of the screen, and the time zone.
pub(super) struct Theme {
    pub(super) colour: bool,
    pub(super) zone: TimeZone,
}

impl Theme {
    /// Takes colour and time zone from the options of the output.
    pub(super) fn new(output: &Output) -> Self {
        Self { colour: output.has_colour(), zone: output.zone().clone() }
    }

    fn fg(&self, color: Color) -> Style {
        if self.colour { Style::new().fg(color) } else { Style::new() }
    }

    fn alert(&self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    fn error(&self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }
}

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: &Theme) {
    let area = frame.area();
    let width = usize::from(area.width);
    let (top, facts) = (top(model, theme, width), facts(model, theme, width));
    let heights = Heights::divide(area.height, length(&top) + length(&facts));
    let gap = Constraint::Length(heights.between);
    let plot = |bars: u16| Constraint::Length(if bars == 0 { 0 } else { bars + 1 });
    let areas: [Rect; 9] = Layout::vertical([
        Constraint::Length(length(&top)),
        gap,
        plot(heights.received),
        plot(heights.stored),
        gap,
        Constraint::Length(length(&facts)),
        gap,
        Constraint::Min(0),
        Constraint::Length(heights.footer),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(top), areas[0]);
    plots(frame, model, theme, [areas[2], areas[3]]);
    frame.render_widget(Paragraph::new(facts), areas[5]);
    frame.render_widget(Paragraph::new(talkers(model, theme, areas[7])), areas[7]);
    frame.render_widget(Paragraph::new(footer(model)), areas[8]);
}

/// Returns the number of lines; more than `u16::MAX` do not fit on a screen.
fn length(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

/// The state, and problems.
fn top(model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let status = &model.status;
    let state = match (&model.failure, model.silent_for(), status.state) {
        (Some(_), ..) => Span::styled("gone", theme.error()),
        (None, Some(_), _) => Span::styled("silent", theme.error()),
        (None, None, State::Degraded) => Span::styled("degraded", theme.error()),
        (None, None, State::Ok) => Span::styled("ok", theme.fg(Color::Green)),
    };
    let mut head =
        vec![Span::raw("udpchatd "), state, Span::raw(format!("  up {}", span(status.at - status.started)))];
    head.extend(status.listen.iter().map(|address| Span::raw(format!("  {address}"))));
    let used: usize = head.iter().map(Span::width).sum();
    let time = clock_time(status.at, &theme.zone);
    if used + 1 + time.len() <= width {
        head.push(Span::styled(format!("{time:>0$}", width - used), dim()));
    }
    let mut lines = vec![Line::from(head)];
    for text in connection_notes(model) {
        let rows = wrap::wrap(&text, width);
        lines.extend(rows.into_iter().map(|row| Line::styled(text[row].to_owned(), theme.alert())));
    }
    lines.extend(problems(model).into_iter().map(|text| Line::styled(text, theme.alert())));
    lines
}

/// Notes about the connection.
fn connection_notes(model: &Model) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(reason) = &model.failure {
        notes.push(format!("{}; trying again; values are from the last answer", wrap::display_line(reason)));
    } else if let Some(silent) = model.silent_for() {
        notes.push(format!("no answer for {} s; values are from the last answer", silent.as_secs()));
    }
    match model.restarts {
        0 => {}
        1 => notes.push("the daemon restarted, and its counters started at 0".to_owned()),
        times => notes.push(format!("the daemon restarted {times} times, and its counters started at 0")),
    }
    notes
}

fn problems(model: &Model) -> Vec<String> {
    let problems = &model.status.problems;
    let mut lines: Vec<String> =
        problems.iter().take(MAX_PROBLEMS).map(|problem| one_line(problem).into_owned()).collect();
    if let more @ 1.. = problems.len().saturating_sub(MAX_PROBLEMS) {
        lines.push(format!("and {more} more: see `udpchatctl status`"));
    }
    lines
}

/// A plot of a rate; `total` is the counter.
struct Plot {
    label: &'static str,
    of: fn(&Rates) -> u64,
    color: Color,
    total: u64,
}

/// Both plots, on one scale, so that stored and received can be compared.
fn plots(frame: &mut Frame<'_>, model: &Model, theme: &Theme, areas: [Rect; 2]) {
    let (received, stored) = (model.status.received.datagrams, model.status.stored);
    let plots = [
        Plot { label: "received", of: |rates| rates.received, color: Color::Cyan, total: received },
        Plot { label: "stored", of: |rates| rates.stored, color: Color::Green, total: stored },
    ];
    let shown: Vec<&Option<Rates>> = model.history.iter().take(usize::from(areas[0].width)).collect();
    let peaks =
        plots.each_ref().map(|plot| shown.iter().filter_map(|rates| rates.as_ref()).map(plot.of).max());
    let scale = peaks.iter().copied().max().flatten().unwrap_or(0).max(1);
    for ((plot, peak), area) in plots.iter().zip(peaks).zip(areas) {
        let [title, bars] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let title_lines = row(plot.label, plot.facts(model, peak), usize::from(title.width));
        frame.render_widget(Paragraph::new(title_lines), title);
        let data = shown.iter().map(|rates| rates.as_ref().map(plot.of));
        let sparkline = Sparkline::default().data(data).max(scale).direction(RenderDirection::RightToLeft);
        frame.render_widget(sparkline.style(theme.fg(plot.color)), bars);
    }
}

impl Plot {
    fn facts(&self, model: &Model, peak: Option<u64>) -> Vec<Span<'static>> {
        let now = model.rates.as_ref().map(self.of);
        let mut facts = vec![Span::styled(rate(now), Style::new().add_modifier(Modifier::BOLD))];
        if let ("received", Some(rates)) = (self.label, model.rates) {
            facts.push(Span::raw(format!("{}/s", size(rates.bytes))));
        }
        facts.push(Span::raw(format!("peak {}", rate(Some(peak.unwrap_or(0))))));
        facts.push(Span::raw(format!("{} total", grouped(self.total))));
        facts
    }
}

fn rate(rate: Option<u64>) -> String {
    rate.map_or_else(|| "-/s".to_owned(), |rate| format!("{}/s", grouped(rate)))
}

/// Losses, queues and the inbox.
fn facts(model: &Model, theme: &Theme, width: usize) -> Vec<Line<'static>> {
    let status = &model.status;
    let losses = &model.losses;
    let lost = [
        ("kernel", &losses.kernel),
        ("queue full", &losses.queue_full),
        ("denied", &losses.denied),
        ("log lines", &losses.log_lines),
    ];
    let lost = lost.into_iter().map(|(what, loss)| self::loss(model, theme, what, loss)).collect();
    let waiting = vec![
        waits(theme, format!("{} queued", grouped(status.queued)), false),
        waits(
            theme,
            format!("queue {} of {}", size(status.queue.bytes), size(status.queue.max_bytes)),
            status.queue.bytes > status.queue.max_bytes / 4 * 3,
        ),
        waits(theme, format!("index {} behind", grouped(status.index.behind)), false),
        waits(theme, format!("write-ahead log {}", size(status.inbox.wal_bytes)), false),
    ];
    let inbox = &status.inbox;
    let mut there = vec![
        Span::raw(format!("{} entries", grouped(inbox.entries))),
        Span::raw(format!("{} of {}", size(inbox.bytes), size(inbox.max_bytes))),
        Span::raw(format!("{} unread", grouped(inbox.unread))),
        Span::raw(format!("{} sent", grouped(status.sent.datagrams))),
    ];
    if status.sent.failed > 0 {
        there.push(Span::styled(format!("{} not sent", grouped(status.sent.failed)), theme.alert()));
    }
    [row("lost", lost, width), row("waiting", waiting, width), row("inbox", there, width)].concat()
}

fn loss(model: &Model, theme: &Theme, what: &str, loss: &Loss) -> Span<'static> {
    let total = grouped(loss.total);
    match loss.total {
        _ if model.is_recent(loss) => {
            Span::styled(format!("{what} {total} +{}", grouped(loss.grown)), theme.error())
        }
        0 => Span::raw(format!("{what} {total}")),
        _ => Span::styled(format!("{what} {total}"), theme.alert()),
    }
}

fn waits(theme: &Theme, text: String, too_much: bool) -> Span<'static> {
    Span::styled(text, if too_much { theme.alert() } else { Style::new() })
}

/// The top senders, as many as there is room for.
fn talkers(model: &Model, theme: &Theme, area: Rect) -> Vec<Line<'static>> {
    let Some(window) = &model.talkers else {
        return vec![Line::styled("this daemon does not report senders", dim())];
    };
    let rows = usize::from(area.height.saturating_sub(1));
    let about = if window.is_estimated() { ", estimated" } else { "" };
    let title = format!("senders of the last {} s{about}", WINDOW.as_secs());
    let mut lines = vec![Line::styled(title, dim())];
    let top = window.top(rows);
    if top.is_empty() && model.failure.is_none() {
        lines.push(Line::raw("  no messages"));
    }
    lines.extend(top.iter().map(|talker| talker_line(talker, theme, usize::from(area.width))));
    lines
}

fn talker_line(talker: &TopTalker, theme: &Theme, width: usize) -> Line<'static> {
    let rate = match talker.in_ten_seconds {
        few @ 0..100 => format!("{}.{}/s", few / 10, few % 10),
        many => rate(Some(many / 10)),
    };
    let mut spans = vec![Span::raw(format!("{rate:>10} {:>3} %  ", talker.percent))];
    if width >= WIDTH_FOR_BARS {
        // At most 100 percent.
        let full = (talker.percent as usize * BAR_WIDTH).div_ceil(100).min(BAR_WIDTH);
        spans.push(Span::styled("■".repeat(full), theme.fg(Color::Cyan)));
        spans.push(Span::raw(" ".repeat(BAR_WIDTH - full + 2)));
    }
    if let Some(name) = &talker.name {
        spans.push(Span::styled(one_line(name).into_owned(), Style::new().add_modifier(Modifier::BOLD)));
        spans.push(Span::raw("  "));
    }
    spans.push(Span::raw(one_line(&talker.address).into_owned()));
    Line::from(spans)
}

fn footer(model: &Model) -> Line<'static> {
    Line::styled(format!("q quit   every {:?}", model.interval), dim())
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;

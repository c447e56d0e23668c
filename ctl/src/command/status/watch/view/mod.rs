//! Draws the model: state and problems on top, two plots, what is lost and what waits, who sends most.

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

/// How many problems are shown; of the others only how many there are.
const MAX_PROBLEMS: usize = 3;

/// From this width on, talkers have a bar.
const WIDTH_FOR_BARS: usize = 56;
const BAR_WIDTH: usize = 10;

/// How the screen looks.
pub(super) struct Look {
    pub(super) colour: bool,
    pub(super) zone: TimeZone,
}

impl Look {
    /// Looks as the rest of the output does.
    pub(super) fn of(output: &Output) -> Self {
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
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, look: &Look) {
    let area = frame.area();
    let width = usize::from(area.width);
    let (top, facts) = (top(model, look, width), facts(model, look, width));
    let heights = Heights::share(area.height, length(&top) + length(&facts));
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
    plots(frame, model, look, [areas[2], areas[3]]);
    frame.render_widget(Paragraph::new(facts), areas[5]);
    frame.render_widget(Paragraph::new(talkers(model, look, areas[7])), areas[7]);
    frame.render_widget(Paragraph::new(footer(model)), areas[8]);
}

/// A screen has no more lines than this can tell.
fn length(lines: &[Line<'_>]) -> u16 {
    u16::try_from(lines.len()).unwrap_or(u16::MAX)
}

/// The state in a line, and what is wrong.
fn top(model: &Model, look: &Look, width: usize) -> Vec<Line<'static>> {
    let status = &model.status;
    let state = match (&model.gone, model.silent_for(), status.state) {
        (Some(_), ..) => Span::styled("gone", look.error()),
        (None, Some(_), _) => Span::styled("silent", look.error()),
        (None, None, State::Degraded) => Span::styled("degraded", look.error()),
        (None, None, State::Ok) => Span::styled("ok", look.fg(Color::Green)),
    };
    let mut head =
        vec![Span::raw("udpchatd "), state, Span::raw(format!("  up {}", span(status.at - status.started)))];
    head.extend(status.listen.iter().map(|address| Span::raw(format!("  {address}"))));
    let used: usize = head.iter().map(Span::width).sum();
    let time = clock_time(status.at, &look.zone);
    if used + 1 + time.len() <= width {
        head.push(Span::styled(format!("{time:>0$}", width - used), dim()));
    }
    let mut lines = vec![Line::from(head)];
    lines.extend(news(model).into_iter().map(|text| Line::styled(text, look.alert())));
    lines.extend(problems(model).into_iter().map(|text| Line::styled(text, look.alert())));
    lines
}

/// What there is to say about the connection.
fn news(model: &Model) -> Vec<String> {
    let mut news = Vec::new();
    if let Some(why) = &model.gone {
        news.push(format!("{}; what is shown is from before; trying again", one_line(why)));
    } else if let Some(silent) = model.silent_for() {
        news.push(format!("no answer for {} s; what is shown is from before", silent.as_secs()));
    }
    match model.restarts {
        0 => {}
        1 => news.push("the daemon was started anew meanwhile, its counters too".to_owned()),
        times => news.push(format!("the daemon was started anew {times} times meanwhile, its counters too")),
    }
    news
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

/// One of the two plots: which of the rates it shows, and of how many in all.
struct Plot {
    label: &'static str,
    of: fn(&Rates) -> u64,
    color: Color,
    total: u64,
}

/// Both plots, in one scale, so that what is stored can be compared with what was received.
fn plots(frame: &mut Frame<'_>, model: &Model, look: &Look, areas: [Rect; 2]) {
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
        frame.render_widget(sparkline.style(look.fg(plot.color)), bars);
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
        facts.push(Span::raw(format!("{} in all", grouped(self.total))));
        facts
    }
}

fn rate(rate: Option<u64>) -> String {
    rate.map_or_else(|| "-/s".to_owned(), |rate| format!("{}/s", grouped(rate)))
}

/// What is lost, what waits, and what is there.
fn facts(model: &Model, look: &Look, width: usize) -> Vec<Line<'static>> {
    let status = &model.status;
    let losses = &model.losses;
    let lost = [
        ("kernel", &losses.kernel),
        ("queue full", &losses.queue_full),
        ("denied", &losses.denied),
        ("log lines", &losses.log_lines),
    ];
    let lost = lost.into_iter().map(|(what, loss)| self::loss(model, look, what, loss)).collect();
    let waiting = vec![
        waits(look, format!("{} queued", grouped(status.queued)), false),
        waits(
            look,
            format!("queue {} of {}", size(status.queue.bytes), size(status.queue.max_bytes)),
            status.queue.bytes > status.queue.max_bytes / 4 * 3,
        ),
        waits(look, format!("index {} behind", grouped(status.index.behind)), false),
        waits(look, format!("write-ahead log {}", size(status.inbox.wal_bytes)), false),
    ];
    let inbox = &status.inbox;
    let mut there = vec![
        Span::raw(format!("{} entries", grouped(inbox.entries))),
        Span::raw(format!("{} of {}", size(inbox.bytes), size(inbox.max_bytes))),
        Span::raw(format!("{} unread", grouped(inbox.unread))),
        Span::raw(format!("{} sent", grouped(status.sent.datagrams))),
    ];
    if status.sent.failed > 0 {
        there.push(Span::styled(format!("{} not sent", grouped(status.sent.failed)), look.alert()));
    }
    [row("lost", lost, width), row("waiting", waiting, width), row("inbox", there, width)].concat()
}

fn loss(model: &Model, look: &Look, what: &str, loss: &Loss) -> Span<'static> {
    let total = grouped(loss.total);
    match loss.total {
        _ if model.stands_out(loss) => {
            Span::styled(format!("{what} {total} +{}", grouped(loss.grown)), look.error())
        }
        0 => Span::raw(format!("{what} {total}")),
        _ => Span::styled(format!("{what} {total}"), look.alert()),
    }
}

fn waits(look: &Look, text: String, too_much: bool) -> Span<'static> {
    Span::styled(text, if too_much { look.alert() } else { Style::new() })
}

/// Who sends most, as far as there is room.
fn talkers(model: &Model, look: &Look, area: Rect) -> Vec<Line<'static>> {
    let Some(window) = &model.talkers else {
        return vec![Line::styled("this daemon does not tell who sends", dim())];
    };
    let rows = usize::from(area.height.saturating_sub(1));
    let about = if window.is_sampled() { ", estimated" } else { "" };
    let title = format!("senders of the last {} s{about}", WINDOW.as_secs());
    let mut lines = vec![Line::styled(title, dim())];
    let top = window.top(rows);
    if top.is_empty() && model.gone.is_none() {
        lines.push(Line::raw("  nobody"));
    }
    lines.extend(top.iter().map(|talker| talker_line(talker, look, usize::from(area.width))));
    lines
}

fn talker_line(talker: &TopTalker, look: &Look, width: usize) -> Line<'static> {
    let rate = match talker.in_ten_seconds {
        few @ 0..100 => format!("{}.{}/s", few / 10, few % 10),
        many => rate(Some(many / 10)),
    };
    let mut spans = vec![Span::raw(format!("{rate:>10} {:>3} %  ", talker.percent))];
    if width >= WIDTH_FOR_BARS {
        // At most 100 percent.
        let full = (talker.percent as usize * BAR_WIDTH).div_ceil(100).min(BAR_WIDTH);
        spans.push(Span::styled("■".repeat(full), look.fg(Color::Cyan)));
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
    Line::styled(format!("q ends   every {:?}", model.interval), dim())
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;

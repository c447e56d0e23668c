//! Draws the model: state and problems, two plots, losses and queues, top senders.

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, RenderDirection, Sparkline};
use udpchat_api::call::State;
use udpchat_locale::{tr, translated};

use super::fit::{Heights, row};
use super::model::{Loss, Model};
use super::rates::Rates;
use super::talkers::{TopTalker, WINDOW};
use crate::output::{Output, clock_time, grouped, size, span};
use crate::terminal::wrap;

/// The most problems that are shown; of the others the number is shown.
const MAX_PROBLEMS: usize = 3;

/// The most silent peers whose names are shown.
const MAX_SILENT: usize = 6;

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
        (Some(_), ..) => Span::styled(tr!("gone"), theme.error()),
        (None, Some(_), _) => Span::styled(tr!("silent"), theme.error()),
        (None, None, State::Degraded) => Span::styled(tr!("degraded"), theme.error()),
        (None, None, State::Ok) => Span::styled(tr!("ok"), theme.fg(Color::Green)),
    };
    let up = tr!("up {span}", span = span(status.at - status.started));
    let mut head = vec![Span::raw("udpchatd "), state, Span::raw(format!("  {up}"))];
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
        let reason = wrap::display_line(reason);
        notes.push(tr!("{reason}; trying again; values are from the last answer", reason));
    } else if let Some(silent) = model.silent_for() {
        let seconds = silent.as_secs();
        notes.push(tr!("no answer for {seconds} s; values are from the last answer", seconds));
    }
    match model.restarts {
        0 => {}
        1 => notes.push(tr!("the daemon restarted, and its counters started at 0").to_owned()),
        times => notes.push(tr!("the daemon restarted {times} times, and its counters started at 0", times)),
    }
    notes
}

fn problems(model: &Model) -> Vec<String> {
    let problems = &model.status.problems;
    let mut lines: Vec<String> = problems
        .iter()
        .take(MAX_PROBLEMS)
        .map(|problem| wrap::display_line(&translated(problem)).into_owned())
        .collect();
    if let more @ 1.. = problems.len().saturating_sub(MAX_PROBLEMS) {
        lines.push(tr!("and {more} more: see `udpchatctl status`", more));
    }
    lines
}

/// A plot of a rate; `total` is the counter.
struct Plot {
    label: &'static str,
    of: fn(&Rates) -> u64,
    bytes: Option<fn(&Rates) -> u64>,
    color: Color,
    total: u64,
}

/// Both plots, on one scale, so that stored and received can be compared.
fn plots(frame: &mut Frame<'_>, model: &Model, theme: &Theme, areas: [Rect; 2]) {
    let (received, stored) = (model.status.received.datagrams, model.status.stored);
    let plots = [
        Plot {
            label: tr!("received"),
            of: |rates| rates.received,
            bytes: Some(|rates| rates.bytes),
            color: Color::Cyan,
            total: received,
        },
        Plot {
            label: tr!("stored"),
            of: |rates| rates.stored,
            bytes: None,
            color: Color::Green,
            total: stored,
        },
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
        if let (Some(bytes), Some(rates)) = (self.bytes, &model.rates) {
            facts.push(Span::raw(format!("{}/s", size(bytes(rates)))));
        }
        facts.push(Span::raw(tr!("peak {rate}", rate = rate(Some(peak.unwrap_or(0))))));
        facts.push(Span::raw(tr!("{count} total", count = grouped(self.total))));
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
    let count = |loss: &Loss| {
        let total = grouped(loss.total);
        if model.is_recent(loss) { format!("{total} +{}", grouped(loss.grown)) } else { total }
    };
    let lost = [
        (&losses.kernel, tr!("kernel {count}", count = count(&losses.kernel))),
        (&losses.queue_full, tr!("queue full {count}", count = count(&losses.queue_full))),
        (&losses.denied, tr!("denied {count}", count = count(&losses.denied))),
        (&losses.log_lines, tr!("log lines {count}", count = count(&losses.log_lines))),
    ];
    // Most daemons have no limits.
    let limited = (losses.limited.total > 0)
        .then(|| (&losses.limited, tr!("over the limit {count}", count = count(&losses.limited))));
    let lost = lost
        .into_iter()
        .chain(limited)
        .map(|(loss, text)| Span::styled(text, loss_style(model, theme, loss)))
        .collect();
    let waiting = vec![
        waits(theme, tr!("{count} queued", count = grouped(status.queued)), false),
        waits(
            theme,
            tr!("queue {used} of {max}", used = size(status.queue.bytes), max = size(status.queue.max_bytes)),
            status.queue.bytes > status.queue.max_bytes / 4 * 3,
        ),
        waits(theme, tr!("index {count} behind", count = grouped(status.index.behind)), false),
        waits(theme, tr!("write-ahead log {size}", size = size(status.inbox.wal_bytes)), false),
    ];
    let inbox = &status.inbox;
    let mut there = vec![
        Span::raw(tr!("{count} entries", count = grouped(inbox.entries))),
        Span::raw(format!("{} / {}", size(inbox.bytes), size(inbox.max_bytes))),
        Span::raw(tr!("{count} unread", count = grouped(inbox.unread))),
        Span::raw(tr!("{count} sent", count = grouped(status.sent.datagrams))),
    ];
    if status.sent.failed > 0 {
        let failed = tr!("{count} not sent", count = grouped(status.sent.failed));
        there.push(Span::styled(failed, theme.alert()));
    }
    if status.sent.bounced > 0 {
        let bounced = tr!("{count} bounced", count = grouped(status.sent.bounced));
        there.push(Span::styled(bounced, theme.alert()));
    }
    if status.held.messages > 0 {
        there.push(Span::raw(tr!("{count} held", count = grouped(status.held.messages))));
    }
    let mut rows =
        [row(tr!("lost"), lost, width), row(tr!("waiting"), waiting, width), row(tr!("inbox"), there, width)]
            .concat();
    let silent = silent(model, theme);
    if !silent.is_empty() {
        rows.extend(row(tr!("peers"), silent, width));
    }
    rows
}

/// The silent peers: the names of the first ones, and how many there are besides.
fn silent(model: &Model, theme: &Theme) -> Vec<Span<'static>> {
    let silent = model.status.watched_peers.iter().filter(|peer| peer.silent_since.is_some());
    let mut facts: Vec<String> =
        silent.map(|peer| tr!("{peer} silent", peer = wrap::display_line(&peer.name))).collect();
    if let more @ 1.. = facts.len().saturating_sub(MAX_SILENT) {
        facts.truncate(MAX_SILENT);
        facts.push(tr!("and {more} more", more));
    }
    facts.into_iter().map(|fact| Span::styled(fact, theme.alert())).collect()
}

fn loss_style(model: &Model, theme: &Theme, loss: &Loss) -> Style {
    match loss.total {
        _ if model.is_recent(loss) => theme.error(),
        0 => Style::new(),
        _ => theme.alert(),
    }
}

fn waits(theme: &Theme, text: String, too_much: bool) -> Span<'static> {
    Span::styled(text, if too_much { theme.alert() } else { Style::new() })
}

/// The top senders, as many as there is room for.
fn talkers(model: &Model, theme: &Theme, area: Rect) -> Vec<Line<'static>> {
    let Some(window) = &model.talkers else {
        return vec![Line::styled(tr!("this daemon does not report senders"), dim())];
    };
    let rows = usize::from(area.height.saturating_sub(1));
    let seconds = WINDOW.as_secs();
    let title = if window.is_estimated() {
        tr!("senders of the last {seconds} s, estimated", seconds)
    } else {
        tr!("senders of the last {seconds} s", seconds)
    };
    let mut lines = vec![Line::styled(title, dim())];
    let top = window.top(rows);
    if top.is_empty() && model.failure.is_none() {
        lines.push(Line::raw(format!("  {}", tr!("no messages"))));
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
        spans.push(Span::styled(
            wrap::display_line(name).into_owned(),
            Style::new().add_modifier(Modifier::BOLD),
        ));
        spans.push(Span::raw("  "));
    }
    spans.push(Span::raw(wrap::display_line(&talker.address).into_owned()));
    Line::from(spans)
}

fn footer(model: &Model) -> Line<'static> {
    Line::styled(tr!("q quit   every {interval}", interval = format!("{:?}", model.interval)), dim())
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;

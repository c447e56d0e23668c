//! Progress of a long command: one line on standard error that overwrites itself.

use std::time::{Duration, Instant};

use udpchat_locale::tr;
use unicode_width::UnicodeWidthStr;

use super::format::{counted, grouped};
use super::stderr;

/// The shortest time between two drawings.
const PERIOD: Duration = Duration::from_millis(200);

/// The state of the work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    /// How many items are done.
    pub(crate) done: u64,
    /// How many items there are, if known.
    pub(crate) total: Option<u64>,
    /// How much was examined, of how much, if the number of items does not show the progress.
    pub(crate) looked_at: Option<(u64, u64)>,
}

/// A line of progress. Dropping it erases it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Whether it is drawn at all.
    on: bool,
    thing: &'static str,
    began: Instant,
    drawn: Option<Instant>,
    /// The width of the drawn line, in columns.
    width: usize,
}

impl Progress {
    /// Creates it; `thing` is the noun of the items, in the singular. Draws nothing unless `on`.
    pub(crate) fn new(on: bool, thing: &'static str) -> Self {
        Self { on, thing, began: Instant::now(), drawn: None, width: 0 }
    }

    /// Returns whether the next state is drawn: at most once each [`PERIOD`].
    pub(crate) fn is_due(&self) -> bool {
        self.on && self.drawn.unwrap_or(self.began).elapsed() >= PERIOD
    }

    /// Draws the state if it is due.
    pub(crate) fn show(&mut self, reached: &Reached) {
        if self.is_due() {
            self.draw(&line(reached, self.thing, self.began.elapsed()));
            self.drawn = Some(Instant::now());
        }
    }

    /// Erases the line, before something else is printed.
    pub(crate) fn erase(&mut self) {
        if self.width > 0 {
            self.draw("");
            stderr::write(b"\r");
        }
    }

    /// Overwrites the line with a carriage return, which every terminal understands; no escape sequence is needed.
    fn draw(&mut self, line: &str) {
        let columns = line.width();
        stderr::write(format!("\r{line}{:1$}", "", self.width.saturating_sub(columns)).as_bytes());
        self.width = columns;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.erase();
    }
}

fn line(reached: &Reached, thing: &str, elapsed: Duration) -> String {
    let items = match reached.total {
        Some(total) => {
            tr!("{done} of about {items}", done = grouped(reached.done), items = counted(total, thing))
        }
        None => counted(reached.done, thing),
    };
    let rate = grouped((reached.done as f64 / elapsed.as_secs_f64().max(0.001)) as u64);
    let share = reached.looked_at.or(reached.total.map(|total| (reached.done, total)));
    match share.filter(|(_, whole)| *whole > 0) {
        Some((part, whole)) => {
            // More items than expected still show 100 %.
            let percent = u128::from(part.min(whole)) * 100 / u128::from(whole);
            tr!("{items}, {percent} %, {rate}/s", items, percent, rate)
        }
        None => tr!("{items}, {rate}/s", items, rate),
    }
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;

    fn shown(done: u64, total: Option<u64>, looked_at: Option<(u64, u64)>, milliseconds: u64) -> String {
        line(&Reached { done, total, looked_at }, "entry", Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_line_shows_count_share_and_rate() {
        let text = shown(412_000, Some(1_000_000), None, 1_350);
        assert_eq!(text, "412,000 of about 1,000,000 entries, 41 %, 305,185/s");
        assert_eq!(shown(12, None, Some((500, 2_000)), 2_000), "12 entries, 25 %, 6/s");
        assert_eq!(shown(1, None, None, 1_000), "1 entry, 1/s");
        let chinese = with_language(Language::Chinese, || {
            [shown(12, Some(1_000), None, 1_000), shown(12, None, None, 1_000)]
        });
        assert_eq!(chinese, ["12 / 约 1,000 个条目，1%，12/秒", "12 个条目，12/秒"]);
    }

    #[test]
    fn extreme_values_are_shown_sensibly() {
        assert_eq!(shown(0, Some(0), None, 0), "0 of about 0 entries, 0/s");
        assert_eq!(shown(7, Some(5), None, 1_000), "7 of about 5 entries, 100 %, 7/s");
        assert_eq!(shown(u64::MAX, Some(u64::MAX), None, 1_000_000_000).split(", ").nth(1), Some("100 %"));
    }
}

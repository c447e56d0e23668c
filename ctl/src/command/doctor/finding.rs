//! Findings, and how they are printed.

use std::borrow::Cow;

use serde::Serialize;
use udpchat_api::safe;
use udpchat_locale::{tr, translated, translation};
use unicode_width::UnicodeWidthStr;

use crate::error::Result;
use crate::output::Output;
use crate::output::style::{ALERT, DIM, ERROR, Palette, TO};
use crate::terminal::wrap;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Everything is in order.
    #[serde(rename = "ok")]
    Fine,
    /// It may prevent datagrams from arriving.
    Warning,
    /// It prevents datagrams from arriving, or from being stored.
    Problem,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What was checked, in one word.
    pub(crate) topic: &'static str,
    /// What was found.
    pub(crate) seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Finding {
    fn new(level: Level, topic: &'static str, seen: impl Into<String>) -> Self {
        Self { level, topic, seen: seen.into(), hint: None }
    }

    pub(super) fn ok(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Fine, topic, seen)
    }

    pub(super) fn warning(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Warning, topic, seen)
    }

    pub(super) fn problem(topic: &'static str, seen: impl Into<String>) -> Self {
        Self::new(Level::Problem, topic, seen)
    }

    /// Sets the hint, if there is one.
    pub(super) fn hint_if(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// Sets the hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Prints the finding.
    pub(super) fn print(&self, output: &mut Output) -> Result<()> {
        if output.is_json() {
            return output.json(self);
        }
        output.text(&as_text(self, output.palette(), output.terminal_width().map(usize::from)))
    }
}

/// The widths of the columns before the text, in columns of a terminal.
const LEVEL_WIDTH: usize = 9;
const TOPIC_WIDTH: usize = 11;

/// The columns before the text.
const INDENT: usize = LEVEL_WIDTH + TOPIC_WIDTH;

/// In fewer columns a text is not wrapped.
const MIN_COLUMNS: usize = 20;

/// Wraps a text that begins `before` columns behind the indent.
fn wrapped<'a>(text: &'a str, before: usize, columns: Option<usize>) -> Cow<'a, str> {
    let room = columns.map(|columns| columns.saturating_sub(INDENT + before));
    let Some(room) = room.filter(|room| *room >= MIN_COLUMNS) else { return Cow::Borrowed(text) };
    let separator = format!("\n{}", " ".repeat(INDENT + before));
    Cow::Owned(wrap::message(text, room).join(&separator))
}

/// Returns the blanks between a word and the next column. At least one separates them.
fn padding(word: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(word.width()).max(1))
}

/// Renders a finding as text: severity, topic and text, and the hint below. On a terminal, further lines are indented.
fn as_text(finding: &Finding, palette: Palette, columns: Option<usize>) -> String {
    let (word, style) = match finding.level {
        Level::Fine => (tr!("ok"), TO),
        Level::Warning => (tr!("warning"), ALERT),
        Level::Problem => (tr!("problem"), ERROR),
    };
    let topic = match finding.topic {
        // Its column is narrow.
        "configuration" => "config",
        topic => topic,
    };
    let (level, topic) = (padding(word, LEVEL_WIDTH), translation(topic));
    let seen = translated(&finding.seen);
    let mut out = format!(
        "{}{level}{topic}{}{}\n",
        palette.paint(style, word),
        padding(topic, TOPIC_WIDTH),
        wrapped(&safe::one_line(&seen), 0, columns)
    );
    if let Some(hint) = &finding.hint {
        let indent = " ".repeat(INDENT);
        let hint = translated(hint);
        let label = palette.paint(DIM, tr!("hint:"));
        let before = tr!("{label} {message}", label = tr!("hint:"), message = "");
        let hint = safe::one_line(&hint);
        let message = wrapped(&hint, before.width(), columns);
        out += &format!("{indent}{}\n", tr!("{label} {message}", label, message));
    }
    out
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

    use super::*;

    #[test]
    fn findings_are_aligned_in_chinese() {
        const TOPICS: [&str; 15] = [
            "configuration",
            "daemon",
            "port",
            "listen",
            "network",
            "firewall",
            "groups",
            "self-test",
            "access",
            "buffer",
            "traffic",
            "state",
            "disk",
            "clock",
            "peer",
        ];
        with_language(Language::Chinese, || {
            for topic in TOPICS {
                let finding = Finding::warning(topic, "seen").hint("do it");
                let text = as_text(&finding, Palette::new(false), None);
                let (first, second) = text.split_once('\n').unwrap();
                let before = first.strip_suffix("seen").unwrap();
                assert!(before.starts_with("警告     ") && !before.contains(topic), "{text}");
                assert_eq!(before.width(), LEVEL_WIDTH + TOPIC_WIDTH, "{text}");
                assert_eq!(second, format!("{}提示：do it\n", " ".repeat(LEVEL_WIDTH + TOPIC_WIDTH)));
            }
        });
    }

    #[test]
    fn findings_are_aligned_and_safe() {
        let finding = Finding {
            level: Level::Problem,
            topic: "port",
            seen: "held by \u{1b}[2J".to_owned(),
            hint: Some("stop\nit".to_owned()),
        };
        let expected = "problem  port       held by \\u{1b}[2J\n                    hint: stop\\u{a}it\n";
        assert_eq!(as_text(&finding, Palette::new(false), None), expected);
    }

    #[test]
    fn long_findings_are_indented_and_their_commands_stay_whole() {
        let finding = Finding::warning(
            "firewall",
            "the firewall of this machine has rules that this user may not read",
        )
        .hint(
            "`sudo udpchatctl doctor` reads them; to let messages in, `sudo ufw allow 7788/udp` adds a rule",
        );
        let expected = "\
warning  firewall   the firewall of this machine has rules that this user may
                    not read
                    hint: `sudo udpchatctl doctor` reads them; to let messages
                          in, `sudo ufw allow 7788/udp` adds a rule
";
        assert_eq!(as_text(&finding, Palette::new(false), Some(80)), expected);
        let chinese = with_language(Language::Chinese, || {
            let finding = Finding::ok("port", "没有其他程序占用这个端口，".repeat(5)).hint("好");
            as_text(&finding, Palette::new(false), Some(80))
        });
        assert!(chinese.lines().count() == 4 && chinese.lines().all(|line| line.width() <= 80), "{chinese}");
        // What does not fit in any line is as it was.
        for columns in 0..60 {
            let shown = as_text(&finding, Palette::new(false), Some(columns));
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
            assert_eq!(words(&shown), words(expected), "{columns}");
        }
    }
}

//! Findings as people read them.

use udpchat_api::safe;

use crate::command::doctor::{Finding, Level};
use crate::output::style::{ALERT, DIM, ERROR, Palette, TO};

/// The widths of the columns before what was seen.
const LEVEL_WIDTH: usize = 9;
const TOPIC_WIDTH: usize = 11;

/// Renders a finding: how it is to be taken, what was looked at, what was seen, and below it what to do.
pub(crate) fn as_text(finding: &Finding, palette: Palette) -> String {
    let (word, style) = match finding.level {
        Level::Fine => ("ok", TO),
        Level::Warning => ("warning", ALERT),
        Level::Problem => ("problem", ERROR),
    };
    let blanks = " ".repeat(LEVEL_WIDTH - word.len());
    let (topic, seen) = (finding.topic, safe::one_line(&finding.seen));
    let mut out = format!("{}{blanks}{topic:TOPIC_WIDTH$}{seen}\n", palette.paint(style, word));
    if let Some(hint) = &finding.hint {
        let indent = " ".repeat(LEVEL_WIDTH + TOPIC_WIDTH);
        out += &format!("{indent}{} {}\n", palette.paint(DIM, "hint:"), safe::one_line(hint));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_safe_with_the_hint_below() {
        let finding = Finding {
            level: Level::Problem,
            topic: "port",
            seen: "held by \u{1b}[2J".to_owned(),
            hint: Some("stop\nit".to_owned()),
        };
        let expected = "problem  port       held by \\u{1b}[2J\n                    hint: stop\\u{a}it\n";
        assert_eq!(as_text(&finding, Palette::new(false)), expected);
    }
}

//! Patterns of `--grep` on this side: shows in bold what matched, and selects notices.

use anstyle::Style;
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use udpchat_api::safe;
use udpchat_locale::tr;

use super::style::Palette;
use crate::error::{CtlError, Result};

/// What matches.
const MATCH: Style = Style::new().bold();

/// How much memory the compiled pattern takes at most, in bytes. The daemon has the same limit.
const MAX_BYTES: usize = 1024 * 1024;

/// Shows what matches a pattern in bold.
pub(super) struct Highlight(Regex);

impl Highlight {
    /// Compiles a pattern; none if it is invalid, which the daemon reports.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        compiled(pattern).map(Self)
    }

    /// Returns a text of several lines, made safe, with what matches in bold. No style goes over a line end.
    pub(super) fn painted(&self, text: &str, palette: Palette) -> String {
        let (mut shown, mut end) = (String::with_capacity(text.len()), 0);
        for found in self.0.find_iter(text).filter(|found| !found.is_empty()) {
            shown.push_str(&safe::lines_part(text, end..found.start()));
            for line in safe::lines_part(text, found.range()).split_inclusive('\n') {
                let (line, line_end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
                if !line.is_empty() {
                    shown.push_str(&palette.paint(MATCH, line));
                }
                shown.push_str(line_end);
            }
            end = found.end();
        }
        shown.push_str(&safe::lines_part(text, end..text.len()));
        shown
    }
}

/// A pattern that is matched here, since the daemon matches only messages.
pub(crate) struct TextPattern(Regex);

impl TextPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is invalid, or too large.
    pub(crate) fn of(pattern: &str) -> Result<Self> {
        let invalid = || CtlError::usage(tr!("invalid pattern `{pattern}`", pattern));
        compiled(pattern).map(Self).ok_or_else(invalid)
    }

    /// Returns whether a part of the text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn compiled(pattern: &str) -> Option<Regex> {
    let config = Config::new().nfa_size_limit(Some(MAX_BYTES)).onepass_size_limit(Some(MAX_BYTES));
    // As the daemon does: ^ and $ match at the ends of a line.
    let syntax = syntax::Config::new().multi_line(true);
    Regex::builder().configure(config).syntax(syntax).build(pattern).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn painted(pattern: &str, text: &str) -> String {
        let painted = Highlight::of(pattern).unwrap().painted(text, Palette::new(true));
        painted.replace("\u{1b}[1m", "<").replace("\u{1b}[0m", ">")
    }

    #[test]
    fn matches_are_bold_and_the_text_is_the_same() {
        assert_eq!(painted("b+", "abba b"), "a<bb>a <b>");
        assert_eq!(painted("(?i)ERR", "an error"), "an <err>or");
        assert_eq!(painted("x*", "ab"), "ab");
        assert_eq!(painted("(?s)b.c", "ab\ncd"), "a<b>\n<c>d");
        assert_eq!(painted("^b", "ab\nbc\nb"), "ab\n<b>c\n<b>");
        assert_eq!(painted("b$", "ab\nbc"), "a<b>\nbc");
        assert_eq!(painted("好", "你好"), "你<好>");
        assert_eq!(painted("\\x1b", "a\u{1b}[2J"), "a<\\u{1b}>[2J");
        assert!(Highlight::of("(").is_none());
    }

    static HIGHLIGHTS: LazyLock<[Highlight; 4]> =
        LazyLock::new(|| ["a.", r"\S+", "(?s).", "\u{200c}"].map(|pattern| Highlight::of(pattern).unwrap()));

    proptest::proptest! {
        #[test]
        fn painted_text_is_the_safe_text(text in r"(\PC|[\x00-\x1f]|\u{202e}|ab|\\u\{1\}|ی|\u{200c})*") {
            let text = safe::as_seen(&text);
            for highlight in HIGHLIGHTS.iter() {
                let painted = highlight.painted(&text, Palette::new(true));
                let plain = painted.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
                proptest::prop_assert_eq!(plain, safe::lines(&text));
            }
        }
    }
}

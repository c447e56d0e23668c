//! `--eol`: the line end of a message.

use std::str::FromStr;

use clap_complete::CompletionCandidate;
use udpchat_locale::tr;

/// The line ends with their names: that of the flag, and the escapes that `--escape` reads.
const NAMES: [(&str, &str, LineEnd); 4] = [
    ("crlf", r"\r\n", LineEnd::CrLf),
    ("lf", r"\n", LineEnd::Lf),
    ("cr", r"\r", LineEnd::Cr),
    ("none", "", LineEnd::None),
];

/// A line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    CrLf,
    Lf,
    Cr,
    None,
}

impl LineEnd {
    /// Offers the names to the shell.
    pub(super) fn candidates() -> Vec<CompletionCandidate> {
        NAMES.iter().map(|(name, ..)| CompletionCandidate::new(name)).collect()
    }

    /// Returns the characters.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::CrLf => "\r\n",
            Self::Lf => "\n",
            Self::Cr => "\r",
            Self::None => "",
        }
    }

    /// Returns the bytes as hexadecimal digits, for a peer whose text is that.
    pub(super) fn digits(self) -> &'static str {
        match self {
            Self::CrLf => " 0d 0a",
            Self::Lf => " 0a",
            Self::Cr => " 0d",
            Self::None => "",
        }
    }
}

/// Returns a text without one line end at its end: a lone carriage return, too, since `--eol` replaces each that it can write.
/// With `escape`, also one that is written as `\r` and `\n`, which the daemon would read.
pub(super) fn without_line_end(text: &str, escape: bool) -> &str {
    let line = without_end(text, escape, "\n", r"\n").unwrap_or(text);
    without_end(line, escape, "\r", r"\r").unwrap_or(line)
}

/// Returns a text without a character at its end, or without its escape.
fn without_end<'a>(text: &'a str, escape: bool, character: &str, written: &str) -> Option<&'a str> {
    let unescaped = || {
        let rest = text.strip_suffix(written).filter(|_| escape)?;
        // Behind an odd number of backslashes, that of the escape is one of the text.
        let backslashes = rest.len() - rest.trim_end_matches('\\').len();
        (backslashes % 2 == 0).then_some(rest)
    };
    text.strip_suffix(character).or_else(unescaped)
}

impl FromStr for LineEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is = |(name, escapes, _): &&(&str, &str, Self)| {
            text.eq_ignore_ascii_case(name) || (text == *escapes && !text.is_empty())
        };
        let found = NAMES.iter().find(is).map(|(.., end)| *end);
        found.ok_or_else(|| tr!("expected `crlf`, `lf`, `cr` or `none`").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_has_a_name() {
        for (text, expected) in
            [("crlf", LineEnd::CrLf), ("LF", LineEnd::Lf), (r"\r", LineEnd::Cr), ("none", LineEnd::None)]
        {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for wrong in ["", "nl", "crlf "] {
            assert!(wrong.parse::<LineEnd>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_line_end_is_taken_away() {
        for (text, expected) in [("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a"), ("a", "a"), ("\n", "")] {
            for escape in [false, true] {
                assert_eq!(without_line_end(text, escape), expected, "{text:?}");
            }
        }
        for (text, expected) in [
            (r"a\r\n", "a"),
            (r"a\n\n", r"a\n"),
            (r"a\r", "a"),
            (r"a\\n", r"a\\n"),
            (r"a\\\n", r"a\\"),
            (r"\\\\r", r"\\\\r"),
        ] {
            assert_eq!(without_line_end(text, true), expected, "{text:?}");
            assert_eq!(without_line_end(text, false), text);
        }
    }
}

//! Makes received text safe to show: the one place that decides which characters reach a terminal, a log line
//! or a line of JSON.
//!
//! Text is made safe after it was decoded, since harmless bytes decode to harmful characters (GB18030
//! `81 30 83 37` is U+009B, the beginning of an escape sequence). Escaping can be undone: a backslash that would
//! read as the beginning of an escape is itself escaped.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Tells whether a character may act on a terminal or reorder text around it: every control (C0, DEL, C1), the
/// whole of category Cf (bidi marks, zero-width and tag characters), and the line and paragraph separators.
pub fn is_unsafe(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Escapes text for one line: no line end and no tab is left in it.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Escapes text that may have several lines: `\n` and tabs stay, and `\r\n` counts as a line end.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        return Cow::Owned(escape(&text.replace("\r\n", "\n"), is_layout).into_owned());
    }
    escape(text, is_layout)
}

/// Drops what a peer's tool put behind its text: any NULs, then one line end.
///
/// For display only; what is stored and what JSON carries keep every byte.
pub fn without_trailer(text: &str) -> &str {
    let text = text.trim_end_matches('\0');
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])).unwrap_or(text)
}

fn is_layout(character: char) -> bool {
    matches!(character, '\n' | '\t')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let must_go = |character: char| is_unsafe(character) && !keep(character);
    if !text.contains(must_go) && !text.contains(r"\u{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, character) in text.char_indices() {
        let reads_as_escape = character == '\\' && text[at..].starts_with(r"\u{");
        if must_go(character) || reads_as_escape {
            // Writing to a string does not fail.
            let _ = write!(out, r"\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Writes JSON in which every unsafe character is a `\uXXXX` escape.
///
/// serde_json itself leaves U+007F to U+009F and the bidi marks as they are.
#[derive(Debug, Default)]
pub struct SafeJson;

impl serde_json::ser::Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Most text is plain, and seen to be in one go.
        if each_byte(fragment, is_plain) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| is_unsafe(*character)) {
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

/// Tells whether a byte stands for a character of ASCII that shows: such a one is never unsafe.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Tells whether each byte of a text is so. Without an early end, which would keep the processor from taking many at
/// once.
fn each_byte(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_so(byte))
}

/// Returns how many bytes a text takes inside the quotes of [`SafeJson`], at most.
pub fn json_length(text: &str) -> usize {
    // Most text is plain, and counted in one go.
    if each_byte(text, |byte| is_plain(byte) & (byte != b'"') & (byte != b'\\')) {
        return text.len();
    }
    let length = |character: char| match character {
        ' '..='~' if character != '"' && character != '\\' => 1,
        _ if is_unsafe(character) => 6 * character.len_utf16(),
        '"' | '\\' => 2,
        _ => character.len_utf8(),
    };
    text.chars().map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_character() -> impl Iterator<Item = char> {
        (0..=u32::from(char::MAX)).filter_map(char::from_u32)
    }

    /// Written out again from the Unicode standard, so that a mistake in the table used shows.
    fn known_unsafe(character: char) -> bool {
        let code = u32::from(character);
        code < 0x20
            || (0x7f..=0x9f).contains(&code)
            || matches!(
                code,
                0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e
                    | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2064 | 0x2066..=0x206f | 0xfeff
                    | 0xfff9..=0xfffb | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3
                    | 0x1d173..=0x1d17a | 0xe0001 | 0xe0020..=0xe007f
            )
    }

    #[test]
    fn every_scalar_is_judged_as_the_standard_says() {
        for character in every_character() {
            assert_eq!(is_unsafe(character), known_unsafe(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn nothing_unsafe_survives_any_of_the_three_ways() {
        for character in every_character() {
            let text = format!("a{character}b");
            assert!(!one_line(&text).contains(known_unsafe), "U+{:04X}", u32::from(character));
            assert!(!lines(&text).contains(|c| known_unsafe(c) && !is_layout(c)));
            assert!(!to_json(&text).contains(known_unsafe));
        }
    }

    #[test]
    fn line_ends_and_tabs_stay_only_where_there_may_be_lines() {
        assert_eq!(lines("a\r\nb\tc\n"), "a\nb\tc\n");
        assert_eq!(lines("a\rb"), r"a\u{d}b");
        assert_eq!(one_line("a\r\nb\tc"), r"a\u{d}\u{a}b\u{9}c");
    }

    #[test]
    fn trailers_of_peers_are_dropped_once() {
        assert_eq!(without_trailer("a\r\n"), "a");
        assert_eq!(without_trailer("a\n\n"), "a\n");
        assert_eq!(without_trailer("a\r\n\0\0"), "a");
        assert_eq!(without_trailer("a\0b"), "a\0b");
        assert_eq!(without_trailer("\n"), "");
    }

    fn to_json(text: &str) -> String {
        let mut out = Vec::new();
        serde::Serialize::serialize(text, &mut serde_json::Serializer::with_formatter(&mut out, SafeJson))
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    fn unescape(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(r"\u{") {
            out.push_str(&rest[..at]);
            let end = at + rest[at..].find('}').unwrap();
            out.push(u32::from_str_radix(&rest[at + 3..end], 16).ok().and_then(char::from_u32).unwrap());
            rest = &rest[end + 1..];
        }
        out + rest
    }

    proptest::proptest! {
        #[test]
        fn escaping_can_be_undone(text in r"(\PC|[\x00-\x9f]|\\|\\u\{|\}|\u{202e}|一)*") {
            proptest::prop_assert_eq!(unescape(&one_line(&text)), text);
        }

        #[test]
        fn safe_json_reads_back_as_the_same_text(text in r"(\PC|[\x00-\x9f]|\\|\u{202e}|\u{e0001})*") {
            proptest::prop_assert!(to_json(&text).len() <= json_length(&text) + 2);
            let back: String = serde_json::from_str(&to_json(&text)).unwrap();
            proptest::prop_assert_eq!(back, text);
        }
    }
}

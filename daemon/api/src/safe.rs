//! Makes received text safe to show. Only this module decides which characters can reach a terminal, a log line or a line
//! of JSON.
//!
//! Text is escaped after decoding, because harmless bytes can decode to harmful characters (GB18030 `81 30 83 37` is
//! U+009B, the start of an escape sequence). Escaping is reversible: a backslash that looks like the start of an escape
//! is itself escaped.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns whether a character can control a terminal or reorder the text around it: all control characters (C0, DEL, C1),
/// all of category Cf (bidirectional marks, zero-width and tag characters), and the line and paragraph separators.
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

/// Escapes text for one line: line ends and tabs are escaped too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Escapes text of several lines: keeps `\n` and tabs, and turns `\r\n` into `\n`.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        return Cow::Owned(escape(&text.replace("\r\n", "\n"), is_layout).into_owned());
    }
    escape(text, is_layout)
}

/// Removes what some programs append to a message: NULs, then one line end.
///
/// For display only: storage and JSON keep every byte.
pub fn without_trailer(text: &str) -> &str {
    let text = text.trim_end_matches('\0');
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix(['\n', '\r'])).unwrap_or(text)
}

/// Returns the text of a message as a reader sees it, before characters are escaped: without a trailer
/// ([`without_trailer`]), and with `\n` for `\r\n`.
pub fn as_seen(text: &str) -> Cow<'_, str> {
    let text = without_trailer(text);
    if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

fn is_layout(character: char) -> bool {
    matches!(character, '\n' | '\t')
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let must_escape = |character: char| is_unsafe(character) && !keep(character);
    if !text.contains(must_escape) && !text.contains(r"\u{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, character) in text.char_indices() {
        let looks_like_escape = character == '\\' && text[at..].starts_with(r"\u{");
        if must_escape(character) || looks_like_escape {
            // Writing to a `String` cannot fail.
            let _ = write!(out, r"\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Writes JSON in which every unsafe character is a `\uXXXX` escape.
///
/// serde_json by itself does not escape U+007F to U+009F and the bidirectional marks.
#[derive(Debug, Default)]
pub struct SafeJson;

impl serde_json::ser::Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // A fast path for plain text, which is the most common.
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

/// Returns whether a byte is a printable ASCII character, which is never unsafe.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Returns whether a predicate holds for every byte. Does not stop early, because that would prevent vectorisation.
fn each_byte(text: &str, predicate: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & predicate(byte))
}

/// Returns the maximum length in bytes of a text in [`SafeJson`], without the quotes.
pub fn json_length(text: &str) -> usize {
    // A fast path for plain text, which is the most common.
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

    /// A second definition, from the Unicode standard, to find mistakes in the tables of the dependency.
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
    fn every_character_is_classified_as_in_the_standard() {
        for character in every_character() {
            assert_eq!(is_unsafe(character), known_unsafe(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn no_output_has_an_unsafe_character() {
        for character in every_character() {
            let text = format!("a{character}b");
            assert!(!one_line(&text).contains(known_unsafe), "U+{:04X}", u32::from(character));
            assert!(!lines(&text).contains(|c| known_unsafe(c) && !is_layout(c)));
            assert!(!to_json(&text).contains(known_unsafe));
        }
    }

    #[test]
    fn only_text_of_lines_keeps_line_ends() {
        assert_eq!(lines("a\r\nb\tc\n"), "a\nb\tc\n");
        assert_eq!(lines("a\rb"), r"a\u{d}b");
        assert_eq!(one_line("a\r\nb\tc"), r"a\u{d}\u{a}b\u{9}c");
    }

    #[test]
    fn nuls_and_one_line_end_are_removed() {
        assert_eq!(without_trailer("a\r\n"), "a");
        assert_eq!(without_trailer("a\n\n"), "a\n");
        assert_eq!(without_trailer("a\r\n\0\0"), "a");
        assert_eq!(without_trailer("a\0b"), "a\0b");
        assert_eq!(without_trailer("\n"), "");
    }

    #[test]
    fn a_reader_sees_no_trailer_or_carriage_return() {
        for text in ["done", "done\r\n", "done\n", "done\r", "done\0", "done\r\n\0\0"] {
            assert_eq!(as_seen(text), "done", "{text:?}");
        }
        assert_eq!(as_seen("a\r\nb\rc\r\n"), "a\nb\rc");
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
        fn safe_json_parses_to_the_same_text(text in r"(\PC|[\x00-\x9f]|\\|\u{202e}|\u{e0001})*") {
            proptest::prop_assert!(to_json(&text).len() <= json_length(&text) + 2);
            let back: String = serde_json::from_str(&to_json(&text)).unwrap();
            proptest::prop_assert_eq!(back, text);
        }
    }
}

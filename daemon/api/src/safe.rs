//! Makes received text safe to show. Only this module decides which characters can reach a terminal, a log line or a line
//! of JSON.
//!
//! Text is escaped after decoding, because harmless bytes can decode to harmful characters (GB18030 `81 30 83 37` is
//! U+009B, the start of an escape sequence). Escaping is reversible: a backslash that looks like the start of an escape
//! is itself escaped.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::ops::{Range, RangeInclusive};

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

/// Zero-width non-joiner and joiner: shown only between two characters that they join.
const JOINERS: [char; 2] = ['\u{200c}', JOINER];
const JOINER: char = '\u{200d}';

/// The blocks of each script whose letters change their form beside others, which a joiner controls.
const JOINING_SCRIPTS: [&[RangeInclusive<char>]; 16] = [
    // Arabic, Syriac, N'Ko.
    &['\u{600}'..='\u{6ff}', '\u{750}'..='\u{77f}', '\u{870}'..='\u{8ff}'],
    &['\u{700}'..='\u{74f}', '\u{860}'..='\u{86f}'],
    &['\u{7c0}'..='\u{7ff}'],
    // Devanagari, Bengali, Gurmukhi, Gujarati, Oriya, Tamil, Telugu, Kannada, Malayalam, Sinhala.
    &['\u{900}'..='\u{97f}', '\u{a8e0}'..='\u{a8ff}'],
    &['\u{980}'..='\u{9ff}'],
    &['\u{a00}'..='\u{a7f}'],
    &['\u{a80}'..='\u{aff}'],
    &['\u{b00}'..='\u{b7f}'],
    &['\u{b80}'..='\u{bff}'],
    &['\u{c00}'..='\u{c7f}'],
    &['\u{c80}'..='\u{cff}'],
    &['\u{d00}'..='\u{d7f}'],
    &['\u{d80}'..='\u{dff}'],
    // Myanmar, Khmer, Mongolian.
    &['\u{1000}'..='\u{109f}', '\u{a9e0}'..='\u{a9ff}', '\u{aa60}'..='\u{aa7f}'],
    &['\u{1780}'..='\u{17ff}'],
    &['\u{1800}'..='\u{18af}'],
];

/// Returns whether a character can control a terminal or reorder the text around it: all control characters (C0, DEL, C1),
/// all of category Cf (bidirectional marks, zero-width and tag characters), and the line and paragraph separators.
///
/// Text for people may still contain U+200C and U+200D where they join: see [`find_unsafe`].
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

/// Returns the first character of a text that must be escaped before the text is shown: an unsafe one that is no joiner
/// between two characters that it joins.
pub fn find_unsafe(text: &str) -> Option<char> {
    let found = text.char_indices().find(|&(at, character)| is_unsafe(character) && !joins(text, at));
    found.map(|(_, character)| character)
}

/// Returns whether the character at an offset is a joiner between two characters that it joins: letters or marks of the
/// same joining script, and U+200D between two emoji.
///
/// Simpler than the contexts of RFC 5892, appendix A, which need joining types and viramas; the scripts are the same.
fn joins(text: &str, at: usize) -> bool {
    let (before, behind) = text.split_at(at);
    let Some(behind) = behind.strip_prefix(JOINERS) else { return false };
    let (Some(last), Some(next)) = (before.chars().next_back(), behind.chars().next()) else { return false };
    let script = joining_script(last);
    if script.is_some() && script == joining_script(next) {
        return true;
    }
    // What changes the look of an emoji stands behind it.
    let is_modifier = |character: char| matches!(character, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
    let emoji = before.trim_end_matches(is_modifier).chars().next_back();
    text[at..].starts_with(JOINER) && emoji.is_some_and(is_emoji) && is_emoji(next)
}

/// Returns the joining script of a letter or mark.
fn joining_script(character: char) -> Option<usize> {
    let group = character.general_category_group();
    let is_of_word = matches!(group, GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark);
    let script =
        JOINING_SCRIPTS.iter().position(|blocks| blocks.iter().any(|block| block.contains(&character)));
    script.filter(|_| is_of_word)
}

/// Returns whether a character can be a part of an emoji that is joined of several.
fn is_emoji(character: char) -> bool {
    character.is_emoji_char() && !character.is_emoji_component()
}

/// Escapes text for one line: line ends and tabs are escaped too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    one_line_part(text, 0..text.len())
}

/// Escapes a part of a text for one line, as [`one_line`] escapes it within the whole text.
pub fn one_line_part(text: &str, part: Range<usize>) -> Cow<'_, str> {
    escape(text, part, |_| false)
}

/// Escapes text of several lines: keeps `\n` and tabs, and turns `\r\n` into `\n`.
pub fn lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') && text.contains("\r\n") {
        let text = text.replace("\r\n", "\n");
        return Cow::Owned(escape(&text, 0..text.len(), is_layout).into_owned());
    }
    escape(text, 0..text.len(), is_layout)
}

/// Escapes a part of a text of several lines, whose line ends are `\n`, as [`lines`] escapes it within the whole text.
pub fn lines_part(text: &str, part: Range<usize>) -> Cow<'_, str> {
    escape(text, part, is_layout)
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

fn escape(whole: &str, part: Range<usize>, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let text = &whole[part.clone()];
    if is_plain(text) && !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let may_escape = |character: char| is_unsafe(character) && !keep(character);
    // An escape may begin in the part and end behind it.
    let may_look_like_escape = text.contains('\\') && whole.contains(r"\u{");
    if !may_look_like_escape && !text.contains(may_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, character) in text.char_indices() {
        let looks_like_escape = character == '\\' && whole[part.start + at..].starts_with(r"\u{");
        if looks_like_escape || may_escape(character) && !joins(whole, part.start + at) {
            // Writing to a `String` cannot fail.
            let _ = write!(out, r"\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Writes JSON in which every unsafe character is a `\uXXXX` escape, also joiners.
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
        if is_plain(fragment) {
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

/// Returns whether a text has printable ASCII characters only, none of which is unsafe.
pub fn is_plain(text: &str) -> bool {
    each_byte(text, is_printable_ascii)
}

fn is_printable_ascii(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Returns whether a predicate holds for every byte. Does not stop early, because that would prevent vectorisation.
fn each_byte(text: &str, predicate: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & predicate(byte))
}

/// Returns the maximum length in bytes of a text in [`SafeJson`], without the quotes.
pub fn json_length(text: &str) -> usize {
    // A fast path for plain text, which is the most common.
    if each_byte(text, |byte| is_printable_ascii(byte) & (byte != b'"') & (byte != b'\\')) {
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

    #[test]
    fn joiners_are_shown_only_where_they_join() {
        for joined in [
            // Persian, Devanagari, Bengali, Sinhala, Malayalam with a mark on either side, Mongolian.
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "র\u{200d}্য",
            "ශ්\u{200d}රී",
            "ന്\u{200d}റ",
            "ᠠ\u{200d}ᠡ",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            "👩🏽\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨🏽",
            "🏳\u{fe0f}\u{200d}🌈",
        ] {
            assert_eq!(one_line(joined), joined);
            assert_eq!(lines(joined), joined);
            assert_eq!(find_unsafe(joined), None);
            // In JSON they are escaped.
            assert!(!to_json(joined).contains(is_unsafe));
        }
        for (text, shown) in [
            ("a\u{200d}b", r"a\u{200d}b"),
            ("你\u{200c}好", r"你\u{200c}好"),
            ("\u{200c}ی", r"\u{200c}ی"),
            ("ی\u{200c}", r"ی\u{200c}"),
            ("ی\u{200c} ه", r"ی\u{200c} ه"),
            ("ی\u{200c}\u{200c}ه", r"ی\u{200c}\u{200c}ه"),
            // Of two scripts, beside a digit of the script, beside another unsafe character.
            ("ی\u{200d}क", r"ی\u{200d}क"),
            ("ی\u{200c}۳", r"ی\u{200c}۳"),
            ("ی\u{200c}\u{202e}ه", r"ی\u{200c}\u{202e}ه"),
            // Only U+200D joins emoji, and neither a flag nor a digit is one that it joins.
            ("👨\u{200c}👩", r"👨\u{200c}👩"),
            ("🇨🇳\u{200d}👩", r"🇨🇳\u{200d}👩"),
            ("1\u{200d}👩", r"1\u{200d}👩"),
            ("\u{fe0f}\u{200d}👩", "\u{fe0f}\\u{200d}👩"),
        ] {
            assert_eq!(one_line(text), shown);
            assert!(find_unsafe(text).is_some());
        }
    }

    #[test]
    fn a_part_is_escaped_as_in_the_whole() {
        let text = "ی\u{200c}ه\u{200c}";
        assert_eq!(one_line_part(text, 0..5), "ی\u{200c}");
        assert_eq!(one_line_part(text, 5..10), r"ه\u{200c}");
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
        fn escaping_can_be_undone(text in r"(\PC|[\x00-\x9f]|\\|\\u\{|\}|\u{202e}|一|ی|क|👩|[\u{200c}\u{200d}])*") {
            proptest::prop_assert_eq!(find_unsafe(&one_line(&text)), None);
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

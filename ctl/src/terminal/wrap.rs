//! Makes text displayable, and wraps it at a width in terminal columns.
//!
//! Text is measured by graphemes (what a reader sees as one character). [`display_text`] makes text safe for a terminal,
//! and removes or escapes characters that terminals display with different widths.

use std::borrow::Cow;
use std::ops::Range;

use udpchat_api::safe;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The distance of tab stops in columns.
const TAB_COLUMNS: usize = 8;

/// The most characters of a grapheme, as in the longest emoji. More combining marks would cover the lines above.
const MAX_GRAPHEME_CHARACTERS: usize = 10;

/// Joins the characters beside it.
const JOINER: char = '\u{200d}';

/// The base of a combining mark without a letter.
const MARK_HOLDER: char = '\u{25cc}';

/// Returns the width in columns of a text from [`display_text`] or [`display_line`].
pub(crate) fn width(text: &str) -> usize {
    // By grapheme, as it is drawn: the width of a whole text may differ because of ligatures.
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// Makes received text displayable: safe, with tabs as blanks, and without the line end that the sender's tool appended.
pub(crate) fn display_text(text: &str) -> String {
    let safe = safe::lines(safe::without_trailer(text));
    if is_plain(&safe) {
        return safe.into_owned();
    }
    normalize(&safe)
}

/// Makes text displayable on one line, without line ends and tabs.
pub(crate) fn display_line(text: &str) -> Cow<'_, str> {
    display_part(text, 0..text.len())
}

/// Makes a part of a text displayable on one line: a joiner is shown if it joins within the whole text.
pub(crate) fn display_part(text: &str, part: Range<usize>) -> Cow<'_, str> {
    let safe = safe::one_line_part(text, part);
    if is_plain(&safe) { safe } else { Cow::Owned(normalize(&safe)) }
}

/// Returns whether this is a wide punctuation mark, which must not begin a line.
fn stays_with_last(grapheme: &str) -> bool {
    matches!(
        grapheme,
        "，" | "。" | "、" | "；" | "：" | "！" | "？" | "）" | "》" | "〉" | "」" | "』" | "】" | "〕"
    )
}

/// Returns whether this is an opening bracket or quotation mark, which must not end a line.
fn stays_with_next(grapheme: &str) -> bool {
    matches!(grapheme, "（" | "《" | "〈" | "「" | "『" | "【" | "〔" | "［" | "｛" | "“" | "‘")
}

/// Returns whether each character is printable ASCII or a line end.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
}

/// Expands tabs, limits combining marks, and drops variation selectors, which only some terminals count as a column, except
/// in a joined emoji: terminals that join it agree on its two columns only if it is complete. Escapes U+200D elsewhere: some
/// terminals put the letter behind it into the same column, and the rest of the row would be drawn one column off.
fn normalize(safe: &str) -> String {
    let mut out = String::with_capacity(safe.len());
    let mut column = 0;
    for grapheme in safe.graphemes(true) {
        match grapheme {
            "\n" => {
                out.push('\n');
                column = 0;
            }
            "\t" => {
                let blanks = TAB_COLUMNS - column % TAB_COLUMNS;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            _ => {
                let from = out.len();
                push_grapheme(&mut out, grapheme);
                column += out[from..].width();
            }
        }
    }
    out
}

fn push_grapheme(out: &mut String, grapheme: &str) {
    if grapheme.width() == 0 {
        out.push(MARK_HOLDER);
    }
    let is_joined = grapheme.contains(JOINER) && starts_wide(grapheme) && grapheme.width() == 2;
    let mut kept = grapheme.chars().filter(|&character| is_joined || !is_variation_selector(character));
    for character in kept.by_ref().take(MAX_GRAPHEME_CHARACTERS) {
        match character {
            JOINER if !is_joined => out.push_str(r"\u{200d}"),
            _ => out.push(character),
        }
    }
    if kept.next().is_some() {
        // What the last joiner joins is cut off.
        out.truncate(trim_joiners(out).len());
    }
}

/// Returns whether the first character alone takes the two columns of a joined emoji.
fn starts_wide(grapheme: &str) -> bool {
    grapheme.chars().next().and_then(UnicodeWidthChar::width) == Some(2)
}

fn trim_joiners(text: &str) -> &str {
    text.trim_end_matches(['\u{200c}', JOINER])
}

fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Wraps text from [`display_text`] at `columns`, at blanks where possible, otherwise between graphemes. Returns the
/// range of each line. A grapheme that is wider than a line has a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut from = 0;
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, from, columns.max(1), &mut lines);
        from += paragraph.len() + 1;
    }
    lines
}

/// Wraps a message for a person, which is safe to show, at `columns`. Commands between backquotes stay in one line, so that they can be
/// copied, unless they are longer than it.
pub(crate) fn message(text: &str, columns: usize) -> Vec<&str> {
    let lines = wrap(&with_solid_commands(text, columns), columns);
    lines.into_iter().map(|line| text[line].trim_end()).collect()
}

/// Replaces the blanks in each command between backquotes that fits into a line, so that it is one word of the same length.
fn with_solid_commands(text: &str, columns: usize) -> String {
    let parts = text.split('`').enumerate();
    let solid = parts.map(|(number, part)| match number % 2 == 1 && width(part) + 2 <= columns {
        true => part.replace(' ', "_"),
        false => part.to_owned(),
    });
    solid.collect::<Vec<_>>().join("`")
}

/// A position where a line may end.
#[derive(Clone, Copy)]
struct LineBreak {
    end: usize,
    /// The start of the next line: after the blank, if there is one.
    next: usize,
    /// The columns up to that position.
    used: usize,
}

/// Wraps one paragraph, which starts at `offset`.
fn wrap_paragraph(text: &str, offset: usize, columns: usize, lines: &mut Vec<Range<usize>>) {
    let (mut from, mut used) = (0, 0);
    let mut last_break: Option<LineBreak> = None;
    let mut before = LineBreak { end: 0, next: 0, used: 0 };
    let mut is_opened = false;
    for (at, grapheme) in text.grapheme_indices(true) {
        let (width, behind) = (grapheme.width(), at + grapheme.len());
        let is_wide = width > 1;
        while used + width > columns && at > from {
            // A line may always end before a blank, and before or after a wide character.
            let here = LineBreak { end: at, next: at, used };
            let cut = match last_break.take() {
                _ if stays_with_last(grapheme) && before.end > from => before,
                Some(last_break) if grapheme != " " && !is_wide => last_break,
                _ if is_opened && before.end > from => before,
                _ => here,
            };
            lines.push(offset + from..offset + cut.end);
            from = cut.next;
            used -= cut.used;
            before = LineBreak { end: from, next: from, used: 0 };
        }
        if grapheme == " " && at == from && at > 0 {
            // The blank at the end of a wrapped line is dropped.
            from = behind;
            continue;
        }
        if !stays_with_last(grapheme) && !is_opened {
            before = LineBreak { end: at, next: at, used };
        }
        used += width;
        is_opened = stays_with_next(grapheme);
        if grapheme == " " {
            last_break = Some(LineBreak { end: at, next: behind, used });
        } else if is_wide && is_opened {
            last_break = Some(before).filter(|before| before.end > from);
        } else if is_wide {
            last_break = Some(LineBreak { end: behind, next: behind, used });
        }
    }
    lines.push(offset + from..offset + text.len());
}

/// Cuts a text to a width, with an ellipsis if something is missing.
pub(crate) fn truncated(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let end = text.grapheme_indices(true).find_map(|(at, grapheme)| {
        used += grapheme.width();
        (used > room).then_some(at)
    });
    Cow::Owned(format!("{}…", trim_joiners(&text[..end.unwrap_or(text.len())])))
}

/// Cuts a name to a width, with an ellipsis in its middle if something is missing: names often differ only at their ends, as numbered
/// devices and the ports of a host do.
pub(crate) fn shortened(name: &str, columns: usize) -> Cow<'_, str> {
    let tail = columns / 2;
    if width(name) <= columns || tail == 0 {
        return truncated(name, columns);
    }
    let mut used = 0;
    let start = name.grapheme_indices(true).rev().find_map(|(at, grapheme)| {
        used += grapheme.width();
        (used > tail).then_some(at + grapheme.len())
    });
    let end = &name[start.unwrap_or(0)..];
    let head = truncated(&name[..name.len() - end.len()], columns - width(end));
    Cow::Owned(format!("{head}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, columns: usize) -> Vec<String> {
        let text = display_text(text);
        wrap(&text, columns).into_iter().map(|line| text[line].to_owned()).collect()
    }

    #[test]
    fn lines_break_between_words_and_chinese_characters() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("你好世界", 5), ["你好", "世界"]);
        assert_eq!(wrapped("ab你好", 3), ["ab", "你", "好"]);
        assert_eq!(wrapped("你好，世界。", 4), ["你", "好，", "世", "界。"]);
        assert_eq!(wrapped("甲报告）；乙", 8), ["甲报", "告）；乙"]);
        assert_eq!(wrapped("甲报告）；乙", 10), ["甲报告）；", "乙"]);
        assert_eq!(wrapped("！！！！", 4), ["！！", "！！"]);
        assert_eq!(wrapped("甲乙（丙丁", 6), ["甲乙", "（丙丁"]);
        assert_eq!(wrapped("甲乙（U+4E1A）", 8), ["甲乙", "（U+4E1", "A）"]);
        assert_eq!(wrapped("甲乙（《丙》）", 8), ["甲乙", "（《丙》", "）"]);
        assert_eq!(wrapped("甲乙“丙丁”", 5), ["甲乙", "“丙丁", "”"]);
        assert_eq!(wrapped("（（（（", 4), ["（（", "（（"]);
        assert_eq!(wrapped("it is “so” big", 7), ["it is", "“so”", "big"]);
        assert_eq!(wrapped("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("你", 1), ["你"]);
        assert_eq!(wrapped("  two", 9), ["  two"]);
    }

    #[test]
    fn characters_of_ambiguous_width_are_removed() {
        assert_eq!(display_text("a\tb"), "a       b");
        assert_eq!(display_text("\u{301}"), "\u{25cc}\u{301}");
        assert_eq!(display_text("❤\u{fe0f}"), "❤");
        let joined = "👩🏽\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨🏽";
        assert_eq!((display_text(joined), width(joined)), (joined.to_owned(), 2));
        let long = ["👩"; 30].join("\u{200d}");
        assert_eq!(display_text(&long), ["👩"; 5].join("\u{200d}"));
        let zalgo = format!("z{}", "\u{301}".repeat(300));
        assert_eq!(display_text(&zalgo).chars().count(), MAX_GRAPHEME_CHARACTERS);
        assert_eq!(display_text("\u{1b}[2J\r\nb\r\n\0"), "\\u{1b}[2J\nb");
    }

    #[test]
    fn a_joiner_that_changes_the_columns_is_escaped() {
        for (text, shown) in [
            ("ক্\u{200d}ষ", r"ক্\u{200d}ষ"),
            ("ی\u{200d}ه", r"ی\u{200d}ه"),
            ("ᠠ\u{200d}ᠡ", r"ᠠ\u{200d}ᠡ"),
            // The candle alone takes one column.
            ("👍🏽\u{200d}🕯", r"👍🏽\u{200d}🕯"),
            // The flag alone takes one column on some terminals.
            ("🏳\u{fe0f}\u{200d}🌈", r"🏳\u{200d}🌈"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👨\u{200d}👩", "👨\u{200d}👩"),
        ] {
            assert_eq!((display_text(text).as_str(), &*display_line(text)), (shown, shown));
        }
    }

    #[test]
    fn truncated_text_ends_with_an_ellipsis() {
        assert_eq!(truncated("hello", 5), "hello");
        assert_eq!(truncated("hello!", 5), "hell…");
        assert_eq!(truncated("你好世界", 6), "你好…");
        assert_eq!(truncated("x", 0), "");
        assert_eq!(truncated("می\u{200c}خواهم", 3), "می…");
    }

    #[test]
    fn shortened_names_keep_their_ends() {
        assert_eq!(shortened("bob", 3), "bob");
        assert_eq!(shortened("greenhouse-sensor-north-7", 12), "green…orth-7");
        assert_eq!(shortened("[fd00::1234:5678:9abc]:60000", 16), "[fd00::…c]:60000");
        assert_eq!(shortened("北京数据中心传感器一号", 10), "北京…一号");
        assert_eq!(shortened("北京数据中心传感器一号", 11), "北京数…一号");
        for columns in 0..24 {
            for name in
                ["greenhouse-sensor-north-7", "北京数据中心传感器一号", "می\u{200c}خواهم می\u{200c}خواهم"]
            {
                assert!(width(&shortened(name, columns)) <= columns, "{name} {columns}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn lines_fit_and_lose_only_blanks(
            text in r"(\PC|[\x00-\x9f]|\n| |一|a\u{301}|\u{202e}|👍\u{1f3fd}|🇨🇳|क्षि|ی|❤\u{fe0f}|[\u{200c}\u{200d}]){0,80}",
            columns in 2_usize..40,
        ) {
            let text = display_text(&text);
            proptest::prop_assert_eq!(safe::find_unsafe(&text.replace('\n', " ")), None);
            let lines = wrap(&text, columns);
            let mut joined = String::new();
            for line in &lines {
                let line = &text[line.clone()];
                let is_one = line.graphemes(true).count() == 1;
                proptest::prop_assert!(width(line) <= columns || is_one, "{line:?}");
                joined += line;
            }
            let solid = |text: &str| text.replace([' ', '\n'], "");
            proptest::prop_assert_eq!(solid(&joined), solid(&text));
        }
    }
}

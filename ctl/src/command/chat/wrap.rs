//! Text into lines of a width, as a terminal counts columns.
//!
//! What is shown goes by graphemes, what a reader takes for one character, and by their widths. Nothing here can act on a
//! terminal: [`shown`] makes text safe first, and takes away what terminals do not agree about.

use std::borrow::Cow;
use std::ops::Range;

use udpchat_api::safe;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The distance of tab stops, in columns.
const TAB_COLUMNS: usize = 8;

/// How many characters a grapheme may have: a letter and seven marks. Further marks are left out, which would pile up
/// over the lines above.
const MAX_GRAPHEME_CHARACTERS: usize = 8;

/// Stands below a mark that has no letter.
const MARK_HOLDER: char = '\u{25cc}';

/// Returns how many columns a text takes that [`shown`] or [`shown_in_line`] has made.
pub(super) fn width(text: &str) -> usize {
    // Grapheme by grapheme, as it is drawn: the width of a whole text may differ (ligatures).
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// Prepares received text that may have several lines: safe, tabs as blanks, what their sender's tool put behind it
/// dropped.
pub(super) fn shown(text: &str) -> String {
    let safe = safe::lines(safe::without_trailer(text));
    if is_plain(&safe) {
        return safe.into_owned();
    }
    tame(&safe)
}

/// Prepares text for one line: no line end and no tab is left in it.
pub(super) fn shown_in_line(text: &str) -> Cow<'_, str> {
    let safe = safe::one_line(text);
    if is_plain(&safe) { safe } else { Cow::Owned(tame(&safe)) }
}

/// Tells whether a wide punctuation mark must not begin a line.
fn stays_with_last(grapheme: &str) -> bool {
    matches!(
        grapheme,
        "，" | "。" | "、" | "；" | "：" | "！" | "？" | "）" | "》" | "〉" | "」" | "』" | "】" | "〕"
    )
}

/// Tells whether each character is printable ASCII or a line end.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
}

/// Sets tabs, limits marks, and drops selectors of variants, which some terminals count as a column and some do not.
fn tame(safe: &str) -> String {
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
    let kept = grapheme.chars().filter(|&character| !is_variant_selector(character));
    out.extend(kept.take(MAX_GRAPHEME_CHARACTERS));
}

fn is_variant_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Cuts text that [`shown`] has made into lines of at most `columns`, between words where there are blanks, otherwise
/// between graphemes. Returns where each lies. A grapheme that is wider than a line has a line of its own.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut from = 0;
    for paragraph in text.split('\n') {
        wrap_paragraph(paragraph, from, columns.max(1), &mut lines);
        from += paragraph.len() + 1;
    }
    lines
}

/// A place where a line may end.
#[derive(Clone, Copy)]
struct Chance {
    end: usize,
    /// Where the next line would begin: behind the blank, if there is one.
    next: usize,
    /// The columns up to there.
    used: usize,
}

/// Cuts one paragraph, which lies at `offset`.
fn wrap_paragraph(text: &str, offset: usize, columns: usize, lines: &mut Vec<Range<usize>>) {
    let (mut from, mut used) = (0, 0);
    let mut chance: Option<Chance> = None;
    let mut before = Chance { end: 0, next: 0, used: 0 };
    for (at, grapheme) in text.grapheme_indices(true) {
        let (width, behind) = (grapheme.width(), at + grapheme.len());
        let is_wide = width > 1;
        while used + width > columns && at > from {
            // Before a blank, and before and behind a wide character, a line may be cut anyway.
            let here = Chance { end: at, next: at, used };
            let cut = match chance.take() {
                _ if stays_with_last(grapheme) && before.end > from => before,
                Some(chance) if grapheme != " " && !is_wide => chance,
                _ => here,
            };
            lines.push(offset + from..offset + cut.end);
            from = cut.next;
            used -= cut.used;
            before = Chance { end: from, next: from, used: 0 };
        }
        if grapheme == " " && at == from && at > 0 {
            // The blank at which a line was cut is not carried over.
            from = behind;
            continue;
        }
        before = Chance { end: at, next: at, used };
        used += width;
        if grapheme == " " {
            chance = Some(Chance { end: at, next: behind, used });
        } else if is_wide {
            chance = Some(Chance { end: behind, next: behind, used });
        }
    }
    lines.push(offset + from..offset + text.len());
}

/// Returns the beginning of a text that fits into so many columns, with an ellipsis where something is missing.
pub(super) fn fitted(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let end = text.grapheme_indices(true).find_map(|(at, grapheme)| {
        used += grapheme.width();
        (used > room).then_some(at)
    });
    Cow::Owned(format!("{}…", &text[..end.unwrap_or(text.len())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, columns: usize) -> Vec<String> {
        let text = shown(text);
        wrap(&text, columns).into_iter().map(|line| text[line].to_owned()).collect()
    }

    #[test]
    fn lines_are_cut_between_words_and_between_chinese_characters() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("你好世界", 5), ["你好", "世界"]);
        assert_eq!(wrapped("ab你好", 3), ["ab", "你", "好"]);
        assert_eq!(wrapped("你好，世界。", 4), ["你", "好，", "世", "界。"]);
        assert_eq!(wrapped("a\n\nb", 4), ["a", "", "b"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("你", 1), ["你"]);
        assert_eq!(wrapped("  two", 9), ["  two"]);
    }

    #[test]
    fn what_terminals_disagree_about_is_taken_away() {
        assert_eq!(shown("a\tb"), "a       b");
        assert_eq!(shown("\u{301}"), "\u{25cc}\u{301}");
        assert_eq!(shown("❤\u{fe0f}"), "❤");
        let zalgo = format!("z{}", "\u{301}".repeat(300));
        assert_eq!(shown(&zalgo).chars().count(), MAX_GRAPHEME_CHARACTERS);
        assert_eq!(shown("\u{1b}[2J\r\nb\r\n\0"), "\\u{1b}[2J\nb");
    }

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        assert_eq!(fitted("hello", 5), "hello");
        assert_eq!(fitted("hello!", 5), "hell…");
        assert_eq!(fitted("你好世界", 6), "你好…");
        assert_eq!(fitted("x", 0), "");
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_wider_than_it_may_be_and_nothing_but_blanks_is_lost(
            text in r"(\PC|[\x00-\x9f]|\n| |一|a\u{301}|\u{202e}|👍\u{1f3fd}|🇨🇳|क्षि){0,80}",
            columns in 2_usize..40,
        ) {
            let text = shown(&text);
            proptest::prop_assert!(!text.contains(|c| safe::is_unsafe(c) && c != '\n'));
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

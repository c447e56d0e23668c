//! Turns a mistake in a file into an error that shows the place.

use std::ops::Range;
use std::path::Path;

use unicode_width::UnicodeWidthChar;

use crate::ConfigError;
use crate::value::{Mistake, quoted, toml_key};

impl ConfigError {
    /// Makes the error of a mistake in the text of a file.
    pub(crate) fn malformed(mistake: Mistake, text: &str, path: &Path) -> Self {
        let Mistake { span, message, hint } = mistake;
        Self::Malformed {
            path: path.to_owned(),
            line: line_of(text, span.start),
            column: column_of(text, span.start),
            message,
            excerpt: excerpt(text, &span),
            hint,
        }
    }
}

/// Describes an error of the TOML parser.
pub(crate) fn syntax_mistake(error: &toml::de::Error, text: &str) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let hint = Some(hint_for_syntax(error.message(), text, &span));
    Mistake { span, message: without_description(error.message()).to_owned(), hint }
}

/// Removes what the parser expects if it is not characters, such as `expected nothing` or `expected literal string`: the place
/// and the hint say it better.
fn without_description(message: &str) -> &str {
    match message.split_once(", expected ") {
        Some((mistake, expected)) if !expected.split(", ").all(|one| one.starts_with('`')) => mistake,
        _ => message,
    }
}

/// Returns the line of a byte, from 1.
fn line_of(text: &str, offset: usize) -> u32 {
    let newlines = text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    // Files are far smaller than 4 GiB.
    u32::try_from(newlines).map_or(u32::MAX, |newlines| newlines.saturating_add(1))
}

fn column_of(text: &str, offset: usize) -> u32 {
    let before = text.get(line_range(text, offset).start..offset).unwrap_or_default();
    u32::try_from(before.chars().count()).map_or(u32::MAX, |characters| characters.saturating_add(1))
}

/// Finds the line around a byte, without its end.
fn line_range(text: &str, offset: usize) -> Range<usize> {
    let offset = offset.min(text.len());
    let bytes = text.as_bytes();
    let start = bytes[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end =
        bytes[offset..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |length| offset + length);
    start..end
}

/// Shows the line with carets below the part at `span`, in columns of a terminal; of a very long line only the surroundings of
/// that part.
fn excerpt(text: &str, span: &Range<usize>) -> String {
    const BEFORE: usize = 80;
    const SHOWN: usize = 160;
    let line = line_range(text, span.start);
    let before = column_of(text, span.start).saturating_sub(1) as usize;
    let left_out = before.saturating_sub(BEFORE);
    let characters = text[line.clone()].trim_end_matches('\r').chars();
    let shown: String = characters.skip(left_out).take(SHOWN).map(visible).collect();
    let (indented, marked_characters) = (before - left_out, text.get(span.start..span.end.min(line.end)));
    let columns = |from: usize, characters: usize| {
        shown.chars().skip(from).take(characters).map(|one| one.width().unwrap_or(1)).sum::<usize>()
    };
    let indent = " ".repeat(columns(0, indented));
    let carets = "^".repeat(columns(indented, marked_characters.unwrap_or_default().chars().count()).max(1));
    let number = line_of(text, span.start).to_string();
    let margin = " ".repeat(number.len());
    format!("{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}")
}

/// Replaces a control character by one visible character, which keeps the carets in their columns.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        '"' | '\'' | '\\' | '\u{3000}' => character,
        _ if character.escape_debug().len() > 1 => '\u{fffd}',
        _ => character,
    }
}

fn hint_for_syntax(message: &str, text: &str, span: &Range<usize>) -> String {
    if message.starts_with("duplicate key") {
        return match first_of_duplicate(text, span) {
            Some((what, line)) => format!("{} is in line {line} already; keep one of them", quoted(&what)),
            None => "a key can be set once in a file; keep one of them".to_owned(),
        };
    }
    let line = text[line_range(text, span.start)].trim();
    // A line that cannot be printed as it is, is no proposal.
    let line = if line.chars().all(|character| visible(character) == character) { line } else { "" };
    let behind = text.get(span.start..line_range(text, span.start).end).unwrap_or_default();
    let is_comment = |text: &str| ["//", ";", "--"].iter().any(|sign| text.trim_start().starts_with(sign));
    let is_prose = |line: &str| {
        !line.is_ascii() && !line.starts_with(['[', '［', '【', '＃']) && !line.contains(['=', '＝', '：'])
    };
    if is_comment(line) || is_comment(behind) || is_prose(line) {
        return "a comment begins with `#`".to_owned();
    }
    if let Some((sign, meant)) = with_narrow_signs(line) {
        return format!("`{sign}` is a full-width character; write: {meant}");
    }
    if message.starts_with("invalid unquoted key") && !may_have_names(line) {
        return "keys and tables have English names, for example: listen, [text], [inbox]".to_owned();
    }
    if let Some(example) = without_spaces(line) {
        return format!("names of peers have no spaces, for example: {example}");
    }
    if let Some(example) = with_quoted_names(line) {
        return format!("put names with other characters than A-Z, a-z, 0-9, - and _ in quotes: {example}");
    }
    if let Some(example) = with_quoted_text(line) {
        return format!("text is in quotes: {example}");
    }
    "a line is a [table], or a key = value where text is in quotes: max_size = \"4GiB\"".to_owned()
}

/// Returns a line with its value in quotes; none if that is not what the line lacks.
fn with_quoted_text(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let is_plain = |one: char| one.is_alphanumeric() || "._-:/%@".contains(one);
    let is_text = value.starts_with(char::is_alphabetic) && value.chars().all(is_plain);
    (is_text && !key.is_empty() && !["true", "false"].contains(&value))
        .then(|| format!("{key} = \"{value}\""))
}

/// Finds the first of two equal tables or keys, of which the second one is at `span`: what it is, and its line. None if it is written
/// in another way.
fn first_of_duplicate(text: &str, span: &Range<usize>) -> Option<(String, u32)> {
    let second = line_range(text, span.start);
    let is_table = text[second.clone()].trim_start().starts_with('[');
    let what = match is_table {
        true => text[second.clone()].split_inclusive(']').next()?.trim(),
        false => text.get(span.clone())?.trim(),
    };
    let is_it = |line: &str| match is_table {
        true => line.starts_with(what),
        false => line.strip_prefix(what).is_some_and(|rest| rest.trim_start().starts_with('=')),
    };
    let (mut start, mut found) = (0, None);
    for line in text[..second.start].split_inclusive('\n') {
        let trimmed = line.trim();
        if !is_table && trimmed.starts_with('[') {
            // A key of another table.
            found = None;
        } else if found.is_none() && is_it(trimmed) {
            found = Some(start);
        }
        start += line.len();
    }
    Some((what.to_owned(), line_of(text, found?)))
}

/// Returns the first full-width sign that stands for one of TOML, and the line with all of them replaced; none if there is none, or if
/// the line is too long to be shown.
fn with_narrow_signs(line: &str) -> Option<(char, String)> {
    const MAX_BYTES: usize = 200;
    let (mut first, mut string) = (None, None);
    let mut meant = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let sign = match character {
            _ if string.is_some() => None,
            '：' | '＝' => Some('='),
            '，' | '、' => Some(','),
            '［' | '【' => Some('['),
            '］' | '】' => Some(']'),
            '“' | '”' | '‘' | '’' | '＂' | '＇' => Some('"'),
            '＃' => Some('#'),
            '\u{3000}' => Some(' '),
            _ => None,
        };
        match character {
            '#' if string.is_none() => break,
            '"' | '\'' if string.is_none() => string = Some(character),
            _ if string == Some(character) => string = None,
            _ => {}
        }
        first = first.or(sign.map(|_| character));
        meant.push(sign.unwrap_or(character));
        if sign == Some('#') {
            // The rest is a comment.
            meant.extend(characters.by_ref());
        }
    }
    first.filter(|_| line.len() <= MAX_BYTES).map(|first| (first, meant.trim().to_owned()))
}

/// Tells whether a line may have a name that the user chooses: below `peers`.
fn may_have_names(line: &str) -> bool {
    match line.strip_prefix('[') {
        Some(table) => table.trim_start_matches(['[', ' ']).starts_with("peers"),
        None => line.split('=').next().is_some_and(|key| key.contains('.')),
    }
}

/// Returns the table of a peer without the spaces in its name; none if the line has none.
fn without_spaces(line: &str) -> Option<String> {
    let name = line.strip_prefix("[peers.")?.split(']').next()?.trim();
    let has_spaces = name.contains(char::is_whitespace) && !name.contains(['"', '\'']);
    let words: Vec<_> = name.split_whitespace().collect();
    has_spaces.then(|| format!("[peers.{}]", toml_key(&words.join("_"))))
}

/// Returns a table or a key with its names in quotes where they need them; none if that is not what the line lacks.
fn with_quoted_names(line: &str) -> Option<String> {
    let table = line.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = table.unwrap_or_else(|| line.split('=').next().unwrap_or_default()).trim();
    if name.is_ascii() || name.contains(['"', '\'']) {
        return None;
    }
    let quoted: Vec<_> = name.split('.').map(|part| toml_key(part.trim())).collect();
    let quoted = quoted.join(".");
    Some(if table.is_some() { format!("[{quoted}]") } else { quoted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excerpt_marks_the_span() {
        let text = "a = 1\nbe = 'x'\r\n";
        assert_eq!(excerpt(text, &(11..14)), "  |\n2 | be = 'x'\n  |      ^^^");
        assert_eq!(excerpt("", &(0..0)), "  |\n1 | \n  | ^");
    }

    #[test]
    fn the_excerpt_counts_characters_and_hides_controls() {
        let text = "\t张\u{1b} = 3";
        assert_eq!(excerpt(text, &(8..9)), "  |\n1 |  张\u{fffd} = 3\n  |        ^");
        assert_eq!(column_of(text, 8), 7);
    }

    #[test]
    fn a_line_with_controls_is_not_proposed() {
        let hint = |text: &str| hint_for_syntax("expected `=`", text, &(0..0));
        assert_eq!(hint("［text］"), "`［` is a full-width character; write: [text]");
        assert!(!hint("\u{1b}［text］").contains('\u{1b}'));
    }

    #[test]
    fn carets_are_as_wide_as_what_they_mark() {
        let text = "[peers.李雷]";
        assert_eq!(excerpt(text, &(7..13)), "  |\n1 | [peers.李雷]\n  |        ^^^^");
        assert_eq!(excerpt(text, &(13..14)), "  |\n1 | [peers.李雷]\n  |            ^");
    }

    #[test]
    fn names_are_quoted_where_they_need_it() {
        for (line, example) in [
            ("[peers.李雷]", Some(r#"[peers."李雷"]"#)),
            ("[peers.李雷] # x", Some(r#"[peers."李雷"]"#)),
            ("李雷.address = 'x'", Some(r#""李雷".address"#)),
            ("[peers.bob]", None),
            ("[peers.\"李雷\"]x", None),
        ] {
            assert_eq!(with_quoted_names(line).as_deref(), example, "{line}");
        }
    }

    #[test]
    fn a_full_width_sign_is_shown_in_the_right_spelling() {
        for (line, sign, meant) in [
            ("listen ＝ [\"[::]:7788\"]", '＝', "listen = [\"[::]:7788\"]"),
            ("encoding： “gbk” # 编码，", '：', "encoding= \"gbk\""),
            ("［peers.\"李雷（二班），\"］", '［', "[peers.\"李雷（二班），\"]"),
            ("members = ['a'，'b']", '，', "members = ['a','b']"),
        ] {
            assert_eq!(with_narrow_signs(line), Some((sign, meant.to_owned())), "{line}");
        }
        for line in ["[peers.李雷（二班）]", "encoding = \"gbk\" # 编码：", "x = '，'"] {
            assert_eq!(with_narrow_signs(line), None, "{line}");
        }
        let hint = |line: &str| hint_for_syntax("invalid unquoted key, expected letters", line, &(0..1));
        for comment in ["// 教程", "; text", "-- text", "网络课 UDP 实验，三班"] {
            assert_eq!(hint(comment), "a comment begins with `#`", "{comment}");
        }
        assert_eq!(hint("＃ 课，三班"), "`＃` is a full-width character; write: # 课，三班");
        let hint_for_value = |line: &str| hint_for_syntax("string values must be quoted", line, &(0..1));
        assert_eq!(hint_for_value("encoding = gbk"), "text is in quotes: encoding = \"gbk\"");
        assert!(hint_for_value("listen = 2 3").starts_with("a line is a [table]"));
        assert!(hint("端口 = 7788").contains("English names") && hint("[文本]").contains("English names"));
        assert!(hint("[peers.李雷]").ends_with("[peers.\"李雷\"]"));
        assert_eq!(hint("[peers.hall a]"), "names of peers have no spaces, for example: [peers.hall_a]");
        assert!(hint("[peers.二 班]").ends_with("[peers.\"二_班\"]"));
    }

    #[test]
    fn what_is_expected_is_shown_as_characters_only() {
        for (message, shown) in [
            ("unclosed table, expected `]`", "unclosed table, expected `]`"),
            ("string values must be quoted, expected literal string", "string values must be quoted"),
            ("unexpected `=` in array, expected value, `]`", "unexpected `=` in array"),
            ("duplicate key", "duplicate key"),
        ] {
            assert_eq!(without_description(message), shown);
        }
    }

    #[test]
    fn only_a_part_of_a_very_long_line_is_shown() {
        let text = format!("{} 'x' {}", "a".repeat(1000), "b".repeat(1000));
        let shown = excerpt(&text, &(1001..1004));
        let expected =
            format!("  |\n1 | {} 'x' {}\n  | {}^^^", "a".repeat(79), "b".repeat(76), " ".repeat(80));
        assert_eq!(shown, expected);
        assert!(excerpt(&text, &(0..2000)).len() < 400);
    }

    #[test]
    fn a_span_of_lines_is_marked_to_the_end_of_its_first() {
        assert_eq!(excerpt("a = [\n1,\n]", &(4..10)), "  |\n1 | a = [\n  |     ^");
    }
}

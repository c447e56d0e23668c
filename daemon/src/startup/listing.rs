//! The listing of `--check-config`: a line for each setting, or several on a terminal that is too narrow for it.

use std::iter::once;

use udpchat_api::safe::one_line;
use udpchat_locale::translated;
use unicode_width::UnicodeWidthStr;

/// A key, its value in TOML, and where that comes from.
pub(super) type Row = (String, String, String);

/// Between the key and the value.
const EQUALS: &str = " = ";

/// In front of the origin.
const ORIGIN: &str = "  # ";

/// The width of the column of values on a terminal, and elsewhere; longer ones go beyond it.
const MAX_VALUE_COLUMNS: usize = 24;
const MAX_VALUE_COLUMNS_OF_FILE: usize = 60;

/// Returns the listing, safe to show. With `columns`, the origins of long values stand below them, and long lists have several lines.
pub(super) fn listing(rows: &[Row], columns: Option<usize>) -> String {
    let rows: Vec<[String; 3]> = rows
        .iter()
        .map(|(key, value, origin)| {
            let origin = translated(origin);
            [key, value, &*origin].map(|text| one_line(text).into_owned())
        })
        .collect();
    let keys = rows.iter().map(|[key, ..]| key.width()).max().unwrap_or(0);
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(keys + EQUALS.len()).max(1));
    let fits = |value: &str, origin: &str| value.width() + ORIGIN.len() + origin.width() <= room;
    let longest = if columns.is_some() { MAX_VALUE_COLUMNS } else { MAX_VALUE_COLUMNS_OF_FILE };
    let widths = rows.iter().map(|[_, value, _]| value.width());
    let values = widths.filter(|width| *width <= longest).max().unwrap_or(0);
    let mut out = String::new();
    for [key, value, origin] in &rows {
        let key = padded(key, keys);
        if fits(value, origin) {
            let aligned = padded(value, values);
            let value = if fits(&aligned, origin) { &aligned } else { value };
            out += &format!("{key}{EQUALS}{value}{ORIGIN}{origin}\n");
            continue;
        }
        let behind = once(key).chain(std::iter::repeat(" ".repeat(keys)));
        let signs = once(EQUALS).chain(std::iter::repeat("   "));
        for ((key, sign), part) in behind.zip(signs).zip(parts(value, room)) {
            out += &format!("{key}{sign}{part}\n");
        }
        out += &format!("{}{}\n", " ".repeat(keys + EQUALS.len()), ORIGIN.trim_start().to_owned() + origin);
    }
    out
}

/// Adds blanks up to a width.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Splits a list in TOML behind commas into parts that fit, if each of its elements does.
fn parts(value: &str, room: usize) -> Vec<&str> {
    let (mut parts, mut from, mut end) = (Vec::new(), 0, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for (at, character) in value.char_indices() {
        is_string ^= character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        if character == ',' && !is_string {
            if value[from..=at].width() > room && end > from {
                parts.push(value[from..end].trim());
                from = end;
            }
            end = at + 1;
        }
    }
    if value[from..].width() > room && end > from {
        parts.push(value[from..end].trim());
        from = end;
    }
    parts.push(value[from..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let rows = [
            ("listen", r#"["[::]:7788"]"#, "default"),
            ("data_dir", r#""/home/somebody/.local/share/udpchat""#, "default"),
            ("log.level", r#""info""#, "/home/somebody/.config/udpchat/config.toml:12"),
            (
                "socket",
                r#""/run/user/1000/udpchat/control.sock""#,
                "/home/somebody/.config/udpchat/config.toml:7",
            ),
            (
                "control.read",
                r#"["ann, the first", "bob", "carol", "david", "eve", "frank", "grace"]"#,
                "default",
            ),
            ("peers.\"张三\".address", r#""10.0.0.7""#, "default"),
        ];
        rows.map(|(key, value, origin)| (key.to_owned(), value.to_owned(), origin.to_owned())).to_vec()
    }

    #[test]
    fn a_listing_fits_the_terminal() {
        let expected = "\
listen               = [\"[::]:7788\"]  # default
data_dir             = \"/home/somebody/.local/share/udpchat\"  # default
log.level            = \"info\"  # /home/somebody/.config/udpchat/config.toml:12
socket               = \"/run/user/1000/udpchat/control.sock\"
                       # /home/somebody/.config/udpchat/config.toml:7
control.read         = [\"ann, the first\", \"bob\", \"carol\", \"david\", \"eve\",
                       \"frank\", \"grace\"]
                       # default
peers.\"张三\".address = \"10.0.0.7\"     # default
";
        let shown = listing(&rows(), Some(80));
        assert_eq!(shown, expected);
        assert!(shown.lines().all(|line| line.width() <= 80));
    }

    #[test]
    fn a_program_gets_a_line_for_each_setting() {
        let shown = listing(&rows(), None);
        assert_eq!(shown.lines().count(), rows().len());
        for (line, (key, value, origin)) in shown.lines().zip(rows()) {
            assert!(
                line.starts_with(&key) && line.contains(&value) && line.ends_with(&format!("  # {origin}"))
            );
        }
    }

    #[test]
    fn any_width_is_possible() {
        let words = |columns| listing(&rows(), columns).split_whitespace().collect::<String>();
        let expected = words(None);
        for columns in 0..120 {
            assert_eq!(words(Some(columns)), expected, "{columns}");
        }
    }
}

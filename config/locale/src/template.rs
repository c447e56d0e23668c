//! Texts with placeholders: `{name}`. `{{` and `}}` stand for braces.

use std::borrow::Cow;
use std::fmt::Display;

use crate::catalogue::{CHINESE, find};
use crate::{Language, language};

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    /// The name without braces, which is empty or a number for positional arguments.
    Placeholder(&'a str),
}

/// Splits a text into literals and placeholders.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = rest.find(['{', '}']).unwrap_or(rest.len());
        let (literal, from_brace) = rest.split_at(at);
        if !literal.is_empty() {
            rest = from_brace;
            return Some(Part::Literal(literal));
        }
        if rest.is_empty() {
            return None;
        }
        if let Some(end) =
            from_brace.find('}').filter(|_| from_brace.starts_with('{') && !from_brace.starts_with("{{"))
        {
            rest = &from_brace[end + 1..];
            let name = from_brace[1..end].split(':').next().unwrap_or_default();
            return Some(Part::Placeholder(name));
        }
        // A doubled brace, of which one is shown.
        let (brace, after) = from_brace.split_at(1);
        rest = after.strip_prefix(brace).unwrap_or(after);
        Some(Part::Literal(brace))
    })
}

/// Returns the names of a text's placeholders, in their order.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(|part| match part {
        Part::Placeholder(name) => Some(name),
        Part::Literal(_) => None,
    })
}

/// Fills the placeholders of a text. One without an argument stays as it is. No space stays beside full-width punctuation.
pub fn fill(text: &str, arguments: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::with_capacity(2 * text.len());
    for part in parts(text) {
        match part {
            Part::Literal(literal) => push(&mut filled, literal),
            Part::Placeholder(name) => match arguments.iter().find(|(argument, _)| *argument == name) {
                Some((_, value)) => push(&mut filled, &value.to_string()),
                None => push(&mut filled, &format!("{{{name}}}")),
            },
        }
    }
    filled
}

/// Appends a part. Where one of the parts has full-width punctuation at the seam, the other one's space is left out.
fn push(filled: &mut String, part: &str) {
    const FULL_WIDTH: &str = "，。：；！？、（）《》“”";
    let is_full_width = |character| FULL_WIDTH.contains(character);
    if part.starts_with(is_full_width) && filled.ends_with(' ') {
        filled.pop();
    }
    let part = match part.strip_prefix(' ') {
        Some(rest) if filled.ends_with(is_full_width) => rest,
        _ => part,
    };
    filled.push_str(part);
}

/// Texts that are longer, or have more parts, are not translated: they quote what is large, and the work grows with both.
const MOST_BYTES: usize = 2_048;
const MOST_PARTS: usize = 16;

/// How deep arguments are translated: a reason may have a reason.
const MOST_DEPTH: usize = 3;

/// The placeholders whose arguments come from users, files and other programs. They stay as they are.
const QUOTED: &[&str] = &[
    "address",
    "argument",
    "character",
    "command",
    "consumer",
    "copy",
    "file",
    "from",
    "group",
    "host",
    "inbox",
    "interface",
    "key",
    "keys",
    "name",
    "origin",
    "path",
    "path_there",
    "pattern",
    "peer",
    "sender",
    "socket",
    "sockets",
    "text",
    "to",
    "tried",
    "value",
];

/// Translates a finished English text: finds the text, or the text with placeholders that it was made of. Of several that
/// fit, the one with the longest literal parts is taken. An argument of several words that is a text itself is translated in
/// the same way.
///
/// Where no entry fits, the parts of a list (`; `) and the parts before and behind a colon are translated one by one, and text
/// that has none is returned as it is.
pub fn translated(text: &str) -> Cow<'_, str> {
    match language() {
        Language::English => Cow::Borrowed(text),
        Language::Chinese => in_chinese(text, MOST_DEPTH),
    }
}

fn in_chinese(text: &str, depth: usize) -> Cow<'_, str> {
    let separators = || text.matches("; ").chain(text.matches(": ")).count();
    if text.len() > MOST_BYTES || separators() >= MOST_PARTS || depth == 0 {
        return Cow::Borrowed(text);
    }
    whole(text, depth).unwrap_or_else(|| in_parts(text, depth))
}

/// Translates a text that one entry fits.
fn whole(text: &str, depth: usize) -> Option<Cow<'static, str>> {
    if let Some(translation) = find(text) {
        return Some(Cow::Borrowed(translation));
    }
    let fits = CHINESE.pairs().filter_map(|(template, translation)| {
        let arguments = arguments_of(template, text).filter(|found| is_likely(template, found))?;
        Some((template, translation, arguments))
    });
    let (template, translation, arguments) = fits.max_by_key(|(template, ..)| literal_bytes(template))?;
    let shown: Vec<(&str, Cow<'_, str>)> = arguments
        .into_iter()
        .map(|(name, value)| match is_text(template, name) && value.contains(' ') {
            true => (name, in_chinese(value, depth - 1)),
            false => (name, Cow::Borrowed(value)),
        })
        .collect();
    let shown: Vec<(&str, &dyn Display)> =
        shown.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
    Some(Cow::Owned(fill(translation, &shown)))
}

/// Returns whether the argument of a placeholder is a text of the programs. One without a name is, where it is a reason.
fn is_text(template: &str, name: &str) -> bool {
    let is_quoted = QUOTED.contains(&name)
        || ["'", "`"].iter().any(|quote| template.contains(&format!("{quote}{{{name}}}")));
    let is_named = name.starts_with(|first: char| first.is_alphabetic());
    !is_quoted && (is_named || template.contains(&format!(": {{{name}}}")))
}

/// Translates several problems, and of each a reason and its causes, or a place and what is wrong there.
fn in_parts(text: &str, depth: usize) -> Cow<'_, str> {
    let mut made = String::with_capacity(text.len());
    let mut any = false;
    for (number, item) in text.split("; ").enumerate() {
        let translated = in_chain(item, depth);
        if number > 0 {
            made.push_str(if translated.is_some() { "；" } else { "; " });
        }
        any |= translated.is_some();
        made.push_str(translated.as_deref().unwrap_or(item));
    }
    if any { Cow::Owned(made) } else { Cow::Borrowed(text) }
}

/// Translates parts with `: ` between them; none if no part has a translation.
fn in_chain(text: &str, depth: usize) -> Option<String> {
    let (mut made, mut any, mut rest) = (String::new(), false, text);
    loop {
        if let Some(translated) = whole(rest, depth) {
            made.push_str(&translated);
            return Some(made);
        }
        let Some((first, behind)) = rest.split_once(": ") else {
            made.push_str(rest);
            return any.then_some(made);
        };
        let translated = whole(first, depth);
        any |= translated.is_some();
        // A place, such as a file with a line, keeps its colon.
        let is_word = translated.is_some() || (first.starts_with('`') && first.ends_with('`'));
        made.push_str(translated.as_deref().unwrap_or(first));
        made.push_str(if is_word { "：" } else { ": " });
        rest = behind;
    }
}

fn literal_bytes(template: &str) -> usize {
    parts(template).map(|part| if let Part::Literal(literal) = part { literal.len() } else { 0 }).sum()
}

/// Returns whether a text was made of a template that fits it. One with few characters, such as `{path}: {error}` or
/// `{used} of {max}`, fits many texts that it did not make; one with a word fits if its arguments are single words. The end of a
/// list is not a part of an argument, nor is a quotation with the reason behind it.
fn is_likely(template: &str, arguments: &[(&str, &str)]) -> bool {
    const CHARACTERS: usize = 8;
    const LETTERS: usize = 4;
    let count = |counts: fn(char) -> bool| {
        let literals = parts(template).filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.chars().filter(|&character| counts(character)).count()),
            Part::Placeholder(_) => None,
        });
        literals.sum::<usize>()
    };
    let is_long = count(|character| !character.is_whitespace()) >= CHARACTERS;
    let has_word =
        count(char::is_alphabetic) >= LETTERS && arguments.iter().all(|(_, value)| !value.contains(' '));
    !arguments.is_empty()
        && (is_long || has_word)
        && arguments.iter().all(|(_, value)| !value.contains("; ") && !value.contains("': "))
}

/// Returns the arguments that make a text of a template, each as short as possible; none if the text is of another one.
/// A placeholder is not empty.
fn arguments_of<'t, 'a>(template: &'t str, text: &'a str) -> Option<Vec<(&'t str, &'a str)>> {
    let mut arguments = Vec::new();
    let mut open: Option<&str> = None;
    let mut rest = text;
    let mut parts = parts(template).peekable();
    while let Some(part) = parts.next() {
        match part {
            Part::Placeholder(name) => {
                // Where one argument ends and the next begins cannot be known.
                if open.replace(name).is_some() {
                    return None;
                }
            }
            Part::Literal(literal) => {
                let Some(name) = open.take() else {
                    rest = rest.strip_prefix(literal)?;
                    continue;
                };
                let is_last = parts.peek().is_none();
                let first = rest.chars().next()?.len_utf8();
                let at = if is_last {
                    rest.strip_suffix(literal)?.len()
                } else {
                    first + rest[first..].find(literal)?
                };
                if at < first {
                    return None;
                }
                arguments.push((name, &rest[..at]));
                rest = &rest[at + literal.len()..];
            }
        }
    }
    match open {
        Some(name) if !rest.is_empty() => arguments.push((name, rest)),
        None if rest.is_empty() => {}
        _ => return None,
    }
    let is_same = |(name, value): &(&str, &str)| {
        arguments.iter().all(|(other, another)| name.is_empty() || name != other || value == another)
    };
    arguments.iter().all(is_same).then_some(arguments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn braces_can_be_written() {
        assert_eq!(fill("{{{a}}} {b}", &[("a", &1)]), "{1} {b}");
    }

    #[test]
    fn a_template_with_few_letters_fits_no_finished_text() {
        let several = [("", "several words")];
        for template in ["{path}: {error}", "{used} of {max}", "{count} unread"] {
            assert!(!is_likely(template, &several), "{template}");
        }
        assert!(!is_likely("{used} of {max}", &[("used", "1"), ("max", "2")]));
        assert!(is_likely("user {uid}", &[("uid", "7")]));
        assert!(is_likely("cannot use {}", &several));
        assert!(!is_likely("cannot use {}", &[("", "one; another")]));
    }

    #[test]
    fn an_argument_is_found_between_its_neighbours() {
        assert_eq!(
            arguments_of("cannot send to {to}: {error}", "cannot send to bob: no route"),
            Some(vec![("to", "bob"), ("error", "no route")])
        );
        assert_eq!(arguments_of("{path}: no such file", "a: b: no such file"), Some(vec![("path", "a: b")]));
        assert_eq!(arguments_of("invalid '{}'", "invalid 'it's'"), Some(vec![("", "it's")]));
        for other in
            ["cannot send to ", "cannot send to : x", "it cannot send to bob: x", "cannot send to bob"]
        {
            assert_eq!(arguments_of("cannot send to {to}: {error}", other), None, "{other}");
        }
        assert_eq!(arguments_of("{a}{b}", "xy"), None);
        assert_eq!(arguments_of("{a} is {a}", "one is two"), None);
    }

    #[test]
    fn what_users_wrote_is_not_translated() {
        assert_eq!(
            in_chinese("no peer is called `No such device`, and no host has that name", MOST_DEPTH),
            "没有名为 `No such device` 的对端，也没有叫这个名字的主机"
        );
    }

    #[test]
    fn no_space_stays_beside_full_width_punctuation() {
        assert_eq!(fill("来自 {a} 的", &[("a", &"bob（一）")]), "来自 bob（一）的");
        assert_eq!(fill("{a} 的", &[("a", &"bob")]), "bob 的");
    }

    #[test]
    fn a_long_text_takes_little_time_and_no_stack() {
        for part in ["; ", ": ", "No such device; ", "cannot use a: "] {
            for bytes in [64 * 1024, MOST_BYTES, MOST_PARTS * part.len()] {
                let text = part.repeat(bytes / part.len());
                assert_eq!(in_chinese(&text, MOST_DEPTH), text);
            }
        }
    }

    #[test]
    fn what_no_entry_fits_is_translated_in_parts() {
        for (text, expected) in [
            ("/etc/c.toml:2:3: missing command", "/etc/c.toml:2:3: 缺少命令"),
            ("missing command: No such device", "缺少命令：没有该设备"),
            ("No such device; missing command", "没有该设备；缺少命令"),
            ("`as`: missing command", "`as`：缺少命令"),
            (
                "role `read` is for the group a; role `send` is for the groups b, c; an administrator adds a user with `usermod -aG a x`, \
                 which takes effect at the next login",
                "角色 `read` 授予用户组 a；角色 `send` 授予用户组 b, c；由管理员用 `usermod -aG a x` 添加用户，该用户下次登录后生效",
            ),
            ("nothing of it: is known; at all", "nothing of it: is known; at all"),
            (
                "invalid value 'x' for '--listen <ADDR>': `x` is a host name, not an IP address",
                "'--listen <ADDR>' 的值 'x' 无效：`x` 是主机名，不是 IP 地址",
            ),
        ] {
            assert_eq!(in_chinese(text, MOST_DEPTH), expected);
        }
    }

    proptest! {
        #[test]
        fn what_fill_made_is_found_again(
            literals in prop::collection::vec("[a-z ]{1,6}", 2..4),
            values in prop::collection::vec("[A-Z0-9:'{} ]{1,6}", 3),
        ) {
            let names = ["one", "two", "three"];
            let template = literals.iter().enumerate().map(|(place, literal)| {
                if place == 0 { literal.clone() } else { format!("{{{}}}{literal}", names[place - 1]) }
            }).collect::<String>();
            let arguments: Vec<_> = names.iter().zip(&values).take(literals.len() - 1)
                .map(|(name, value)| (*name, value.as_str())).collect();
            let shown: Vec<(&str, &dyn Display)> = arguments.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
            let text = fill(&template, &shown);
            let found = arguments_of(&template, &text).expect("the text is of this template");
            let again: Vec<(&str, &dyn Display)> = found.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
            prop_assert_eq!(fill(&template, &again), text);
        }

        #[test]
        fn any_text_is_translated_without_a_panic(text in ".*") {
            let _translated = in_chinese(&text, MOST_DEPTH);
        }
    }
}

//! Texts with placeholders: `{name}`. `{{` and `}}` stand for braces.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

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

/// Fills the placeholders of a text. One without an argument stays as it is.
pub fn fill(text: &str, arguments: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::with_capacity(2 * text.len());
    for part in parts(text) {
        // Writing to a string does not fail.
        let _written = match part {
            Part::Literal(literal) => filled.write_str(literal),
            Part::Placeholder(name) => match arguments.iter().find(|(argument, _)| *argument == name) {
                Some((_, value)) => write!(filled, "{value}"),
                None => write!(filled, "{{{name}}}"),
            },
        };
    }
    filled
}

/// Translates a finished English text: finds the text, or the text with placeholders that it was made of. Of several that
/// fit, the one with the longest literal parts is taken. An argument that has several words is translated in the same way.
/// Where no entry fits, the parts of a list (`; `) and the parts before and behind a colon are translated one by one, and text
/// that has none is returned as it is.
pub fn translated(text: &str) -> Cow<'_, str> {
    match language() {
        Language::English => Cow::Borrowed(text),
        Language::Chinese => in_chinese(text),
    }
}

fn in_chinese(text: &str) -> Cow<'_, str> {
    if let Some(translation) = find(text) {
        return Cow::Borrowed(translation);
    }
    let fits = CHINESE.iter().filter_map(|(template, translation)| {
        let arguments =
            arguments_of(template, text).filter(|found| !found.is_empty() && has_words(template))?;
        Some((template, translation, arguments))
    });
    let Some((_, translation, arguments)) = fits.max_by_key(|(template, ..)| literal_bytes(template)) else {
        return in_parts(text);
    };
    let arguments: Vec<(&str, Cow<'_, str>)> = arguments
        .into_iter()
        .map(|(name, value)| {
            (name, if value.contains(' ') { in_chinese(value) } else { Cow::Borrowed(value) })
        })
        .collect();
    let shown: Vec<(&str, &dyn Display)> =
        arguments.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
    Cow::Owned(fill(translation, &shown))
}

/// Translates a reason and its causes, a place and what is wrong there, or several problems.
fn in_parts(text: &str) -> Cow<'_, str> {
    for (separator, chinese) in [("; ", "；"), (": ", "：")] {
        let Some((first, rest)) = text.split_once(separator) else { continue };
        let (translated, rest) = (in_chinese(first), in_chinese(rest));
        // A place, such as a file with a line, keeps its colon.
        let separator = if translated == first { separator } else { chinese };
        return Cow::Owned(format!("{translated}{separator}{rest}"));
    }
    Cow::Borrowed(text)
}

fn literal_bytes(template: &str) -> usize {
    parts(template).map(|part| if let Part::Literal(literal) = part { literal.len() } else { 0 }).sum()
}

/// Returns whether a template has enough words of its own. One with few letters, such as `{path}: {error}` or
/// `{used} of {max}`, would fit many texts that it did not make.
fn has_words(template: &str) -> bool {
    const LETTERS: usize = 8;
    let letters = |part| match part {
        Part::Literal(literal) => literal.chars().filter(|character| character.is_alphabetic()).count(),
        Part::Placeholder(_) => 0,
    };
    parts(template).map(letters).sum::<usize>() >= LETTERS
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
    Some(arguments)
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
        for template in ["{path}: {error}", "{used} of {max}", "{count} unread"] {
            assert!(!has_words(template), "{template}");
        }
        assert!(has_words("cannot use {}"));
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
    }

    #[test]
    fn what_no_entry_fits_is_translated_in_parts() {
        for (text, expected) in [
            ("/etc/c.toml:2:3: missing command", "/etc/c.toml:2:3: 缺少命令"),
            ("missing command: No such device", "缺少命令：没有该设备"),
            ("No such device; missing command", "没有该设备；缺少命令"),
            ("nothing of it: is known", "nothing of it: is known"),
        ] {
            assert_eq!(in_chinese(text), expected);
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
            let _translated = in_chinese(&text);
        }
    }
}

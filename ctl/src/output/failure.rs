//! Renders errors as text and as JSON.

use std::borrow::Cow;

use serde::Serialize;
use udpchat_api::line::to_line;
use udpchat_api::safe::one_line;
use udpchat_locale::{tr, translated};

use super::style::{ERROR, Palette};
use crate::error::Failure;
use crate::terminal::wrap;

/// How far the further lines of a message are indented on a terminal.
const INDENT: &str = "  ";

/// In fewer columns a message is not wrapped.
const MIN_COLUMNS: usize = 20;

/// Wraps a line of standard error, which is safe to show, where that is a terminal of so many columns.
pub(super) fn wrapped(line: &str, columns: Option<usize>) -> Cow<'_, str> {
    match columns.filter(|columns| *columns >= MIN_COLUMNS && wrap::width(line) > *columns) {
        Some(columns) => {
            let lines = wrap::message(line, columns - INDENT.len());
            Cow::Owned(lines.join(&format!("\n{INDENT}")))
        }
        None => Cow::Borrowed(line),
    }
}

/// Renders an error as text: the message, each cause and the hint on a line of its own, in the user's language; on a terminal of so many
/// `columns`, wrapped between words.
pub(super) fn as_text(failure: &Failure, palette: Palette, columns: Option<usize>) -> String {
    let message = one_line(&translated(&failure.message)).into_owned();
    let message = match failure.line {
        Some(line) => tr!("line {line}: {message}", line, message),
        None => message,
    };
    let label = tr!("error:");
    let first = tr!("{label} {message}", label, message);
    // The colour takes no columns.
    let first = wrapped(&first, columns).replacen(label, &palette.paint(ERROR, label).to_string(), 1);
    let mut out = format!("{first}\n");
    for cause in &failure.causes {
        let line = format!("  {}", tr!("caused by: {cause}", cause = one_line(&translated(cause))));
        out += &format!("{}\n", wrapped(&line, columns));
    }
    if let Some(hint) = &failure.hint {
        let line = tr!("hint: {hint}", hint = one_line(&translated(hint)));
        out += &format!("{}\n", wrapped(&line, columns));
    }
    out
}

/// Renders an error in one line, for a place on a full screen: the message and the hint. Not safe to show.
pub(crate) fn as_line(failure: &Failure) -> String {
    in_one_line(&failure.message, failure.hint.as_deref())
}

/// Joins what happened and what to do next, in the user's language. Not safe to show.
pub(crate) fn in_one_line(what: &str, hint: Option<&str>) -> String {
    let what = translated(what);
    match hint {
        Some(hint) => tr!("{what}; {hint}", what, hint = translated(hint)),
        None => what.into_owned(),
    }
}

/// The JSON object of an error.
#[derive(Serialize)]
struct Object<'a> {
    error: Parts<'a>,
}

#[derive(Serialize)]
struct Parts<'a> {
    message: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    causes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    exit: u8,
}

/// Renders an error as one line of JSON.
pub(super) fn as_json(failure: &Failure) -> Vec<u8> {
    let error = Parts {
        message: &failure.message,
        kind: &failure.kind,
        code: failure.code,
        causes: &failure.causes,
        hint: failure.hint.as_deref(),
        entry: failure.entry,
        line: failure.line,
        exit: failure.exit as u8,
    };
    // Strings and numbers always serialise.
    to_line(&Object { error }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CtlError;
    use udpchat_api::{ErrorKind, ErrorObject};

    #[test]
    fn json_errors_omit_empty_fields() {
        let mut object = ErrorObject::new(ErrorKind::UnknownPeer, "no peer\u{1b} x").hint("name it");
        object.data.entry = Some(7);
        let line = as_json(&CtlError::from(object).into_failure());
        let expected = concat!(
            r#"{"error":{"message":"no peer\u001b x","kind":"unknown_peer","code":-32001,"#,
            r#""hint":"name it","entry":7,"exit":5}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);

        let line = as_json(&CtlError::usage("x").at_line(3).into_failure());
        let expected = "{\"error\":{\"message\":\"x\",\"kind\":\"usage\",\"line\":3,\"exit\":2}}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn errors_are_wrapped_between_words_on_a_terminal() {
        let error = CtlError::failed("no daemon was found at any of these")
            .hint("start it with `udpchatd --system`, then");
        let failure = error.into_failure();
        let expected = "\
error: no daemon was found
  at any of these
hint: start it with
  `udpchatd --system`, then
";
        assert_eq!(as_text(&failure, Palette::new(false), Some(28)), expected);
        let coloured = as_text(&failure, Palette::new(true), Some(28));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), expected);
        assert_eq!(as_text(&failure, Palette::new(false), Some(10)).lines().count(), 2);
    }

    #[test]
    fn text_errors_have_causes_and_a_hint() {
        let cause = std::io::Error::other("no\nspace");
        let error = CtlError::failed("a\u{1b}b").caused_by(&cause).hint("tidy up").at_line(2);
        let expected = "error: line 2: a\\u{1b}b\n  caused by: no\\u{a}space\nhint: tidy up\n";
        assert_eq!(as_text(&error.into_failure(), Palette::new(false), None), expected);
    }
}

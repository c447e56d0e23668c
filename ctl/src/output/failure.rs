//! Renders errors as text and as JSON.

use serde::Serialize;
use udpchat_api::line::to_line;
use udpchat_api::safe::one_line;
use udpchat_locale::{tr, translated};

use super::style::{ERROR, Palette};
use crate::error::Failure;

/// Renders an error as text: the message, each cause and the hint on a line of its own, in the user's language.
pub(super) fn as_text(failure: &Failure, palette: Palette) -> String {
    let message = one_line(&translated(&failure.message)).into_owned();
    let message = match failure.line {
        Some(line) => tr!("line {line}: {message}", line, message),
        None => message,
    };
    let label = palette.paint(ERROR, tr!("error:"));
    let mut out = format!("{}\n", tr!("{label} {message}", label, message));
    for cause in &failure.causes {
        out += &format!("  {}\n", tr!("caused by: {cause}", cause = one_line(&translated(cause))));
    }
    if let Some(hint) = &failure.hint {
        out += &format!("{}\n", tr!("hint: {hint}", hint = one_line(&translated(hint))));
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
    fn text_errors_have_causes_and_a_hint() {
        let cause = std::io::Error::other("no\nspace");
        let error = CtlError::failed("a\u{1b}b").caused_by(&cause).hint("tidy up").at_line(2);
        let expected = "error: line 2: a\\u{1b}b\n  caused by: no\\u{a}space\nhint: tidy up\n";
        assert_eq!(as_text(&error.into_failure(), Palette::new(false)), expected);
    }
}

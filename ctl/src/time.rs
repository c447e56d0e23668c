//! Parses the times and durations that users write.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, Zoned};
pub(crate) use udpchat_config::when::{local_zone, now};
use udpchat_config::{narrowed, when};
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// Parses a time relative to `now`, in its time zone, in the notations of [`when::parse`].
///
/// # Errors
/// Anything else is an error of usage, with examples as the hint.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<Timestamp> {
    parse_end(text, now, None)
}

/// Parses the time at which a period ends that begins at `since`.
pub(crate) fn parse_end(text: &str, now: &Zoned, since: Option<Timestamp>) -> Result<Timestamp> {
    let invalid = || CtlError::usage(tr!("invalid time '{time}'", time = text.trim())).hint(when::EXAMPLES);
    when::parse(text, now, since).ok_or_else(invalid)
}

/// Parses a duration such as `1s`, `500ms`, `1m30s`; a number alone counts seconds. Days and longer units have no fixed
/// length and are refused.
///
/// # Errors
/// Anything else, and negative durations; the error is a message for people.
pub(crate) fn span(text: &str) -> std::result::Result<Duration, String> {
    let text = narrowed(text);
    let text = text.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let span: Option<SignedDuration> =
        if is_number { format!("{text}s").parse().ok() } else { text.parse().ok() };
    span.and_then(|span| span.try_into().ok())
        .ok_or_else(|| tr!("expected a duration such as 500ms, 1s or 1m30s").to_owned())
}

/// Parses a duration as [`span`] does, and with days of 24 hours and weeks of 7 of them.
///
/// # Errors
/// Anything else; the error is a message for people.
pub(crate) fn span_with_days(text: &str) -> std::result::Result<Duration, String> {
    let days = narrowed(text).trim().parse::<Span>().ok();
    let days = days.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match days.and_then(|days| days.try_into().ok()) {
        Some(duration) => Ok(duration),
        None => span(text).map_err(|_| tr!("expected a duration such as 90s, 10m, 12h or 2d").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_their_units() {
        let table = [
            ("1s", 1_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            (" 1.5s ", 1_500),
            ("0s", 0),
            ("5", 5_000),
            ("0.5", 500),
            ("１．５ｓ", 1_500),
        ];
        for (text, milliseconds) in table {
            assert_eq!(span(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-1", ".", "-1s", "soon", "1d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_invalid_time_is_a_usage_error_with_examples() {
        for text in ["", "soon", "2026-13-01"] {
            let failure = parse(text, &now()).unwrap_err().into_failure();
            assert_eq!(failure.exit as u8, 2, "{text}");
            assert!(failure.hint.unwrap().contains("yesterday"));
        }
    }
}

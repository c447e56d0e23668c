//! The times and durations that users write, with errors for people.

use std::time::Duration;

use jiff::{Timestamp, Zoned};
use udpchat_config::when;
pub(crate) use udpchat_config::when::{local_zone, now};
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

/// Parses a duration in the notations of [`when::duration`].
///
/// # Errors
/// Anything else, and negative durations; the error is a message for people.
pub(crate) fn span(text: &str) -> std::result::Result<Duration, String> {
    when::duration(text).ok_or_else(|| tr!("expected a duration such as 500ms, 1s, 1m30s or 2d").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_time_is_a_usage_error_with_examples() {
        for text in ["", "soon", "2026-13-01"] {
            let failure = parse(text, &now()).unwrap_err().into_failure();
            assert_eq!(failure.exit as u8, 2, "{text}");
            assert!(failure.hint.unwrap().contains("yesterday"));
        }
    }
}

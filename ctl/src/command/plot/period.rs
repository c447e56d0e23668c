//! Which time a plot shows and reads.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};
use udpchat_locale::tr;

use super::args::PlotArgs;
use super::series::{LONGEST_SPAN, SHORTEST_SPAN};
use crate::command::filter::period;
use crate::error::{CtlError, Result};

/// The span that is shown unless the arguments determine one.
const DEFAULT_SPAN: Duration = Duration::from_secs(60);

/// The period of a plot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// The time since which messages are read; none begins with what arrives.
    pub(super) since: Option<Timestamp>,
    /// The time until which messages are read; none continues with what arrives.
    pub(super) until: Option<Timestamp>,
    /// How much a screen shows.
    pub(super) span: Duration,
}

impl Period {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A time is invalid or in the future, or the period ends before it begins.
    pub(super) fn of(arguments: &PlotArgs, is_screen: bool, now: &Zoned) -> Result<Self> {
        let (since, until) = period(arguments.since.as_deref(), arguments.until.as_deref(), || now.clone())?;
        let now = now.timestamp();
        if since.is_some_and(|since| since > now) {
            return Err(CtlError::usage(tr!("the time of --since is in the future"))
                .hint(tr!("without --since, the plot begins with what arrives")));
        }
        if until.is_some_and(|until| until > now) {
            return Err(CtlError::usage(tr!("the time of --until is in the future"))
                .hint(tr!("without --until, the plot continues with what arrives")));
        }
        let end = until.unwrap_or(now);
        let whole = since.map(|since| whole_seconds(end.duration_since(since)));
        let span = arguments.span.or(whole).unwrap_or(DEFAULT_SPAN);
        let begin = end - SignedDuration::try_from(span).unwrap_or_default();
        let since = match since {
            None if is_screen => Some(begin),
            None => until.map(|_| Timestamp::UNIX_EPOCH),
            since => since,
        };
        Ok(Self { since, until, span })
    }
}

/// Returns a span that a plot can show, in whole seconds, and at least as long if possible.
fn whole_seconds(span: SignedDuration) -> Duration {
    let seconds = span.as_secs() + i64::from(span.subsec_nanos() > 0);
    Duration::from_secs(seconds.unsigned_abs()).clamp(SHORTEST_SPAN, LONGEST_SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &PlotArgs, is_screen: bool) -> Result<(Option<String>, Option<String>, u64)> {
        let now = "2026-11-22T14:00:00.5Z".parse::<Timestamp>().unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        let Period { since, until, span } = Period::of(arguments, is_screen, &now)?;
        let [since, until] = [since, until].map(|time| time.map(|time| format!("{time:.0}")));
        Ok((since, until, span.as_secs()))
    }

    fn arguments(since: Option<&str>, until: Option<&str>, span: Option<u64>) -> PlotArgs {
        let [since, until] = [since, until].map(|time| time.map(str::to_owned));
        PlotArgs { since, until, span: span.map(Duration::from_secs), ..PlotArgs::default() }
    }

    #[test]
    fn the_shown_span_is_what_the_times_determine() {
        let some = |text: &str| Some(text.to_owned());
        for (given, expected) in [
            (arguments(None, None, None), (some("2026-11-22T13:59:00Z"), None, 60)),
            (arguments(None, None, Some(30)), (some("2026-11-22T13:59:30Z"), None, 30)),
            (arguments(Some("10m"), None, None), (some("2026-11-22T13:50:00Z"), None, 600)),
            (arguments(Some("10m"), None, Some(30)), (some("2026-11-22T13:50:00Z"), None, 30)),
            (arguments(Some("13:00"), None, None), (some("2026-11-22T13:00:00Z"), None, 3_601)),
            (arguments(Some("3d"), None, None), (some("2026-11-19T14:00:00Z"), None, 86_400)),
            (
                arguments(Some("12:00"), Some("13:00"), None),
                (some("2026-11-22T12:00:00Z"), some("2026-11-22T13:00:00Z"), 3_600),
            ),
            (
                arguments(None, Some("13:00"), Some(30)),
                (some("2026-11-22T12:59:30Z"), some("2026-11-22T13:00:00Z"), 30),
            ),
        ] {
            assert_eq!(of(&given, true).unwrap(), expected, "{given:?}");
        }
        for wrong in [
            arguments(Some("10m"), Some("20m"), None),
            arguments(None, Some("2026-11-22 15:00"), None),
            arguments(Some("2026-11-22 15:00"), None, None),
        ] {
            assert_eq!(of(&wrong, true).unwrap_err().exit() as u8, 2, "{wrong:?}");
        }
    }

    #[test]
    fn lines_begin_now_unless_a_time_is_given() {
        assert_eq!(of(&arguments(None, None, None), false).unwrap().0, None);
        let (since, until, _) = of(&arguments(None, Some("13:00"), None), false).unwrap();
        assert_eq!(since.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(until.as_deref(), Some("2026-11-22T13:00:00Z"));
    }
}

//! How numbers, sizes, times and encodings are shown to people.

use bytesize::ByteSize;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, SpanRound, Timestamp, Unit};
use udpchat_api::EncodingBy;

/// Names what chose an encoding.
pub(crate) fn chosen_by(by: EncodingBy) -> &'static str {
    match by {
        EncodingBy::Given => "given",
        EncodingBy::Configured => "configured",
        EncodingBy::Remembered => "remembered",
        EncodingBy::Detected => "detected",
        EncodingBy::Fallback => "fallback",
    }
}

/// Shows a time: local date and time, to the second.
pub(crate) fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// How the times of entries are shown.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) zone: TimeZone,
    /// Whether they have milliseconds.
    pub(crate) milliseconds: bool,
}

impl Times {
    /// Shows a time.
    pub(super) fn show(&self, at: Timestamp) -> String {
        if !self.milliseconds {
            return local_time(at, &self.zone);
        }
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
    }
}

/// Shows the local time of day, to the second.
pub(crate) fn clock_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// Shows a duration: in seconds below a minute, otherwise in days, hours and minutes.
pub(crate) fn span(span: Span) -> String {
    let smallest = if span.get_seconds() < 60 { Unit::Second } else { Unit::Minute };
    let rounding =
        SpanRound::new().largest(Unit::Day).smallest(smallest).mode(RoundMode::Trunc).days_are_24_hours();
    match span.round(rounding) {
        Ok(span) if !span.is_negative() => format!("{span:#}"),
        // The clock was set back.
        _ => "0s".to_owned(),
    }
}

/// Shows a number of bytes in units of 1,024.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// Shows a number with a comma between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Shows a count with its noun, given in the singular: `1 byte`, `2,000 bytes`, `3 entries`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let shown = grouped(number);
    match (number, thing.strip_suffix('y')) {
        (1, _) => format!("{shown} {thing}"),
        (_, Some(stem)) => format!("{shown} {stem}ies"),
        (_, None) => format!("{shown} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(counted(1, "byte"), "1 byte");
        assert_eq!(counted(2_000, "byte"), "2,000 bytes");
        assert_eq!(
            (counted(1, "entry"), counted(0, "entry")),
            ("1 entry".to_owned(), "0 entries".to_owned())
        );
    }

    #[test]
    fn durations_have_no_seconds_from_a_minute_on() {
        let began: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let table = [
            ("2026-11-22T10:00:00.9Z", "0s"),
            ("2026-11-22T10:00:59.9Z", "59s"),
            ("2026-11-22T10:01:59Z", "1m"),
            ("2026-11-24T11:02:03Z", "2d 1h 2m"),
            ("2026-11-22T09:00:00Z", "0s"),
        ];
        for (now, expected) in table {
            assert_eq!(span(now.parse::<Timestamp>().unwrap() - began), expected, "{now}");
        }
    }
}

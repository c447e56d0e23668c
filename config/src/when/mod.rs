//! Times and durations as people write them, on the command line and in requests.

mod chinese;

use std::borrow::Cow;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};

use crate::value::narrowed;

/// What can be written, as a hint for an invalid time.
pub const EXAMPLES: &str =
    "for example 22:00, '2026-11-22 14:00', 2026-11-22T14:00:00+08:00, 10m, 2h, 3d, today, yesterday";

/// Parses a time relative to `now`, in its time zone; `None` if the text is no time. With `since` it is the end of a period
/// that begins then.
///
/// Accepts `2026-11-22 14:00[:05]`, `2026-11-22T14:00`, RFC 3339, a date (its midnight), a duration back from now
/// (`90s`, `1h30m`, `2w`, `-1h`), a month (its beginning), `now`, `today` and `yesterday` (their midnights, or `yesterday 22:00`), also in Chinese
/// (`前天`, `11月22日下午3点半`, `20分钟前`, `两小时前`). A time of day alone is the last one that has passed; as an end it is the first one after
/// `since` if that is later, and `+30s` is so long after `since`. Its hour may have one digit; a date may have slashes. Full-width characters count as those of ASCII.
pub fn parse(text: &str, now: &Zoned, since: Option<Timestamp>) -> Option<Timestamp> {
    let text = narrowed(text);
    let text = chinese::with_digits(text.trim());
    let text = text.as_ref();
    let written = chinese::date_and_time(text, now.date());
    let text = written.as_deref().unwrap_or(text);
    let padded = with_two_digits(text);
    word(&padded, now)
        .or_else(|| time_of_day(&padded, now, since))
        .or_else(|| absolute(&padded, now))
        .or_else(|| match text.strip_prefix('+') {
            Some(span) => later(span, since?, now),
            None => back_from(text, now),
        })
}

fn word(text: &str, now: &Zoned) -> Option<Timestamp> {
    if matches!(text, "now" | "现在") {
        return Some(now.timestamp());
    }
    let (day, time) = text.split_once(' ').unwrap_or((text, ""));
    let date = match day {
        "today" | "今天" | "今日" => now.date(),
        "yesterday" | "昨天" | "昨日" => now.date().yesterday().ok()?,
        "前天" => now.date().checked_sub(Span::new().days(2)).ok()?,
        "大前天" => now.date().checked_sub(Span::new().days(3)).ok()?,
        _ => return None,
    };
    match time {
        "" => Some(date.to_zoned(now.time_zone().clone()).ok()?.start_of_day().ok()?.timestamp()),
        time => on(date, clock(time.trim())?, now),
    }
}

/// Puts a zero before an hour of one digit.
fn with_two_digits(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let hour = text.find(':').and_then(|colon| colon.checked_sub(1)).filter(|hour| is_digit(*hour));
    match hour {
        Some(hour) if hour.checked_sub(1).is_none_or(|before| !is_digit(before)) => {
            Cow::Owned(format!("{}0{}", &text[..hour], &text[hour..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Parses `22:00` and `22:00:05`.
fn time_of_day(text: &str, now: &Zoned, since: Option<Timestamp>) -> Option<Timestamp> {
    let time = clock(text)?;
    let today = on(now.date(), time, now).filter(|today| *today <= now.timestamp());
    let passed = today.or_else(|| on(now.date().yesterday().ok()?, time, now));
    let Some(since) = since else { return passed };
    passed.filter(|passed| *passed > since).or_else(|| first_after(since, time, now))
}

/// Returns the first time after `since` at which the clock shows `time`.
fn first_after(since: Timestamp, time: Time, now: &Zoned) -> Option<Timestamp> {
    let date = since.to_zoned(now.time_zone().clone()).date();
    let same_day = on(date, time, now).filter(|end| *end > since);
    same_day.or_else(|| on(date.tomorrow().ok()?, time, now))
}

/// Returns whether a text is a time of day in digits: `22:00`, `7:00:05`.
pub fn is_time_of_day(text: &str) -> bool {
    clock(&with_two_digits(text)).is_some()
}

fn clock(text: &str) -> Option<Time> {
    let is_clock = text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    text.parse().ok().filter(|_| is_clock)
}

fn on(date: Date, time: Time, now: &Zoned) -> Option<Timestamp> {
    Some(date.to_datetime(time).to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

fn absolute(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    if text.contains('[') {
        return text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp());
    }
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

fn back_from(text: &str, now: &Zoned) -> Option<Timestamp> {
    // `14:00` would parse as fourteen hours.
    if text.contains(':') {
        return None;
    }
    let span: Span = chinese::duration(text).parse().ok()?;
    Some(now.checked_sub(span.abs()).ok()?.timestamp())
}

/// Returns the time so long after the beginning of a period.
fn later(span: &str, since: Timestamp, now: &Zoned) -> Option<Timestamp> {
    if span.contains(':') {
        return None;
    }
    let span: Span = span.parse().ok()?;
    let since = since.to_zoned(now.time_zone().clone());
    (!span.is_negative()).then(|| since.checked_add(span).ok()).flatten().map(|end| end.timestamp())
}

/// Parses a duration such as `1s`, `500ms`, `1m30s`, `2d`, `20分钟`; a number alone counts seconds, a day has 24 hours. `None` if
/// the text is none, or negative.
pub fn duration(text: &str) -> Option<Duration> {
    let text = narrowed(text);
    let text = chinese::with_digits(text.trim());
    let text = text.as_ref();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let text = if is_number { Cow::Owned(format!("{text}s")) } else { chinese::duration(text) };
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

/// Returns the current time, in the time zone of this machine.
pub fn now() -> Zoned {
    Timestamp::now().to_zoned(local_zone())
}

/// Returns the time zone of this machine.
///
/// Reads /etc/localtime directly unless TZ is set: jiff would search the whole database for the name of the zone, which
/// takes as long as the rest of a short command (0.7 of 1.4 ms).
pub fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_none()
        && let Ok(rules) = std::fs::read("/etc/localtime")
        && let Ok(zone) = TimeZone::tzif("Local", &rules)
    {
        return zone;
    }
    TimeZone::system()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of Germany written out, so that no time zone database is needed.
    fn now() -> Zoned {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        "2026-11-22T14:03:05Z".parse::<Timestamp>().unwrap().to_zoned(zone)
    }

    #[test]
    fn times_are_parsed_in_all_notations() {
        let table = [
            ("now", "2026-11-22T14:03:05Z"),
            ("２０２６－１１－２２　１４：００", "2026-11-22T13:00:00Z"),
            ("today", "2026-11-21T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z"),
            ("2026-11-22 14:00", "2026-11-22T13:00:00Z"),
            ("2026-11-22 14:00:05", "2026-11-22T13:00:05Z"),
            ("2026-11-22T14:00", "2026-11-22T13:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z"),
            ("2026-11-22T14:00:00.5+08:00", "2026-11-22T06:00:00.5Z"),
            ("2026-11-22 14:00:00+08:00", "2026-11-22T06:00:00Z"),
            ("2026-11-22T14:00[UTC]", "2026-11-22T14:00:00Z"),
            ("90s", "2026-11-22T14:01:35Z"),
            ("10m", "2026-11-22T13:53:05Z"),
            ("2h", "2026-11-22T12:03:05Z"),
            ("1h30m", "2026-11-22T12:33:05Z"),
            ("1h 30m", "2026-11-22T12:33:05Z"),
            ("10m ago", "2026-11-22T13:53:05Z"),
            ("3d", "2026-11-19T14:03:05Z"),
            ("2w", "2026-11-08T14:03:05Z"),
            // 35 days ago was summer time: the same time of the day, an hour less of UTC.
            ("35d", "2026-10-18T13:03:05Z"),
            (" today ", "2026-11-21T23:00:00Z"),
            ("今天", "2026-11-21T23:00:00Z"),
            ("昨天", "2026-11-20T23:00:00Z"),
            ("昨天 7:00", "2026-11-21T06:00:00Z"),
            ("昨日", "2026-11-20T23:00:00Z"),
            ("今日 7:00", "2026-11-22T06:00:00Z"),
            ("现在", "2026-11-22T14:03:05Z"),
            ("前天", "2026-11-19T23:00:00Z"),
            ("前天7:00", "2026-11-20T06:00:00Z"),
            ("大前天", "2026-11-18T23:00:00Z"),
            ("昨天下午3点半", "2026-11-21T14:30:00Z"),
            ("20分钟", "2026-11-22T13:43:05Z"),
            ("２０分钟前", "2026-11-22T13:43:05Z"),
            ("1小时30分钟前", "2026-11-22T12:33:05Z"),
            ("半小时前", "2026-11-22T13:33:05Z"),
            ("三十分钟前", "2026-11-22T13:33:05Z"),
            ("两小时前", "2026-11-22T12:03:05Z"),
            ("二〇二六年十一月二十日七点零五分", "2026-11-20T06:05:00Z"),
            ("昨天晚上十点半", "2026-11-21T21:30:00Z"),
            ("3个小时以前", "2026-11-22T11:03:05Z"),
            ("2天", "2026-11-20T14:03:05Z"),
            ("1周", "2026-11-15T14:03:05Z"),
            ("-1h", "2026-11-22T13:03:05Z"),
            ("2026/11/21", "2026-11-20T23:00:00Z"),
            ("2026/1/5 8:00:30", "2026-01-05T07:00:30Z"),
            ("2026-1-5", "2026-01-04T23:00:00Z"),
            ("2026-11", "2026-10-31T23:00:00Z"),
            ("2026/1", "2025-12-31T23:00:00Z"),
            ("2026年11月", "2026-10-31T23:00:00Z"),
            ("二〇二六年十一月", "2026-10-31T23:00:00Z"),
            ("2026年11月21日", "2026-11-20T23:00:00Z"),
            ("2026年11月21日14点30分", "2026-11-21T13:30:00Z"),
            ("11月21日 上午8点", "2026-11-21T07:00:00Z"),
            // The last one that has passed.
            ("12月1日", "2025-11-30T23:00:00Z"),
            ("上午8点", "2026-11-22T07:00:00Z"),
            ("8点", "2026-11-22T07:00:00Z"),
            ("下午3点", "2026-11-22T14:00:00Z"),
            ("晚上8:05", "2026-11-21T19:05:00Z"),
            ("中午12点", "2026-11-22T11:00:00Z"),
            ("凌晨2点15分10秒", "2026-11-22T01:15:10Z"),
        ];
        for (text, expected) in table {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(parse(text, &now(), None).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_last_one_that_has_passed() {
        // It is 15:03:05 there.
        let table = [
            ("15:03", "2026-11-22T14:03:00Z"),
            ("15:03:05", "2026-11-22T14:03:05Z"),
            ("15:04", "2026-11-21T14:04:00Z"),
            ("22:00", "2026-11-21T21:00:00Z"),
            ("yesterday 10:00", "2026-11-21T09:00:00Z"),
            ("today 22:00", "2026-11-22T21:00:00Z"),
            ("7:00", "2026-11-22T06:00:00Z"),
            ("7:00:05", "2026-11-22T06:00:05Z"),
            ("today 7:00", "2026-11-22T06:00:00Z"),
            ("yesterday 7:00", "2026-11-21T06:00:00Z"),
            ("2026-11-22 7:00", "2026-11-22T06:00:00Z"),
            ("2026-11-22T7:00:00+08:00", "2026-11-21T23:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text, &now(), None).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_period_ends_after_it_begins() {
        let end = |since: &str, until: &str| {
            let since = parse(since, &now(), None).unwrap();
            parse(until, &now(), Some(since)).unwrap().to_string()
        };
        assert_eq!(end("14:00", "16:00"), "2026-11-22T15:00:00Z");
        assert_eq!(end("22:00", "23:00"), "2026-11-21T22:00:00Z");
        assert_eq!(end("22:00", "01:00"), "2026-11-22T00:00:00Z");
        // The last one that has passed, however long ago the period began.
        assert_eq!(end("3d", "14:48"), "2026-11-22T13:48:00Z");
        assert_eq!(end("3d", "15:48"), "2026-11-21T14:48:00Z");
        assert_eq!(end("3d", "9:00"), "2026-11-22T08:00:00Z");
        assert_eq!(end("2026-11-20", "15:03:05"), "2026-11-22T14:03:05Z");
        // All that have passed are before it.
        assert_eq!(end("today 14:00", "13:00"), "2026-11-23T12:00:00Z");
        assert_eq!(parse("16:00", &now(), None).unwrap().to_string(), "2026-11-21T15:00:00Z");
        assert_eq!(end("today 14:00", "+30s"), "2026-11-22T13:00:30Z");
        assert_eq!(end("2026-11-20", "+1d12h"), "2026-11-21T11:00:00Z");
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "10",
            "soon",
            "2026-13-01",
            "2026-13",
            "26-11",
            "2026-1-",
            // After now, there is nothing; nothing says after what else.
            "+2h",
            "2026-11-22 25:00",
            "25:00",
            "14:",
            ":30",
            "x7:00",
            "7:0",
            "tomorrow 9:00",
            "m",
            "9999999y",
            "2026/13/01",
            "2026年13月1日",
            "晚上12点",
            "上午13点",
            "8点60分",
            "前天x",
            "分钟",
            "分钟前",
            "十十分钟前",
            "一二十分钟前",
            "上百年前",
        ] {
            assert_eq!(parse(text, &now(), None), None, "{text}");
        }
    }

    #[test]
    fn durations_are_parsed_with_their_units() {
        for (text, milliseconds) in [
            ("1s", 1_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            (" 1.5s ", 1_500),
            ("0s", 0),
            ("5", 5_000),
            ("0.5", 500),
            ("１．５ｓ", 1_500),
            ("2d", 172_800_000),
            ("1d12h", 129_600_000),
            ("1秒", 1_000),
            ("500毫秒", 500),
            ("1分30秒", 90_000),
            ("2天", 172_800_000),
            ("半小时", 1_800_000),
            ("九十秒", 90_000),
            ("两分钟", 120_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-1", ".", "-1s", "soon", "1mo", "1个月", "1年", "秒"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}

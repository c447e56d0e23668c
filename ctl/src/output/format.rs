//! How numbers, sizes, times and encodings are shown to people.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, SpanRound, Timestamp, Unit};
use udpchat_api::call::{Peer, Refusal};
use udpchat_api::{EncodingBy, safe};
use udpchat_config::peer_table;
use udpchat_locale::tr;

/// Names what chose an encoding.
pub(crate) fn chosen_by(by: EncodingBy) -> &'static str {
    match by {
        EncodingBy::Given => tr!("given"),
        EncodingBy::Configured => tr!("configured"),
        EncodingBy::Remembered => tr!("remembered"),
        EncodingBy::Detected => tr!("detected"),
        EncodingBy::Fallback => tr!("fallback"),
    }
}

/// Names the key of the encoding of a peer in the configuration.
pub(crate) fn encoding_key(name: &str) -> String {
    format!("`{} encoding`", safe::one_line(&peer_table(name)))
}

/// Names what chose the encoding of messages to a peer.
pub(crate) fn encoding_chosen_by(peer: &Peer) -> &'static str {
    if peer.encoding_is_default { tr!("default") } else { chosen_by(peer.encoding_by) }
}

/// Shows a number with as few digits as identify it.
pub(crate) fn shown_number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e17).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// Shows a time: local date and time, to the second.
pub(crate) fn local_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Writes a time as spreadsheets read it: local date and time, to the millisecond, which is as exact as Excel is.
pub(crate) fn local_milliseconds(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Shows a time: local date and time, to the minute.
pub(crate) fn local_minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Shows an address, behind the name of its peer if it has one.
pub(crate) fn named(name: Option<&str>, address: &str) -> String {
    match name {
        Some(name) => tr!("{name} ({address})", name, address),
        None => address.to_owned(),
    }
}

/// Shows an address whose datagrams were dropped: how many, and when the last.
pub(crate) fn refused(refusal: &Refusal, zone: &TimeZone) -> String {
    let Refusal { address, name, datagrams, at } = refusal;
    let (address, time) = (named(name.as_deref(), address), local_time(*at, zone));
    let address = safe::one_line(&address);
    tr!("{address} ({datagrams}, at {time})", address, datagrams = grouped(*datagrams), time)
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
        Ok(span) if !span.is_negative() => in_units(&span),
        // The clock was set back.
        _ => in_units(&Span::new()),
    }
}

/// Shows a duration in hours, minutes, seconds and milliseconds.
pub(crate) fn duration(duration: Duration) -> String {
    let rounding = SpanRound::new().largest(Unit::Hour).smallest(Unit::Millisecond);
    let rounded = Span::try_from(duration).and_then(|span| span.round(rounding));
    // What is too long for a span ends at no time that anybody awaits.
    rounded.map_or_else(|_| format!("{duration:?}"), |span| in_units(&span))
}

/// Shows the units of a duration that are not 0.
fn in_units(span: &Span) -> String {
    let units = [
        (span.get_days().into(), tr!("d")),
        (span.get_hours().into(), tr!("h")),
        (span.get_minutes(), tr!("m")),
        (span.get_seconds(), tr!("s")),
        (span.get_milliseconds(), tr!("ms")),
    ];
    let shown: Vec<String> = units
        .into_iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| quantity(number, unit))
        .collect();
    if shown.is_empty() { quantity(0, tr!("s")) } else { shown.join(" ") }
}

/// Puts a unit behind a number; a Chinese unit is a word, with a space before it.
fn quantity(number: i64, unit: &str) -> String {
    let space = if unit.is_ascii() { "" } else { " " };
    format!("{number}{space}{unit}")
}

/// Returns an address without its port; the interface belongs to it.
pub(crate) fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
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
    let is_one = number == 1;
    let number = grouped(number);
    match (thing, is_one) {
        ("byte", true) => tr!("1 byte").to_owned(),
        ("byte", false) => tr!("{number} bytes", number),
        ("datagram", true) => tr!("1 datagram").to_owned(),
        ("datagram", false) => tr!("{number} datagrams", number),
        ("entry", true) => tr!("1 entry").to_owned(),
        ("entry", false) => tr!("{number} entries", number),
        ("gap", true) => tr!("1 gap").to_owned(),
        ("gap", false) => tr!("{number} gaps", number),
        ("line", true) => tr!("1 line").to_owned(),
        ("line", false) => tr!("{number} lines", number),
        ("message", true) => tr!("1 message").to_owned(),
        ("message", false) => tr!("{number} messages", number),
        ("packet", true) => tr!("1 packet").to_owned(),
        ("packet", false) => tr!("{number} packets", number),
        ("problem", true) => tr!("1 problem").to_owned(),
        ("problem", false) => tr!("{number} problems", number),
        (thing, true) => format!("{number} {thing}"),
        (thing, false) => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use udpchat_locale::{Language, with_language};

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
        let chinese = with_language(Language::Chinese, || [counted(1, "entry"), counted(2_000, "byte")]);
        assert_eq!(chinese, ["1 个条目", "2,000 字节"]);
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
        let two_days = || span("2026-11-24T11:02:03Z".parse::<Timestamp>().unwrap() - began);
        assert_eq!(with_language(Language::Chinese, two_days), "2 天 1 小时 2 分钟");
    }

    #[test]
    fn a_time_limit_is_shown_to_the_millisecond() {
        for (milliseconds, expected) in
            [(0, "0s"), (500, "500ms"), (90_500, "1m 30s 500ms"), (7_200_000, "2h")]
        {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
        let chinese = with_language(Language::Chinese, || duration(Duration::from_millis(90_500)));
        assert_eq!(chinese, "1 分钟 30 秒 500 毫秒");
    }
}

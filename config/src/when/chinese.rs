//! Times and durations as they are written in Chinese, and dates with slashes or without zeros, in the notation that the parser
//! reads.

use std::borrow::Cow;

use jiff::civil::{Date, Time};

/// The units of a duration; those that another one ends with come first.
const UNITS: [(&str, &str); 13] = [
    ("毫秒", "ms"),
    ("秒钟", "s"),
    ("秒", "s"),
    ("分钟", "m"),
    ("分", "m"),
    ("个小时", "h"),
    ("小时", "h"),
    ("个月", "mo"),
    ("天", "d"),
    ("个星期", "w"),
    ("星期", "w"),
    ("周", "w"),
    ("年", "y"),
];

/// What stands behind a duration that ends now.
const BACK: [&str; 3] = ["之前", "以前", "前"];

/// The parts of a day, and whether their hours up to 11 are those of the afternoon.
const PARTS: [(&str, bool); 9] = [
    ("凌晨", false),
    ("清晨", false),
    ("早上", false),
    ("上午", false),
    ("中午", false),
    ("下午", true),
    ("傍晚", true),
    ("晚上", true),
    ("夜里", true),
];

/// The hour from which `中午` counts on, as in `中午1点`.
const NOON: i8 = 12;

/// Days that stand before a time of day.
const DAYS: [&str; 8] = ["today", "yesterday", "今天", "今日", "昨天", "昨日", "前天", "大前天"];

/// The digits from 0 on, and one that is written before units.
const DIGITS: [(char, char); 12] = [
    ('零', '0'),
    ('〇', '0'),
    ('一', '1'),
    ('二', '2'),
    ('两', '2'),
    ('三', '3'),
    ('四', '4'),
    ('五', '5'),
    ('六', '6'),
    ('七', '7'),
    ('八', '8'),
    ('九', '9'),
];

/// Returns a text with its Chinese numbers in digits: `二十分钟前` as `20分钟前`, `两小时` as `2小时`, `二〇二六年` as `2026年`. Numbers above
/// 99 are converted only if they are written digit by digit.
pub(super) fn with_digits(text: &str) -> Cow<'_, str> {
    let is_numeral = |character: char| character == '十' || digit(character).is_some();
    if !text.contains(is_numeral) {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_numeral) {
        let (before, tail) = rest.split_at(start);
        let (numeral, after) =
            tail.split_at(tail.find(|character| !is_numeral(character)).unwrap_or(tail.len()));
        made.push_str(before);
        made.push_str(&in_digits(numeral).unwrap_or_else(|| numeral.to_owned()));
        rest = after;
    }
    made.push_str(rest);
    Cow::Owned(made)
}

fn digit(character: char) -> Option<char> {
    DIGITS.into_iter().find(|(chinese, _)| *chinese == character).map(|(_, digit)| digit)
}

/// Returns a number of digits, or of tens and ones: `二十一`, `十`.
fn in_digits(numeral: &str) -> Option<String> {
    let digits = |text: &str| text.chars().map(digit).collect::<Option<String>>();
    let Some((tens, ones)) = numeral.split_once('十') else { return digits(numeral) };
    let one = |text: &str, none: &str| match text {
        "" => Some(none.to_owned()),
        text => digits(text).filter(|digits| digits.len() == 1),
    };
    Some(one(tens, "1")? + &one(ones, "0")?)
}

/// Returns a duration such as `1小时30分钟前` as `1h30m`; others stay as they are.
pub(super) fn duration(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let text = BACK.iter().find_map(|back| text.strip_suffix(back)).unwrap_or(text).trim_end();
    let text = text.replace("半个小时", "30m").replace("半小时", "30m");
    Cow::Owned(UNITS.iter().fold(text, |text, (unit, short)| text.replace(unit, short)))
}

/// Returns a date, a time of day or both as `2026-11-28 08:00:00`, where they are written with slashes, without zeros or in
/// Chinese. None if the text is none of these.
pub(super) fn date_and_time(text: &str, today: Date) -> Option<String> {
    let (day, rest) = day(text, today).unwrap_or_default();
    let rest = if day.is_empty() { text } else { rest }.trim_start();
    let time = if rest.is_empty() { None } else { Some(clock(rest)?.strftime("%H:%M:%S").to_string()) };
    Some(
        [Some(day), time].into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
    )
}

/// Reads a day at the beginning of a text; returns it as a word or as `2026-11-28`, and what follows.
fn day(text: &str, today: Date) -> Option<(String, &str)> {
    if let Some(word) = DAYS.into_iter().find(|word| text.starts_with(word)) {
        return Some((word.to_owned(), &text[word.len()..]));
    }
    let (first, rest) = number(text, 4)?;
    let (date, rest) = if let Some(rest) = rest.strip_prefix('月') {
        // Without a year, it is the last one that has passed.
        let (date, rest) = of_month(today.year(), first, rest, &["日", "号"])?;
        (if date > today { date.with().year(today.year() - 1).build().ok()? } else { date }, rest)
    } else if let Some(rest) = rest.strip_prefix('年') {
        let (month, rest) = number(rest, 2)?;
        match rest.strip_prefix('月')? {
            "" => (beginning_of(first, month)?, ""),
            rest => of_month(first, month, rest, &["日", "号"])?,
        }
    } else {
        let sign = if rest.starts_with('/') { '/' } else { '-' };
        let (month, rest) = number(rest.strip_prefix(sign)?, 2)?;
        match rest {
            // A year of two digits would be the day of a month to some.
            "" if first > 99 => (beginning_of(first, month)?, ""),
            rest => of_month(first, month, rest.strip_prefix(sign)?, &[""])?,
        }
    };
    Some((date.to_string(), rest))
}

fn beginning_of(year: i16, month: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, 1).ok()
}

/// Reads the day of a month, with one of `ends` behind it.
fn of_month<'a>(year: i16, month: i16, rest: &'a str, ends: &[&str]) -> Option<(Date, &'a str)> {
    let (day, rest) = number(rest, 2)?;
    let rest = ends.iter().find_map(|end| rest.strip_prefix(end))?;
    Some((Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?, rest))
}

/// Parses a time of day: `7:00`, `22:00:05`, `8点`, `上午8点30分`, `下午3点半`, `晚上8:00`.
fn clock(text: &str) -> Option<Time> {
    let part = PARTS.iter().find(|(part, _)| text.starts_with(part));
    let rest = part.map_or(text, |(part, _)| &text[part.len()..]).trim_start();
    let (hour, rest) = number(rest, 2)?;
    let hour = of_day(i8::try_from(hour).ok()?, part.copied())?;
    if let Some(rest) = rest.strip_prefix(':') {
        let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
        return Time::new(hour, two_digits(minute)?, two_digits(second)?, 0).ok();
    }
    let rest = rest.strip_prefix('点').or_else(|| rest.strip_prefix('时'))?;
    let (minute, rest) = match rest {
        "" | "整" => (0, ""),
        "半" => (30, ""),
        rest => number(rest, 2).map(|(minute, rest)| (minute, rest.strip_prefix('分').unwrap_or(rest)))?,
    };
    let second = match rest {
        "" => 0,
        rest => number(rest, 2).filter(|(_, end)| *end == "秒")?.0,
    };
    Time::new(hour, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()
}

/// Returns the hour of the day that an hour is in a part of it. Midnight at `晚上12点` belongs to two days and is none.
fn of_day(hour: i8, part: Option<(&str, bool)>) -> Option<i8> {
    match part {
        Some(("中午", _)) if hour < 4 => Some(hour + NOON),
        Some((_, true)) if hour < NOON => Some(hour + NOON),
        Some(("晚上" | "夜里", _)) if hour == NOON => None,
        Some(("凌晨", _)) if hour == NOON => Some(0),
        Some((_, false)) if hour > NOON => None,
        _ => Some(hour),
    }
}

fn two_digits(text: &str) -> Option<i8> {
    number(text, 2)
        .filter(|(_, rest)| text.len() == 2 && rest.is_empty())
        .and_then(|(value, _)| value.try_into().ok())
}

/// Reads a number of at most so many digits at the beginning of a text.
fn number(text: &str, most: usize) -> Option<(i16, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=most).contains(&digits) {
        return None;
    }
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

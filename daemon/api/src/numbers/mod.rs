//! The numbers that a message holds, with their names, as devices send them.
//!
//! | line | numbers |
//! |---|---|
//! | `{"t":21.4,"acc":{"x":1},"v":[3],"on":true}` | `t`, `acc.x`, `v.0`, `on` (1 or 0) |
//! | `>temp:1627551892437:21.4§°C\|g` (teleplot) | `temp` |
//! | `$GPGGA,175308.00,2745.71,N,...*4D` (NMEA 0183) | `GPGGA.1`, `GPGGA.2`; fields without a number have none |
//! | `temp=21.4 hum: 48%`, `温度：21.4`, `温度＝２１．４` | `temp`, `hum`, `温度`; a unit may follow |
//! | `status=0x1F` | `status`, which is 31 |
//! | `adc[0]=512 adc[1]=600` | `adc[0]`, `adc[1]` |
//! | `1.5, 2; 3` | `1`, `2`, `3`: the columns |
//!
//! Each line of a message is one of these. Numbers that are not finite are left out. Invalid JSON, such as `{"t":21.4,"h":NaN}`,
//! is read as `name:value`. Behind a name, a part of something longer is no number: a time, a date, a range, an address, a version,
//! and a whole number with a comma and a digit behind it, since `21,5`, `1,234` and `1,2,3` mean different things. A message that is
//! shown as bytes has none: hex digits are not numbers.
//!
//! A name may occur several times in a message. All occurrences are in the result: a plot has a point for each, a table a
//! row, and a condition holds if it holds for one of them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// How many numbers a message has at most; further ones are left out.
pub const MAX_NUMBERS: usize = 256;

/// How long the name of a number is at most, in bytes; others are left out.
const MAX_NAME_BYTES: usize = 256;

/// How many items of a list in JSON are numbers at most.
const MAX_ITEMS: usize = 64;

/// The `encoding` of messages whose text is the hex digits of their bytes.
pub const BYTES: &str = "hex";

/// Returns the numbers of a message, at most [`MAX_NUMBERS`], in the order of its text.
pub fn numbers(encoding: &str, text: &str) -> Vec<(String, f64)> {
    if encoding == BYTES { Vec::new() } else { numbers_in(text) }
}

fn numbers_in(text: &str) -> Vec<(String, f64)> {
    let mut found = Found(Vec::new());
    for line in text.split(['\n', '\r', '\0']).map(str::trim).filter(|line| !line.is_empty()) {
        if found.0.len() == MAX_NUMBERS {
            break;
        }
        let is_read = json(line, &mut found) || teleplot(line, &mut found) || nmea(line, &mut found);
        if !is_read && !pairs(line, &mut found) {
            columns(line, &mut found);
        }
    }
    found.0
}

/// The numbers found so far.
struct Found(Vec<(String, f64)>);

impl Found {
    fn push(&mut self, name: &str, value: f64) {
        if self.0.len() < MAX_NUMBERS && name.len() <= MAX_NAME_BYTES && value.is_finite() {
            self.0.push((name.to_owned(), value));
        }
    }
}

/// Reads the number at the beginning of a text, also in full-width characters; returns it and its length in bytes.
fn leading_number(text: &str) -> Option<(f64, usize)> {
    let of_number = || text.chars().take_while(|character| narrow(*character).is_some());
    if of_number().all(|character| character.is_ascii()) {
        return leading_ascii_number(text);
    }
    let narrowed: String = of_number().filter_map(narrow).collect();
    let (value, length) = leading_ascii_number(&narrowed)?;
    // Each character became one of one byte.
    Some((value, text.chars().take(length).map(char::len_utf8).sum()))
}

/// Returns the ASCII character that a character of a decimal number stands for.
fn narrow(character: char) -> Option<char> {
    match character {
        '0'..='9' | '+' | '-' | '.' | 'e' | 'E' => Some(character),
        '０'..='９' => char::from_digit(u32::from(character) - u32::from('０'), 10),
        '＋' => Some('+'),
        '－' | '−' => Some('-'),
        '．' => Some('.'),
        _ => None,
    }
}

fn leading_ascii_number(text: &str) -> Option<(f64, usize)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        return hexadecimal(digits).map(|(value, length)| {
            let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
            (sign * value, text.len() - digits.len() + length)
        });
    }
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let mut end = sign + whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    Some((text[..end].parse().ok()?, end))
}

/// Reads the hex digits at the beginning of a text, if these are a whole number that ends there; returns it and its length.
fn hexadecimal(text: &str) -> Option<(f64, usize)> {
    let length = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, behind) = text.split_at(length);
    let value = u64::from_str_radix(digits, 16).ok().filter(|_| !behind.starts_with(is_word))?;
    Some((value as f64, length))
}

/// Returns the number that a whole text is.
fn whole_number(text: &str) -> Option<f64> {
    leading_number(text).filter(|(_, length)| *length == text.len()).map(|(value, _)| value)
}

/// Reads `name:value` and `name=value` anywhere in a line; returns whether there is one.
fn pairs(line: &str, found: &mut Found) -> bool {
    let (mut at, mut before, mut any) = (0, None, false);
    while let Some(character) = line[at..].chars().next() {
        let is_free = !before.is_some_and(|before| is_word(before) || before == '.');
        if !(is_free && is_first(character)) {
            (at, before) = (at + character.len_utf8(), Some(character));
            continue;
        }
        let name = &line[at..];
        let word = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
        let name = &name[..word + index_length(&name[word..])];
        let end = match value_behind(line, at + name.len()) {
            Some((_, end)) if is_hour(name) => end,
            Some((value, end)) => {
                found.push(name, value);
                any = true;
                end
            }
            None => at + name.len(),
        };
        before = line[..end].chars().next_back();
        at = end;
    }
    any
}

/// Returns how long the indices are that a text begins with, such as `[0]` and `[1][2]`.
fn index_length(text: &str) -> usize {
    let mut rest = text;
    while let Some(index) = rest.strip_prefix('[') {
        let digits = index.bytes().take_while(u8::is_ascii_digit).count();
        match index[digits..].strip_prefix(']') {
            Some(behind) if digits > 0 => rest = behind,
            _ => break,
        }
    }
    text.len() - rest.len()
}

/// Reads a separator and a number at an offset of a line; returns the number and where it ends. A quotation mark may end the
/// name, as in JSON.
fn value_behind(line: &str, at: usize) -> Option<(f64, usize)> {
    let behind = &line[at..];
    let behind = behind.strip_prefix('"').unwrap_or(behind);
    let behind = behind.trim_start_matches(BLANK).strip_prefix(SIGNS)?.trim_start_matches(BLANK);
    let (value, length) = leading_number(behind)?;
    let (number, next) = behind.split_at(length);
    (!is_part(number, next)).then(|| (value, line.len() - next.len()))
}

/// Returns whether a number is a part of something longer, with `next` behind it.
fn is_part(number: &str, next: &str) -> bool {
    let digit_behind = |sign| {
        let mut characters = next.chars();
        characters.next().is_some_and(|next| narrow(next).unwrap_or(next) == sign)
            && characters.next().is_some_and(is_digit)
    };
    let is_whole = number.chars().all(|digit| is_digit(digit) || matches!(narrow(digit), Some('+' | '-')));
    let is_date = || {
        let Some(rest) = next.strip_prefix('/') else { return false };
        let rest = rest.trim_start_matches(is_digit);
        rest.len() + 1 < next.len() && rest.strip_prefix('/').is_some_and(|rest| rest.starts_with(is_digit))
    };
    next.starts_with(SIGNS)
        || next.starts_with(is_digit)
        || digit_behind('.')
        || digit_behind('-')
        || (is_whole && digit_behind(','))
        || is_date()
        || is_duration(next)
}

/// Returns whether a unit of time with a further number stands behind a number, as in `1d02h03m` and `1h30`; `m2` and `m3` are
/// units.
fn is_duration(next: &str) -> bool {
    let unit = next.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(next.len());
    let (unit, rest) = next.split_at(unit);
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let is_of_length =
        unit == "m" && matches!(&rest[..digits], "2" | "3") && !rest[digits..].starts_with(is_word);
    matches!(unit, "d" | "h" | "m" | "min" | "s") && digits > 0 && !is_of_length
}

/// What may stand around a separator.
const BLANK: [char; 3] = [' ', '\t', '\u{3000}'];

/// What stands between a name and its value, also as Chinese keyboards make it.
const SIGNS: [char; 4] = [':', '=', '：', '＝'];

fn is_digit(character: char) -> bool {
    matches!(character, '0'..='9' | '０'..='９')
}

fn is_first(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn is_of_name(character: char) -> bool {
    is_word(character) || matches!(character, '.' | '/' | '-')
}

/// Reads a line of nothing but numbers; one comma, semicolon or some blanks are between them. One may be at
/// the end.
fn columns(line: &str, found: &mut Found) {
    let (mut values, mut rest) = (Vec::new(), line);
    loop {
        let Some((value, length)) = leading_number(rest) else { return };
        if values.len() < MAX_NUMBERS {
            values.push(value);
        }
        rest = &rest[length..];
        let behind = rest.trim_start_matches(BLANK);
        let behind = behind.strip_prefix([',', ';', '，', '；']).unwrap_or(behind).trim_start_matches(BLANK);
        if behind.is_empty() {
            break;
        }
        if behind.len() == rest.len() {
            return;
        }
        rest = behind;
    }
    for (place, value) in (1..).zip(values) {
        found.push(&i32::to_string(&place), value);
    }
}

/// Reads `name:time:value`, with a unit behind `§` and flags behind `|` (<https://github.com/nesnes/teleplot>).
fn teleplot(line: &str, found: &mut Found) -> bool {
    let parsed = || {
        let behind = line.strip_prefix('>');
        let (name, rest) = behind.unwrap_or(line).split_once(':')?;
        let is_name = name.starts_with(is_first) && name.chars().all(|c| is_of_name(c) || c == ' ');
        let (time, rest) = rest.split_once(':')?;
        let is_time = time.starts_with(|first: char| first.is_ascii_digit())
            && time.ends_with(|last: char| last.is_ascii_digit())
            && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && time.bytes().filter(|byte| *byte == b'.').count() <= 1;
        let (value, length) = leading_number(rest)?;
        let (unit, flags) = rest[length..].split_once('|').unwrap_or((&rest[length..], ""));
        // `now 03:15:40`: the hour would be the end of the name.
        let is_clock = behind.is_none() && ends_with_hour(name) && time.len() == 2 && rest.len() == 2;
        let is_end = (unit.is_empty() || unit.starts_with('§')) && flags.chars().all(is_word);
        (is_name && is_time && is_end && !is_clock).then_some((name, value))
    };
    match parsed() {
        Some((name, value)) => {
            found.push(name, value);
            true
        }
        None => false,
    }
}

/// Returns whether a text ends with a number of one or two digits.
fn ends_with_hour(text: &str) -> bool {
    let digits = text.chars().rev().take_while(|character| is_digit(*character)).count();
    (1..=2).contains(&digits)
}

/// The parts of a day in Chinese, behind which an hour stands: `下午3:15`.
const DAY_PARTS: [&str; 7] = ["凌晨", "早上", "上午", "中午", "下午", "傍晚", "晚上"];

/// Returns whether a name is a part of a day with an hour.
fn is_hour(name: &str) -> bool {
    let hour = DAY_PARTS.iter().find_map(|part| name.strip_prefix(part));
    hour.is_some_and(|hour| ends_with_hour(hour) && hour.chars().all(is_digit))
}

/// Reads a sentence of NMEA 0183: the fields that are numbers, by their place. One with a wrong checksum has none.
fn nmea(line: &str, found: &mut Found) -> bool {
    let Some(line) = line.strip_prefix(['$', '!']) else { return false };
    let Some((sentence, fields)) = line.split_once(',') else { return false };
    let capitals = sentence.bytes().take_while(u8::is_ascii_uppercase).count();
    if capitals < 2 || !sentence.chars().all(is_word) {
        return false;
    }
    if !is_checksum_right(line) {
        return true;
    }
    let fields = fields.split('*').next().unwrap_or_default();
    for (place, field) in (1..).zip(fields.split(',')) {
        if let Some(value) = whole_number(field) {
            found.push(&format!("{sentence}.{}", i32::to_string(&place)), value);
        }
    }
    true
}

/// Returns whether the checksum of a sentence is right or absent: two hexadecimal digits behind `*`, the exclusive or of the bytes
/// between `$` and `*` (NMEA 0183). What a device writes behind them does not matter.
fn is_checksum_right(line: &str) -> bool {
    let Some((sentence, digits)) = line.split_once('*') else { return true };
    let sum = sentence.bytes().fold(0, |sum, byte| sum ^ byte);
    digits.get(..2).is_some_and(|digits| digits.eq_ignore_ascii_case(&format!("{sum:02X}")))
}

/// Reads an object in JSON; returns whether the line is one.
fn json(line: &str, found: &mut Found) -> bool {
    if !line.starts_with('{') {
        return false;
    }
    let before = found.0.len();
    let mut reader = serde_json::Deserializer::from_str(line);
    let read = Flat { name: &mut String::new(), found }.deserialize(&mut reader).and_then(|()| reader.end());
    if read.is_err() {
        found.0.truncate(before);
    }
    read.is_ok()
}

/// Reads a value in JSON whose path is `name`; its numbers are found.
struct Flat<'a> {
    name: &'a mut String,
    found: &'a mut Found,
}

impl Flat<'_> {
    /// Returns what reads the value of a key.
    fn inside(&mut self, key: &str) -> (usize, Flat<'_>) {
        let length = self.name.len();
        // A longer name is left out anyway.
        if length <= MAX_NAME_BYTES {
            if length > 0 {
                self.name.push('.');
            }
            self.name.push_str(key);
        }
        (length, Flat { name: self.name, found: self.found })
    }
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.found.push(self.name, f64::from(u8::from(value)));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.found.push(self.name, value as f64);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.found.push(self.name, value as f64);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.found.push(self.name, value);
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for place in 0..MAX_ITEMS {
            let (length, inside) = self.inside(&place.to_string());
            let item = items.next_element_seed(inside)?;
            self.name.truncate(length);
            if item.is_none() {
                return Ok(());
            }
        }
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let (length, inside) = self.inside(&key);
            map.next_value_seed(inside)?;
            self.name.truncate(length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

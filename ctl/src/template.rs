//! Templates: text with fields in double braces, such as `{{time:%H:%M:%S}}`. `send --fill` and `inbox -F` use them.
//!
//! `{{{{` is `{{`. What follows a colon, which may be full-width, is the form of the value: a width with or without a zero in
//! front, and `x` or `X` behind it for hexadecimal digits, with
//! `:le` for the least significant byte first, or for times the directives of strftime(3).

use std::fmt::Write as _;

use jiff::fmt::strtime;
use jiff::{Timestamp, tz::TimeZone};
use udpchat_locale::tr;

/// The form of a time without one of its own.
pub(crate) const DEFAULT_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// The most characters that a number may be padded to.
const MAX_WIDTH: usize = 64;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template<F> {
    pieces: Vec<Piece<F>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<F> {
    Text(String),
    Field(F),
}

impl<F> Template<F> {
    /// Parses a template; `field` makes a field of its name and its form, which is empty if there is none.
    ///
    /// # Errors
    /// A field is not closed, or `field` refuses it; the error is a message for people.
    pub(crate) fn parse(text: &str, field: impl Fn(&str, &str) -> Result<F, String>) -> Result<Self, String> {
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("{{") {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 2..];
            if let Some(after) = rest.strip_prefix("{{") {
                literal.push_str("{{");
                rest = after;
                continue;
            }
            let Some((inside, after)) = rest.split_once("}}") else {
                let shown: String = rest.chars().take(20).collect();
                return Err(tr!(
                    "`{open}{shown}` has no `{close}`; `{literal}` is `{open}`",
                    open = "{{",
                    close = "}}",
                    literal = "{{{{",
                    shown
                ));
            };
            let (name, form) = inside.split_once([':', '：']).unwrap_or((inside, ""));
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field(field(name.trim(), form)?));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// Returns the fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &F> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(field) => Some(field),
            Piece::Text(_) => None,
        })
    }

    /// Returns the texts between the fields.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Field(_) => None,
        })
    }

    /// Returns the text, in which `write` writes the value of each field.
    pub(crate) fn fill(&self, mut write: impl FnMut(&F, &mut String)) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Field(field) => write(field, &mut text),
            }
        }
        text
    }
}

/// How a whole number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Width {
    least: usize,
    zeros: bool,
    digits: Digits,
    /// Whether the bytes are in the other order: the least significant first.
    is_reversed: bool,
}

/// The digits of a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Digits {
    #[default]
    Decimal,
    LowerHex,
    UpperHex,
}

impl Width {
    /// Parses `4`, `04`, `x`, `4x`, `04x` or `04X`; nothing pads nothing. `:le` behind `04x` is for the least significant byte
    /// first, `:be` for the most significant one.
    ///
    /// # Errors
    /// Anything else; the error is a message for people.
    pub(crate) fn parse(form: &str) -> Result<Self, String> {
        let (width, order) = form.rsplit_once([':', '：']).unwrap_or(("", form));
        let is_reversed = order.eq_ignore_ascii_case("le");
        let width = match is_reversed || order.eq_ignore_ascii_case("be") {
            true => Self::without_order(width)?,
            false => return Self::without_order(form),
        };
        let is_bytes = width.is_fixed() && width.least.is_multiple_of(2) && (2..=16).contains(&width.least);
        match is_bytes {
            true => Ok(Self { is_reversed, ..width }),
            false => Err(tr!(
                "`{form}` needs an even number of digits with a zero in front, at most 16, for example 04x:le: the bytes are reversed",
                form
            )),
        }
    }

    fn without_order(form: &str) -> Result<Self, String> {
        let (width, digits) = match (form.strip_suffix('x'), form.strip_suffix('X')) {
            (Some(width), _) => (width, Digits::LowerHex),
            (None, Some(width)) => (width, Digits::UpperHex),
            (None, None) => (form, Digits::Decimal),
        };
        let zeros = width.starts_with('0') && width.len() > 1;
        match width.parse() {
            _ if width.is_empty() => Ok(Self { digits, ..Self::default() }),
            Ok(least) if least <= MAX_WIDTH && !width.starts_with('+') => {
                Ok(Self { least, zeros, digits, ..Self::default() })
            }
            _ => Err(tr!(
                "invalid width `{form}`; write for example 4 or 04, at most {most}, and 04x for hexadecimal digits",
                form,
                most = MAX_WIDTH
            )),
        }
    }

    /// Writes a number of a frame. With zeros, it has exactly so many hexadecimal digits: a field of a frame has a fixed size,
    /// and a counter in it begins again.
    pub(crate) fn write_in_frame(self, number: u64, text: &mut String) {
        self.write(if self.is_fixed() { lowest_digits(number, self.least) } else { number }, text);
    }

    /// Returns whether numbers are written with decimal digits.
    pub(crate) fn is_decimal(self) -> bool {
        self.digits == Digits::Decimal
    }

    /// Returns whether a number of a frame has exactly so many digits.
    fn is_fixed(self) -> bool {
        self.zeros && self.digits != Digits::Decimal
    }

    /// Writes a number; one that has more digits than the width is written with all of them.
    pub(crate) fn write(self, number: u64, text: &mut String) {
        let Self { least, zeros, digits, is_reversed } = self;
        let number = match is_reversed {
            true => lowest_digits(number, least).swap_bytes() >> (64 - 4 * least.clamp(1, 16)),
            false => number,
        };
        // Writing into a String cannot fail.
        let _ = match (digits, zeros) {
            (Digits::Decimal, true) => write!(text, "{number:0least$}"),
            (Digits::Decimal, false) => write!(text, "{number:least$}"),
            (Digits::LowerHex, true) => write!(text, "{number:0least$x}"),
            (Digits::LowerHex, false) => write!(text, "{number:least$x}"),
            (Digits::UpperHex, true) => write!(text, "{number:0least$X}"),
            (Digits::UpperHex, false) => write!(text, "{number:least$X}"),
        };
    }
}

/// Returns the `digits` least significant hexadecimal digits of a number.
fn lowest_digits(number: u64, digits: usize) -> u64 {
    match u32::try_from(4 * digits).ok().and_then(|bits| 1_u64.checked_shl(bits)) {
        Some(limit) => number % limit,
        None => number,
    }
}

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeForm(String);

impl TimeForm {
    /// Checks the directives; nothing is [`DEFAULT_TIME`].
    ///
    /// # Errors
    /// A directive is unknown, or there is none; the error is a message for people.
    pub(crate) fn parse(form: &str) -> Result<Self, String> {
        let form = if form.is_empty() { DEFAULT_TIME } else { form };
        let is_known = strtime::format(form, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC)).is_ok();
        let mut directives = directives(form).peekable();
        // What is not a part of the time is the same for each message.
        if is_known && directives.peek().is_some() && directives.all(|letter| letter != ZONE_NAME) {
            return Ok(Self(form.to_owned()));
        }
        Err(tr!("invalid form of a time `{form}`; write for example %H:%M:%S, as for date(1)", form))
    }

    /// Writes a time in a zone.
    pub(crate) fn write(&self, at: Timestamp, zone: &TimeZone, text: &mut String) {
        // The directives are checked, so this cannot fail.
        text.push_str(&strtime::format(&self.0, &at.to_zoned(zone.clone())).unwrap_or_default());
    }
}

/// The directive of jiff for the name of the time zone, which date(1) does not have: a zone that is read from /etc/localtime has
/// no name.
const ZONE_NAME: char = 'Q';

/// Returns the letters of the directives, without `%%`; flags, widths and colons may stand before a letter.
fn directives(form: &str) -> impl Iterator<Item = char> {
    let mut rest = form;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once('%')?;
        let mut characters = behind.chars();
        let letter = characters.find(|letter| letter.is_ascii_alphabetic() || *letter == '%');
        rest = characters.as_str();
        letter
    })
    .filter(|letter| *letter != '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let field = |name: &str, form: &str| match name {
            "bad" => Err("refused".to_owned()),
            _ => Ok(format!("<{name}|{form}>")),
        };
        Template::parse(text, field).map(|template| template.fill(|field, text| text.push_str(field)))
    }

    #[test]
    fn fields_are_filled_and_the_rest_is_kept() {
        for (text, expected) in [
            ("", ""),
            ("plain {x} }}", "plain {x} }}"),
            ("{{n}}", "<n|>"),
            ("a{{ n :04}}b{{time:%H:%M}}", "a<n|04>b<time|%H:%M>"),
            ("{{time：%H：%M}}", "<time|%H：%M>"),
            ("{{{{n}}", "{{n}}"),
            ("{{{{{{n}}", "{{<n|>"),
            (r#"{"n":{{n}}}"#, r#"{"n":<n|>}"#),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(filled("a {{n").unwrap_err().contains("`{{n` has no `}}`"));
        assert_eq!(filled("{{bad}}"), Err("refused".to_owned()));
    }

    #[test]
    fn numbers_and_times_have_their_forms() {
        let padded = |form, number: u64| {
            let mut text = String::new();
            Width::parse(form).map(|width| width.write(number, &mut text)).map(|()| text)
        };
        let in_frame = |form, number: u64| {
            let mut text = String::new();
            Width::parse(form).map(|width| width.write_in_frame(number, &mut text)).map(|()| text)
        };
        assert_eq!(padded("", 7).as_deref(), Ok("7"));
        assert_eq!(padded("4", 7).as_deref(), Ok("   7"));
        assert_eq!(padded("04", 12_345).as_deref(), Ok("12345"));
        assert_eq!(padded("04", 7).as_deref(), Ok("0007"));
        for (form, number, expected) in [
            ("x", 255, "ff"),
            ("X", 255, "FF"),
            ("4x", 10, "   a"),
            ("02x", 10, "0a"),
            ("04X", 0xbeef, "BEEF"),
            ("2x", 0x100, "100"),
            ("016x", u64::MAX, "ffffffffffffffff"),
            ("018x", u64::MAX, "00ffffffffffffffff"),
        ] {
            assert_eq!(padded(form, number).as_deref(), Ok(expected), "{form} {number}");
            assert_eq!(in_frame(form, number).as_deref(), Ok(expected), "{form} {number}");
        }
        // In a frame, two digits are one byte, whatever the number.
        for (form, number, full, fixed) in
            [("04x", 70_000, "11170", "1170"), ("02x", 0x1ff, "1ff", "ff"), ("02X", 0x100, "100", "00")]
        {
            assert_eq!(padded(form, number).as_deref(), Ok(full), "{form} {number}");
            assert_eq!(in_frame(form, number).as_deref(), Ok(fixed), "{form} {number}");
        }
        assert_eq!(in_frame("02", 100).as_deref(), Ok("100"));
        for form in ["y", "-1", "+4", "065", "065x", "1000000", "xx", "x4", "+4x"] {
            assert!(padded(form, 7).is_err(), "{form}");
        }
        let mut text = String::new();
        TimeForm::parse("%H:%M:%S.%3f").unwrap().write(Timestamp::UNIX_EPOCH, &TimeZone::UTC, &mut text);
        assert_eq!(text, "00:00:00.000");
        let invalid = "invalid form of a time `%!`; write for example %H:%M:%S, as for date(1)";
        assert_eq!(TimeForm::parse("%!").unwrap_err(), invalid);
        for form in ["%Q", "%H %:Q", "HH:MM", "%%", "100%", "％H"] {
            assert!(TimeForm::parse(form).is_err(), "{form}");
        }
        for form in ["%Z", "%:z", "%H:%M:%S.%3f", "Q%H", "%%Q%H", "%-d", "%F"] {
            assert!(TimeForm::parse(form).is_ok(), "{form}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in r"[\{\}:n0%HxX你 ]{0,40}") {
            drop((filled(&text), Width::parse(&text), TimeForm::parse(&text)));
        }
    }
}

//! `--fill`: a counter, times and random numbers in the text of a message.

use jiff::{Timestamp, tz::TimeZone};
use udpchat_locale::tr;

use crate::template::{Template, TimeForm, Width};

/// The fields, for the error of an unknown one.
const FIELDS: &str = "n, time, unix, unix_ms, random";

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    /// The number of the message, from 1.
    Number(Width),
    /// The time, in the local time zone.
    Time(TimeForm),
    /// The time in seconds since 1970.
    Unix(Width),
    /// The time in milliseconds since 1970.
    UnixMilliseconds(Width),
    /// A random number of 32 bits.
    Random(Width),
}

/// The text of messages that differ in their fields.
#[derive(Clone, Debug)]
pub(in crate::command) struct Fill(Template<Field>);

impl Fill {
    /// Parses the text.
    ///
    /// # Errors
    /// A field is unknown or malformed; the error is a message for people.
    pub(in crate::command) fn parse(text: &str) -> Result<Self, String> {
        Template::parse(text, field).map(Self)
    }

    /// Returns whether there is a field.
    pub(super) fn has_fields(&self) -> bool {
        self.0.fields().next().is_some()
    }

    /// Returns whether a number is written with decimal digits.
    pub(super) fn has_decimal_numbers(&self) -> bool {
        self.0.fields().any(|field| match field {
            Field::Number(width)
            | Field::Unix(width)
            | Field::UnixMilliseconds(width)
            | Field::Random(width) => width.is_decimal(),
            Field::Time(_) => false,
        })
    }

    /// Returns the text of message `number`, sent at `now`.
    pub(in crate::command) fn fill(&self, number: u64, now: Timestamp, zone: &TimeZone) -> String {
        self.0.fill(|field, text| match field {
            Field::Number(width) => width.write_in_frame(number, text),
            Field::Time(form) => form.write(now, zone, text),
            // A clock before 1970 is not set.
            Field::Unix(width) => width.write_in_frame(now.as_second().try_into().unwrap_or(0), text),
            Field::UnixMilliseconds(width) => {
                width.write_in_frame(now.as_millisecond().try_into().unwrap_or(0), text);
            }
            // Without the random numbers of the system, a number that differs is used.
            Field::Random(width) => {
                let random = getrandom::u32().unwrap_or(now.subsec_nanosecond() as u32);
                width.write_in_frame(random.into(), text);
            }
        })
    }
}

fn field(name: &str, form: &str) -> Result<Field, String> {
    match (name, form) {
        ("n", form) => Width::parse(form).map(Field::Number),
        ("time", form) => TimeForm::parse(form).map(Field::Time),
        ("unix", form) => Width::parse(form).map(Field::Unix),
        ("unix_ms", form) => Width::parse(form).map(Field::UnixMilliseconds),
        ("random", form) => Width::parse(form).map(Field::Random),
        (name, _) => Err(tr!("unknown field `{name}`; the fields are {fields}", name, fields = FIELDS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let now = "2026-11-26T22:03:05.25Z".parse().unwrap();
        Fill::parse(text).map(|fill| fill.fill(7, now, &TimeZone::UTC))
    }

    #[test]
    fn each_field_has_its_value() {
        for (text, expected) in [
            ("no {{n}} of {{n:04}}", "no 7 of 0007"),
            ("{{time}}", "2026-11-26 22:03:05"),
            ("{{time:%H:%M:%S.%3f}}", "22:03:05.250"),
            ("{{unix}} {{unix_ms}}", "1795730585 1795730585250"),
            ("{{n:04x:le}} {{n:04X:LE}} {{n:04x:be}} {{n:02x:le}}", "0700 0700 0007 07"),
            ("{{unix:08x:le}} {{unix:08X：le}} {{unix:016x:le}}", "99ac086b 99AC086B 99ac086b00000000"),
            ("aa {{n:02x}} {{unix:08X}} {{unix_ms:012x}}", "aa 07 6B08AC99 01a219e236a2"),
            (r#"{"seq":{{n}},"x":"{{{{n}}"}"#, r#"{"seq":7,"x":"{{n}}"}"#),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(filled("{{random:010}}").unwrap().len(), 10);
        let unknown = filled("{{m}}").unwrap_err();
        assert_eq!(unknown, "unknown field `m`; the fields are n, time, unix, unix_ms, random");
        assert_eq!(filled("{{random:04x}}").unwrap().len(), 4);
        for odd in ["{{n:03x:le}}", "{{n:le}}", "{{n:4x:le}}", "{{n:04:le}}", "{{n:018x:le}}"] {
            assert!(filled(odd).unwrap_err().contains("needs an even number of digits"), "{odd}");
        }
        assert!(filled("{{n:04x:xe}}").unwrap_err().contains("invalid width"));
        assert!(filled("{{unix:%s}}").is_err() && filled("{{time:%!}}").is_err());
    }
}

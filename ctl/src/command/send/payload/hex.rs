//! Parses hex digits in the usual notations: `c4 e3`, `c4:e3`, `0xC4, 0xE3`.

use udpchat_config::narrowed;
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// Parses hex digits; ignores spaces, `:`, `-`, `,` and a `0x` before a byte. Full-width characters count as those of ASCII.
///
/// # Errors
/// A character is not a hex digit (the error has its position, in characters from 1), the number of digits between
/// separators is odd, or the offset of a dump stands in front.
pub(super) fn parse(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    // Whether `0x` may follow: at the beginning and after a separator.
    let mut fresh = true;
    let narrow = narrowed(text);
    if let Some(offset) = offset_of_dump(&narrow) {
        return Err(CtlError::usage(tr!(
            "`{offset}:` looks like the offset in a dump, not like bytes",
            offset
        ))
        .hint(tr!("leave it out; bytes have no space behind a colon: `c4:e3:0d`")));
    }
    let mut characters = narrow.chars().zip(text.chars()).enumerate().peekable();
    while let Some((at, (character, written))) = characters.next() {
        if is_separator(character) {
            if high.is_some() {
                return Err(half_a_byte(&narrow, at));
            }
            fresh = true;
            continue;
        }
        let prefix = fresh && character == '0' && high.is_none();
        fresh = false;
        if prefix && let Some((at, (_, x))) = characters.next_if(|(_, (next, _))| matches!(next, 'x' | 'X')) {
            if characters.peek().is_none_or(|(_, (next, _))| is_separator(*next)) {
                return Err(bad_digit(x, at + 1));
            }
            continue;
        }
        let Some(digit) = character.to_digit(16) else { return Err(bad_digit(written, at + 1)) };
        // A hex digit is below 16.
        let digit = digit as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(half_a_byte(&narrow, text.chars().count())),
    }
}

/// Returns the offset that a line of `xxd` and similar programs begins with: `00000010: aa55`.
fn offset_of_dump(text: &str) -> Option<&str> {
    let (offset, bytes) = text.trim_start().split_once(':')?;
    let is_offset = offset.len() >= 4 && offset.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_offset && bytes.starts_with([' ', '\t']) && !bytes.trim().is_empty()).then_some(offset)
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | '-' | ',')
}

/// Returns the error of an odd number of digits before `end`, in characters: `2 4` may mean 02 04 as well as 24.
fn half_a_byte(text: &str, end: usize) -> CtlError {
    /// More digits than a person completes.
    const SHOWN_DIGITS: usize = 16;
    let before: String = text.chars().take(end).collect();
    let group = before.rsplit(is_separator).next().unwrap_or_default();
    let digits = group.trim_start_matches("0x").trim_start_matches("0X");
    let error =
        match before.chars().all(|character| character.is_ascii_hexdigit()) && end == text.chars().count() {
            true => tr!("odd number of hex digits ({number})", number = digits.len()),
            false => tr!("odd number of hex digits before position {position}", position = end + 1),
        };
    CtlError::usage(error).hint(match digits.len() {
        1 => tr!("a byte has two digits: write 0{digits} for {digits}", digits),
        2..=SHOWN_DIGITS => tr!(
            "a byte has two digits: write for example 0{digits}, or complete the last byte: {begin}0{last}",
            digits,
            begin = &digits[..digits.len() - 1],
            last = &digits[digits.len() - 1..]
        ),
        _ => tr!("a byte has two digits: one is missing or too many").to_owned(),
    })
}

fn bad_digit(character: char, position: usize) -> CtlError {
    CtlError::usage(tr!("invalid hex digit '{character}' at position {position}", character, position)).hint(
        match character {
            '{' => tr!("--fill fills in fields in double braces"),
            _ => tr!("write hex as 'c4 e3 0d 0a', c4e30d0a or '0xc4,0xe3'"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_digits_need_fill() {
        let hint = |text: &str| parse(text).unwrap_err().into_failure().hint.unwrap();
        assert!(hint("aa {{n:04x}}").contains("--fill") && !hint("aa x").contains("--fill"));
    }

    #[test]
    fn all_usual_hex_notations_are_read() {
        for text in [
            "c4e30d0a",
            "C4 E3 0D 0A",
            "c4:e3:0d:0a",
            "c4-e3-0d-0a",
            "0xc4, 0xe3, 0x0d, 0x0a",
            "0XC4E3 0d\n0a\r\n",
            " c4e3 0d0a ",
            "Ｃ４　ｅ３，０ｄ：0a",
        ] {
            assert_eq!(parse(text).unwrap(), b"\xc4\xe3\x0d\x0a", "{text}");
        }
        assert_eq!(parse("00 0x00").unwrap(), b"\0\0");
        assert_eq!(parse("").unwrap(), b"");
        assert_eq!(parse(" , ").unwrap(), b"");
    }

    #[test]
    fn the_hint_completes_the_digits_that_were_written() {
        for (text, expected) in [
            ("aab", "a byte has two digits: write for example 0aab, or complete the last byte: aa0b"),
            ("c4 e", "a byte has two digits: write 0e for e"),
            ("0x2", "a byte has two digits: write 02 for 2"),
            (&"a".repeat(17), "a byte has two digits: one is missing or too many"),
        ] {
            assert_eq!(parse(text).unwrap_err().into_failure().hint.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn invalid_hex_is_reported_with_its_position() {
        for (text, expected) in [
            ("c4 g3", "'g' at position 4"),
            ("你", "'你' at position 1"),
            ("c4 ｇ3", "'ｇ' at position 4"),
            ("c40xe3", "'x' at position 4"),
            ("0000: aa 55", "`0000:` looks like the offset in a dump"),
            (" 00000010: aa55", "`00000010:` looks like the offset in a dump"),
            ("0x1 0x2", "odd number of hex digits before position 4"),
            ("abc", "odd number of hex digits (3)"),
            ("2 4", "odd number of hex digits before position 2"),
            ("c4 e 30d0a", "odd number of hex digits before position 5"),
            ("0x", "'x' at position 2"),
            ("01 0X, 02", "'X' at position 5"),
            ("0ｘ", "'ｘ' at position 2"),
        ] {
            match parse(text) {
                Err(CtlError::Failed(failure)) => {
                    assert!(failure.message.contains(expected), "{text}: {}", failure.message);
                    assert_eq!(failure.exit as u8, 2);
                }
                other => assert!(expected.is_empty(), "{text}: {other:?}"),
            }
        }
    }
}

//! Parses hex digits in the usual notations: `c4 e3`, `c4:e3`, `0xC4, 0xE3`.

use udpchat_config::narrowed;
use udpchat_locale::tr;

use crate::error::{CtlError, Result};

/// Parses hex digits; ignores spaces, `:`, `-`, `,` and a `0x` before a byte. Full-width characters count as those of ASCII.
///
/// # Errors
/// A character is not a hex digit (the error has its position, in characters from 1), or the number of digits
/// between separators is odd.
pub(super) fn parse(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    // Whether `0x` may follow: at the beginning and after a separator.
    let mut fresh = true;
    let narrow = narrowed(text);
    let mut characters = narrow.chars().zip(text.chars()).enumerate().peekable();
    while let Some((at, (character, written))) = characters.next() {
        if is_separator(character) {
            if high.is_some() {
                return Err(half_a_byte(at));
            }
            fresh = true;
            continue;
        }
        let prefix = fresh && character == '0' && high.is_none();
        fresh = false;
        if prefix && characters.next_if(|(_, (next, _))| matches!(next, 'x' | 'X')).is_some() {
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
        Some(_) => Err(half_a_byte(text.chars().count())),
    }
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | '-' | ',')
}

/// Returns the error of an odd number of digits: `2 4` may mean 02 04 as well as 24.
fn half_a_byte(position: usize) -> CtlError {
    CtlError::usage(tr!("odd number of hex digits before position {position}", position = position + 1))
        .hint(tr!("a byte has two digits: write 02 for 2"))
}

fn bad_digit(character: char, position: usize) -> CtlError {
    CtlError::usage(tr!("invalid hex digit '{character}' at position {position}", character, position))
        .hint(tr!("write hex as 'c4 e3 0d 0a', c4e30d0a or '0xc4,0xe3'"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn invalid_hex_is_reported_with_its_position() {
        for (text, expected) in [
            ("c4 g3", "'g' at position 4"),
            ("你", "'你' at position 1"),
            ("c4 ｇ3", "'ｇ' at position 4"),
            ("c40xe3", "'x' at position 4"),
            ("0x1 0x2", "odd number of hex digits before position 4"),
            ("abc", "odd number of hex digits before position 4"),
            ("2 4", "odd number of hex digits before position 2"),
            ("c4 e 30d0a", "odd number of hex digits before position 5"),
            ("0x", ""),
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

//! Bytes that are no text, as hexadecimal digits: the text of a peer that sends bytes.

use udpchat_config::narrowed;

/// Returns two digits for each byte, with a space between two bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(3 * bytes.len());
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            text.push(' ');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 0xf)]);
    }
    text
}

/// Returns the bytes of hexadecimal digits; white space and `:`, `-`, `,` may stand between two bytes, and `0x` in front of one.
/// Full-width characters count as those of ASCII.
///
/// # Errors
/// The first character that is no digit there, as it was written, or the last digit if their number is odd. Of `0x` without digits it
/// is the `x`.
pub(crate) fn write(text: &str) -> Result<Vec<u8>, char> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut upper = None;
    // Whether `0x` may follow: at the beginning and behind a separator.
    let mut is_fresh = true;
    let narrow = narrowed(text);
    let mut characters = narrow.chars().zip(text.chars()).peekable();
    while let Some((character, written)) = characters.next() {
        let is_prefix = is_fresh && character == '0';
        if is_prefix && let Some((_, x)) = characters.next_if(|(next, _)| matches!(next, 'x' | 'X')) {
            // Digits stand behind it.
            let next = characters.peek().ok_or(x)?;
            if !next.0.is_ascii_hexdigit() {
                return Err(if is_separator(next.0) { x } else { next.1 });
            }
            is_fresh = false;
            continue;
        }
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        is_fresh = digit.is_none();
        match (upper.take(), digit) {
            (None, Some(digit)) => upper = Some((digit, written)),
            (Some((first, _)), Some(digit)) => bytes.push(first << 4 | digit),
            (None, None) if is_separator(character) => {}
            (Some((_, first)), None) if character.is_whitespace() => return Err(first),
            (_, None) => return Err(written),
        }
    }
    upper.map_or(Ok(bytes), |(_, digit)| Err(digit))
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | '-' | ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_as_people_write_them() {
        assert_eq!(to_hex(b"\x01\x03\xe4\x09"), "01 03 e4 09");
        for text in [
            "01 03 e4 09",
            "0103E409",
            "01:03:e4:09",
            "01-03-e4-09\r\n",
            " 01,03, e4\n09",
            "0x01,0X03 0xe4 09",
            "０１　０３，ｅ４ 09",
        ] {
            assert_eq!(write(text), Ok(b"\x01\x03\xe4\x09".to_vec()), "{text}");
        }
        for (text, wrong) in [
            ("hello", 'h'),
            ("01 3", '3'),
            ("1 02", '1'),
            ("0你", '你'),
            ("01 0", '0'),
            ("０你", '你'),
            ("010x", 'x'),
            ("0x", 'x'),
            ("01 0X", 'X'),
            ("0x 01", 'x'),
            ("0x,01", 'x'),
            ("0x你", '你'),
            ("0ｘ", 'ｘ'),
            ("０１ ３", '３'),
            ("３ ０１", '３'),
        ] {
            assert_eq!(write(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn every_byte_has_its_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_hex(&[byte]), format!("{byte:02x}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_are_read_and_written_unchanged(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(write(&to_hex(&bytes)), Ok(bytes));
        }
    }
}

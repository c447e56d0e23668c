//! Bytes that are no text, as hexadecimal digits: the text of a peer that sends bytes.

use std::fmt::Write as _;

/// Returns two digits for each byte, with a space between two bytes.
pub(crate) fn read(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(3 * bytes.len());
    for (place, byte) in bytes.iter().enumerate() {
        let space = if place > 0 { " " } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{space}{byte:02x}");
    }
    text
}

/// Returns the bytes of hexadecimal digits; white space and `:`, `-`, `,` may stand between two bytes.
///
/// # Errors
/// The first character that is no digit there, or the last digit if their number is odd.
pub(crate) fn write(text: &str) -> Result<Vec<u8>, char> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut upper = None;
    for character in text.chars() {
        let digit = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (upper.take(), digit) {
            (None, Some(_)) => upper = Some(character),
            (Some(first), Some(digit)) => bytes.push(value(first) << 4 | digit),
            (None, None) if character.is_whitespace() || matches!(character, ':' | '-' | ',') => {}
            (Some(first), None) if character.is_whitespace() => return Err(first),
            (_, None) => return Err(character),
        }
    }
    upper.map_or(Ok(bytes), Err)
}

fn value(digit: char) -> u8 {
    digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_written_as_people_write_them() {
        assert_eq!(read(b"\x01\x03\xe4\x09"), "01 03 e4 09");
        for text in ["01 03 e4 09", "0103E409", "01:03:e4:09", "01-03-e4-09\r\n", " 01,03, e4\n09"] {
            assert_eq!(write(text), Ok(b"\x01\x03\xe4\x09".to_vec()), "{text}");
        }
        for (text, wrong) in [("hello", 'h'), ("01 3", '3'), ("1 02", '1'), ("0你", '你'), ("01 0", '0')] {
            assert_eq!(write(text), Err(wrong), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn bytes_are_read_and_written_unchanged(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(write(&read(&bytes)), Ok(bytes));
        }
    }
}
